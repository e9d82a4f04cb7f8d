"""What is run on the other machine: the self-test of each model, then the benchmark of all of them.

Lies beside the device floor, `work.json` (see `edgecnn.remote.parcel`) and the models; leaves `reply.json`:

    missing      packages that cannot be imported, each with the reason
    error        kind and message of an `EdgecnnError`, and the runtime
    selftests    one for each model; None where its card holds no checks
    benchmarks   one for each model; missing where a self-test failed
"""

import json
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def main() -> None:
    """Do what `work.json` says."""
    work = json.loads(Path("work.json").read_text(encoding="utf-8"))
    missing = _missing()
    reply = {"missing": missing} if missing else _measured(work)
    Path("reply.json").write_text(json.dumps(reply), encoding="utf-8")


def _missing() -> dict[str, str]:
    """Packages that the device floor needs and that are not there, or are broken."""
    found = {}
    for package in ("numpy", "cv2"):
        if find_spec(package) is None:
            found[package] = ""
        elif not found:  # OpenCV cannot be imported without NumPy
            try:
                import_module(package)
            except ImportError as error:
                found[package] = " ".join(str(error).split())
    if not any(find_spec(package) for package in ("ai_edge_litert", "tflite_runtime")):
        found["runtime"] = ""
    return found


def _measured(work: Mapping[str, Any]) -> dict[str, Any]:
    import numpy as np

    from edgecnn.errors import EdgecnnError
    from edgecnn.runtime.benchmark import benchmark_many

    words = dict(work["words"])
    loading = {key: words[key] for key in ("threads", "backend", "delegate", "require_delegate")}
    images = [np.load(path, allow_pickle=False) for path in work["images"]]
    try:
        selftests = [_selftest(path, loading) for path in work["models"]]
        if any(found is not None and not found["passed"] for found in selftests):
            return {"selftests": selftests}
        timed = benchmark_many(work["models"], images=images or None, **words)
    except EdgecnnError as error:
        said = {"kind": type(error).__name__, "message": str(error), "runtime": _runtime(words["backend"])}
        return {"error": said}
    return {"selftests": selftests, "benchmarks": [one.as_dict() for one in timed]}


def _selftest(path: str, loading: Mapping[str, Any]) -> dict[str, Any] | None:
    from edgecnn.runtime.model import load
    from edgecnn.runtime.selftest import selftest

    with load(path, **loading) as model:
        return selftest(model).as_dict() if model.card.checks else None


def _runtime(wanted: str | None) -> str:
    """Name and version of what computes here; empty where that is what failed."""
    from edgecnn.errors import EdgecnnError
    from edgecnn.runtime.interpreter import choose

    try:
        chosen = choose(wanted)
    except EdgecnnError:
        return ""
    return f"{chosen.name} {chosen.version}"


if __name__ == "__main__":
    main()
