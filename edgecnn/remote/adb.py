"""Benchmark models on an Android phone with TensorFlow Lite's `benchmark_model`: `bench_over_adb`.

Phones have no Python, so nothing of edgecnn runs there: the interpreter alone is timed, on random input, and
no self-test says whether the phone computes the same. The lines say so.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from edgecnn.errors import DataError, ModelError, TargetError
from edgecnn.measure import record_beside, scheme_of
from edgecnn.remote import benchmark_model, phone, result
from edgecnn.remote.benchmark_model import Timed
from edgecnn.runs import Measurement
from edgecnn.runtime.interpreter import model_bytes

_TOOL = "benchmark_model"
_WHERE = "https://ai.google.dev/edge/litert/models/measurement"


def bench_over_adb(
    models: Sequence[Path | str],
    tool: Path | str | None,
    *,
    serial: str | None = None,
    runs: int | None = None,
    seconds: float = 5.0,
    warmup: int = 10,
    threads: int = 1,
    delegate: str | None = None,
    require_delegate: float | None = None,
    record: bool = True,
    tell: Callable[[str], None] | None = None,
) -> list[tuple[Timed, Measurement]]:
    """Time models on a phone, one after the other; a run folder stands for all `.tflite` files in it.

    Args:
        models: `.tflite` files and run folders.
        tool: path of a `benchmark_model` here, built for the phone's processor.
        serial: which phone; None: the only one.
        runs: inferences of each model; None: as many as fit into `seconds`.
        seconds: for each model.
        warmup: inferences before the first that counts.
        threads: of the interpreter.
        delegate: "xnnpack", "none", "gpu" or "nnapi"; None leaves it to the tool.
        require_delegate: the share of operators that must run on it.
        record: add each measurement to the run folder that the model lies in, if it does.
        tell: told what is going on, line by line.

    Raises:
        TargetError: no adb, no phone, no tool, or the phone has gone.
        ModelError: a model cannot be read or timed, or the delegate takes too little of it.
        DataError: nothing to time, or a number of runs that makes no sense.
    """
    if (runs is not None and runs < 1) or warmup < 0 or not seconds > 0 or threads < 1:
        raise DataError(
            f"runs and threads must be 1 or more, warmup 0 or more, seconds above 0; not {runs}, {threads}, "
            f"{warmup}, {seconds}"
        )
    program = _tool(tool)
    files = result.model_files(models)
    contents = [model_bytes(file) for file in files]
    words = benchmark_model.words(
        threads=threads, runs=runs, seconds=seconds, warmup=warmup, delegate=delegate
    )
    device = phone.find(serial)
    about = {
        **device.environment(),
        "runtime": _TOOL,
        "tool_sha256": sha256(program.read_bytes()).hexdigest(),
        "delegate": delegate or "the tool's own choice",
        "threads": threads,
        "warmup": warmup,
        "selftest": "none: benchmark_model cannot run the checks",
        "remote": "adb",
    }
    name = device.name()
    found = []
    with device.folder() as folder:
        device.push(program, f"{folder}/{_TOOL}")
        device.shell(f"chmod 755 {folder}/{_TOOL}")
        for file, content in zip(files, contents, strict=True):
            (tell or _silently)(f"{file.name}: timed on {name}; no self-test runs there")
            device.push(file, f"{folder}/model.tflite")
            said = device.run(folder, _TOOL, "--graph=model.tflite", *words)
            timed = benchmark_model.parse(said, str(file))
            _require(timed, require_delegate, file)
            found.append((timed, _measurement(timed, file, content, name, about)))
    if record:
        for (_, measured), file in zip(found, files, strict=True):
            record_beside(file, measured)
    return found


def _silently(line: str) -> None:
    """Tell nobody."""


def _tool(path: Path | str | None) -> Path:
    if path is None:
        raise TargetError(
            f"a phone needs TensorFlow Lite's benchmark_model: --benchmark-model PATH. Builds of it: {_WHERE}"
        )
    tool = Path(path)
    if not tool.is_file():
        raise TargetError(f"{tool}: there is no such file. Builds of benchmark_model: {_WHERE}")
    return tool


def _require(timed: Timed, least: float | None, file: Path) -> None:
    if least is None:
        return
    if timed.share is None:
        raise ModelError(
            f"{file}: this build of benchmark_model does not tell how many operators a delegate took"
        )
    if timed.share < least:
        raise ModelError(
            f"{file}: the delegate takes {timed.share:.0%} of the operators, {least:.0%} are required"
        )


def _measurement(timed: Timed, file: Path, content: bytes, device: str, about: dict[str, Any]) -> Measurement:
    """The line for the run. The whole of `Model(image)` was not timed, so its latency is not told."""
    environment = {
        **about,
        "runs": timed.runs,
        "interpreter_ms": timed.latency_ms,
        "init_ms": timed.init_ms,
        "first_inference_ms": timed.first_ms,
    }
    if timed.memory_mib is not None:
        environment["memory_mib"] = {"model": timed.memory_mib}
    if timed.delegated is not None and timed.delegated[0]:
        environment["delegated_operators"] = "{1} of {2} on {0}".format(*timed.delegated)
    return Measurement(
        model=str(file),
        scheme=scheme_of(file),
        device=device,
        size_bytes=len(content),
        environment=environment,
        sha256=sha256(content).hexdigest(),
    )
