"""Which losses of average precision a detector's file may have: from drops to an outcome.

The rules are those of classification (`converters.ruling`), with the images drawn again (paired bootstrap) in
the place of counted pairs. A figure observed beyond the budget is refused, unless two boxes more or less
would decide it and chance explains it; one inside must be proven, for both figures: no correction is needed
to prove a claim about all. Of classes, `converters.judging.box_rows` says which are refused.

Where nobody drew boxes, the float model's own are the truth. A box that moved a little is then an error at
high overlaps though people may find it as good. So mAP@0.5 is held against the budget, and mAP@0.5:0.95
against MOST_CHANGED times the budget. Classes are then not judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from converters.certificate import Budget, Outcome, State
from converters.judging.box_drops import Drops, chance
from converters.judging.box_rows import CHANCE, NAMES, BoxRow, Figure, figure_of, least_bound, rows_of
from converters.ruling import MOST_CHANGED
from edgecnn.evaluation.resampling import Drop

_MOST_NAMED: Final = 3

_CONTRADICTS: Final = 20.0
"""Points of AP@0.5 below training's record from which data are thought to be others, or mislabelled."""

_ENOUGH: Final = 20
"""Boxes of a class below which they contradict nothing."""


@dataclass(frozen=True)
class BoxRuling:
    """See `converters.judging.box_verdict.BoxVerdict` for what the fields mean."""

    outcome: Outcome
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    advice: str
    may_be_written: bool
    another_may_pass: bool
    figures: tuple[Figure, ...]
    classes: tuple[BoxRow, ...]


def rule(
    found: Sequence[Drops],
    boxes: Mapping[str, int],
    images: int,
    budget: Budget,
    *,
    is_labelled: bool = True,
    record: Mapping[str, float] | None = None,
    broken: str = "",
) -> BoxRuling:
    """Decide whether a detector's file keeps its promise.

    Args:
        found: what each metric lost.
        boxes: how many truth boxes each label of the data set has.
        images: how many were judged.
        budget: what is allowed.
        is_labelled: people drew the boxes.
        record: the average precision at IoU 0.5 of each class that training recorded.
        broken: how the outputs are ruined, where they are.
    """
    total = sum(boxes.values())
    figures = tuple(figure_of(one.metric, one.whole, total) for one in found)
    refused, unproven, stated, notes = [], [], [], []
    contradictions = _contradictions(found, boxes, record or {}) if is_labelled else []
    if broken:
        refused.append(broken)
    if contradictions:
        refused.append(
            f"the validation data contradict the run: {'; '.join(contradictions[:_MOST_NAMED])}. Are labels "
            "mixed up, or are these other data?"
        )
    for one, figure in zip(found, figures, strict=True):
        allowed = budget.max_drop * (1 if is_labelled or one.metric != "map" else MOST_CHANGED)
        state, line = _overall(figure, one.whole, total, images, allowed, is_labelled)
        if state == "refused":
            refused.append(line)
        elif state == "unproven":
            unproven.append(line)
            stated.append(budget.drop_stated)
    rows = rows_of(found, boxes, budget) if is_labelled else []
    if worst := [row for row in rows if row.state == "refused"]:
        refused.append(_classes_line(worst, budget))
    missing = [label for label, count in boxes.items() if not count] if is_labelled else []
    if line := _unproven_classes([row for row in rows if row.state == "unproven"], rows, missing, budget):
        if budget.class_drop_stated:
            unproven.append(line)
            stated.append(True)
        else:
            notes.append(line)
    hopeless = _is_hopeless(total, rows, missing, budget)
    outcome: Outcome = "refused" if refused else "unproven" if unproven else "certified"
    return BoxRuling(
        outcome=outcome,
        reasons=(*refused, *unproven),
        notes=tuple(notes),
        advice=_advice(outcome, bool(contradictions), hopeless),
        may_be_written=not refused and not any(stated),
        another_may_pass=not contradictions and not hopeless,
        figures=figures,
        classes=tuple(rows),
    )


