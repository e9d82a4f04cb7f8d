"""How fast a model stays: run it for many minutes, and compare the first with those at the end.

A board without a fan is as fast as its data sheet says for a minute or two. Memory does not grow with the
time: of each interval its percentiles stay, and the medians of ten parts of it.
"""

import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from edgecnn.errors import DataError
from edgecnn.image import Image
from edgecnn.runtime.benchmark import camera_image
from edgecnn.runtime.environment import State, environment, state
from edgecnn.runtime.model import Model, load

NOTABLE: Final = 0.03
"""A change of the median by less is called none, however sure it is."""

_PARTS: Final = 10  # of an interval: their medians say how sure a change is
_FEWEST: Final = 4  # intervals
_RESAMPLED: Final = 2000


@dataclass(frozen=True)
class Interval:
    """What one minute gave; a shorter stretch where less than four minutes were asked for.

    Attributes:
        until_s: seconds from the start to its end.
        runs: images.
        p50: milliseconds from image to result; a run that took place, like the other two.
        p90: likewise.
        p99: likewise.
        clock_mhz: the lowest that was seen; None where the system does not tell.
        temperature_c: the highest; likewise.
        throttled: why the system held the processor back, in words; empty where it did not or does not tell.
    """

    until_s: float
    runs: int
    p50: float
    p90: float
    p99: float
    clock_mhz: float | None
    temperature_c: float | None
    throttled: tuple[str, ...]


@dataclass(frozen=True)
class Sustained:
    """What running a model for long gave.

    Attributes:
        model: path of the file.
        minutes: that were asked for.
        intervals: what was measured.
        was_interrupted: whether it ended early.
        first_ms: median of the first interval.
        steady_ms: median of the last half of the intervals.
        change: by what share the second lies above the first; 0.1: ten per cent slower.
        change_low: the change lies above this with 97.5 %; see `_change`.
        change_high: below this, likewise.
        throttled: why the system held the processor back at any time.
        environment: machine, versions, runtime, delegate, load at the start.
    """

    model: str
    minutes: float
    intervals: tuple[Interval, ...]
    was_interrupted: bool
    first_ms: float
    steady_ms: float
    change: float
    change_low: float
    change_high: float
    throttled: tuple[str, ...]
    environment: Mapping[str, Any]

    @property
    def verdict(self) -> Literal["steady", "slower", "faster", "unsure"]:
        """What the change amounts to; "unsure" where a notable one can neither be shown nor ruled out."""
        if self.change_low > 0 and self.change > NOTABLE:
            return "slower"
        if self.change_high < 0 and self.change < -NOTABLE:
            return "faster"
        if self.change_low > -NOTABLE * 2 and self.change_high < NOTABLE * 2:
            return "steady"
        return "unsure"

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {**asdict(self), "verdict": self.verdict}

    def __str__(self) -> str:
        """One line for people."""
        sure = f"95 %: {self.change_low:+.1%} to {self.change_high:+.1%}"
        said = f"{self.verdict}: {self.steady_ms:.3f} ms after {self.first_ms:.3f} ms at first "
        said += f"({self.change:+.1%}; {sure})"
        said += f"; held back by the system: {', '.join(self.throttled)}" if self.throttled else ""
        return said + ("; interrupted" if self.was_interrupted else "")


