"""Compile an int8 model for an Arm Ethos-U NPU with Vela, and read what Vela says about it.

Vela (PyPI: ethos-u-vela) replaces what the NPU takes by operators named "ethos-u"; what is left runs in
TFLite Micro on the Cortex-M beside it. Cycles, time and bandwidth in its report are Vela's own estimate.
"""

import csv
import importlib.util
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from edgecnn import archive
from edgecnn.errors import ConversionError, MissingExtra
from edgecnn.graph import Graph, read

SYSTEMS: Final[Mapping[str, tuple[str, str]]] = {
    "ethos-u55": ("Ethos_U55_High_End_Embedded", "Shared_Sram"),
    "ethos-u65": ("Ethos_U65_High_End", "Dedicated_Sram"),
    "ethos-u85": ("Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_512KB"),
}
"""System configuration and memory mode by NPU, of Arm/vela.ini, where none is asked for."""

CONFIGS: Final = (
    "ethos-u55-32", "ethos-u55-64", "ethos-u55-128", "ethos-u55-256", "ethos-u65-256", "ethos-u65-512",
    "ethos-u85-128", "ethos-u85-256", "ethos-u85-512", "ethos-u85-1024", "ethos-u85-2048",
)  # fmt: skip
"""NPU and multiply-accumulates in each cycle; Vela's --accelerator-config."""

_NPU_OPERATOR: Final = "ethos-u"
_TIMEOUT_S: Final = 1800
_KIB: Final = 1024


@dataclass(frozen=True)
class LeftOnCpu:
    """An operator that Vela did not put on the NPU.

    Attributes:
        operator: its place in the model that was compiled.
        kind: its name.
        reason: Vela's words; "" where it gave none.
    """

    operator: int
    kind: str
    reason: str


@dataclass(frozen=True)
class VelaReport:
    """What Vela says about a model. Cycles, times and the memory that follows from them are its estimate.

    Attributes:
        version: of ethos-u-vela.
        config: the NPU, "ethos-u55-128".
        system_config: clock and memories, of Arm/vela.ini.
        memory_mode: which memory holds what, likewise.
        clock_hz: the NPU's, by that configuration.
        operators: how many the model had.
        on_cpu: those that stay on the Cortex-M; all others are on the NPU.
        npu_parts: how many NPU operators the compiled file has; between two of them data goes through the
            Cortex-M's operators.
        cycles: of one run, the NPU's and its memories' together.
        npu_cycles: in which the NPU computes.
        inference_ms: of the NPU's part; what stays on the Cortex-M is not in it.
        sram_bytes: on-chip working memory.
        dram_bytes: external working memory.
        flash_bytes: weights and commands, on chip and off.
        macs: multiply-accumulates of one run.
        model_bytes: size of the compiled file.
    """

    version: str
    config: str
    system_config: str
    memory_mode: str
    clock_hz: float
    operators: int
    on_cpu: tuple[LeftOnCpu, ...]
    npu_parts: int
    cycles: int
    npu_cycles: int
    inference_ms: float
    sram_bytes: int
    dram_bytes: int
    flash_bytes: int
    macs: int
    model_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)


def to_ethosu(
    model: Path,
    out: Path,
    *,
    config: str,
    system_config: str = "",
    memory_mode: str = "",
    force: bool = False,
) -> VelaReport:
    """Compile a model, and write the compiled file with the card and the other entries of the first.

    Args:
        model: an int8 `.tflite` file.
        out: where the compiled file goes.
        config: one of CONFIGS.
        system_config: of Arm/vela.ini; "" takes the one of SYSTEMS.
        memory_mode: likewise.
        force: overwrite `out`.

    Raises:
        ConversionError: the configuration is unknown, `out` is there already, or Vela refuses the model.
        MissingExtra: ethos-u-vela is not installed.
        ModelError: the model cannot be read.
    """
    if out.exists() and out.samefile(model):
        raise ConversionError(f"{out}: is the model itself. Choose another name for the compiled file.")
    if out.exists() and not force:
        raise ConversionError(f"{out} is there already. Choose another name, or overwrite it with --force.")
    content, report = compile_ethosu(
        model, config=config, system_config=system_config, memory_mode=memory_mode
    )
    archive.write_beside(model, out, content)
    return report


