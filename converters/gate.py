"""The gate: a finished file is run on validation images and compared with the float model it was made from.

    reference = Reference.of(float_model, validation)         once
    verdict = judge(reference, candidate, Budget())           for every file
    if verdict.may_be_written: ...                            verdict.as_dict() is the card's certificate

Runs and counts; `converters.ruling` decides, `converters.certificate` says it.
"""

from itertools import islice
from math import inf, log10, nan, sqrt

import numpy as np

from converters.certificate import HEADER, Budget, ClassRow, Signal, Verdict
from converters.reference import UNKNOWN, Answers, Reference, judging, probabilities, rows, sha256
from converters.ruling import Estimate, Tally, rule
from edgecnn.errors import ConversionError, ModelError
from edgecnn.evaluation.agreement import UNDECIDED, compare
from edgecnn.evaluation.confidence import calibration_error
from edgecnn.evaluation.judge import Progress
from edgecnn.evaluation.reading import Reading
from edgecnn.image import Array
from edgecnn.runtime.model import Model

__all__ = ["HEADER", "Budget", "ClassRow", "Reference", "Verdict", "judge"]

UNSURE = 0.25
"""A float model whose confidence stays below on most images hardly knows what they show."""

_BLOCK = 256
_SURE = 1.645  # standard deviations that 95 % of a normal distribution lie below
_RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


def judge(
    reference: Reference, candidate: Model, budget: Budget, *, progress: Progress | None = None
) -> Verdict:
    """Run a finished file on the reference's images, by the runtime's own road, and judge it.

    Memory does not grow with the number of images, but for a few numbers of each.

    Args:
        reference: what the float model said.
        candidate: the finished file.
        budget: what it may cost.
        progress: told after every image.

    Raises:
        ConversionError: the file's labels or outputs are not those of the float model.
        DataError: an image cannot be read.
        ModelError: the file failed while running, or the images are not those of the reference any more.
    """
    if candidate.card.labels != reference.card.labels or candidate.card.task != reference.card.task:
        raise ConversionError(f"{candidate.path}: its labels are not those of the float model")
    watch = _run(reference, candidate, progress)
    answers = Answers(np.concatenate(watch.decisions), np.concatenate(watch.confidence))
    truths, before = reference.truths, reference.answers
    right: Array = np.equal(answers.decisions, truths)
    reference_right: Array = np.equal(before.decisions, truths)
    whole = _tally(right, reference_right, np.full(len(truths), True))
    loss = _estimate(watch)
    labels = reference.card.labels
    present = [int(number) for number in np.unique(truths) if number != UNKNOWN]
    classes = [_tally(right, reference_right, truths == number, labels[number]) for number in present]
    seen = {labels[number] for number in present}
    ruling = rule(
        whole,
        classes,
        budget,
        expected=None if reference.is_labelled else loss,
        contradictions=reference.contradictions(budget.max_class_drop),
        missing=[label for label in reference.dataset.labels if label not in seen],
        broken=watch.broken,
    )
    return Verdict(
        outcome=ruling.outcome,
        reasons=ruling.reasons,
        notes=(*ruling.notes, *_notes(reference)),
        advice=ruling.advice,
        may_be_written=ruling.may_be_written,
        another_may_pass=ruling.another_may_pass,
        budget=budget,
        data=reference.data,
        is_labelled=reference.is_labelled,
        reference_right=whole.reference_right,
        agreement=compare(truths, answers.decisions, before.decisions),
        drop=whole.drop if reference.is_labelled else loss.drop,
        at_most=whole.at_most if reference.is_labelled else loss.at_most,
        expected_drop=loss.drop,
        classes=ruling.classes,
        signal=_signal(watch, answers, reference, right, reference_right),
        runtime={
            "name": candidate.backend.name,
            "version": candidate.backend.version,
            "threads": candidate.threads,
        },
        reference_sha256=reference.model_sha256,
        model_sha256=sha256(candidate),
    )


def _notes(reference: Reference) -> list[str]:
    found = []
    usual = float(np.median(reference.answers.confidence))
    if not reference.is_labelled and usual < UNSURE:
        found.append(
            f"the float model is unsure of these images itself (median confidence {usual:.0%}): they may not "
            "be of the kind it is made for"
        )
    if reference.unreadable:
        found.append(f"{len(reference.unreadable)} images were left out: they cannot be read")
    return found


class _Watch:
    """What is kept of a file's outputs while they stream by."""

    def __init__(self, ends: tuple[float, float] | None) -> None:
        self.decisions: list[Array] = []
        self.confidence: list[Array] = []
        self.broken = ""
        self.finite = True
        self.ties = self.saturated = self.clipped = 0
        self.signal = self.noise = 0.0
        self.losses: list[Array] = []
        self.ends = ends
        self.low: Array | None = None
        self.high: Array | None = None

    def see(self, outputs: Array, reference: Reference, start: int) -> None:
        """A block of images: outputs (b, k), beside the reference's from `start` on."""
        theirs = reference.outputs[start : start + len(outputs)]
        sound = np.isfinite(outputs).all(axis=1, keepdims=True)
        self.finite &= bool(sound.all())
        outputs = np.where(sound, outputs, np.float32(0))  # all equal: decides nothing
        _, answers_of = judging(reference.card)
        answers = answers_of(outputs, reference.card)
        self.decisions.append(answers.decisions)
        self.confidence.append(answers.confidence)
        wide = theirs.astype(np.float64)
        self.signal += float((wide * wide).sum())
        self.noise += float(((outputs - wide) ** 2).sum())
        self.ties += int((answers.decisions == UNDECIDED).sum())
        self.losses.append(_expected_losses(outputs, theirs, reference))
        low, high = outputs.min(0), outputs.max(0)
        self.low = low if self.low is None else np.minimum(self.low, low)
        self.high = high if self.high is None else np.maximum(self.high, high)
        if self.ends is not None:
            floor, ceiling = self.ends
            self.saturated += int((outputs.max(1) >= ceiling).sum())
            self.clipped += int(((outputs >= ceiling) | (outputs <= floor)).any(1).sum())

    @property
    def frozen(self) -> bool:
        """No output ever moved."""
        return self.low is not None and self.high is not None and bool((self.low == self.high).all())


