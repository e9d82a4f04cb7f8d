"""What each figure and each class lost, and what of that chance may explain.

A class is refused when its drop lies beyond the budget, its own images say that this is no even toss, and it
is not what the worst of so many classes shows if it fares like the others. What is beyond and not refused is
marked so.

Drawing images again shows no loss where none was seen, however few they are. So no bound is below the exact
one for boxes of which none was lost: 1 - 0.05 ^ (1 / boxes).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from converters.certificate import Budget, State
from converters.judging.box_drops import Drops, chance
from edgecnn.evaluation.paired import CONFIDENCE
from edgecnn.evaluation.resampling import Drop

NAMES: Final = {"map": "mAP@0.5:0.95", "map50": "mAP@0.5", "f1": "F1 of centre hits"}

CHANCE: Final = 1 - CONFIDENCE
"""Below it, something did not happen by chance."""


@dataclass(frozen=True)
class Figure:
    """One figure, of all classes or of one; `drop` and `at_most` in points."""

    metric: str
    before: float
    after: float
    drop: float
    at_most: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "metric": self.metric,
            "float": round(self.before, 6),
            "file": round(self.after, 6),
            "drop_points": round(self.drop, 3),
            "at_most_points": round(self.at_most, 3),
        }


@dataclass(frozen=True)
class BoxRow:
    """How one class fared.

    Attributes:
        label: its name.
        boxes: that people drew of it.
        figures: one for each metric.
        state: `proven` within the budget, `unproven`, or `refused`: beyond it, and not by chance.
        why: what makes it unproven or refused; "" where it is proven.
        measurable: the float model finds enough of it for a drop to show.
        beyond: its drop lies beyond the budget; if it is not refused, chance explains that.
    """

    label: str
    boxes: int
    figures: tuple[Figure, ...]
    state: State
    why: str = ""
    measurable: bool = True
    beyond: bool = False

    @property
    def worst(self) -> Figure:
        """The figure that dropped most."""
        return max(self.figures, key=lambda one: one.drop)

    @property
    def at_most(self) -> float:
        """What the images leave possible, in points, of the worst figure."""
        return max(one.at_most for one in self.figures)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values; the worst figure's stand where those of a classifier's class stand."""
        return {
            "label": self.label,
            "boxes": self.boxes,
            **self.worst.as_dict(),
            "at_most_points": round(self.at_most, 3),
            "state": self.state,
            "beyond": self.beyond,
            "why": self.why,
            "figures": [one.as_dict() for one in self.figures],
        }


def rows_of(found: Sequence[Drops], boxes: Mapping[str, int], budget: Budget) -> list[BoxRow]:
    """How each class fared, the worst first."""
    by_label: dict[str, list[tuple[Drops, Drop]]] = {}
    for one in found:
        for drop in one.classes:
            by_label.setdefault(str(drop.label), []).append((one, drop))
    rows = []
    for label, drops in by_label.items():
        count = boxes.get(label, 0)
        figures = tuple(figure_of(one.metric, drop, count) for one, drop in drops)
        beyond = [each for each, figure in zip(drops, figures, strict=True) if _beyond(figure, budget)]
        row = BoxRow(label, count, figures, "proven", beyond=bool(beyond))
        if any(not _may_be_chance(drop, one.classes, budget) for one, drop in beyond):
            row = replace(row, state="refused", why=f"beyond {budget.max_class_drop:g} points")
        elif any(100 * figure.before <= budget.max_class_drop for figure in figures):
            why = f"the float model has only {100 * row.worst.before:.1f} points of {NAMES[row.worst.metric]}"
            row = replace(row, state="unproven", why=why, measurable=budget.max_class_drop >= 100)
        elif beyond:
            why = f"loses {row.worst.drop:.1f}, but chance alone may show that on {count} boxes"
            row = replace(row, state="unproven", why=why)
        elif row.at_most > budget.max_class_drop:
            why = f"up to {row.at_most:.1f} points are possible"
            if 100 / count > budget.max_class_drop:
                why = f"{count} boxes: one weighs {100 / count:.1f} points"
            row = replace(row, state="unproven", why=why)
        rows.append(row)
    return sorted(rows, key=lambda row: (row.state != "refused", -row.worst.drop, -row.at_most, row.label))


def figure_of(metric: str, drop: Drop, boxes: int) -> Figure:
    """The figure of a drop over so many truth boxes, in points."""
    at_most = 100 * max(drop.bound, drop.drop, least_bound(boxes))
    return Figure(metric, drop.reference, drop.model, 100 * drop.drop, at_most)


def least_bound(boxes: int) -> float:
    """What remains possible where not one of so many boxes was lost."""
    return 1 - CHANCE ** (1 / boxes) if boxes else 1.0


def _beyond(figure: Figure, budget: Budget) -> bool:
    return figure.drop > budget.max_class_drop


def _may_be_chance(one: Drop, classes: Sequence[Drop], budget: Budget) -> bool:
    """Whether such a loss may befall the worst of so many classes although it is inside, like the others."""
    if chance(one) > CHANCE:
        return True
    others = [each.drop for each in classes if each is not one]
    if not others:
        return False
    usual = min(sum(others) / len(others), budget.max_class_drop / 100)  # beyond the budget excuses none
    return chance(one, max(usual, 0.0)) * len(classes) > CHANCE
