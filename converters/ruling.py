"""Which losses a file may have: the gate's rules, from counts to an outcome.

Overall, a drop that is observed beyond the budget is refused, unless two images more or less would decide it
and an even toss explains it. One inside must be proven: Tango's one-sided bound for matched pairs
(`edgecnn.evaluation.paired`) must lie inside too.

Where nobody labelled the images, the float model's own probabilities say what an answer is worth: changing a
sure answer costs nearly a whole image, changing one of two near-equals next to nothing. The mean of that is
held against the budget, and besides, at most MOST_CHANGED times the budget may be answered otherwise at all,
because the probabilities of an unsure model prove little. Classes are then not judged.

Classes have fewer images, and the worst of many looks bad by chance. A class is refused when its drop lies
beyond the budget, its own images say that this is no even toss (McNemar's test), and it is not what the worst
of so many classes shows if it fares like the others (Bonferroni). That all classes are inside is proven when
each one is, at the same confidence: no correction is needed to prove a claim about all (intersection-union
test; R. L. Berger, 1982, Technometrics 24, 295-300).

The confidence is that of one file. Who tries k files on the same images and keeps one that passes may be
wrong k times as often; images that no file was chosen by have the last word
(`edgecnn evaluate --split test`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from converters.certificate import Budget, ClassRow, Outcome
from edgecnn.evaluation import paired
from edgecnn.evaluation.paired import CONFIDENCE, chance_among_alike, chance_of_loss, upper_bound
from edgecnn.tasks.classification import wilson

MOST_CHANGED = 10
"""Answers that may change on unlabelled images, for each point of accuracy that may be lost."""

_CHANCE = 1 - CONFIDENCE
_MOST_NAMED = 3


@dataclass(frozen=True)
class Tally:
    """What was counted over some images, or over those of one class (`label`)."""

    images: int
    reference_right: int
    lost: int
    gained: int
    label: str = ""

    @property
    def drop(self) -> float:
        """In points."""
        return 100 * (self.lost - self.gained) / self.images

    @property
    def at_most(self) -> float:
        """The largest drop that the images leave possible, in points."""
        return 100 * upper_bound(self.lost, self.gained, self.images)


@dataclass(frozen=True)
class Estimate:
    """What a drop is thought to be on images without labels, in points; `at_most` is its one-sided bound."""

    drop: float
    at_most: float


@dataclass(frozen=True)
class Ruling:
    """See `converters.certificate.Verdict` for what the fields mean."""

    outcome: Outcome
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    advice: str
    may_be_written: bool
    another_may_pass: bool
    classes: tuple[ClassRow, ...]


def rule(
    whole: Tally,
    classes: Sequence[Tally],
    budget: Budget,
    *,
    expected: Estimate | None = None,
    contradictions: Sequence[str] = (),
    missing: Sequence[str] = (),
    broken: str = "",
) -> Ruling:
    """Decide whether a file keeps its promise.

    Args:
        whole: over all images.
        classes: over the images of each class that has any.
        budget: what is allowed.
        expected: the drop, where nobody said what the images show; `whole` then counts changed answers.
        contradictions: see `converters.reference.Reference.contradictions`.
        missing: labels of the data set without an image.
        broken: how the outputs are ruined, where they are.
    """
    judged = [] if expected else judge_classes(classes, budget)
    refused, unproven, stated, notes = [], [], [], []
    if broken:
        refused.append(broken)
    if contradictions:
        refused.append(_contradiction(contradictions))
    overall = _expected(whole, expected, budget) if expected else _overall(whole, budget)
    if overall and overall[0] == "refused":
        refused.append(overall[1])
    elif overall:
        unproven.append(overall[1])
        stated.append(budget.drop_stated)
    worst = [row for row in judged if row.state == "refused"]
    if worst:
        refused.append(_classes_line(worst, budget))
    open_classes = [row for row in judged if row.state == "unproven"]
    if line := _unproven_classes(open_classes, judged, missing, budget):
        if budget.class_drop_stated:
            unproven.append(line)
            stated.append(True)
        else:
            notes.append(line)
    another_may_pass = not contradictions and not _is_hopeless(whole, judged, missing, budget)
    outcome: Outcome = "refused" if refused else "unproven" if unproven else "certified"
    return Ruling(
        outcome=outcome,
        reasons=(*refused, *unproven),
        notes=tuple(notes),
        advice=_advice(outcome, bool(contradictions), another_may_pass),
        may_be_written=not refused and not any(stated),
        another_may_pass=another_may_pass,
        classes=tuple(judged),
    )


def judge_classes(classes: Sequence[Tally], budget: Budget) -> list[ClassRow]:
    """How each class fared, the worst first."""
    usual = median([one.reference_right / one.images for one in classes]) if classes else 0.0
    rows = []
    for one in classes:
        at_most = one.at_most
        row = ClassRow(
            one.label, one.images, one.reference_right, one.lost, one.gained, one.drop, at_most, "proven"
        )
        if one.drop > budget.max_class_drop and not _may_be_chance(one, classes, budget):
            row = replace(row, state="refused", why=f"beyond {budget.max_class_drop:g} points")
        elif not _is_measurable(one, budget, usual):
            why = f"the float model is right on only {one.reference_right / one.images:.0%} of it"
            row = replace(row, state="unproven", why=why, measurable=False)
        elif at_most > budget.max_class_drop:
            row = replace(row, state="unproven", why=_doubt(one, at_most, budget))
        rows.append(row)
    order = {"refused": 0, "unproven": 1, "proven": 1}
    return sorted(rows, key=lambda row: (order[row.state], -row.drop, -row.at_most, row.label))


def _may_be_chance(one: Tally, classes: Sequence[Tally], budget: Budget) -> bool:
    """Whether such a loss may befall the worst of so many classes although it is inside, like the others."""
    if chance_of_loss(one.lost, one.gained) > _CHANCE:
        return True
    if len(classes) == 1:
        return False
    others = sum(each.images for each in classes) - one.images + 1
    gained = (sum(each.gained for each in classes) - one.gained + 0.5) / others
    lost = (sum(each.lost for each in classes) - one.lost + 0.5) / others
    lost = min(lost, gained + budget.max_class_drop / 100, 0.999)  # others beyond the budget excuse none
    chance = chance_among_alike(one.lost, one.gained, one.images, max(lost, 1e-9), min(gained, 0.999))
    return chance * len(classes) > _CHANCE


def _is_measurable(one: Tally, budget: Budget, usual: float) -> bool:
    """Whether the float model knows the class: more of it than may be lost, and half as well as others."""
    if budget.max_class_drop >= 100:  # no limit: nothing has to show
        return True
    share = one.reference_right / one.images
    return 100 * share > budget.max_class_drop and wilson(one.reference_right, one.images)[1] >= usual / 2


def _doubt(one: Tally, at_most: float, budget: Budget) -> str:
    if 100 / one.images > budget.max_class_drop:
        return f"{one.images} images: one weighs {100 / one.images:.1f} points"
    return f"up to {at_most:.1f} points are possible"


def _expected(whole: Tally, expected: Estimate, budget: Budget) -> tuple[Outcome, str] | None:
    """Where the whole stands on images without labels, if not proven inside."""
    changed, allowed = whole.drop, f"allowed are {budget.max_drop:g}"
    found = (
        f"is expected to lose {expected.drop:.2f} points (by the float model's own probabilities; it answers "
        f"otherwise on {changed:.2f} % of {whole.images} images)"
    )
    if expected.drop > budget.max_drop:
        return "refused", f"{found}; {allowed}"
    if changed > MOST_CHANGED * budget.max_drop:
        return "refused", f"{found}; {allowed}, and {MOST_CHANGED * budget.max_drop:g} % changed answers"
    if expected.at_most <= budget.max_drop:
        return None
    return "unproven", f"{found}, but up to {expected.at_most:.2f} are possible; {allowed}: add images"


def _overall(whole: Tally, budget: Budget) -> tuple[Outcome, str] | None:
    """Where the whole stands, if not proven inside."""
    drop, allowed = whole.drop, f"allowed are {budget.max_drop:g}"
    after = whole.reference_right - whole.lost + whole.gained
    found = (
        f"loses {drop:.2f} points of accuracy ({whole.reference_right / whole.images:.1%} to "
        f"{after / whole.images:.1%} on {whole.images} images)"
    )
    if drop > budget.max_drop:
        two_decide = 200 / whole.images >= budget.max_drop
        if two_decide and chance_of_loss(whole.lost, whole.gained) > _CHANCE:
            return "unproven", f"{found}; {allowed}, but one image weighs {100 / whole.images:.1f} points"
        return "refused", f"{found}; {allowed}"
    at_most = whole.at_most
    if at_most <= budget.max_drop:
        return None
    wanted = paired.needed(whole.lost, whole.gained, whole.images, budget.max_drop / 100)
    more = f"about {wanted} images would prove it" if wanted else "no number of images would prove it"
    return (
        "unproven",
        f"{found}, but up to {at_most:.2f} are possible; {allowed}; like this, {more}",
    )


def _classes_line(rows: Sequence[ClassRow], budget: Budget) -> str:
    named = ", ".join(
        f"{row.label!r} {row.drop:.1f} points ({row.reference_right / row.images:.1%} to "
        f"{row.right / row.images:.1%} of {row.images} images)"
        for row in rows[:_MOST_NAMED]
    )
    more = f" and {len(rows) - _MOST_NAMED} more" if len(rows) > _MOST_NAMED else ""
    return f"class {named}{more}: allowed are {budget.max_class_drop:g} in a class"


def _unproven_classes(
    rows: Sequence[ClassRow], judged: Sequence[ClassRow], missing: Sequence[str], budget: Budget
) -> str:
    if not rows and not missing:
        return ""
    named = [f"{row.label!r} ({row.why})" for row in rows] + [f"{label!r} (no images)" for label in missing]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return (
        f"not proven to lose at most {budget.max_class_drop:g} points: {len(named)} of "
        f"{len(judged) + len(missing)} classes: {', '.join(named[:_MOST_NAMED])}{more}"
    )


def _contradiction(lines: Sequence[str]) -> str:
    more = f"; and {len(lines) - _MOST_NAMED} more" if len(lines) > _MOST_NAMED else ""
    return (
        f"the validation data contradict the run: {'; '.join(lines[:_MOST_NAMED])}{more}. Are labels "
        "shuffled, or are these other data?"
    )


def _advice(outcome: Outcome, is_contradicted: bool, another_may_pass: bool) -> str:
    if outcome == "certified":
        return ""
    if is_contradicted:
        return "Look at the labels of the data, or give the data that it was trained on."
    if not another_may_pass:
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


def _is_hopeless(whole: Tally, rows: Sequence[ClassRow], missing: Sequence[str], budget: Budget) -> bool:
    """Whether not even a file equal to the float model could pass: the images are too few, or no good."""
    if budget.drop_stated and 100 * upper_bound(0, 0, whole.images) > budget.max_drop:
        return True
    if not budget.class_drop_stated:
        return False
    few = any(100 * upper_bound(0, 0, row.images) > budget.max_class_drop for row in rows)
    return bool(missing) or few or not all(row.measurable for row in rows)
