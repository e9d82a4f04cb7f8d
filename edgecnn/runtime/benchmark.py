"""How long a model takes: warm-up, then many runs, stage by stage, with everything the numbers depend on.

Several models are timed in turns, a few images each, so that a processor that slows down slows all of them
and their ratio stays true. The first image of a turn only warms the caches that the model before has filled.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from itertools import count, cycle, islice
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgecnn.errors import DataError, ModelError
from edgecnn.runtime import memory
from edgecnn.runtime.delegates import NONE, XNNPACK, Delegation
from edgecnn.runtime.environment import environment
from edgecnn.runtime.model import Model, load
from edgecnn.runtime.parity import parity

Image = npt.NDArray[np.uint8]

STAGES = ("total", "prepare", "invoke", "decode", "bare_invoke")

_FEWEST = 20
_TURN = 10


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one stage over all runs. A percentile is a run that took place, never interpolated."""

    p50: float
    p90: float
    p99: float
    mean: float
    minimum: float


@dataclass(frozen=True)
class Benchmark:
    """What timing one model gave.

    Attributes:
        model: path of the file.
        size_bytes: of the file.
        sha256: of the file.
        latency_ms: for each of `STAGES`: `total` is the whole `Model(image)`; prepare, invoke and decode are
            its parts; `bare_invoke` is the interpreter alone, in turns with the others.
        memory_mib: see `edgecnn.runtime.memory.measure`.
        runs: how many images were timed.
        warmup: how many were run before and not timed.
        threads: of the interpreter.
        environment: machine, versions, runtime, delegate, load: see `edgecnn.runtime.environment`.
        delegation: which operators ran where: see `edgecnn.runtime.delegates.Delegation`.
        parity: whether a delegate that was asked for computes what the processor computes: see
            `edgecnn.runtime.parity.Parity`; {} where none was asked for, {"failed": ...} where the processor
            cannot run the model.
        threads_choice: how the number of threads was found; {} where it was given.
    """

    model: str
    size_bytes: int
    sha256: str
    latency_ms: Mapping[str, Latency]
    memory_mib: Mapping[str, float]
    runs: int
    warmup: int
    threads: int
    environment: Mapping[str, Any]
    delegation: Mapping[str, Any] = field(default_factory=dict)
    parity: Mapping[str, Any] = field(default_factory=dict)
    threads_choice: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return asdict(self)


def benchmark(
    model: Model | Path | str,
    *,
    images: Sequence[Image] | None = None,
    runs: int | None = None,
    seconds: float = 5.0,
    warmup: int = 10,
    threads: int | Literal["auto"] = 1,
    backend: str | None = None,
    delegate: str | None = None,
    require_delegate: float | None = None,
    with_memory: bool = True,
) -> Benchmark:
    """Time one model: see `benchmark_many`."""
    return benchmark_many(
        [model],
        images=images,
        runs=runs,
        seconds=seconds,
        warmup=warmup,
        threads=threads,
        backend=backend,
        delegate=delegate,
        require_delegate=require_delegate,
        with_memory=with_memory,
    )[0]


def benchmark_many(
    models: Sequence[Model | Path | str],
    *,
    images: Sequence[Image] | None = None,
    runs: int | None = None,
    seconds: float = 5.0,
    warmup: int = 10,
    threads: int | Literal["auto"] = 1,
    backend: str | None = None,
    delegate: str | None = None,
    require_delegate: float | None = None,
    with_memory: bool = True,
) -> tuple[Benchmark, ...]:
    """Time several models in turns, on the machine as it is.

    Args:
        models: files, or loaded models (which keep their own threads and backend and stay open).
        images: uint8 (h, w, 3) BGR, taken in turn; None makes one of 640 x 480 as a camera would give.
        runs: how many images each model is timed on; None: as many as fit into `seconds`, 20 at least.
        seconds: for each model; used where `runs` is None.
        warmup: images before the first that counts, for each model.
        threads: of the interpreter, for files; "auto" chooses before anything is timed.
        backend: for files; see `edgecnn.runtime.model.load`.
        delegate: likewise. One of its own library is also compared with the processor, see
            `edgecnn.runtime.parity`.
        require_delegate: likewise.
        with_memory: also measure memory, in a process of its own for each model; not with a delegate of its
            own library, for some hardware can be opened only once.

    Raises:
        DataError: no models, no images, or a number of runs that makes no sense.
        EdgecnnError: a model cannot be loaded or run: see `edgecnn.runtime.model.load`.
    """
    pictures = [camera_image()] if images is None else list(images)
    if not models or not pictures:
        raise DataError(f"{len(models)} models and {len(pictures)} images: nothing to time")
    if (runs is not None and runs < 1) or warmup < 0 or not seconds > 0:
        raise DataError(
            f"runs must be 1 or more, warmup 0 or more, seconds above 0; not {runs}, {warmup}, {seconds}"
        )
    with ExitStack() as stack:
        loaded = [
            model
            if isinstance(model, Model)
            else stack.enter_context(
                load(
                    model,
                    threads=threads,
                    backend=backend,
                    delegate=delegate,
                    require_delegate=require_delegate,
                )
            )
            for model in models
        ]
        for model in loaded:
            _choose_threads(model, pictures)
        parities = [_parity(model) for model in loaded]
        machine = environment()
        times = _in_turns(loaded, cycle(pictures), warmup, _turns(runs, seconds * len(loaded)))
        return tuple(
            _summary(model, stages, warmup, machine, with_memory, compared)
            for model, stages, compared in zip(loaded, times, parities, strict=True)
        )


