"""Which file is taken: never a faster one for a gain that the measurement cannot tell."""

from pathlib import Path

import pytest

from edgecnn.report.choice import choose, equally_fast, runner_up
from edgecnn.report.evidence import Condition, Latency, Variant
from edgecnn.report.gather import gather


def evidence_of(a_run, files):
    """Files by scheme: share of images right, milliseconds."""
    run = a_run()
    run.trained()
    for number, (scheme, (right, p50)) in enumerate(files.items()):
        run.file(scheme, 4000)
        run.judged(scheme, run.evaluation(right, seed=number, images=20_000))
        run.timed(scheme, p50)
    found = gather([run.path])
    return found, found.conditions[0]


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        # a hundredth of a millisecond is no reason to be wrong more often
        ({"float32": (0.870, 0.364), "int8": (0.861, 0.359)}, "float32"),
        # half the time is, as long as next to nothing is lost
        ({"float32": (0.870, 0.8), "int8": (0.866, 0.4)}, "int8"),
        # but not for five points
        ({"float32": (0.90, 0.8), "int8": (0.80, 0.4)}, "float32"),
        # and of two that are alike in both, the best one
        ({"float32": (0.90, 0.80), "int8": (0.899, 0.80)}, "float32"),
    ],
)
def test_the_file_that_is_taken(a_run, files, taken):
    evidence, condition = evidence_of(a_run, files)
    found = choose(evidence.variants, condition)
    assert found.scheme == taken
    assert runner_up(evidence.variants, condition, found).scheme != taken


def test_latencies_within_their_own_spread_are_equal(a_run):
    evidence, condition = evidence_of(
        a_run, {"float32": (0.9, 1.0), "int8": (0.9, 1.1), "dynamic": (0.9, 1.3)}
    )
    by_scheme = {variant.scheme: variant for variant in evidence.variants}
    # nine of ten images take at most 1.2 times the median
    assert equally_fast(by_scheme["float32"], by_scheme["int8"], condition)
    assert not equally_fast(by_scheme["float32"], by_scheme["dynamic"], condition)


def test_without_both_figures_nothing_is_taken(a_run):
    run = a_run()
    run.trained()
    run.file("int8")
    run.timed("int8", 1.0)
    evidence = gather([run.path])
    assert choose(evidence.variants, evidence.conditions[0]) is None


@pytest.mark.parametrize(("slower", "alike"), [(1.02, True), (1.2, True), (1.4, False)])
def test_estimates_are_equal_where_the_faster_lies_within_the_band_of_the_slower(slower, alike):
    board = Condition("A Board", "", 4, "estimated")

    def variant(name, p50):
        total = {"p50": p50, "low": p50 / 1.3, "high": 1.3 * p50}
        return Variant(
            name, "run", Path(name), "int8", 1000, name, latencies=(Latency(board, total, {}, {}),)
        )

    one, other = variant("one", 10.0), variant("other", 10.0 * slower)
    assert equally_fast(one, other, board) == equally_fast(other, one, board) == alike
