"""What hangs on this machine: cameras, a Raspberry Pi's own camera, a Coral Edge TPU. For `edgecnn doctor`.

Every place it looks at is an argument, so that it can look at a drawn one. Nothing is switched on or changed.
"""

import ctypes
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from edgecnn.runtime.check import Check

# Linux' videodev2.h: the ioctl, and the bits of v4l2_capability.device_caps
_QUERYCAP: Final = 0x80685600
_CAPTURE, _CAPTURE_PLANES = 0x00000001, 0x00001000
_MEMORY_TO_MEMORY = 0x00004000 | 0x00008000
_METADATA = 0x00800000

_CORAL_USB: Final = {
    ("1a6e", "089a"): "Coral USB, not used since it was plugged in",
    ("18d1", "9302"): "Coral USB",
}
_EDGETPU = "libedgetpu.so.1"
_INSTALL_EDGETPU = "Install its runtime, libedgetpu1-std, from Coral's package source: https://coral.ai/software/#debian-packages"
_IMPORT_S: Final = 30.0


def cameras(
    devices: Path, descriptions: Path, *, capabilities: Callable[[Path], int | None] | None = None
) -> Check:
    """Cameras the system knows; nodes that give no images, such as codecs and metadata, are only counted.

    Args:
        devices: /dev.
        descriptions: /sys/class/video4linux.
        capabilities: gives a device's `device_caps`, None where it does not tell.
    """
    asking = capabilities or device_capabilities
    nodes = sorted(devices.glob("video*"), key=lambda path: (len(path.name), path.name))
    kinds = {node: _kind(asking(node)) for node in nodes}
    found = [node for node in nodes if kinds[node] in ("camera", "unknown")]
    others = [kind for kind in kinds.values() if kind not in ("camera", "unknown")]
    counted = ", ".join(f"{others.count(kind)} {kind}" for kind in dict.fromkeys(others))
    besides = f"; besides, nodes that give no images: {counted}" if others else ""
    if not found:
        return Check("cameras", "note", f"none{besides}", "Plug one in, or use files and videos.")
    named = ", ".join(f"{node} ({_title(descriptions / node.name)})" for node in found) + besides
    if not all(os.access(node, os.R_OK | os.W_OK) for node in found):
        return Check(
            "cameras",
            "problem",
            named,
            "No right to open them: sudo usermod -aG video $USER, then log in again.",
        )
    return Check("cameras", "ok", named)


def device_capabilities(device: Path) -> int | None:
    """What a V4L2 node can do, as its driver says; None where it is none or may not be opened."""
    try:
        import fcntl  # not on every system

        descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    except (ImportError, OSError):
        return None
    try:
        answer = fcntl.ioctl(descriptor, _QUERYCAP, bytes(104))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return int(struct.unpack_from("<I", answer, 88)[0])


def raspberry_camera(
    board: str,
    packages: Path = Path("/usr/lib/python3/dist-packages"),
    *,
    is_found: Callable[[str], bool] | None = None,
    importing: Callable[[], str] | None = None,
    is_virtual: bool = sys.prefix != sys.base_prefix,
) -> list[Check]:
    """Whether Picamera2 can be used from this Python; nothing where it is not there and not needed.

    Args:
        board: the machine's name.
        packages: where Debian puts Python's packages.
        is_found: whether this Python finds a module.
        importing: imports Picamera2 in a process of its own, and gives the last line of its complaint, or "".
        is_virtual: whether this Python is that of a virtual environment.
    """
    known = is_found or (lambda name: find_spec(name) is not None)
    is_pi, is_installed = "raspberry pi" in board.lower(), (packages / "picamera2").is_dir()
    if not known("picamera2") or not known("libcamera"):
        if is_installed:
            return [_hidden(packages, is_virtual)]
        if not is_pi:
            return []
        install = "For the board's own camera: sudo apt install python3-picamera2"
        return [Check("picamera2", "note", "not installed", install)]
    said = (importing or _import_picamera)()
    if not said:
        return [Check("picamera2", "ok", "can be imported")]
    advice = "sudo apt install --reinstall python3-picamera2 python3-libcamera"
    if "numpy" in said.lower():
        advice = "Debian's packages were built for its own NumPy: pip install 'numpy<2' in this environment."
    return [Check("picamera2", "problem", f"installed, but cannot be imported ({said})", advice)]