def _run(reference: Reference, candidate: Model, progress: Progress | None) -> _Watch:
    role, _ = judging(reference.card)
    watch = _Watch(None if reference.card.options.get("scores") != "logits" else _ends(candidate, role))
    count, expected = 0, len(reference.outputs)
    with Reading(reference.dataset.samples, skip_unreadable=bool(reference.unreadable)) as reading:
        answers = rows(candidate, reading, role, progress=progress, total=len(reference.dataset))
        while block := list(islice(answers, _BLOCK)):
            outputs = np.stack([row for _, row in block])
            if outputs.shape[1] != reference.outputs.shape[1]:
                raise ConversionError(
                    f"{candidate.path}: gives {outputs.shape[1]} numbers, the float model "
                    f"{reference.outputs.shape[1]}"
                )
            if count + len(block) <= expected:
                watch.see(outputs, reference, count)
            count += len(block)
    if count != expected:
        raise ModelError(
            f"{reference.dataset.name}: {count} images can be read, {expected} could before. The data set "
            "changed while it was used: convert again."
        )
    if not watch.finite:
        watch.broken = "its outputs are infinite or not numbers"
    elif watch.frozen and np.ptp(reference.outputs, axis=0).any():
        watch.broken = f"it gives the same answer to all {expected} images"
    return watch


def _expected_losses(outputs: Array, theirs: Array, reference: Reference) -> Array:
    """What each decision loses by the float model's probabilities; a tie loses most. (b,) in [0, 1]."""
    chances = probabilities(theirs, reference.card).astype(np.float64)
    chosen = np.where(outputs == outputs.max(1, keepdims=True), chances, np.inf).min(1)
    return np.asarray(chances.max(1) - chosen)


def _estimate(watch: _Watch) -> Estimate:
    """The mean loss, and its bound by the normal law, one unseen image that loses most of all added."""
    losses = np.concatenate(watch.losses)
    worst = float(losses.max()) or 1.0
    seen = np.append(losses, worst)
    at_most = seen.mean() + _SURE * seen.std(ddof=1) / sqrt(len(seen))
    return Estimate(100 * float(losses.mean()), 100 * float(at_most))


def _signal(
    watch: _Watch, answers: Answers, reference: Reference, right: Array, reference_right: Array
) -> Signal:
    images = len(reference.outputs)
    change = answers.confidence.astype(np.float64) - reference.answers.confidence
    errors = None
    if reference.is_labelled:
        errors = (
            calibration_error(reference.answers.confidence, reference_right),
            calibration_error(answers.confidence, right),
        )
    return Signal(
        snr_db=_decibels(watch.signal, watch.noise) if watch.finite else nan,
        ties=watch.ties,
        saturated=None if watch.ends is None else watch.saturated / images,
        clipped=None if watch.ends is None else watch.clipped / images,
        finite=watch.finite,
        frozen=watch.frozen,
        confidence_drift=float(change.mean()),
        confidence_change_p95=float(np.quantile(np.abs(change), 0.95)),
        calibration_error=errors,
    )


def _tally(right: Array, reference_right: Array, members: Array, label: str = "") -> Tally:
    ours, theirs = right[members], reference_right[members]
    return Tally(
        images=len(ours),
        reference_right=int(theirs.sum()),
        lost=int((theirs & ~ours).sum()),
        gained=int((ours & ~theirs).sum()),
        label=label,
    )


def _ends(model: Model, role: str) -> tuple[float, float] | None:
    """The lowest and highest number that the output can hold; None where it is computed in float.

    A float output right behind a DEQUANTIZE holds what the integers before it held.
    """
    graph = model.graph
    named = [index for index in graph.outputs if graph.tensors[index].name == model.card.outputs.get(role)]
    index = named[0] if named else graph.outputs[0]
    for operator in graph.ops:
        if operator.kind == "DEQUANTIZE" and index in operator.outputs:
            index = operator.inputs[0]
            break
    tensor = graph.tensors[index]
    if tensor.dtype not in _RANGES or len(tensor.scale) != 1:
        return None
    # in float32, as the runtime and the kernel compute it: the ends must compare equal
    low, high = (
        float(np.float32(end - int(tensor.zero_point[0])) * np.float32(tensor.scale[0]))
        for end in _RANGES[tensor.dtype]
    )
    return low, high


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return inf
    return 10 * log10(signal / noise) if signal else -inf
