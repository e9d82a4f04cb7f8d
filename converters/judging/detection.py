"""Detection: average precision at both of COCO's overlaps; on coarse grids, F1 of centre hits.

A file is shown the images by the road it would take on a device, and its boxes are judged beside the float
model's on the same truth. `box_ruling` decides, `box_verdict` says it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from converters.certificate import Budget
from converters.judging.box_drops import drops
from converters.judging.box_reference import BoxReference, seen
from converters.judging.box_ruling import rule
from converters.judging.box_verdict import BoxSignal, BoxVerdict
from converters.reference import recorded as recorded_figure
from converters.reference import sha256
from converters.signal import SignalToNoise
from edgecnn.card import Card
from edgecnn.data.dataset import Dataset
from edgecnn.errors import ConversionError, ModelError
from edgecnn.evaluation.boxes import BoxAgreement, over, pairs
from edgecnn.evaluation.detection import best_threshold
from edgecnn.evaluation.reading import Reading
from edgecnn.image import Array
from edgecnn.results import Boxes
from edgecnn.runs import Run
from edgecnn.runtime.model import Model

MAX_CLASS_DROP = 2.0


def recorded(run: Run) -> Mapping[str, float]:
    """The average precision of each class at IoU 0.5, in [0, 1]; {} where training did not record it."""
    return recorded_figure(run, "ap50")


def reference(
    model: Model, dataset: Dataset, *, record: Mapping[str, float], most: int | None
) -> BoxReference:
    """See `converters.judging.box_reference.BoxReference.of`."""
    return BoxReference.of(model, dataset, record=record, most=most)


def judge(known: BoxReference, candidate: Model, budget: Budget) -> BoxVerdict:
    """Run a finished file on the reference's images, by the runtime's own road, and judge it.

    Args:
        known: what the float model saw.
        candidate: the finished file.
        budget: what it may cost.

    Raises:
        ConversionError: the file's labels or outputs are not those of the float model.
        DataError: an image cannot be read.
        ModelError: the file failed while running, or the images are not those of the reference any more.
        MissingExtra: pycocotools is not installed.
    """
    if candidate.card.labels != known.card.labels or candidate.card.task != known.card.task:
        raise ConversionError(f"{candidate.path}: its labels are not those of the float model")
    results, watch = _run(known, candidate)
    threshold = best_threshold(results, known.truths, hit=known.hit)
    boxes = _counted(known.truths)
    ruling = rule(
        drops(results, known.results, known.truths, known.hit),
        boxes,
        len(results),
        budget,
        is_labelled=known.is_labelled,
        record=known.record,
        broken=watch.broken,
    )
    return BoxVerdict(
        outcome=ruling.outcome,
        reasons=ruling.reasons,
        notes=(*ruling.notes, *_notes(known)),
        advice=ruling.advice,
        may_be_written=ruling.may_be_written,
        another_may_pass=ruling.another_may_pass,
        budget=budget,
        data=known.data,
        is_labelled=known.is_labelled,
        figures_of_all=ruling.figures,
        agreement=_agreement(results, known, threshold),
        classes=ruling.classes,
        signal=BoxSignal(
            by_role=watch.signal.by_role,
            snr_db=watch.signal.snr_db,
            finite=watch.finite,
            frozen=bool(watch.frozen),
        ),
        thresholds=(known.threshold, threshold),
        boxes=sum(boxes.values()),
        runtime={
            "name": candidate.backend.name,
            "version": candidate.backend.version,
            "threads": candidate.threads,
        },
        reference_sha256=known.model_sha256,
        model_sha256=sha256(candidate),
    )


def settled(card: Card, verdict: BoxVerdict) -> tuple[Card, str]:
    """The card with the threshold that suits the file's scores, and a word on it for the lineage."""
    before, after = (round(one, 4) for one in verdict.thresholds)
    words = f"threshold {after:g} fitted on {verdict.data.images} validation images (float {before:g})"
    return replace(card, options={**card.options, "threshold": after}), words


class _Watch:
    """What is kept of a file's outputs while they stream by."""

    def __init__(self, card: Card) -> None:
        self.signal = SignalToNoise(card)
        self.finite = True
        self._first: dict[str, tuple[Array, Array]] = {}
        self._moved: dict[str, tuple[bool, bool]] = {}

    def see(self, ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> None:
        """An image of which the float model's outputs are kept."""
        self.signal.watch(ours, theirs)
        for role in ours:
            first = self._first.setdefault(role, (ours[role], theirs[role]))
            moved = self._moved.get(role, (False, False))
            self._moved[role] = (
                moved[0] or not np.array_equal(first[0], ours[role]),
                moved[1] or not np.array_equal(first[1], theirs[role]),
            )

    @property
    def frozen(self) -> list[str]:
        """The outputs that never moved, though the float model's did."""
        return [role for role, (before, after) in self._moved.items() if before and not after]

    @property
    def broken(self) -> str:
        """How the outputs are ruined; "" where they are not."""
        if not self.finite:
            return "its outputs are infinite or not numbers"
        if self.frozen:
            return f"its output {self.frozen[0]} is the same for all images"
        return ""


def _run(known: BoxReference, candidate: Model) -> tuple[list[Boxes], _Watch]:
    watch = _Watch(known.card)
    results: list[Boxes] = []
    with Reading(known.dataset.samples, skip_unreadable=bool(known.unreadable)) as reading:
        for _, outputs, found in seen(candidate, known.card, reading):
            expected = known.shown.get(len(results))
            if expected is not None:
                _check_shapes(expected, outputs, candidate)
                watch.see(expected, outputs)
            watch.finite &= found is not None
            results.append(_nothing(known.card) if found is None else found)
    if len(results) != len(known.results):
        raise ModelError(
            f"{known.dataset.name}: {len(results)} images can be read, {len(known.results)} could before. "
            "The data set changed while it was used: convert again."
        )
    return results, watch


def _check_shapes(expected: Mapping[str, Array], found: Mapping[str, Array], candidate: Model) -> None:
    ours, theirs = ({role: values.shape for role, values in one.items()} for one in (expected, found))
    if ours != theirs:
        raise ConversionError(f"{candidate.path}: gives {theirs}, the float model {ours}")


def _nothing(card: Card) -> Boxes:
    return Boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), card.labels)


def _counted(truths: Sequence[Boxes]) -> dict[str, int]:
    counts = sum(
        np.bincount(one.label_id[~np.asarray(one.ignored, bool)], minlength=len(one.labels)) for one in truths
    )
    return dict(zip(truths[0].labels, np.asarray(counts).tolist(), strict=True))


def _agreement(results: Sequence[Boxes], known: BoxReference, threshold: float) -> BoxAgreement:
    theirs = [over(one, known.threshold) for one in known.results]
    ours = [over(one, threshold) for one in results]
    same = np.concatenate([pairs(one, other) for one, other in zip(ours, theirs, strict=True)])
    return BoxAgreement(
        images=len(results),
        boxes=sum(map(len, ours)),
        reference_boxes=sum(map(len, theirs)),
        same=len(same),
        mean_iou=float(same.mean()) if len(same) else None,
    )


def _notes(known: BoxReference) -> list[str]:
    found = []
    if not known.is_labelled:
        found.append(
            "nobody drew boxes: the float model's own, over its threshold, are the truth. mAP@0.5 against "
            "them is held against the budget; a box that moved counts as an error however good it is"
        )
    if known.unreadable:
        found.append(f"{len(known.unreadable)} images were left out: they cannot be read")
    return found
