"""Which channels stay: ranked by what they are worth, weighed by what they cost, in the steps kernels like.

    plan = for_macs(groups, cost, scores, share=0.5)     # the cheapest half of the multiply-accumulates goes

Knows channels by number only: `groups` says what a unit is, `criteria` what it is worth, `cost` its price.
"""

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from edgecnn.errors import TrainingError
from edgecnn.image import Array

Keep = npt.NDArray[np.bool_]
"""(units,): whether each unit stays."""

MULTIPLE: Final = 8
"""Kernels compute channels in blocks; eight is the smallest of those in use (XNNPACK on NEON: 8 and 16)."""

MULTIPLES: Final = (8, 16, 32, 64)
"""What a search for a latency tries: the blocks of NEON, of AVX-512, and of AMX."""

FLOOR: Final = 0.125
"""Of every group at least this share stays: what a criterion says of the last channels is far from where it
looked."""

_BISECTIONS: Final = 6


class Group(Protocol):
    """Channels that are ranked and rounded together; see `edgecnn.compression.groups`."""

    @property
    def name(self) -> str:
        """The layer that makes them."""

    @property
    def units(self) -> npt.NDArray[np.int64]:
        """Their numbers, (n,)."""


class Cost(Protocol):
    """What units cost; see `edgecnn.compression.cost`."""

    def total(self, keep: Keep) -> int:
        """MACs of what stays."""

    def saved(self, keep: Keep, units: npt.NDArray[np.int64]) -> int:
        """MACs that go when these units go, too."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What stays.

    Attributes:
        keep: (units,).
        multiple: what the sizes of groups are multiples of.
        macs: of what stays.
        lost: sum of the scores of what goes.
        latency_ms: of the network of these sizes, where that was asked for; None where it was not.
        tried: for a latency: (multiple, MACs, ms) of every network that was timed.
    """

    keep: Keep
    multiple: int
    macs: int
    lost: float
    latency_ms: float | None = None
    tried: tuple[tuple[int, int, float], ...] = ()


def for_macs(
    groups: Sequence[Group], cost: Cost, scores: Array, *, share: float, multiple: int = MULTIPLE
) -> Plan:
    """Remove what is worth least for each multiply-accumulate it takes, until `share` of them is left.

    Args:
        groups: what may go.
        cost: what it costs.
        scores: (units,) float64, comparable between groups.
        share: of the network's MACs that may stay, in (0, 1).
        multiple: the sizes of groups become multiples of it.

    Raises:
        TrainingError: a share that cannot be, or that is not reached with a `FLOOR` of every group.
    """
    _check_share("macs", share)
    whole = cost.total(np.ones(len(scores), bool))

    def worth(keep: Keep, units: npt.NDArray[np.int64]) -> float:
        return float(scores[units].sum()) / max(1, cost.saved(keep, units))

    keep = _removed(
        groups, scores, worth, lambda keep: cost.total(keep) <= share * whole, multiple, len(scores)
    )
    if cost.total(keep) > share * whole:
        raise TrainingError(
            f"macs {share:g} is not to be had: with at least {FLOOR:.0%} of every layer, in multiples of "
            f"{multiple}, {cost.total(keep) / whole:.3g} of the MACs remain. Take a smaller network instead, "
            "or smaller multiples."
        )
    return _plan(keep, multiple, cost, scores)


def for_channels(
    groups: Sequence[Group], cost: Cost, scores: Array, *, share: float, multiple: int = MULTIPLE
) -> Plan:
    """Remove what is worth least, until `share` of the channels is left.

    Args:
        groups: as in `for_macs`, and the next two.
        cost: likewise.
        scores: likewise.
        share: of the channels that may go at all, in (0, 1).
        multiple: the sizes of groups become multiples of it.

    Raises:
        TrainingError: as in `for_macs`.
    """
    _check_share("channels", share)
    free = sum(len(group.units) for group in groups)
    fixed = len(scores) - free

    def worth(keep: Keep, units: npt.NDArray[np.int64]) -> float:
        return float(scores[units].mean())

    def enough(keep: Keep) -> bool:
        return bool(keep.sum() - fixed <= share * free)

    keep = _removed(groups, scores, worth, enough, multiple, len(scores))
    if not enough(keep):
        raise TrainingError(
            f"channels {share:g} is not to be had: with at least {FLOOR:.0%} of every layer, in multiples of "
            f"{multiple}, {(keep.sum() - fixed) / max(1, free):.3g} of them remain. Take a smaller network "
            "instead, or smaller multiples."
        )
    return _plan(keep, multiple, cost, scores)


