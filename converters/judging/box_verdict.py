"""What the gate found of a detector's file, as the card keeps it and as a person reads it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from converters.certificate import MOST_CLASSES, Budget, Outcome
from converters.judging.box_rows import NAMES, BoxRow, Figure
from edgecnn.evaluation.boxes import BoxAgreement
from edgecnn.evaluation.judged import Judged
from edgecnn.evaluation.paired import CONFIDENCE

HEADER = ("class", "boxes", "figure", "float", "file", "drop", "at most", "proven")


@dataclass(frozen=True)
class BoxSignal:
    """How the outputs themselves compare.

    Attributes:
        by_role: decibels of each output, counted as `converters.signal` counts; inf where they are equal.
        snr_db: of the worst.
        finite: all of the file's outputs are numbers.
        frozen: an output of the file never changed, though the float model's did.
    """

    by_role: Mapping[str, float]
    snr_db: float
    finite: bool
    frozen: bool

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values; what is not a number is None."""
        return {
            "snr_db": _json(self.snr_db),
            "snr_db_by_output": {role: _json(ratio) for role, ratio in self.by_role.items()},
            "finite": self.finite,
            "frozen": self.frozen,
        }


@dataclass(frozen=True)
class BoxVerdict:
    """What the gate found; fields that are not named here are those of `converters.certificate.Verdict`.

    Attributes:
        figures_of_all: mAP@0.5:0.95 and mAP@0.5, or F1 of centre hits: before, after, lost.
        classes: those with boxes, the worst first.
        thresholds: the least score of a box that the float model shows, and the file: its own is fitted
            anew (best mean F1 of the classes on these images), because rounding shifts scores.
        boxes: truth boxes.
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
    figures_of_all: tuple[Figure, ...]
    agreement: BoxAgreement
    classes: tuple[BoxRow, ...]
    signal: BoxSignal
    thresholds: tuple[float, float]
    boxes: int
    runtime: Mapping[str, Any]
    reference_sha256: str
    model_sha256: str

    @property
    def budgeted(self) -> tuple[Figure, ...]:
        """The figures that the budget is held against: without labels, not mAP@0.5:0.95."""
        found = [one for one in self.figures_of_all if self.is_labelled or one.metric != "map"]
        return tuple(found)

    @property
    def drop(self) -> float:
        """Observed, in points, of the figure that lost most."""
        return max(one.drop for one in self.budgeted)

    @property
    def at_most(self) -> float:
        """What the images leave possible, in points, of either figure."""
        return max(one.at_most for one in self.budgeted)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what stands in `table`."""
        return HEADER

    def header(self, name: str = "the file") -> str:
        """One line that says how it went; `name` is what to call the file."""
        images = f"{self.data.images} of {self.data.name} {self.data.split or ''}".rstrip()
        which = " or ".join(NAMES[one.metric] for one in self.budgeted)
        if self.outcome == "certified":
            of = "" if self.is_labelled else ", measured against the float model's own boxes"
            return (
                f"certified: {name} loses at most {self.at_most:.2f} points of {which} (observed "
                f"{self.drop:.2f}, {CONFIDENCE:.0%} sure) on images like the {images}{of}"
            )
        if self.outcome == "refused":
            return f"refused: {name}: {self.reasons[0]}"
        written = "may be written, but not as certified" if self.may_be_written else "not to be written"
        return f"unproven: {name} ({written}): {self.reasons[0]}"

    def table(self, most: int = 10) -> list[tuple[Any, ...]]:
        """The worst classes as rows under `HEADER`, one for each figure; all in points."""
        return [
            (
                row.label if first else "",
                row.boxes if first else "",
                NAMES[one.metric],
                f"{100 * one.before:.1f}",
                f"{100 * one.after:.1f}",
                f"{one.drop:.1f}",
                f"{one.at_most:.1f}",
                _word(row) if first else "",
            )
            for row in self.classes[:most]
            for first, one in zip((True, False), row.figures, strict=False)
        ]

    def figures(self) -> list[tuple[str, str]]:
        """The figures for a person: what, and how much."""
        found = [
            (f"{NAMES[one.metric]}, float and file", f"{100 * one.before:.2f} and {100 * one.after:.2f}")
            for one in self.figures_of_all
        ]
        agreement = self.agreement
        outputs = ", ".join(f"{role} {ratio:.1f} dB" for role, ratio in self.signal.by_role.items())
        return [
            *found,
            *(("worst class", _told(row)) for row in self._worst),
            (
                "boxes shown by both",
                f"{agreement.share:.2%} ({agreement.reference_boxes} and {agreement.boxes})",
            ),
            ("signal to noise", outputs),
            ("threshold, float and file", f"{self.thresholds[0]:.3f} and {self.thresholds[1]:.3f}"),
        ]

    @property
    def _worst(self) -> tuple[BoxRow, ...]:
        """The class that lost most, and every other that lost more than is allowed."""
        rows = sorted(self.classes, key=lambda row: -row.worst.drop)
        return tuple(row for place, row in enumerate(rows) if not place or row.beyond)

    def as_dict(self) -> dict[str, Any]:
        """The certificate: JSON-ready values, the same for the same model and images."""
        worst = max(self.budgeted, key=lambda one: one.drop)
        return {
            "certified": self.outcome == "certified",
            "outcome": self.outcome,
            "reasons": list(self.reasons),
            "notes": list(self.notes),
            "budget": asdict(self.budget),
            "confidence": CONFIDENCE,
            "metric": ", ".join(one.metric for one in self.figures_of_all),
            "truth": "labels" if self.is_labelled else "float model's own boxes",
            # a folder's name may hold bytes that are no text
            "data": {**asdict(self.data), "name": self.data.name.encode(errors="replace").decode()},
            "boxes": self.boxes,
            "float": round(worst.before, 6),
            "file": round(worst.after, 6),
            "drop_points": round(self.drop, 3),
            "at_most_points": round(self.at_most, 3),
            "figures": [one.as_dict() for one in self.figures_of_all],
            "threshold": {"float": round(self.thresholds[0], 6), "file": round(self.thresholds[1], 6)},
            "agreement": self.agreement.as_dict(),
            "classes": {
                **{state: self._count(state) for state in ("proven", "unproven", "refused")},
                "beyond": sum(row.beyond for row in self.classes),
            },
            "per_class": [row.as_dict() for row in self.classes[:MOST_CLASSES]],
            **self.signal.as_dict(),
            "runtime": dict(self.runtime),
            "reference_sha256": self.reference_sha256,
            "model_sha256": self.model_sha256,
        }

    def _count(self, state: str) -> int:
        return sum(row.state == state for row in self.classes)


def _word(row: BoxRow) -> str:
    if row.state == "unproven" and row.beyond:
        return "no, beyond"
    return {"proven": "yes", "unproven": "no", "refused": "refused"}[row.state]


def _told(row: BoxRow) -> str:
    one = row.worst
    beyond = ", more than allowed: chance alone may show that" if row.beyond else ""
    return (
        f"{row.label!r} {one.drop:.1f} points of {NAMES[one.metric]} ({100 * one.before:.1f} to "
        f"{100 * one.after:.1f} on {row.boxes} boxes){beyond}"
    )


def _json(value: float) -> float | None:
    return round(value, 6) if isfinite(value) else None