def sustained(
    model: Model | Path | str,
    *,
    minutes: float,
    images: Sequence[Image] | None = None,
    on_interval: Callable[[Interval], object] | None = None,
    reading: Callable[[], State] = state,
    **words: Any,
) -> Sustained:
    """Run a model without a pause. Ctrl-C ends it early and keeps what was measured.

    Args:
        model: a file, or a loaded model, which stays open.
        minutes: how long; also a part of one.
        images: uint8 (h, w, 3) BGR, taken in turn; None makes one of 640 x 480 as a camera would give.
        on_interval: told of each minute when it is over.
        reading: gives the state of the processor.
        words: how to load a file: threads, backend, delegate; see `edgecnn.runtime.model.load`.

    Raises:
        DataError: no time, or no image.
        EdgecnnError: the model cannot be loaded or run.
        KeyboardInterrupt: it was interrupted before anything was measured.
    """
    pictures = [camera_image()] if images is None else list(images)
    if not 0 < minutes < float("inf") or not pictures:
        raise DataError(f"{minutes} minutes on {len(pictures)} images: nothing to measure")
    if not isinstance(model, Model):
        with load(model, **words) as loaded:
            return sustained(
                loaded, minutes=minutes, images=pictures, on_interval=on_interval, reading=reading
            )
    machine = environment()
    count = max(_FEWEST, round(minutes))
    part_s = minutes * 60 / count / _PARTS
    measured: list[tuple[Interval, list[float]]] = []  # with the medians of its parts
    parts: list[array[float]] = []
    was_interrupted = False
    model(pictures[0])
    seen = [reading()]
    began = time.perf_counter()
    try:
        while len(measured) < count:
            for part in range(_PARTS):
                parts.append(array("d"))
                _run(model, pictures, began + (len(measured) * _PARTS + part + 1) * part_s, parts[-1])
                seen.append(reading())
            measured.append(_interval(parts, seen, time.perf_counter() - began))
            parts, seen = [], seen[-1:]
            if on_interval is not None:
                on_interval(measured[-1][0])
    except KeyboardInterrupt:
        was_interrupted = True
        parts = [part for part in parts if part]
        if parts:
            measured.append(_interval(parts, seen, time.perf_counter() - began))
        if not measured:
            raise
    intervals, medians = zip(*measured, strict=True)
    steady = [one for some in medians[len(medians) // 2 :] for one in some]
    change, low, high = _change(medians[0], steady)
    delegation = model.delegation()
    details = {
        "runtime": model.backend.name,
        "runtime_version": model.backend.version,
        "threads": model.threads,
        "delegation": delegation.as_dict(),
    }
    return Sustained(
        model=str(model.path),
        minutes=minutes,
        intervals=intervals,
        was_interrupted=was_interrupted,
        first_ms=round(float(np.median(medians[0])), 4),
        steady_ms=round(float(np.median(steady)), 4),
        change=change,
        change_low=low,
        change_high=high,
        throttled=_words(one.throttled for one in intervals),
        environment={**machine, **details},
    )


def _run(model: Model, images: Sequence[Image], end: float, times: "array[float]") -> None:
    """At least once, and until the clock says `end`; milliseconds go into `times`."""
    now, number = time.perf_counter(), 0
    while now < end or not number:
        model(images[number % len(images)])
        start, now = now, time.perf_counter()
        times.append((now - start) * 1e3)
        number += 1


def _interval(
    parts: Sequence["array[float]"], seen: Sequence[State], until_s: float
) -> tuple[Interval, list[float]]:
    """What an interval gave, and the medians of its parts; `seen` begins with the state before it."""
    times = np.concatenate([np.frombuffer(part) for part in parts])
    p50, p90, p99 = np.percentile(times, [50, 90, 99], method="inverted_cdf")
    clocks = [one.clock_mhz for one in seen if one.clock_mhz is not None]
    temperatures = [one.temperature_c for one in seen if one.temperature_c is not None]
    held = [one.throttled for one in seen]
    if (seen[-1].throttle_events or 0) > (seen[0].throttle_events or 0):
        held.append(("heat",))
    found = Interval(
        until_s=round(until_s, 3),
        runs=len(times),
        p50=round(float(p50), 4),
        p90=round(float(p90), 4),
        p99=round(float(p99), 4),
        clock_mhz=min(clocks) if clocks else None,
        temperature_c=max(temperatures) if temperatures else None,
        throttled=_words(held),
    )
    return found, [float(np.median(part)) for part in parts]


def _change(first: Sequence[float], steady: Sequence[float]) -> tuple[float, float, float]:
    """The change of the median, and between what it lies with 95 %.

    A percentile bootstrap (Efron 1979) of the parts' medians: single runs follow each other too closely to be
    independent, so that they would promise too much.
    """
    random = np.random.default_rng(0)
    one, other = np.asarray(first), np.asarray(steady)
    drawn = [np.median(random.choice(values, (_RESAMPLED, len(values))), axis=1) for values in (one, other)]
    low, high = np.percentile(drawn[1] / drawn[0] - 1, [2.5, 97.5])
    change = float(np.median(other) / np.median(one) - 1)
    return round(change, 5), round(float(low), 5), round(float(high), 5)


def _words(several: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """Each word once, in the order it first came."""
    return tuple(dict.fromkeys(word for words in several for word in words))