def for_latency(
    groups: Sequence[Group],
    cost: Cost,
    scores: Array,
    *,
    limit_ms: float,
    latency: Callable[[Keep], float],
    multiples: Sequence[int] = MULTIPLES,
) -> Plan:
    """The network that loses least of those that are fast enough, by timing networks.

    Fewer MACs are not always faster: kernels compute whole blocks of channels, and how large these are
    depends on the processor. So for each size of block the MACs are bisected until the network of that many
    is just fast enough, and the one of them wins whose channels that went were worth least.

    Args:
        groups: as in `for_macs`, and the next two.
        cost: likewise.
        scores: likewise.
        limit_ms: what one inference may take.
        latency: of the network that keeps these channels, in ms; takes seconds.
        multiples: sizes of blocks to try.

    Raises:
        TrainingError: no network of these layers is so fast; says how fast the fastest was.
    """
    if not (math.isfinite(limit_ms) and limit_ms > 0):
        raise TrainingError(f"latency must be a time above 0 ms, not {limit_ms:g} ms")
    whole = cost.total(np.ones(len(scores), bool))
    tried: list[tuple[int, int, float]] = []
    timed: dict[bytes, float] = {}
    found: list[Plan] = []

    def time(multiple: int, keep: Keep) -> float:
        key = keep.tobytes()
        if key not in timed:
            timed[key] = latency(keep)
            tried.append((multiple, cost.total(keep), timed[key]))
        return timed[key]

    if time(1, np.ones(len(scores), bool)) <= limit_ms:
        raise TrainingError(
            f"the network takes {tried[0][2]:.3g} ms as it is, less than the {limit_ms:g} ms asked for. "
            "There is nothing to remove; convert it."
        )
    for multiple in multiples:
        smallest = _removed(
            groups, scores, lambda keep, units: float(scores[units].sum()), lambda keep: False, multiple,
            len(scores),
        )  # fmt: skip
        if time(multiple, smallest) > limit_ms:
            continue
        low, high, best = cost.total(smallest) / whole, 1.0, smallest
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            plan = for_macs(groups, cost, scores, share=middle, multiple=multiple)
            if time(multiple, plan.keep) <= limit_ms:
                low, best = middle, plan.keep
            else:
                high = middle
        found.append(_plan(best, multiple, cost, scores))
    if not found:
        raise TrainingError(
            f"no choice of channels brings the network to {limit_ms:g} ms: the fastest of {len(tried)} that "
            f"were timed took {min(ms for *_, ms in tried):.3g} ms. Take a smaller network or image."
        )
    best_plan = min(found, key=lambda one: one.lost)
    return Plan(
        best_plan.keep, best_plan.multiple, best_plan.macs, best_plan.lost, timed[best_plan.keep.tobytes()],
        tuple(tried),
    )  # fmt: skip


def sizes(groups: Sequence[Group], keep: Keep) -> Mapping[str, tuple[int, int]]:
    """Of every group, how many channels it had and how many stay."""
    return {group.name: (len(group.units), int(keep[group.units].sum())) for group in groups}


def _removed(
    groups: Sequence[Group],
    scores: Array,
    worth: Callable[[Keep, npt.NDArray[np.int64]], float],
    enough: Callable[[Keep], bool],
    multiple: int,
    units: int,
) -> Keep:
    """Block after block goes, the least worthy first, until it is enough or nothing more may go."""
    keep = np.ones(units, bool)
    blocks = {number: _blocks(group.units, scores, multiple) for number, group in enumerate(groups)}
    # What a block is worth changes with what went elsewhere: it is looked at again before it goes.
    waiting = [(worth(keep, of[0]), number, 0) for number, of in blocks.items() if of]
    heapq.heapify(waiting)
    while waiting and not enough(keep):
        _, number, place = heapq.heappop(waiting)
        now = worth(keep, blocks[number][place])
        if waiting and now > waiting[0][0]:
            heapq.heappush(waiting, (now, number, place))
            continue
        keep[blocks[number][place]] = False
        if place + 1 < len(blocks[number]):
            following = blocks[number][place + 1]
            heapq.heappush(waiting, (worth(keep, following), number, place + 1))
    return keep


def _blocks(units: Array, scores: Array, multiple: int) -> list[npt.NDArray[np.int64]]:
    """What may go of a group, in the order it would: the first block makes its size a multiple."""
    ranked = units[np.argsort(scores[units], kind="stable")]
    least = max(multiple, math.ceil(FLOOR * len(ranked) / multiple) * multiple)
    ends = range(len(ranked) % multiple or multiple, len(ranked) - least + 1, multiple)
    return [ranked[max(0, end - multiple) : end] for end in ends]


def _plan(keep: Keep, multiple: int, cost: Cost, scores: Array) -> Plan:
    return Plan(keep, multiple, cost.total(keep), float(scores[~keep].sum()))


def _check_share(name: str, share: Any) -> None:
    if not (math.isfinite(share) and 0 < share < 1):
        raise TrainingError(f"{name} is the share that stays: between 0 and 1, not {share:g}")
