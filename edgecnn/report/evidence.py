"""What a report is made of, as plain values: model files, and what is known of each.

How it is read from run folders is `edgecnn.report.gather`; what it means, `edgecnn.report.verdict`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgecnn.card import Card
from edgecnn.report.words import percent

FIGURES = {"top1": "images right", "map": "mAP@0.5:0.95", "f1": "mean F1"}
"""What the figure is called that models of a task are compared by; one kind in one report."""

AXES = {"top1": "Accuracy", "map": "mAP@0.5:0.95", "f1": "Mean F1"}
"""Likewise, as the axis of a chart."""


@dataclass(frozen=True)
class Accuracy:
    """How right a file was.

    Attributes:
        metrics: as `edgecnn.evaluation.measurement` writes them; checked: the figure, its interval, `images`.
        environment: what computed, and `data`: which images.
    """

    metrics: Mapping[str, Any]
    environment: Mapping[str, Any]

    @property
    def figure(self) -> str:
        """A key of `FIGURES`: of classifiers "top1", of detectors "map", of those on coarse grids "f1"."""
        if "top1" in self.metrics:
            return "top1"
        return "f1" if self.metrics.get("hit") == "centre" else "map"

    @property
    def value(self) -> float:
        """The figure, in [0, 1]."""
        return float(self.metrics[self.figure])

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of `value`; no wider than it where none is known."""
        low, high = self.metrics.get(f"{self.figure}_interval") or (self.value, self.value)
        return float(low), float(high)

    @property
    def said(self) -> str:
        """The figure in words, such as "94.1 % of 400 images right"."""
        images = f"{self.metrics['images']:,} images"
        if self.figure == "top1":
            return f"{percent(self.value)} of {images} right"
        return f"{FIGURES[self.figure]} {percent(self.value)} over {images}"

    @property
    def agreement(self) -> Mapping[str, Any] | None:
        """How its answers compare with those of a reference, where there was one."""
        found: Mapping[str, Any] | None = self.metrics.get("agreement")
        return found

    @property
    def data(self) -> Mapping[str, Any]:
        """Which images were judged: name, split, images, sha256."""
        found: Mapping[str, Any] = self.environment.get("data", {})
        return found


@dataclass(frozen=True)
class Condition:
    """Under what a latency was measured. Latencies compare only where this is equal."""

    device: str
    runtime: str
    threads: int | None
    source: Literal["measured", "estimated"]

    @property
    def name(self) -> str:
        """In one line."""
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}" if self.threads else ""
        return ", ".join(part for part in (self.device, threads, self.runtime) if part)


@dataclass(frozen=True)
class Latency:
    """How long a file took.

    Attributes:
        condition: where.
        total_ms: p50, p90, p99, mean of a whole image. Estimated: p50, and the band from low to high.
        stages_ms: the same for each stage, in the order they run.
        environment: everything that is known about the machine and the measurement.
    """

    condition: Condition
    total_ms: Mapping[str, float]
    stages_ms: Mapping[str, Mapping[str, float]]
    environment: Mapping[str, Any]

    @property
    def interval(self) -> tuple[float, float]:
        """An estimate's band; of a measurement, from the p50 to the p90."""
        low = self.total_ms.get("low", self.total_ms["p50"])
        return low, self.total_ms["high"] if "high" in self.total_ms else self.total_ms["p90"]


@dataclass(frozen=True)
class Place:
    """A device, with every condition under which files were timed or estimated there.

    Attributes:
        device: its name.
        threads: of the interpreter; None where unknown.
        conditions: measured ones first.
    """

    device: str
    threads: int | None
    conditions: tuple[Condition, ...]

    @property
    def is_estimated(self) -> bool:
        """Whether nothing was measured there."""
        return all(condition.source == "estimated" for condition in self.conditions)


@dataclass(frozen=True)
class Variant:
    """One model file with all that is known of it.

    Attributes:
        name: unique in the report; the file's name, with its run's where there are several.
        run: name of its run.
        file: where it lies, or lay.
        scheme: one of `edgecnn.runs.SCHEMES`, "keras", or "".
        size_bytes: of the file.
        lineage: how it was made, oldest step first.
        certificate: what the conversion's gate found, as its card says; {} where nothing was judged.
        accuracy: None where it was not judged.
        latencies: newest of each condition; () where it was not timed.
        unfit: by the name of a device, why there is no estimate of it there.
    """

    name: str
    run: str
    file: Path
    scheme: str
    size_bytes: int
    sha256: str
    lineage: tuple[str, ...] = ()
    certificate: Mapping[str, Any] = field(default_factory=dict)
    accuracy: Accuracy | None = None
    latencies: tuple[Latency, ...] = ()
    unfit: Mapping[str, str] = field(default_factory=dict)

    def latency(self, condition: Condition) -> Latency | None:
        """The latency under one condition."""
        return next((latency for latency in self.latencies if latency.condition == condition), None)


@dataclass(frozen=True)
class Epoch:
    """One line of a run's history; losses are means, accuracies shares in [0, 1]."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True)
class RunEvidence:
    """A run folder.

    Attributes:
        name: unique in the report.
        path: of the folder.
        card: None where the folder holds measurements only.
        history: one entry for each epoch; () where nothing was trained here.
        training: the outcome as the training wrote it; {} where there is none.
        recipe: how it was learned; {} where it was not learned here.
        compression: before and after, where the run was made of another; see `edgecnn.report.compression`.
    """

    name: str
    path: Path
    card: Card | None
    history: tuple[Epoch, ...]
    training: Mapping[str, Any]
    compression: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """All that a report says, as plain values.

    Attributes:
        runs: in the order given.
        variants: by run, then from the network itself to the smallest scheme.
        notes: what was left out, and why; one sentence each.
    """

    runs: tuple[RunEvidence, ...]
    variants: tuple[Variant, ...]
    notes: tuple[str, ...]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition under which something was timed; the one with most files first."""
        counts = Counter(latency.condition for v in self.variants for latency in v.latencies)
        return tuple(condition for condition, _ in counts.most_common())

    @property
    def places(self) -> tuple[Place, ...]:
        """Every device; an estimate for a device that files were timed on, too, stands beside that."""
        found: list[Place] = []
        names = dict.fromkeys(device for v in self.variants for device in v.unfit)
        for condition in sorted(self.conditions, key=lambda c: c.source == "estimated"):
            beside = next((n for n, place in enumerate(found) if _is_there(condition, place)), None)
            if beside is None:
                found.append(Place(condition.device, condition.threads, (condition,)))
            else:
                place = found[beside]
                found[beside] = Place(place.device, place.threads, (*place.conditions, condition))
        unknown = [n for n in names if not any(c.device == n for c in self.conditions)]
        return (*found, *(Place(name, None, ()) for name in unknown))

    @property
    def figure(self) -> str:
        """What the judged files are compared by: a key of `FIGURES`; "top1" where none was judged."""
        return next((v.accuracy.figure for v in self.variants if v.accuracy), "top1")

    def baseline(self, variant: Variant) -> Variant | None:
        """The float file of its own run that a variant is compared with; None for that file itself."""
        if variant.scheme in ("float32", "keras"):
            return None
        own = [v for v in self.variants if v.run == variant.run and v.accuracy]
        return next((v for scheme in ("float32", "keras") for v in own if v.scheme == scheme), None)


def _is_there(condition: Condition, place: Place) -> bool:
    """Whether an estimate is for the device of a place; boards tell their revision after their name."""
    if condition.source != "estimated" or place.threads != condition.threads:
        return False
    return place.device.lower().startswith(condition.device.lower())
