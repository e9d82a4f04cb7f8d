"""Judging answers that are `Classes`: accuracy, and each image's decision."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError, ModelError
from edgecnn.evaluation.agreement import Agreement, compare, decide
from edgecnn.evaluation.judged import Fingerprint, Judged, matched_labels, refuse_other_images
from edgecnn.image import Array
from edgecnn.results import Classes, Result
from edgecnn.tasks.classification import Metrics, metrics

RESULT = Classes

_BLOCK = 256  # images that are judged at once, so that the scores of all need not be kept
_ELSEWHERE = -2  # a label that the other model does not have; differs from every decision


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a classifier did on a data set.

    Attributes:
        metrics: accuracy, per class, confusion; over the data set's labels, then the model's others.
        truths: (n,) int64, the true label of each judged image; an index into `metrics.labels`.
        decisions: (n,) int64, the label with the highest score, or `UNDECIDED` where several share it.
        data: which images these were.
        unreadable: one line for each image that was left out because it cannot be read.
        agreement: with the reference, where there was one.
    """

    metrics: Metrics
    truths: Array
    decisions: Array
    data: Judged
    unreadable: tuple[str, ...] = ()
    agreement: Agreement | None = None


def judge(
    answers: Iterable[tuple[Sample, Result]], dataset: Dataset, options: Mapping[str, Any]
) -> Evaluation | None:
    """Judge what a model says about each image; None where there is none.

    Args:
        answers: each sample with its result.
        dataset: theirs.
        options: of the model's card; not used.
    """
    images = Fingerprint(dataset)
    whole: Metrics | None = None
    truths: list[Array] = []
    decisions: list[Array] = []
    stream = iter(answers)
    while block := list(islice(stream, _BLOCK)):
        if whole is None:
            labels, columns = matched_labels(_classes(block[0][1]).labels, dataset)
        scores = np.stack([_scores(_classes(result), sample, columns) for sample, result in block])
        true = np.array([_truth(sample) for sample, _ in block], np.int64)
        part = metrics(scores, true, labels)
        whole = part if whole is None else _plus(whole, part)
        truths.append(true)
        decisions.append(decide(scores))
        for (sample, _), number in zip(block, true, strict=True):
            images.add(sample, str(number).encode())
    if whole is None:
        return None
    return Evaluation(whole, np.concatenate(truths), np.concatenate(decisions), images.judged())


def agreement(found: Evaluation, reference: Evaluation) -> Agreement:
    """Compare what two models decided, image by image; labels are matched by name.

    Raises:
        DataError: they judged different images.
    """
    refuse_other_images(found.data, reference.data)
    theirs_as_ours = reference.decisions
    if found.metrics.labels != reference.metrics.labels:
        numbers = {label: number for number, label in enumerate(found.metrics.labels)}
        table = np.array([numbers.get(label, _ELSEWHERE) for label in reference.metrics.labels])
        undecided = reference.decisions < 0
        theirs_as_ours = np.where(undecided, reference.decisions, table[reference.decisions])
    return compare(found.truths, found.decisions, theirs_as_ours)


def _classes(result: Result) -> Classes:
    if not isinstance(result, Classes):  # the loop has refused it already, naming the image
        raise DataError(f"classification wants Classes, not {type(result).__name__}")
    return result


def _scores(result: Classes, sample: Sample, columns: Array) -> Array:
    if len(result.score) != len(columns):
        raise ModelError(
            f"{sample.image.name}: {len(result.score)} scores, but {len(columns)} for the first image"
        )
    if np.isnan(result.score).any():  # NaN compares false with everything, and would pass for right
        raise ModelError(f"{sample.image.name}: the model's scores are NaN. Convert or train it again.")
    return result.score[columns]


def _truth(sample: Sample) -> int:
    if not isinstance(sample.truth, Classes):
        raise DataError(f"{sample.image.name}: its truth is {type(sample.truth).__name__}, not Classes")
    return sample.truth.label_id


def _plus(one: Metrics, other: Metrics) -> Metrics:
    return Metrics(
        labels=one.labels,
        confusion=one.confusion + other.confusion,
        top5_correct=one.top5_correct + other.top5_correct,
        images=one.images + other.images,
        ties=one.ties + other.ties,
    )
