"""What came back from another machine, as the `Measurement` that a local benchmark would give."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edgecnn.errors import DataError, ModelError, TargetError
from edgecnn.measure import measurement_of as measured_here
from edgecnn.measure import tflite_files
from edgecnn.runs import Measurement
from edgecnn.runtime.benchmark import STAGES, Benchmark, Latency


def model_files(models: Sequence[Path | str]) -> list[Path]:
    """The `.tflite` files that are meant; a run folder stands for all in it.

    Raises:
        DataError: nothing is given, or a folder holds none.
    """
    files = [file for model in models for file in tflite_files(Path(model))]
    if not files:
        raise DataError("no model to time. Give .tflite files or run folders.")
    return files


def proven(host: str, file: Path, selftest: Mapping[str, Any] | None) -> str:
    """What the self-test there found, for people.

    Raises:
        ModelError: the other machine does not compute what was computed at home.
    """
    if selftest is None:
        return f"{file.name}: holds no checks, so nothing proves that {host} computes the same"
    rows = list(selftest["rows"])
    wrong = [row for row in rows if not row["passed"]]
    if wrong or not selftest["passed"]:
        first = wrong[0] if wrong else {"stage": "self-test", "found": "it failed", "advice": "", "image": 0}
        where = f"image {first['image']}: " if first["image"] else ""
        raise ModelError(
            f"{file}: {host} does NOT compute what it computed at home, so it was not timed: "
            f"{where}{first['stage']}: {first['found']} ({selftest['backend']}; at home "
            f"{selftest['computed_by']}). {first['advice']}".rstrip()
        )
    bits = ", to the last bit" if selftest["equal"] else ""
    return f"{file.name}: {host} computes what it computed at home{bits} ({selftest['backend']})"


def benchmark_of(said: Mapping[str, Any], file: Path, *, host: str, sha256: str) -> Benchmark:
    """The benchmark that the other machine told, of a file as it is called here.

    Raises:
        TargetError: it is not one, or one of another file.
    """
    try:
        latency_ms = {stage: Latency(**said["latency_ms"][stage]) for stage in STAGES}
        found = Benchmark(**{**said, "latency_ms": latency_ms, "model": str(file)})
        numbers = [value for latency in latency_ms.values() for value in asdict(latency).values()]
        fine = all(isinstance(value, float | int) for value in numbers) and found.environment["device"]
    except (KeyError, TypeError) as error:
        raise TargetError(f"{host}: its answer about {file} cannot be read ({error!r}).") from None
    if not fine:
        raise TargetError(f"{host}: its answer about {file} holds no latency or no device.")
    if found.sha256 != sha256:
        raise TargetError(
            f"{host}: timed another file than {file}; it may have changed meanwhile. Run again."
        )
    return found


def measurement_of(timed: Benchmark, file: Path, *, host: str) -> Measurement:
    """The line for the run: as `edgecnn.measure.bench_models` makes it, and where it was measured."""
    measured = measured_here(timed, file)
    return replace(measured, environment={**measured.environment, "remote": f"ssh {host}"})
