"""Judging a model on a data set: the same code for Keras, float and int8.

Knows nothing of how a model runs: it is given a function from images to results. What the numbers mean is
up to `edgecnn.tasks`; how two models compare, to `edgecnn.evaluation.agreement`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import PurePath
from typing import TypeAlias

import numpy as np

from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError, ModelError
from edgecnn.evaluation.agreement import Agreement, compare, decide
from edgecnn.evaluation.reading import Reading
from edgecnn.image import Array, Image
from edgecnn.results import Classes, Result
from edgecnn.tasks.classification import Metrics, metrics

Predict: TypeAlias = Callable[[Iterable[Image]], Iterator[Result]]
"""Turns images into results, one for each, in the same order; may read ahead, from any one thread."""

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many images are done, of how many."""

_BLOCK = 256  # images that are judged at once, so that the scores of all need not be kept
_ELSEWHERE = -2  # a label that the other model does not have; differs from every decision


@dataclass(frozen=True)
class Judged:
    """Which images were judged: accuracies compare only where this is equal.

    Attributes:
        name: of the data set.
        split: of the data set, or None.
        images: how many were judged.
        sha256: over the labels, and the file name and truth of every judged image, in order.
    """

    name: str
    split: str | None
    images: int
    sha256: str


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a model did on a data set.

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


def evaluate(
    predict: Predict,
    dataset: Dataset,
    *,
    reference: Predict | Evaluation | None = None,
    skip_unreadable: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Judge a model on a data set.

    The model may know more labels than the data and in another order: labels are matched by name, and an
    answer that the data does not know is a wrong answer. Memory does not grow with the number of images.

    Args:
        predict: the model, such as `edgecnn.load(path).map`.
        dataset: of the task classification.
        reference: another model to agree with, or what `evaluate` found for it on the same data set.
        skip_unreadable: leave images out that cannot be read, and list them; else they are an error.
        progress: told after every image; those shown to the reference count.

    Raises:
        DataError: no images, another task, an image that cannot be read (named), a label that the model
            does not know, a reference that judged other images.
        ModelError: the model's scores are NaN, or it does not give one result for each image.
    """
    if dataset.task != "classification":
        raise DataError(f"{dataset.name}: its task is {dataset.task}; only classification can be judged")
    if not len(dataset):
        raise DataError(f"{dataset.name}: {dataset.split or 'the data set'} holds no images to judge")
    if not callable(reference):
        found = _judge(predict, dataset, skip_unreadable, progress, range(len(dataset)))
        return found if reference is None else replace(found, agreement=agreement(found, reference))
    both = 2 * len(dataset)
    other = _judge(reference, dataset, skip_unreadable, progress, range(both))
    found = _judge(predict, dataset, skip_unreadable, progress, range(len(dataset), both))
    return replace(found, agreement=agreement(found, other))


def agreement(found: Evaluation, reference: Evaluation) -> Agreement:
    """Compare what two models decided, image by image; labels are matched by name.

    Raises:
        DataError: they judged different images.
    """
    if found.data.sha256 != reference.data.sha256:
        ours, theirs = (
            f"{d.images} images of {d.name} {d.split or ''}".rstrip() for d in (found.data, reference.data)
        )
        raise DataError(
            f"the model judged {ours}, its reference judged {theirs}, and these are not the same images "
            "in the same order. Evaluate both on the same data."
        )
    theirs_as_ours = reference.decisions
    if found.metrics.labels != reference.metrics.labels:
        numbers = {label: number for number, label in enumerate(found.metrics.labels)}
        table = np.array([numbers.get(label, _ELSEWHERE) for label in reference.metrics.labels])
        undecided = reference.decisions < 0
        theirs_as_ours = np.where(undecided, reference.decisions, table[reference.decisions])
    return compare(found.truths, found.decisions, theirs_as_ours)


def _judge(
    predict: Predict, dataset: Dataset, skip_unreadable: bool, progress: Progress | None, steps: range
) -> Evaluation:
    digest = hashlib.sha256("\n".join(dataset.labels).encode())
    whole: Metrics | None = None
    truths: list[Array] = []
    decisions: list[Array] = []
    with Reading(dataset.samples, skip_unreadable=skip_unreadable) as reading:
        answers = _answers(predict, reading, progress, steps)
        while block := list(islice(answers, _BLOCK)):
            if whole is None:
                labels, columns = _match(block[0][1].labels, dataset)
            scores = np.stack([_scores(result, sample, columns) for sample, result in block])
            true = np.array([_truth(sample) for sample, _ in block], np.int64)
            part = metrics(scores, true, labels)
            whole = part if whole is None else _plus(whole, part)
            truths.append(true)
            decisions.append(decide(scores))
            for (sample, _), number in zip(block, true, strict=True):
                digest.update(f"{PurePath(sample.image.name).name}\0{number}\n".encode())
    if whole is None:
        raise DataError(f"{dataset.name}: no image of {len(dataset)} can be read. {reading.unreadable[0]}")
    data = Judged(dataset.name, dataset.split, whole.images, digest.hexdigest())
    return Evaluation(
        whole, np.concatenate(truths), np.concatenate(decisions), data, tuple(reading.unreadable)
    )


def _answers(
    predict: Predict, reading: Reading, progress: Progress | None, steps: range
) -> Iterator[tuple[Sample, Classes]]:
    """Each sample with what the model says about it, as many of one as of the other."""
    done = 0
    for result in predict(reading):
        if not reading.handed:
            raise ModelError(f"the model gave more results than the {done} images it was shown")
        sample = reading.handed.popleft()
        if not isinstance(result, Classes):
            raise DataError(
                f"{sample.image.name}: the model gave {type(result).__name__}, the data wants Classes. "
                "Judge it on data of its own task."
            )
        done += 1
        if progress:
            progress(steps.start + done + len(reading.unreadable), steps.stop)
        yield sample, result
    if reading.handed:
        raise ModelError(f"the model gave {done} results for {done + len(reading.handed)} images")


def _match(model_labels: tuple[str, ...], dataset: Dataset) -> tuple[tuple[str, ...], Array]:
    """The labels that are judged, the data set's first, and the model's column of each."""
    if model_labels == dataset.labels:
        return model_labels, np.arange(len(model_labels))
    if missing := [label for label in dataset.labels if label not in model_labels]:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(
            f"{dataset.name}: the model does not know the label {missing[0]!r}{more}; its labels are "
            f"{_some(model_labels)}. Rename the data's labels or the model's, so that they match."
        )
    if twice := [label for label in dataset.labels if model_labels.count(label) > 1]:
        raise DataError(
            f"two labels of the model are named {twice[0]!r}. Rename one, so that the data means one."
        )
    wanted = [model_labels.index(label) for label in dataset.labels]
    columns = wanted + sorted(set(range(len(model_labels))) - set(wanted))
    return tuple(model_labels[column] for column in columns), np.array(columns)


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


def _some(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:5]) + (f", … ({len(labels)})" if len(labels) > 5 else "")
