"""How a watching went: counts, times, ages, losses, and what computed on what."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgecnn.runtime.interpreter import Backend, Delegation
from edgecnn.runtime.watch.statistics import Statistics


@dataclass(frozen=True)
class Report:
    """What is left of a watching when it has ended.

    Attributes:
        model: its file.
        source: its name.
        ended: why: "the source has ended", "100 frames", "10 seconds", or what `stop` or a window said.
        statistics: counts, rates and times of each stage.
        delegation: which operators ran on which kernels.
        backend: the runtime.
        notices: how many of each kind there were.
        written: files that are complete.
        unsaved: one line for each output that could not go on.
        environment: the machine; see `edgecnn.runtime.environment`.
    """

    model: str
    source: str
    ended: str
    statistics: Statistics
    delegation: Delegation
    backend: Backend
    notices: Mapping[str, int]
    written: tuple[Path, ...]
    unsaved: tuple[str, ...]
    environment: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "model": self.model,
            "source": self.source,
            "ended": self.ended,
            "statistics": self.statistics.as_dict(),
            "delegation": asdict(self.delegation),
            "backend": asdict(self.backend),
            "notices": dict(self.notices),
            "written": [str(path) for path in self.written],
            "unsaved": list(self.unsaved),
            "environment": dict(self.environment),
        }

    def lines(self) -> list[str]:
        """The same for a person."""
        found = self.statistics
        seconds = max(found.seconds, 1e-9)
        lines = [
            f"{self.source} with {self.model}: {self.ended}",
            f"  {found.seconds:.1f} s: {found.captured:,} frames in ({found.captured / seconds:.1f}/s), "
            f"{found.results:,} results ({found.results / seconds:.1f}/s), {found.dropped:,} dropped"
            + "".join(f", {count:,} {name}" for name, count in self._troubles() if count),
            f"  {'ms':<9}{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9}",
        ]
        for stage, spread in found.stages_ms.items():
            name = "age" if stage == "delay" else stage
            lines.append(
                f"  {name:<9}" + "".join(f"{spread[key]:>9.2f}" for key in ("p50", "p90", "p99", "max"))
            )
        lines.append(f"  {self._computed()}")
        lines += [f"  written: {path}" for path in self.written]
        lines += [f"  NOT written: {text}" for text in self.unsaved]
        return lines

    def _computed(self) -> str:
        one = self.delegation
        where = f"{one.delegated} of {one.operators} operators on {one.delegate}"
        if one.others:
            where += f" (not {', '.join(dict.fromkeys(one.others))})"
        runtime = f"{self.backend.name} {self.backend.version}"
        device = self.environment.get("device", "an unknown machine")
        return f"{where}, {self.statistics.threads} thread(s), {runtime}, {device}"

    def _troubles(self) -> list[tuple[str, int]]:
        found = self.statistics
        return [
            ("damaged", found.damaged),
            ("repeated by a frozen source", found.repeated),
            ("times the source was opened again", found.restarts.get("source", 0)),
            ("times the interpreter was replaced", found.restarts.get("interpreter", 0)),
        ]
