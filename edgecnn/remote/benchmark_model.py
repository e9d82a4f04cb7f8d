"""What TensorFlow Lite's own `benchmark_model` prints, and what may be asked of it.

Written from its documentation and from what people have posted of its output
(https://github.com/tensorflow/tensorflow/tree/master/tensorflow/lite/tools/benchmark). It times the
interpreter alone, on random input; it tells an average, the extremes and, in newer builds, three percentiles.
"""

import re
from dataclasses import dataclass
from typing import Final

from edgecnn.errors import ModelError, TargetError

FEWEST_RUNS: Final = 20
LONGEST_S: Final = 150.0
"""What the tool takes as its limit where none is given."""

_DELEGATES: Final = {
    "xnnpack": "--use_xnnpack=true",
    "none": "--use_xnnpack=false",
    "gpu": "--use_gpu=true",
    "nnapi": "--use_nnapi=true",
}
_STEADY: Final = re.compile(r"count=(\d+)\b([^\n]*)")
_FIGURE: Final = re.compile(r"(\w+)=([-+.\deE]+)")
_TIMINGS: Final = re.compile(
    r"Inference timings in us: Init: (?P<init>[-+.\deE]+), First inference: (?P<first>[-+.\deE]+), "
    r"Warmup \(avg\): [-+.\deE]+, Inference \(avg\): (?P<mean>[-+.\deE]+)"
)
_MEMORY: Final = re.compile(
    r"(?:Memory footprint delta from the start of the tool|Peak memory footprint) \(MB\): "
    r"init=[-+.\deE]+ overall=(?P<overall>[-+.\deE]+)"
)
_REPLACED: Final = re.compile(r"Replacing (\d+) out of (\d+) node\(s\) with delegate \(([^)]*)\)")
_COMPLETELY: Final = "will be completely executed by the delegate"
_NOT_AT_ALL: Final = "will not be executed by the delegate"
_TROUBLE: Final = re.compile(
    r"error|fail|cannot|no such|not found|denied|aborted|segmentation", re.IGNORECASE
)


@dataclass(frozen=True)
class Timed:
    """What one run of the tool told.

    Attributes:
        runs: how often the model was timed.
        latency_ms: of the interpreter alone: mean, minimum, maximum; p5, p50 and p95 where the build tells.
        init_ms: to load the model and make it ready.
        first_ms: of the first inference.
        memory_mib: by how much the tool grew; None where it does not say. Approximate, as it says itself.
        delegated: the delegate, and how many of how many operators it took; None where it does not say.
    """

    runs: int
    latency_ms: dict[str, float]
    init_ms: float
    first_ms: float
    memory_mib: float | None
    delegated: tuple[str, int, int] | None

    @property
    def share(self) -> float | None:
        """The share of operators that a delegate took; None where the tool does not say."""
        return None if self.delegated is None else self.delegated[1] / self.delegated[2]


def words(
    *, threads: int, runs: int | None, seconds: float, warmup: int, delegate: str | None
) -> tuple[str, ...]:
    """The tool's options, but for the model.

    Raises:
        TargetError: a delegate that it does not have.
    """
    if delegate is not None and delegate not in _DELEGATES:
        raise TargetError(
            f"benchmark_model knows no delegate {delegate!r}; there are {', '.join(_DELEGATES)}"
        )
    least = 0.0 if runs is not None else seconds
    found = {
        "num_threads": threads,
        "num_runs": FEWEST_RUNS if runs is None else runs,
        "min_secs": f"{least:g}",
        "max_secs": f"{max(LONGEST_S, 2 * seconds):g}",
        "warmup_runs": warmup,
    }
    chosen = () if delegate is None else (_DELEGATES[delegate],)
    return (*(f"--{key}={value}" for key, value in found.items()), *chosen)


def parse(text: str, name: str) -> Timed:
    """Read what the tool printed about a model called `name`.

    Raises:
        ModelError: it holds no timings; says what the tool said instead. Or a delegate was asked for and took
            nothing.
    """
    timings = _TIMINGS.search(text)
    steady = list(_STEADY.finditer(text[: timings.start()])) if timings else []
    if timings is None or not steady:
        raise ModelError(f"{name}: benchmark_model did not time it: {_complaint(text)}")
    if _NOT_AT_ALL in text:
        raise ModelError(f"{name}: the delegate computes none of its operators on this phone.")
    try:
        figures = {key: float(value) for key, value in _FIGURE.findall(steady[-1][2])}
        figures |= {key: float(value) for key, value in timings.groupdict().items()}
    except ValueError as error:
        raise ModelError(f"{name}: what benchmark_model printed cannot be read ({error}).") from None
    memory = _MEMORY.search(text)
    return Timed(
        runs=int(steady[-1][1]),
        latency_ms=_latency_ms(figures),
        init_ms=figures["init"] / 1e3,
        first_ms=figures["first"] / 1e3,
        memory_mib=float(memory["overall"]) if memory else None,
        delegated=_delegated(text),
    )


def _latency_ms(figures: dict[str, float]) -> dict[str, float]:
    """Of microseconds under the tool's names; of a single run it tells no more than that one."""
    only = figures.get("curr", figures["mean"])
    microseconds = {
        "p5": figures.get("p5"),
        "p50": figures.get("median"),
        "p95": figures.get("p95"),
        "mean": figures["mean"],
        "minimum": figures.get("min", only),
        "maximum": figures.get("max", only),
    }
    return {key: round(value / 1e3, 4) for key, value in microseconds.items() if value is not None}


def _delegated(text: str) -> tuple[str, int, int] | None:
    found = _REPLACED.search(text)
    if found and int(found[2]):
        return found[3], int(found[1]), int(found[2])
    return ("", 1, 1) if _COMPLETELY in text else None


def _complaint(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    troubled = [line for line in lines if _TROUBLE.search(line)]
    return (troubled or lines or ["it printed nothing"])[0 if troubled else -1]
