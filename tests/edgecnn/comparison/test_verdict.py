import re
from dataclasses import replace

import pytest

from edgecnn.comparison.verdict import NOISE, Facts, sentence, worth

PRUNED = Facts(
    kind="channels", macs=0.5, time=0.62, time_interval=(0.61, 0.63), before_ms=0.245, after_ms=0.152,
    zipped=0.5, zeros=0.0, distinct=5000, lost=0.4, interval=(0.1, 0.8), figure="top1", images=10000,
    certified="certified",
)  # fmt: skip
SPARSE = replace(
    PRUNED, kind="sparse", macs=1.0, time=1.0, time_interval=(0.98, 1.02), zipped=0.41, zeros=0.8
)
CLUSTERED = replace(SPARSE, kind="clustered", time=1.01, zipped=0.55, distinct=16)
SAME = replace(PRUNED, kind="same", macs=1.0, time=1.0, time_interval=(0.98, 1.02), zipped=1.0)
NO_TIME = "it buys no time on this machine and does not pay"
TOO_BUSY = "whether it pays, this machine was too busy to tell"
UNPROVEN = "it seems to pay, but 10,000 images do not prove it"


def ruling(facts):
    return sentence(facts).rstrip(".").rpartition(": ")[2]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (PRUNED, "it pays"),
        (replace(PRUNED, lost=-0.4, interval=(-0.8, -0.1)), "it pays"),
        (replace(PRUNED, lost=1.0, interval=(0.4, 1.6)), UNPROVEN),
        (replace(PRUNED, lost=1.2, interval=(0.4, 2.0)), "0.62x the time is not worth 1.2 points"),
        # the file halves as well, and yet: channels are paid with time
        (replace(PRUNED, time=0.93, lost=0.8, interval=(0.5, 1.1)), "0.93x the time is not worth 0.8 points"),
        (replace(PRUNED, time=0.97), NO_TIME),
        (replace(PRUNED, time=1.3, lost=-2.0, interval=(-3.0, -1.0)), NO_TIME),
        (replace(PRUNED, lost=None, interval=None), "whether it pays, these images cannot tell"),
        # points of mAP are worth less than points of accuracy
        (replace(PRUNED, lost=1.2, interval=(0.4, 1.5), figure="map50"), "it pays"),
        (replace(PRUNED, lost=1.2, interval=(0.4, 1.9), figure="map50"), UNPROVEN),
        (SPARSE, "it pays"),
        (replace(SPARSE, zipped=0.9, lost=0.5), "0.90x the bytes is not worth 0.5 points"),
        (replace(SPARSE, zipped=1.02), "it buys no bytes and does not pay"),
        (CLUSTERED, UNPROVEN),
        (replace(CLUSTERED, interval=(0.1, 0.6)), "it pays"),
        (SAME, "it does not pay"),
        (replace(SAME, lost=-1.0, interval=(-1.5, -0.5)), "it pays"),
        (replace(SAME, lost=0.1, interval=(-0.5, 0.7)), "no difference that these images prove"),
        (replace(SAME, lost=0.1, interval=None), "nothing that these images can tell"),
        (replace(SAME, time=0.5, time_interval=(0.45, 0.55)), "it pays"),
        # a busy machine is no evidence, neither for nor against
        (replace(PRUNED, time=0.89, time_interval=(0.7, 1.1)), TOO_BUSY),
        (replace(PRUNED, time=1.2, time_interval=(0.9, 1.5)), TOO_BUSY),
        (replace(SAME, time=0.89, time_interval=(0.7, 1.1)), "it does not pay"),
    ],
)  # fmt: skip
def test_whether_it_pays(facts, said):
    assert ruling(facts) == said


def test_a_pruned_network_is_told_by_macs_time_and_loss():
    assert sentence(PRUNED) == (
        "Half the MACs take 0.62x the time (int8 p50 0.152 against 0.245 ms); 0.4 points of accuracy lost "
        "(95 %: 0.1 to 0.8): it pays."
    )