def compile_ethosu(
    model: Path, *, config: str, system_config: str = "", memory_mode: str = ""
) -> tuple[bytes, VelaReport]:
    """Compile a model without writing it: see `to_ethosu`.

    Returns:
        The compiled file, without card, and what Vela says about it.
    """
    if config not in CONFIGS:
        raise ConversionError(f"Ethos-U configuration {config!r} is unknown; there are {', '.join(CONFIGS)}.")
    if importlib.util.find_spec("ethosu") is None:
        raise MissingExtra("ethos-u-vela", "micro")
    default_system, default_mode = SYSTEMS[config.rpartition("-")[0]]
    system, mode = system_config or default_system, memory_mode or default_mode
    source = read(model)
    with TemporaryDirectory(prefix="edgecnn-vela-") as name:
        folder = Path(name)
        given = folder / "model.tflite"
        given.write_bytes(archive.flatbuffer_bytes(model.read_bytes()))
        said = _vela(
            [
                *("--accelerator-config", config, "--config", "Arm/vela.ini", "--output-dir", str(folder)),
                *("--system-config", system, "--memory-mode", mode, str(given)),
            ],
            folder, model,
        )  # fmt: skip
        content = (folder / "model_vela.tflite").read_bytes()
        summary = _summary(folder, model)
    compiled = read(content, f"{model.name} for {config}")
    return content, VelaReport(
        version=version("ethos-u-vela"),
        config=config,
        system_config=system,
        memory_mode=mode,
        clock_hz=float(summary["core_clock"]),
        operators=len(source.ops),
        on_cpu=_left(source, compiled, said),
        npu_parts=sum(op.label == _NPU_OPERATOR for op in compiled.ops),
        cycles=round(float(summary["cycles_total"])),
        npu_cycles=round(float(summary["cycles_npu"])),
        inference_ms=float(summary["inference_time"]) * 1000,
        sram_bytes=round(float(summary["sram_memory_used"]) * _KIB),
        dram_bytes=round(float(summary["dram_memory_used"]) * _KIB),
        flash_bytes=round(
            (float(summary["on_chip_flash_memory_used"]) + float(summary["off_chip_flash_memory_used"]))
            * _KIB
        ),
        macs=round(float(summary["nn_macs"])),
        model_bytes=len(content),
    )


def _vela(options: list[str], folder: Path, model: Path) -> str:
    command = [sys.executable, "-P", "-m", "ethosu.vela", *options]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConversionError(
            f"{model}: Vela took more than {_TIMEOUT_S} s. Make the network smaller."
        ) from None
    said = done.stdout + done.stderr
    if done.returncode != 0 or not (folder / "model_vela.tflite").exists():
        raise ConversionError(_explained(model, said, done.returncode))
    return said


def _explained(model: Path, said: str, status: int) -> str:
    if wrong := re.search(r"CLI option --([\w-]+)=(\S+): (.*?)'?$", said, re.MULTILINE):
        return f"Vela knows no {wrong[1]} {wrong[2]}. `vela --list-configs Arm/vela.ini` lists what it knows."
    lines = [line.strip() for line in said.strip().splitlines()]
    errors = [place for place, line in enumerate(lines) if re.search(r"Error: ", line)]
    if not errors:
        why = lines[-1] if lines else f"exit status {status}"
    else:
        why = lines[errors[-1]].rpartition("Error: ")[2].rstrip(".")
        why += "".join(f"; {line.removeprefix('- ')}" for line in lines[errors[-1] + 1 :] if line[:2] == "- ")
    return (
        f"{model}: Vela refuses the model ({why}). Convert all of it to int8, with int8 inputs and outputs."
    )


def _summary(folder: Path, model: Path) -> dict[str, str]:
    """The one row of Vela's summary, by the names in its head."""
    found = sorted(folder.glob("model_summary_*.csv"))
    if not found:
        raise ConversionError(
            f"{model}: Vela {version('ethos-u-vela')} wrote no summary. Install another one."
        )
    with found[0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    return rows[0]


def _left(source: Graph, compiled: Graph, said: str) -> tuple[LeftOnCpu, ...]:
    """Operators of the source that are still in the compiled file, found by what they write."""
    still = {
        (op.label, compiled.tensors[op.outputs[0]].name)
        for op in compiled.ops
        if op.label != _NPU_OPERATOR and op.outputs
    }
    reasons = dict(re.findall(r"ofm: '(.*)'\nReason: (.*)", said))
    return tuple(
        LeftOnCpu(op.index, op.label, reasons.get(source.tensors[op.outputs[0]].name, ""))
        for op in source.ops
        if op.outputs and (op.label, source.tensors[op.outputs[0]].name) in still
    )
