"""Compile an int8 model for a Coral Edge TPU with Google's edgetpu_compiler, and read what it says.

The compiler is a closed x86-64 Linux program from Coral's package repository, not on PyPI. Where it is not
installed nothing is lost: the int8 file it would start from is what it takes on any machine that has it.
"""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from edgecnn import archive
from edgecnn.errors import ConversionError
from edgecnn.graph import read

COMPILER: Final = "edgetpu_compiler"
CUSTOM: Final = "edgetpu-custom-op"
"""What a compiled part is called in the compiled file."""

HOW_TO_GET: Final = (
    "edgetpu_compiler is not installed. On x86-64 Debian or Ubuntu (or in a container of it) get it with:\n"
    "  curl -fsSL https://packages.cloud.google.com/apt/doc/apt-key.gpg"
    " | sudo gpg --dearmor -o /usr/share/keyrings/coral.gpg\n"
    '  echo "deb [signed-by=/usr/share/keyrings/coral.gpg] https://packages.cloud.google.com/apt'
    ' coral-edgetpu-stable main" | sudo tee /etc/apt/sources.list.d/coral-edgetpu.list\n'
    "  sudo apt-get update && sudo apt-get install edgetpu-compiler\n"
    "There is none for ARM, Windows or macOS; Coral's own Colab page compiles in the browser: "
    "https://colab.research.google.com/github/google-coral/tutorials/blob/master/compile_for_edgetpu.ipynb"
)
"""Where the compiler comes from: https://coral.ai/docs/edgetpu/compiler."""

_TIMEOUT_S: Final = 1800
_MAPPED: Final = "Mapped to Edge TPU"
_UNITS: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True)
class CompilerReport:
    """What edgetpu_compiler says about a model.

    Attributes:
        version: of the compiler, "16.0.384591198".
        mapped: operators on the Edge TPU by kind.
        on_cpu: operators on the CPU by kind, and in whose words why: (kind, count, status).
        subgraphs: how many Edge TPU parts the compiled file has.
        cached_bytes: parameters that the chip keeps.
        remaining_bytes: what is left of the chip's memory for parameters.
        streamed_bytes: parameters that come from the host in every run.
        model_bytes: size of the compiled file.
    """

    version: str
    mapped: Mapping[str, int]
    on_cpu: tuple[tuple[str, int, str], ...]
    subgraphs: int
    cached_bytes: int
    remaining_bytes: int
    streamed_bytes: int
    model_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)


def find_compiler() -> Path | None:
    """Where the compiler lies; None where it is not installed."""
    found = shutil.which(COMPILER)
    return None if found is None else Path(found)


def to_edgetpu(model: Path, out: Path, *, runtime: int = 0, force: bool = False) -> CompilerReport:
    """Compile a model, and write the compiled file with the card and the other entries of the first.

    Args:
        model: an int8 `.tflite` file.
        out: where the compiled file goes; by custom NAME_edgetpu.tflite.
        runtime: oldest Edge TPU runtime that must run it (-m); 0 is the compiler's own choice.
        force: overwrite `out`.

    Raises:
        ConversionError: the compiler is not installed or refuses the model, or `out` is there already.
        ModelError: the model cannot be read.
    """
    if out.exists() and out.samefile(model):
        raise ConversionError(f"{out}: is the model itself. Choose another name for the compiled file.")
    if out.exists() and not force:
        raise ConversionError(f"{out} is there already. Choose another name, or overwrite it with --force.")
    compiler = find_compiler()
    if compiler is None:
        raise ConversionError(HOW_TO_GET)
    read(model)
    with TemporaryDirectory(prefix="edgecnn-edgetpu-") as name:
        folder = Path(name)
        (folder / "model.tflite").write_bytes(archive.flatbuffer_bytes(model.read_bytes()))
        asked = ["-m", str(runtime)] if runtime else []
        said = _run([str(compiler), "-s", *asked, "-o", str(folder), str(folder / "model.tflite")], model)
        made = folder / "model_edgetpu.tflite"
        if not made.exists():
            raise ConversionError(_refused(model, said))
        content = made.read_bytes()
    report = parse(said, model_bytes=len(content))
    archive.write_beside(model, out, content)
    return report


def parse(said: str, *, model_bytes: int = 0) -> CompilerReport:
    """Read what `edgetpu_compiler -s` printed.

    Raises:
        ConversionError: there is no table of operators in it.
    """
    version = re.search(r"Edge TPU Compiler version (\S+)", said)
    rows = re.findall(r"^([A-Za-z][\w-]*)[ \t]+(\d+)[ \t]+(\S.*?)[ \t]*$", said, re.MULTILINE)
    if version is None or not rows:
        raise ConversionError(f"{COMPILER} printed no table of operators. It said: {_last_line(said)}")
    mapped: Counter[str] = Counter()
    on_cpu = []
    for kind, count, status in rows:
        if status == _MAPPED:
            mapped[kind] += int(count)
        else:
            on_cpu.append((kind, int(count), status))
    subgraphs = re.search(r"Number of Edge TPU subgraphs: (\d+)", said)
    return CompilerReport(
        version=version[1],
        mapped=dict(mapped),
        on_cpu=tuple(on_cpu),
        subgraphs=int(subgraphs[1]) if subgraphs else 0,
        cached_bytes=_bytes(said, "On-chip memory used for caching model parameters"),
        remaining_bytes=_bytes(said, "On-chip memory remaining for caching model parameters"),
        streamed_bytes=_bytes(said, "Off-chip memory used for streaming uncached model parameters"),
        model_bytes=model_bytes,
    )


def _bytes(said: str, label: str) -> int:
    found = re.search(rf"{label}: ([\d.]+)(B|KiB|MiB|GiB)", said)
    return round(float(found[1]) * _UNITS[found[2]]) if found else 0


def _run(command: list[str], model: Path) -> str:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ConversionError(
            f"{model}: {COMPILER} took more than {_TIMEOUT_S} s. Make the network or its input smaller."
        ) from None
    except OSError as error:
        raise ConversionError(
            f"{command[0]}: cannot be started ({error.strerror}). It runs on x86-64 Linux only."
        ) from None
    said = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode:
        raise ConversionError(_refused(model, said))
    return said


def _refused(model: Path, said: str) -> str:
    errors = [
        line.strip() for line in said.splitlines() if re.match(r"(ERROR|Invalid|Internal)", line.strip())
    ]
    why = (errors[0] if errors else _last_line(said)).removeprefix("ERROR: ").rstrip(".")
    return (
        f"{model}: {COMPILER} refuses the model ({why}). "
        "`edgecnn inspect MODEL --target coral_usb` says which operators it takes."
    )


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"
