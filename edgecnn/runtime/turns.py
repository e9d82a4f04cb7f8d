"""Several models timed in turns, every run kept: what their times are, and how sure a ratio of them is.

Other work on the machine comes and goes. In turns it hits all models alike, and what it leaves of chance
shows in how the turns differ: a ratio is only worth what its interval says.
"""

from collections.abc import Sequence
from time import perf_counter
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.float64]
"""(turns, runs in a turn) float64, milliseconds."""

FEWEST: Final = 50
"""Turns at least, however long they take."""

RESAMPLES: Final = 1000

_TURN_MS: Final = 2.0
_WARMUP: Final = 20  # runs before the first that counts: XNNPACK packs weights, the clock rises


class Runs(Protocol):
    """What can be timed, such as `edgecnn.runtime.model.Model` or an interpreter."""

    def invoke(self) -> Any:
        """Compute once; the input is there already."""


def time_in_turns(models: Sequence[Runs], seconds: float, *, fewest: int = FEWEST) -> list[Times]:
    """Time models a few runs each, one after the other, again and again.

    A turn is about 2 ms, of a slow model one run. Its first run is not counted: the caches still hold the
    model before.

    Args:
        models: with their inputs written.
        seconds: for each.
        fewest: turns at least.
    """
    runs = [_runs_in_a_turn(one) for one in models]
    times: list[list[list[float]]] = [[] for _ in models]
    end = perf_counter() + seconds * len(models)
    while len(times[-1]) < fewest or perf_counter() < end:
        for one, count, turns in zip(models, runs, times, strict=True):
            one.invoke()
            turns.append([_once(one) for _ in range(count)])
    return [np.array(turns) for turns in times]


def median(times: Times) -> float:
    """The median run, in milliseconds: one that took place."""
    return percentile(times, 50)


def percentile(times: Times, percent: float) -> float:
    """What so many percent of the runs do not exceed, in milliseconds: a run that took place."""
    return float(np.percentile(times, percent, method="inverted_cdf"))


def ratio_interval(
    times: Times, reference: Times, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """The 95 % confidence interval of a ratio of medians, of models that were timed in the same turns.

    The turns are drawn again, those of both models together (paired bootstrap, percentiles), so that what
    hits both cancels out. Neighbouring turns are alike on a busy machine: they are drawn in blocks of about
    the square root of their number.

    Args:
        times: of the model.
        reference: of the other, as many turns.
        resamples: how often.
        seed: of the draws.
    """
    turns = len(times)
    block = max(1, round(turns**0.5))
    starts = np.random.default_rng(seed).integers(0, turns, (resamples, -(-turns // block)))
    within = np.arange(block)
    ratios = []
    for row in starts:
        chosen = ((row[:, None] + within) % turns).ravel()[:turns]  # the last turns are followed by the first
        ratios.append(float(np.median(times[chosen]) / np.median(reference[chosen])))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)


def _runs_in_a_turn(model: Runs) -> int:
    """Warms a model up, and says how many runs are a turn."""
    return max(1, round(_TURN_MS / min(_once(model) for _ in range(_WARMUP))))


def _once(model: Runs) -> float:
    start = perf_counter()
    model.invoke()
    return (perf_counter() - start) * 1e3
