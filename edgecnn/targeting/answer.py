"""Will a model run on a device, on which unit, how fast, in how much memory: before anyone has the device."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters.to_ethosu import VelaReport, compile_ethosu
from edgecnn import archive
from edgecnn.errors import ConversionError, TargetError
from edgecnn.graph import Graph, read
from targets.budget import Limits, check
from targets.cost import Estimate, estimate, threads_of
from targets.memory import Memory, Runtime, memory
from targets.profile import Profile, profile
from targets.support import Support, support

MICRO = ("tflite_micro", "ethos_u")
"""Delegates of devices on which TFLite Micro runs the model, in one arena."""


@dataclass(frozen=True)
class Answer:
    """What a device would do with a model. Everything is predicted from the file; nothing was measured.

    Attributes:
        model: what to call it.
        profile: the device.
        support: where each operator runs.
        estimate: how fast; None where it cannot be said.
        memory: working memory by live ranges; None where it cannot be said.
        flash_bytes: of the file.
        vela: what Arm's compiler estimates, for an Ethos-U and where it is installed; None elsewhere.
        unknown: why a figure is missing, one sentence each.
    """

    model: str
    profile: Profile
    support: Support
    estimate: Estimate | None
    memory: Memory | None
    flash_bytes: int
    vela: VelaReport | None = None
    unknown: tuple[str, ...] = ()

    @property
    def latency_ms(self) -> float | None:
        """Of one run, estimated; None where it cannot be said."""
        if self.vela is not None:
            return self.vela.inference_ms
        return None if self.estimate is None else self.estimate.latency_ms

    @property
    def ram_bytes(self) -> int | None:
        """Working memory, estimated; None where it cannot be said."""
        if self.vela is not None:
            return self.vela.sram_bytes + self.vela.dram_bytes
        return None if self.memory is None else self.memory.arena_bytes

    def refuse_over(self, allowed: Limits) -> None:
        """Raise OverBudget if it takes more than is allowed, TargetError if a limit cannot be checked."""
        check(
            allowed, self.model, self.profile.name,
            latency_ms=self.latency_ms, ram_bytes=self.ram_bytes, flash_bytes=self.flash_bytes,
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "model": self.model,
            "target": self.profile.name,
            "title": self.profile.title,
            "notes": list(self.profile.notes),
            "support": self.support.as_dict(),
            "estimate": None if self.estimate is None else self.estimate.as_dict(),
            "memory": None if self.memory is None else self.memory.as_dict(),
            "vela": None if self.vela is None else self.vela.as_dict(),
            "latency_ms_estimated": self.latency_ms,
            "ram_bytes_estimated": self.ram_bytes,
            "flash_bytes": self.flash_bytes,
            "unknown": list(self.unknown),
        }


def answer(
    model: Path | str | bytes,
    target: str | Profile,
    *,
    threads: int | None = None,
    name: str = "the model",
    vela: VelaReport | None = None,
) -> Answer:
    """Ask what a device would do with a model.

    Args:
        model: a `.tflite` file, or the bytes of one.
        target: a profile, its name, or the path of a profile of your own.
        threads: of the interpreter; None is all of the device's cores.
        name: what to call it where bytes are given.
        vela: what Vela said of it, where it was asked already.

    Raises:
        TargetError: the device is not known, the threads are none it has, or the file leaves a shape open.
        ModelError: the file cannot be read, or would not run safely anywhere.
    """
    device = target if isinstance(target, Profile) else profile(target)
    count = threads_of(device, threads)
    if isinstance(model, bytes):
        graph, size = read(model, name), len(model)
    else:
        graph, size, name = read(Path(model)), Path(model).stat().st_size, str(model)
    found = support(graph, device)
    unknown: list[str] = []
    if device.delegate == "ethos_u" and vela is None:
        vela = _vela(model, device, unknown)
    return Answer(
        model=name,
        profile=device,
        support=found,
        estimate=None if vela else _estimate(graph, device, found, count, unknown),
        memory=_memory(graph, "tflite_micro" if device.delegate in MICRO else "litert", unknown),
        flash_bytes=vela.model_bytes if vela else size,
        vela=vela,
        unknown=tuple(unknown),
    )


def _estimate(
    graph: Graph, device: Profile, found: Support, threads: int, unknown: list[str]
) -> Estimate | None:
    if found.blockers:
        unknown.append("latency: it does not run there")
        return None
    if device.cost is None:
        unknown.append(
            f"latency: nobody has published enough of {device.title}; "
            + ("`edgecnn calibrate-target` fits it" if device.delegate == "xnnpack" else "measure it there")
        )
        return None
    try:
        return estimate(graph, device, threads=threads, verdicts=found.verdicts)
    except TargetError as error:
        unknown.append(f"latency: {error}")
        return None


def _memory(graph: Graph, runtime: Runtime, unknown: list[str]) -> Memory | None:
    try:
        return memory(graph, runtime=runtime)
    except TargetError as error:
        unknown.append(f"memory: {error}")
        return None


def _vela(model: Path | str | bytes, device: Profile, unknown: list[str]) -> VelaReport | None:
    if isinstance(model, bytes):
        unknown.append("cycles: Vela is asked when the file is written")
        return None
    if importlib.util.find_spec("ethosu") is None:
        unknown.append("cycles: Vela is not installed; pip install 'edgecnn[micro]'")
        return None
    try:
        return compile_ethosu(Path(model), config=device.ops.config)[1]
    except ConversionError as error:
        unknown.append(f"cycles: {error}")
        return None


def content_of(model: Path) -> bytes:
    """The FlatBuffer of a file, without its card."""
    return archive.flatbuffer_bytes(model.read_bytes())
