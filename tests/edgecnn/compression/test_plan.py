"""Plans against brute force: the same blocks go that a plain loop over all of them would take."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from edgecnn.compression import plan
from edgecnn.errors import TrainingError


@dataclass(frozen=True)
class Group:
    name: str
    units: np.ndarray


@dataclass(frozen=True)
class Prices:
    """Each unit has its price, and so has each pair of neighbouring groups."""

    of: np.ndarray
    groups: tuple[Group, ...]

    def total(self, keep):
        pairs = zip(self.groups, self.groups[1:], strict=False)
        return int(
            self.of[keep].sum() + 10 * sum(keep[a.units].sum() * keep[b.units].sum() for a, b in pairs)
        )

    def saved(self, keep, units):
        after = keep.copy()
        after[units] = False
        return self.total(keep) - self.total(after)


@pytest.fixture
def groups():
    return (Group("a", np.arange(0, 32)), Group("b", np.arange(32, 76)), Group("c", np.arange(76, 82)))


@pytest.fixture
def cost(groups):
    return Prices(np.random.default_rng(1).integers(1, 9, 90), groups)


@pytest.fixture
def scores():
    found = np.random.default_rng(2).random(90)
    found[82:] = np.inf  # fixed
    return found


def test_no_groups_no_plan(cost, scores):
    with pytest.raises(TrainingError, match="is not to be had"):
        plan.for_macs((), cost, scores, share=0.5)


@pytest.mark.parametrize("multiple", [1, 4, 8])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_the_macs_that_stay_are_within_the_share_and_sizes_are_multiples(
    groups, cost, scores, share, multiple
):
    found = plan.for_macs(groups, cost, scores, share=share, multiple=multiple)
    whole = cost.total(np.ones(90, bool))
    assert found.macs == cost.total(found.keep) <= share * whole
    assert found.keep[82:].all()
    assert found.lost == pytest.approx(scores[~found.keep].sum())
    for group in groups:
        kept = found.keep[group.units].sum()
        assert kept == len(group.units) or kept % multiple == 0
        assert kept >= plan.FLOOR * len(group.units)


def test_what_goes_is_what_a_loop_over_all_blocks_takes(groups, cost, scores):
    """The queue looks at a block again before it goes; a plain loop looks at all of them each time."""
    keep, multiple = np.ones(90, bool), 4
    whole = cost.total(keep)
    left = {}
    for group in groups:
        ranked = list(group.units[np.argsort(scores[group.units])])
        first = len(ranked) % multiple or multiple
        left[group.name] = (ranked, first)
    while cost.total(keep) > 0.4 * whole:
        blocks = []
        for ranked, first in left.values():
            floor = max(multiple, int(np.ceil(plan.FLOOR * len(ranked) / multiple)) * multiple)
            gone = (~keep[ranked]).sum()
            size = first if gone == 0 else multiple
            if len(ranked) - gone - size >= floor:
                block = np.array(ranked[gone : gone + size])
                blocks.append((scores[block].sum() / cost.saved(keep, block), block))
        keep[min(blocks, key=lambda one: one[0])[1]] = False
    found = plan.for_macs(groups, cost, scores, share=0.4, multiple=multiple)
    assert (found.keep == keep).all()


def test_channels_count_without_those_that_cannot_go(groups, cost, scores):
    found = plan.for_channels(groups, cost, scores, share=0.5, multiple=2)
    assert found.keep[:82].sum() <= 41 < found.keep[:82].sum() + 3
    assert found.keep[82:].all()


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan"), 50.0])
def test_a_share_that_cannot_be_is_refused(groups, cost, scores, share):
    with pytest.raises(TrainingError, match="share that stays"):
        plan.for_macs(groups, cost, scores, share=share)


def test_a_goal_out_of_reach_says_what_is_in_reach(groups, cost, scores):
    with pytest.raises(TrainingError, match=r"0\.\d+ of the MACs remain"):
        plan.for_macs(groups, cost, scores, share=0.01)


class Blocks:
    """A processor that computes channels in blocks of 16: fewer MACs are not always faster."""

    def __init__(self, groups):
        self.groups, self.asked = groups, 0

    def __call__(self, keep):
        self.asked += 1
        blocks = [-(-int(keep[group.units].sum()) // 16) for group in self.groups]
        return 1.0 + sum(a * b for a, b in pairwise(blocks))


def test_a_latency_is_reached_and_nothing_is_given_away(groups, cost, scores):
    timer = Blocks(groups)
    whole = timer(np.ones(90, bool))
    found = plan.for_latency(groups, cost, scores, limit_ms=0.6 * whole, latency=timer)
    assert found.latency_ms == timer(found.keep) <= 0.6 * whole
    assert {ms for *_, ms in found.tried} >= {found.latency_ms}
    by_macs = plan.for_macs(groups, cost, scores, share=0.35)
    assert found.lost <= by_macs.lost or timer(by_macs.keep) > 0.6 * whole


def test_a_latency_out_of_reach_says_how_fast_the_fastest_was(groups, cost, scores):
    with pytest.raises(TrainingError, match=r"the fastest of \d+ that were timed took"):
        plan.for_latency(groups, cost, scores, limit_ms=0.5, latency=Blocks(groups))


def test_a_network_that_is_fast_enough_is_left_alone(groups, cost, scores):
    with pytest.raises(TrainingError, match="nothing to remove"):
        plan.for_latency(groups, cost, scores, limit_ms=100, latency=Blocks(groups))
