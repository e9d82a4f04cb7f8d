"""Benchmark models on another machine over ssh, as if it were this one: `bench_over_ssh`.

The other machine needs an ssh server and a Python with NumPy, OpenCV and a TFLite runtime; edgecnn itself
comes along and goes again.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from edgecnn.errors import TargetError
from edgecnn.image import Image
from edgecnn.measure import record_beside
from edgecnn.remote import failures, result
from edgecnn.remote.host import Host
from edgecnn.remote.parcel import Parcel, places
from edgecnn.remote.session import Event, carried_out
from edgecnn.runs import Measurement
from edgecnn.runtime.benchmark import Benchmark
from edgecnn.runtime.interpreter import model_bytes


def bench_over_ssh(
    models: Sequence[Path | str],
    host: Host | str,
    *,
    images: Sequence[Image] | None = None,
    runs: int | None = None,
    seconds: float = 5.0,
    warmup: int = 10,
    threads: int | Literal["auto"] = 1,
    backend: str | None = None,
    delegate: str | None = None,
    require_delegate: float | None = None,
    record: bool = True,
    tell: Callable[[str], None] | None = None,
) -> list[tuple[Benchmark, Measurement]]:
    """Prove and time models on another machine; a run folder stands for all `.tflite` files in it.

    Args:
        models: `.tflite` files and run folders.
        host: an address for ssh, such as "pi@10.0.0.7", or with more said about it.
        images: what they are timed on; None makes one as a camera would give.
        runs: images for each model; None: as many as fit into `seconds`.
        seconds: for each model.
        warmup: images before the first that counts.
        threads: of the interpreter there; "auto" chooses before anything is timed.
        backend: "litert" or "tflite-runtime"; None takes the first that is installed there.
        delegate: what computes there; see `edgecnn.runtime.model.load`. A path is one on that machine.
        require_delegate: the share of operators that must run on it.
        record: add each measurement to the run folder that the model lies in, if it does.
        tell: told what is going on, line by line.

    Raises:
        TargetError: the machine cannot be reached, lacks something, or was lost.
        ModelError: a model cannot be read or run there, or does not compute there what it computed at home.
        DataError: nothing to time.
    """
    tell = tell or _silently
    host = Host(host) if isinstance(host, str) else host
    files = result.model_files(models)
    contents = [model_bytes(file) for file in files]
    words: dict[str, Any] = {
        "runs": runs, "seconds": seconds, "warmup": warmup, "threads": threads, "backend": backend,
        "delegate": delegate, "require_delegate": require_delegate,
    }  # fmt: skip
    there = places(files)
    parcel = Parcel(dict(zip(there, contents, strict=True)), words, images)
    about, reply = carried_out(host, parcel, on_start=lambda event: tell(_started(host, event)))
    if isinstance(reply.get("missing"), dict):
        raise failures.missing(host, reply["missing"], about)
    if isinstance(reply.get("error"), dict):
        raise failures.refused(host, reply["error"], dict(zip(there, map(str, files), strict=True)))
    timed = _timed(host, reply, files, contents, tell)
    both = [(one, result.measurement_of(one, file, host=host.name)) for one, file in timed]
    if record:
        for (_, measured), file in zip(both, files, strict=True):
            record_beside(file, measured)
    return both


def _timed(
    host: Host, reply: Event, files: Sequence[Path], contents: Sequence[bytes], tell: Callable[[str], None]
) -> list[tuple[Benchmark, Path]]:
    """The benchmarks of models that are proven, each with its file."""
    try:
        for file, selftest in zip(files, reply["selftests"], strict=True):
            tell(result.proven(host.name, file, selftest))
        said = list(zip(reply["benchmarks"], files, contents, strict=True))
    except (KeyError, TypeError, ValueError) as error:
        raise TargetError(f"{host.name}: its answer cannot be read ({error!r}).") from None
    return [
        (result.benchmark_of(one, file, host=host.name, sha256=sha256(content).hexdigest()), file)
        for one, file, content in said
    ]


def _started(host: Host, event: Event) -> str:
    where = f"Python {event.get('python')} on {event.get('machine')}"
    return f"{host.name}: {where}; the self-test and the benchmark run there"


def _silently(line: str) -> None:
    """Tell nobody."""