def camera_image() -> Image:
    """An image of 640 x 480 as a camera would give; always the same."""
    return np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)


def _turns(runs: int | None, seconds: float) -> Iterator[int]:
    """How many images to time in each turn; the clock starts with the first."""
    if runs is not None:
        for start in range(0, runs, _TURN):
            yield min(_TURN, runs - start)
        return
    end = perf_counter() + seconds
    for timed in count(0, _TURN):
        if timed >= _FEWEST and perf_counter() >= end:
            return
        yield _TURN


def _in_turns(
    models: Sequence[Model], images: Iterator[Image], warmup: int, turns: Iterator[int]
) -> list[dict[str, list[float]]]:
    """Milliseconds of every run, for each model and stage."""
    for image in islice(images, warmup):
        for model in models:
            model(image)
    times: list[dict[str, list[float]]] = [{stage: [] for stage in STAGES} for _ in models]
    for runs in turns:
        some = [next(images) for _ in range(runs)]
        for model, stages in zip(models, times, strict=True):
            if len(models) > 1:
                model(some[0])
            for image in some:
                _whole(model, image, stages)
                _bare(model, stages)
    return times


def _whole(model: Model, image: Image, stages: dict[str, list[float]]) -> None:
    start = perf_counter()
    _, timings = model.timed(image)
    stages["total"].append((perf_counter() - start) * 1e3)
    stages["prepare"].append(timings.prepare_ms)
    stages["invoke"].append(timings.invoke_ms)
    stages["decode"].append(timings.decode_ms)


def _bare(model: Model, stages: dict[str, list[float]]) -> None:
    start = perf_counter()
    model.invoke()
    stages["bare_invoke"].append((perf_counter() - start) * 1e3)


def _summary(
    model: Model,
    stages: Mapping[str, Sequence[float]],
    warmup: int,
    machine: Mapping[str, Any],
    with_memory: bool,
    compared: Mapping[str, Any],
) -> Benchmark:
    content = bytes(model.graph.content)
    delegation = model.delegation()
    details = {
        "runtime": model.backend.name,
        "runtime_version": model.backend.version,
        "delegate": delegation.delegate,
        "delegated_operators": f"{delegation.delegated} of {delegation.operators}",
        "threads": model.threads,
    }
    return Benchmark(
        model=str(model.path),
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        latency_ms={stage: _latency(values) for stage, values in stages.items()},
        memory_mib=memory.measure(model.path, threads=model.threads, backend=model.backend.name)
        if with_memory and not _is_external(delegation)
        else {},
        runs=len(stages["total"]),
        warmup=warmup,
        threads=model.threads,
        environment={**machine, **details},
        delegation=delegation.as_dict(),
        parity=compared,
        threads_choice={} if model.threads_choice is None else model.threads_choice.as_dict(),
    )


def _choose_threads(model: Model, images: Sequence[Image]) -> None:
    """Let the model work until its number of threads stays."""
    for image in cycle(images):
        if model.threads_choice is None or model.threads_choice.is_made:
            return
        model(image)


def _parity(model: Model) -> dict[str, Any]:
    if not _is_external(model.delegation()):
        return {}
    try:
        with load(model.path, backend=model.backend.name, card=model.card) as reference:
            return parity(model, reference).as_dict()
    except ModelError as error:  # such as a file compiled for an Edge TPU
        return {"failed": str(error)}


def _is_external(delegation: Delegation) -> bool:
    return delegation.delegate not in (XNNPACK, NONE)


def _latency(values: Sequence[float]) -> Latency:
    p50, p90, p99 = np.percentile(values, [50, 90, 99], method="inverted_cdf")
    figures = Latency(float(p50), float(p90), float(p99), float(np.mean(values)), min(values))
    return replace(figures, **{name: round(value, 4) for name, value in asdict(figures).items()})