def test_zeros_are_never_sold_as_speed():
    assert sentence(SPARSE) == (
        "80 % of the weights are zero and the zipped int8 file is 0.41 of what it was, but it runs no faster "
        "(1.00x: the int8 kernels here multiply zeros like any other number); 0.4 points of accuracy lost "
        "(95 %: 0.1 to 0.8): it pays."
    )


def test_clusters_are_never_sold_as_speed():
    assert "but it runs no faster (1.01x: the kernels unpack no clusters)" in sentence(CLUSTERED)


@pytest.mark.parametrize("facts", [SPARSE, CLUSTERED])
@pytest.mark.parametrize("time", [0.8, 1.2])
def test_where_zeros_or_clusters_change_the_time_the_measured_time_is_said(facts, time):
    said = sentence(replace(facts, time=time, time_interval=(time - 0.01, time + 0.01)))
    assert f"and it takes {time:.2f}x the time (int8 p50" in said
    assert "no faster" not in said


@pytest.mark.parametrize("facts", [SPARSE, CLUSTERED])
def test_chance_does_not_make_zeros_or_clusters_fast(facts):
    assert "runs no faster (0.90x" in sentence(replace(facts, time=0.9, time_interval=(0.7, 1.1)))


def test_a_ratio_by_chance_is_told_with_its_interval():
    assert "0.89x the time (int8 p50 0.152 against 0.245 ms; by chance: 95 % 0.70 to 1.10)" in sentence(
        replace(PRUNED, time=0.89, time_interval=(0.7, 1.1))
    )


def test_what_was_gained_is_told_as_gain_with_its_interval_turned():
    assert "0.4 points of accuracy gained (95 %: -0.1 to 0.8)" in sentence(
        replace(PRUNED, lost=-0.4, interval=(-0.8, 0.1))
    )


@pytest.mark.parametrize(
    ("lost", "interval", "is_said"),
    [
        (5.8, (3.9, 7.7), True),
        (4.9, (3.0, 6.8), False),
        (9.0, (-1.0, 19.0), False),
        (-1.0, (-2.0, 0.0), False),
    ],
)
def test_a_class_that_lost_far_more_than_the_others_is_named(lost, interval, is_said):
    said = sentence(replace(PRUNED, worst=("dog", lost, interval)))
    assert ("it pays; but 'dog' alone lost 5.8 points (95 %: 3.9 to 7.7)." in said) == is_said


@pytest.mark.parametrize("certified", ["unproven", "refused"])
def test_a_file_that_is_not_certified_is_told(certified):
    assert sentence(replace(PRUNED, certified=certified)).endswith(
        f"it pays; its int8 file is {certified}, not certified."
    )


@pytest.mark.parametrize(
    "facts", [PRUNED, SPARSE, CLUSTERED, SAME, replace(PRUNED, lost=None, interval=None, figure="f1")]
)
def test_it_is_one_sentence(facts):
    said = sentence(facts)
    assert said[0].isupper() or said[0].isdigit()
    assert said.endswith(".")
    assert not re.search(r"\. ", said.removesuffix("."))


@pytest.mark.parametrize(
    ("facts", "points"),
    [
        (replace(PRUNED, time=0.65), 1.0),  # the budgets that the prices come from
        (replace(CLUSTERED, zipped=0.6), 0.6),
        (replace(SPARSE, zipped=0.45), 0.9),
        (replace(PRUNED, time=0.5), 1.6),
        (replace(PRUNED, time=0.5, figure="map50"), 2.4),
        (replace(PRUNED, time=1 - NOISE / 2), 0.0),
        (replace(SPARSE, zipped=1.1), 0.0),
    ],
)
def test_what_is_bought_has_its_price(facts, points):
    assert worth(facts) == pytest.approx(points, abs=0.05)