def _overall(
    figure: Figure, drop: Drop, boxes: int, images: int, allowed: float, is_labelled: bool
) -> tuple[State, str]:
    of = "" if is_labelled else ", the float model's own boxes as the truth"
    found = (
        f"loses {figure.drop:.2f} points of {NAMES[figure.metric]} ({100 * figure.before:.2f} to "
        f"{100 * figure.after:.2f} on {boxes} boxes in {images} images{of})"
    )
    if figure.drop > allowed:
        if 200 / boxes >= allowed and chance(drop) > CHANCE:
            return (
                "unproven",
                f"{found}; allowed are {allowed:g}, but one box weighs {100 / boxes:.1f} points",
            )
        return "refused", f"{found}; allowed are {allowed:g}"
    if figure.at_most > allowed:
        return "unproven", (
            f"{found}, but up to {figure.at_most:.2f} are possible; allowed are {allowed:g}: add images"
        )
    return "proven", ""


def _contradictions(
    found: Sequence[Drops], boxes: Mapping[str, int], record: Mapping[str, float]
) -> list[str]:
    at_half = next((one for one in found if one.metric == "map50"), None)
    here = {str(drop.label): drop.reference for drop in (at_half.classes if at_half else ())}
    return [
        f"class {label!r} has AP@0.5 {share:.2f} here, {record[label]:.2f} in training"
        for label, share in here.items()
        if label in record and boxes.get(label, 0) >= _ENOUGH and 100 * (record[label] - share) > _CONTRADICTS
    ]


def _classes_line(rows: Sequence[BoxRow], budget: Budget) -> str:
    named = ", ".join(
        f"{row.label!r} {row.worst.drop:.1f} points of {NAMES[row.worst.metric]} "
        f"({100 * row.worst.before:.1f} to {100 * row.worst.after:.1f} on {row.boxes} boxes)"
        for row in rows[:_MOST_NAMED]
    )
    more = f" and {len(rows) - _MOST_NAMED} more" if len(rows) > _MOST_NAMED else ""
    return f"class {named}{more}: allowed are {budget.max_class_drop:g} in a class"


def _unproven_classes(
    rows: Sequence[BoxRow], judged: Sequence[BoxRow], missing: Sequence[str], budget: Budget
) -> str:
    if not rows and not missing:
        return ""
    named = [f"{row.label!r} ({row.why})" for row in rows] + [f"{label!r} (no boxes)" for label in missing]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return (
        f"not proven to lose at most {budget.max_class_drop:g} points: {len(named)} of "
        f"{len(judged) + len(missing)} classes: {', '.join(named[:_MOST_NAMED])}{more}"
    )


def _is_hopeless(boxes: int, rows: Sequence[BoxRow], missing: Sequence[str], budget: Budget) -> bool:
    """Whether not even a file equal to the float model could pass: the boxes are too few, or no good."""
    if budget.drop_stated and 100 * least_bound(boxes) > budget.max_drop:
        return True
    if not budget.class_drop_stated:
        return False
    few = any(100 * least_bound(row.boxes) > budget.max_class_drop for row in rows)
    return bool(missing) or few or not all(row.measurable for row in rows)


def _advice(outcome: Outcome, is_contradicted: bool, hopeless: bool) -> str:
    if outcome == "certified":
        return ""
    if is_contradicted:
        return "Look at the labels of the data, or give the data that it was trained on."
    if hopeless:
        return (
            "Not even a file equal to the float model could pass on these images. Give more of them, or "
            "allow more with --max-drop or --max-class-drop."
        )
    if outcome == "unproven":
        return "Give more validation images, or allow more with --max-drop or --max-class-drop."
    return (
        "Calibrate with more images like those it will see, convert to another scheme, or allow more with "
        "--max-drop or --max-class-drop."
    )
