"""What a latency was measured on: processor, clock, temperature, load, versions.

Reads what the system tells without rights and without waiting; what it does not tell is left out, never
guessed.
"""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

_CPUS = Path("/sys/devices/system/cpu")
_CPU = _CPUS / "cpu0/cpufreq"
_DEVICE_TREE = Path("/proc/device-tree/model")
_THERMAL = Path("/sys/class/thermal")
_PI_THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
_PI_FLAGS = ("under-voltage", "clock capped", "throttled", "soft temperature limit")  # bits 0 to 3
_FEATURES = (
    "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "neon",
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni",
    "avx512_bf16", "amx_int8",
)  # fmt: skip


@dataclass(frozen=True)
class State:
    """How the processor is doing now; None where the system does not tell.

    Attributes:
        clock_mhz: of the fastest core, which is one that works.
        temperature_c: of the hottest thermal zone.
        throttled: why the system holds the processor back, in words.
        throttle_events: how often it did so since it started, as Intel processors count.
    """

    clock_mhz: float | None
    temperature_c: float | None
    throttled: tuple[str, ...]
    throttle_events: int | None


def state(cpus: Path = _CPUS, thermal: Path = _THERMAL, throttled: Path = _PI_THROTTLED) -> State:
    """Look at the processor, in well under a millisecond for each core.

    Args:
        cpus: where Linux describes them.
        thermal: where it describes thermal zones.
        throttled: where a Raspberry Pi's firmware says what it does.
    """
    clocks = [_mhz(path) for path in cpus.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")]
    events = [_number(path) for path in cpus.glob("cpu[0-9]*/thermal_throttle/*_throttle_count")]
    known = [clock for clock in clocks if clock is not None]
    counted = [event for event in events if event is not None]
    return State(
        clock_mhz=max(known) if known else None,
        temperature_c=temperature_c(thermal),
        throttled=throttle_flags(_text(throttled) or "0"),
        throttle_events=int(sum(counted)) if counted else None,
    )


def throttle_flags(said: str) -> tuple[str, ...]:
    """What a Raspberry Pi's number means now, in words; its upper half, since the start, is left out.

    Args:
        said: hexadecimal, such as "50005" or "0x4". What is no number means nothing.
    """
    try:
        bits = int(said, 16)
    except ValueError:
        return ()
    return tuple(word for bit, word in enumerate(_PI_FLAGS) if bits >> bit & 1)


def environment() -> dict[str, Any]:
    """The machine and its state now, as JSON-ready values. Keys whose value is not known are missing."""
    load = os.getloadavg()
    found: dict[str, Any] = {
        "device": device_name(),
        "processor": processor_name(),
        "processor_features": processor_features(),
        "cores": cores(),
        "machine": platform.machine(),
        "governor": _text(_CPU / "scaling_governor"),
        "clock_mhz": _mhz(_CPU / "scaling_cur_freq"),
        "clock_max_mhz": _mhz(_CPU / "cpuinfo_max_freq"),
        "temperature_c": temperature_c(),
        "throttled": _text(_PI_THROTTLED),
        "load_average": [round(value, 2) for value in load],
        "os": os_name(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return {key: value for key, value in found.items() if value not in (None, "", [])}


def device_name() -> str:
    """What people call the machine: the board's name where it has one, else the processor's."""
    board = _text(_DEVICE_TREE)
    return board.rstrip("\0") if board else processor_name()


def processor_name() -> str:
    """The processor's name, or its architecture where it has none."""
    information = _cpu_information()
    for key in ("model name", "Model", "Hardware"):
        if information.get(key):
            return information[key]
    return platform.processor() or platform.machine()


def processor_features() -> list[str]:
    """Those instruction sets the processor has that decide how fast a network runs."""
    information = _cpu_information()
    flags = set((information.get("flags") or information.get("Features") or "").split())
    return [feature for feature in _FEATURES if feature in flags]


def cores() -> int:
    """How many processor cores this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def os_name() -> str:
    """The name and version of the operating system."""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return f"{platform.system()} {platform.release()}"


def temperature_c(thermal: Path = _THERMAL) -> float | None:
    """The highest temperature of the thermal zones, degrees Celsius; None where there is none."""
    values = [_number(zone / "temp") for zone in sorted(thermal.glob("thermal_zone*"))]
    known = [value / 1000 for value in values if value is not None]
    return round(max(known), 1) if known else None


def memory_mib(key: str) -> float | None:
    """A line of this process's memory account, MiB: `VmHWM` the peak, `VmRSS` now; None where not told."""
    status = _text(Path("/proc/self/status")) or ""
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return round(int(value.split()[0]) / 1024, 2)
    return None


def _cpu_information() -> Mapping[str, str]:
    """The first value of each key of /proc/cpuinfo."""
    information: dict[str, str] = {}
    for line in (_text(Path("/proc/cpuinfo")) or "").splitlines():
        key, _, value = line.partition(":")
        information.setdefault(key.strip(), value.strip())
    return information


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _number(path: Path) -> float | None:
    text = _text(path)
    return float(text) if text and text.lstrip("-").isdigit() else None


def _mhz(path: Path) -> float | None:
    kilohertz = _number(path)
    return None if kilohertz is None else round(kilohertz / 1000)