def edge_tpu(
    usb: Path = Path("/sys/bus/usb/devices"),
    devices: Path = Path("/dev"),
    *,
    version: Callable[[], str] | None = None,
) -> Check:
    """A Coral Edge TPU: its device, the right to use it, and its runtime.

    Args:
        usb: where Linux lists USB devices.
        devices: /dev.
        version: of the runtime; "" where there is none.
    """
    found: list[tuple[str, Path]] = []
    for place in sorted(usb.glob("*")):
        title = _CORAL_USB.get((_text(place / "idVendor"), _text(place / "idProduct")))
        if title:
            bus, number = _text(place / "busnum"), _text(place / "devnum")
            found.append((title, devices / "bus/usb" / bus.zfill(3) / number.zfill(3)))
    found += [("Coral PCIe", node) for node in sorted(devices.glob("apex_*"))]
    runtime = (version or _edgetpu_version)()
    said = ", ".join(f"{title} ({node})" for title, node in found) or "no Coral device"
    said += f"; {runtime}" if runtime else f"; no {_EDGETPU}"
    if not found:
        return Check("edge tpu", "note", said)
    if not runtime:
        return Check("edge tpu", "problem", said, _INSTALL_EDGETPU)
    closed = [node for _, node in found if not os.access(node, os.R_OK | os.W_OK)]
    if closed:
        group = "apex" if closed[0].name.startswith("apex") else "plugdev"
        advice = (
            f"No right to open {closed[0]}: sudo usermod -aG {group} $USER, log in again, plug it in again."
        )
        return Check("edge tpu", "problem", said, advice)
    return Check("edge tpu", "ok", said)


def _kind(capabilities: int | None) -> str:
    if capabilities is None:
        return "unknown"
    if capabilities & _MEMORY_TO_MEMORY:
        return "codec"
    if capabilities & (_CAPTURE | _CAPTURE_PLANES):
        return "camera"
    return "metadata" if capabilities & _METADATA else "other"


def _title(description: Path) -> str:
    return _text(description / "name") or "unknown"


def _hidden(packages: Path, is_virtual: bool) -> Check:
    """Picamera2 is installed for the system's Python, and this one does not see it."""
    here = f"cpython-{sys.version_info.major}{sys.version_info.minor}"
    built = _built_for(sorted((packages / "libcamera").glob("_libcamera.cpython-*.so")))
    if built and here not in built:
        return Check(
            "picamera2",
            "problem",
            f"installed for {', '.join(built)}, but this is {here}",
            "It works with the system's Python only: /usr/bin/python3 -m venv --system-site-packages .venv",
        )
    advice = "Use the system's Python: /usr/bin/python3 -m venv --system-site-packages .venv"
    if is_virtual:
        advice = (
            "Let this environment see the system's packages: set include-system-site-packages = true in "
            f"{Path(sys.prefix) / 'pyvenv.cfg'}, or make it with python3 -m venv --system-site-packages"
        )
    return Check("picamera2", "problem", "installed for the system, but hidden from this Python", advice)


def _built_for(libraries: Sequence[Path]) -> list[str]:
    """Such as ["cpython-311"]."""
    return list(dict.fromkeys("-".join(path.name.split(".")[1].split("-")[:2]) for path in libraries))


def _import_picamera() -> str:
    try:
        done = subprocess.run(
            [sys.executable, "-c", "import picamera2"],
            capture_output=True,
            text=True,
            timeout=_IMPORT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {_IMPORT_S:.0f} s"
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


def _edgetpu_version() -> str:
    try:
        library = ctypes.CDLL(_EDGETPU)
    except OSError:
        return ""
    if not hasattr(library, "edgetpu_version"):
        return f"{_EDGETPU} of an unknown version"
    library.edgetpu_version.restype = ctypes.c_char_p
    said = library.edgetpu_version()
    return said.decode(errors="replace") if said else f"{_EDGETPU} of an unknown version"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
