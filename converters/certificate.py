"""What the gate found, as the card keeps it and as a person reads it.

Holds figures and says them; which figures may be signed is decided in `converters.ruling`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal, TypeAlias

from edgecnn.errors import ConversionError
from edgecnn.evaluation.agreement import Agreement
from edgecnn.evaluation.judged import Judged
from edgecnn.evaluation.paired import CONFIDENCE

Outcome: TypeAlias = Literal["certified", "unproven", "refused"]
State: TypeAlias = Literal["proven", "unproven", "refused"]

MOST_CLASSES = 100
"""Classes that a certificate lists, the worst; a thousand would be larger than some models."""

HEADER = ("class", "images", "float %", "file %", "drop", "at most", "proven")


@dataclass(frozen=True)
class Budget:
    """What a conversion may cost, in points (percent of the images, or hundredths of a detector's mAP).

    Attributes:
        max_drop: of accuracy; of a detector, of mAP@0.5:0.95 and of mAP@0.5.
        max_class_drop: of the same on any one class.
        drop_stated: someone asked for `max_drop`: it must be proven, not only observed.
        class_drop_stated: likewise.
    """

    max_drop: float = 1.0
    max_class_drop: float = 5.0
    drop_stated: bool = False
    class_drop_stated: bool = False

    def __post_init__(self) -> None:
        for name in ("max_drop", "max_class_drop"):
            if not 0 <= getattr(self, name) <= 100:
                option = "--" + name.replace("_", "-")
                raise ConversionError(f"{option} must be in 0..100 points, not {getattr(self, name)}")


@dataclass(frozen=True)
class ClassRow:
    """How one class fared.

    Attributes:
        label: its name.
        images: that are labelled so.
        reference_right: on how many the float model was right.
        lost: on how many only the float model was right.
        gained: on how many only the file was right.
        drop: (lost - gained) / images, in points.
        at_most: the largest drop that the images leave possible, in points, one-sided.
        state: `proven` within the budget, `unproven`, or `refused`: beyond it, and not by chance.
        why: what makes it unproven or refused; "" where it is proven.
        measurable: the float model is right on enough of it for a drop to show.
    """

    label: str
    images: int
    reference_right: int
    lost: int
    gained: int
    drop: float
    at_most: float
    state: State
    why: str = ""
    measurable: bool = True

    @property
    def right(self) -> int:
        """On how many images the file was right."""
        return self.reference_right - self.lost + self.gained

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {
            "label": self.label,
            "images": self.images,
            "float": round(self.reference_right / self.images, 6),
            "file": round(self.right / self.images, 6),
            "lost": self.lost,
            "gained": self.gained,
            "drop_points": round(self.drop, 3),
            "at_most_points": round(self.at_most, 3),
            "state": self.state,
        }


@dataclass(frozen=True)
class Signal:
    """How the outputs themselves compare, in real units.

    Attributes:
        snr_db: power of the float model's outputs over power of the difference; inf where they are equal, NaN
            where the file's are not numbers.
        ties: images whose highest score several labels share; they count as wrong.
        saturated: the share of images whose highest output sits at the upper end of its integer type: it
            would have been higher, and may tie. None where outputs are no integers, or are probabilities.
        clipped: the share of images with any output at either end; None likewise.
        finite: all of the file's outputs are numbers.
        frozen: the file's outputs never changed, though the float model's did.
        confidence_drift: mean change of the highest probability, file less float, in [-1, 1].
        confidence_change_p95: 95 % of the images changed by at most so much.
        calibration_error: of the float model and of the file: by how much confidence misses accuracy on
            average (expected calibration error, 15 bins); None where nobody labelled the images.
    """

    snr_db: float
    ties: int
    saturated: float | None
    clipped: float | None
    finite: bool
    frozen: bool
    confidence_drift: float
    confidence_change_p95: float
    calibration_error: tuple[float, float] | None

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values; what is not a number is None."""
        return {name: _json(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Verdict:
    """What the gate found.

    Attributes:
        outcome: `certified`: inside the budget, and proven so far as it was asked; `unproven`: inside, but
            the images do not prove it; `refused`: outside, or ruined.
        reasons: why it is not certified; one line each, the gravest first.
        notes: what is true besides, such as classes with too few images.
        advice: what to do now; "" where it is certified.
        may_be_written: certified; or unproven in what nobody asked for.
        another_may_pass: a better file could; false where it is the images that do not suffice.
        budget: what was allowed.
        data: the images.
        is_labelled: people said what they show; else the float model's probabilities are the truth.
        reference_right: on how many images the float model was right.
        agreement: how the file's decisions compare with the float model's.
        drop: of accuracy, observed, in points; without labels, what it is expected to be.
        at_most: the largest drop that the images leave possible, in points, one-sided.
        expected_drop: what the drop would be, in points, if the float model's probabilities were true: needs
            no labels, and counts a change between near-equals as little.
        classes: those with images, the worst first.
        signal: how the outputs compare.
        runtime: what computed: name, version, threads.
        reference_sha256: of the float model without its card.
        model_sha256: of the judged file without its card.
    """

    outcome: Outcome
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    advice: str
    may_be_written: bool
    another_may_pass: bool
    budget: Budget
    data: Judged
    is_labelled: bool
    reference_right: int
    agreement: Agreement
    drop: float
    at_most: float
    expected_drop: float
    classes: tuple[ClassRow, ...]
    signal: Signal
    runtime: Mapping[str, Any]
    reference_sha256: str
    model_sha256: str

    @property
    def reference_accuracy(self) -> float:
        """Of the float model, in [0, 1]; 1 where its decisions are the truth."""
        return self.reference_right / self.agreement.images

    @property
    def accuracy(self) -> float:
        """Of the file, in [0, 1]; where nobody labelled the images, the share of the same decisions."""
        return (self.reference_right - self.agreement.lost + self.agreement.gained) / self.agreement.images

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what stands in `table`."""
        return HEADER

    def header(self, name: str = "the file") -> str:
        """One line that says how it went; `name` is what to call the file."""
        images = f"{self.data.images} of {self.data.name} {self.data.split or ''}".rstrip()
        does = "loses" if self.is_labelled else "is expected to lose"
        bound = f"{does} at most {self.at_most:.2f} points (observed {self.drop:.2f}, {CONFIDENCE:.0%} sure)"
        if self.outcome == "certified":
            return f"certified: {name} {bound} on images like the {images}"
        if self.outcome == "refused":
            return f"refused: {name}: {self.reasons[0]}"
        written = "may be written, but not as certified" if self.may_be_written else "not to be written"
        return f"unproven: {name} ({written}): {self.reasons[0]}"

    def table(self, most: int = 10) -> list[tuple[str, int, str, str, str, str, str]]:
        """The worst classes as rows under `HEADER`; drops in points."""
        return [
            (
                row.label,
                row.images,
                f"{100 * row.reference_right / row.images:.1f}",
                f"{100 * row.right / row.images:.1f}",
                f"{row.drop:.1f}",
                f"{row.at_most:.1f}",
                {"proven": "yes", "unproven": "no", "refused": "refused"}[row.state],
            )
            for row in self.classes[:most]
        ]

    def figures(self) -> list[tuple[str, str]]:
        """The figures for a person: what, and how much."""
        signal, agreement = self.signal, self.agreement
        low, high = agreement.interval
        found = [
            (
                "accuracy, float and file",
                f"{self.reference_accuracy:.2%} and {self.accuracy:.2%}" if self.is_labelled else "no labels",
            ),
            ("agreement", f"{agreement.share:.2%} ({low:.2%}-{high:.2%})"),
            ("signal to noise", f"{signal.snr_db:.1f} dB"),
            ("ties, counted as wrong", f"{signal.ties} images"),
            (
                "confidence",
                f"{100 * signal.confidence_drift:+.2f} points on average, within "
                f"{100 * signal.confidence_change_p95:.1f} on 95 % of the images",
            ),
        ]
        if signal.saturated is not None:
            found.append(("highest output at the ceiling", f"{signal.saturated:.1%} of the images"))
        if signal.calibration_error is not None:
            before, after = signal.calibration_error
            found.append(("calibration error, float and file", f"{before:.3f} and {after:.3f}"))
        return found

    def as_dict(self) -> dict[str, Any]:
        """The certificate: JSON-ready values, the same for the same model and images."""
        return {
            "certified": self.outcome == "certified",
            "outcome": self.outcome,
            "reasons": list(self.reasons),
            "notes": list(self.notes),
            "budget": asdict(self.budget),
            "confidence": CONFIDENCE,
            "metric": "top1",
            "truth": "labels" if self.is_labelled else "float model's probabilities",
            # a folder's name may hold bytes that are no text
            "data": {**asdict(self.data), "name": self.data.name.encode(errors="replace").decode()},
            "float": round(self.reference_accuracy, 6) if self.is_labelled else None,
            "file": round(self.accuracy, 6) if self.is_labelled else None,
            "drop_points": round(self.drop, 3),
            "at_most_points": round(self.at_most, 3),
            "expected_drop_points": round(self.expected_drop, 3),
            "agreement": self.agreement.as_dict(),
            "classes": {state: self._count(state) for state in ("proven", "unproven", "refused")},
            "per_class": [row.as_dict() for row in self.classes[:MOST_CLASSES]],
            **self.signal.as_dict(),
            "runtime": dict(self.runtime),
            "reference_sha256": self.reference_sha256,
            "model_sha256": self.model_sha256,
        }

    def _count(self, state: str) -> int:
        return sum(row.state == state for row in self.classes)


def _json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json(one) for one in value]
    if isinstance(value, float):
        return round(value, 6) if isfinite(value) else None
    return value
