"""How much memory a model needs: measured in a process of its own, where nothing else has raised the peak.

`python -m edgecnn.runtime.memory MODEL THREADS BACKEND` is that process: it imports what a device imports,
then loads the model, runs it three times, and prints one JSON object.
"""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from edgecnn.errors import ModelError
from edgecnn.runtime.environment import memory_mib

_TIMEOUT_S = 300
_RUNS = 3


def measure(path: Path, *, threads: int = 1, backend: str | None = None) -> dict[str, float]:
    """The memory of a process that loads and runs one model, MiB; {} where the system does not tell.

    Returns:
        "process": its peak; "runtime": what it held before the model came (Python, NumPy, OpenCV, the TFLite
        runtime); "model": the difference, which is what this model costs.

    Raises:
        ModelError: the model could not be run in a process of its own; says what that process said.
    """
    if memory_mib("VmHWM") is None:
        return {}
    # -P: the folder this is called from may hold a json.py of its own
    command = [sys.executable, "-P", "-m", __name__, str(path), str(threads), backend or ""]
    home = str(Path(__file__).resolve().parents[2])
    search = os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH")) if part)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            env={**os.environ, "PYTHONPATH": search},
        )
    except subprocess.TimeoutExpired:
        raise ModelError(
            f"{path}: {_RUNS} runs took more than {_TIMEOUT_S} s; its memory was not measured"
        ) from None
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise ModelError(f"{path}: cannot be run in a process of its own ({said})")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measured_here(path: Path, threads: int, backend: str | None) -> dict[str, float]:
    from edgecnn.runtime import interpreter

    import_module("edgecnn.runtime.model")  # and OpenCV with it, as on a device before it loads a model
    interpreter.choose(backend)
    before = memory_mib("VmRSS") or 0.0
    loaded = interpreter.open_interpreter(
        interpreter.model_bytes(path), str(path), threads=threads, backend=backend
    )
    for _ in range(_RUNS):
        loaded.invoke()
    peak = memory_mib("VmHWM") or 0.0
    return {"process": peak, "runtime": before, "model": round(peak - before, 2)}


if __name__ == "__main__":
    print(json.dumps(_measured_here(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] or None)))  # noqa: T201
