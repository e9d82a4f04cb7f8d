"""Judging a model on a data set: the same code for Keras, float and int8.

Knows nothing of how a model runs: it is given a function from images to results. What the answers are worth
is up to one module for each task; which images these were, to `edgecnn.evaluation.judged`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias, cast

from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError, ModelError
from edgecnn.evaluation import boxes, classes
from edgecnn.evaluation.agreement import Agreement
from edgecnn.evaluation.boxes import BoxAgreement, BoxEvaluation
from edgecnn.evaluation.classes import Evaluation
from edgecnn.evaluation.reading import Reading
from edgecnn.image import Image
from edgecnn.results import Result

Predict: TypeAlias = Callable[[Iterable[Image]], Iterator[Result]]
"""Turns images into results, one for each, in the same order; may read ahead, from any one thread."""

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many images are done, of how many."""

JUDGES: dict[str, Any] = {"classification": classes, "detection": boxes}
"""The module that judges each task: RESULT, the type of an answer; `judge` and `agreement`."""


def evaluate(
    predict: Predict,
    dataset: Dataset,
    *,
    reference: Predict | Evaluation | BoxEvaluation | None = None,
    options: Mapping[str, Any] | None = None,
    reference_options: Mapping[str, Any] | None = None,
    skip_unreadable: bool = False,
    progress: Progress | None = None,
) -> Evaluation | BoxEvaluation:
    """Judge a model on a data set.

    The model may know more labels than the data and in another order: labels are matched by name. An answer
    that the data does not know is wrong where an image has one answer, and is left out where it has many.
    Memory does not grow with the number of images, but for their answers.

    Args:
        predict: the model, such as `edgecnn.load(path).map`. A detector's answers must be those under its
            task's JUDGING options: `edgecnn.load(path, options=JUDGING).map`.
        dataset: of a task in `JUDGES`.
        reference: another model to agree with, or what `evaluate` found for it on the same data set.
        options: of the model's card: a detector's threshold is the one its precision is judged at.
        reference_options: likewise of the reference's, where it is a model.
        skip_unreadable: leave images out that cannot be read, and list them; else they are an error.
        progress: told after every image; those shown to the reference count.

    Raises:
        DataError: no images, another task, an image that cannot be read (named), a label that the model
            does not know, a reference that judged other images.
        ModelError: the model's scores are NaN, or it does not give one result for each image.
        MissingExtra: the data is for detection, and pycocotools is not installed.
    """
    if dataset.task not in JUDGES:
        raise DataError(
            f"{dataset.name}: its task is {dataset.task}; only {' and '.join(JUDGES)} can be judged"
        )
    if not len(dataset):
        raise DataError(f"{dataset.name}: {dataset.split or 'the data set'} holds no images to judge")
    steps = range(len(dataset))
    if callable(reference):
        both = 2 * len(dataset)
        reference = _judge(
            reference, dataset, reference_options or {}, skip_unreadable, progress, range(both)
        )
        steps = range(len(dataset), both)
    found = _judge(predict, dataset, options or {}, skip_unreadable, progress, steps)
    return found if reference is None else _with(found, agreement(found, reference))


def agreement(
    found: Evaluation | BoxEvaluation, reference: Evaluation | BoxEvaluation
) -> Agreement | BoxAgreement:
    """Compare what two models said, image by image; labels are matched by name.

    Raises:
        DataError: they judged different images.
    """
    if isinstance(found, Evaluation) and isinstance(reference, Evaluation):
        return classes.agreement(found, reference)
    if isinstance(found, BoxEvaluation) and isinstance(reference, BoxEvaluation):
        return boxes.agreement(found, reference)
    kinds = type(found).__name__, type(reference).__name__
    raise DataError(f"the model's {kinds[0]} cannot be compared with a {kinds[1]}: their tasks differ")


def _with(found: Evaluation | BoxEvaluation, compared: Any) -> Evaluation | BoxEvaluation:
    return replace(found, agreement=compared)


def _judge(
    predict: Predict,
    dataset: Dataset,
    options: Mapping[str, Any],
    skip_unreadable: bool,
    progress: Progress | None,
    steps: range,
) -> Evaluation | BoxEvaluation:
    judge = JUDGES[dataset.task]
    with Reading(dataset.samples, skip_unreadable=skip_unreadable) as reading:
        found = judge.judge(_answers(predict, reading, judge.RESULT, progress, steps), dataset, options)
        if found is None:
            raise DataError(
                f"{dataset.name}: no image of {len(dataset)} can be read. {reading.unreadable[0]}"
            )
        return cast(Evaluation | BoxEvaluation, replace(found, unreadable=tuple(reading.unreadable)))


def _answers(
    predict: Predict, reading: Reading, wanted: type[Result], progress: Progress | None, steps: range
) -> Iterator[tuple[Sample, Result]]:
    """Each sample with what the model says about it, as many of one as of the other."""
    done = 0
    for result in predict(reading):
        if not reading.handed:
            raise ModelError(f"the model gave more results than the {done} images it was shown")
        sample = reading.handed.popleft()
        if not isinstance(result, wanted):
            raise DataError(
                f"{sample.image.name}: the model gave {type(result).__name__}, the data wants "
                f"{wanted.__name__}. Judge it on data of its own task."
            )
        done += 1
        if progress:
            progress(steps.start + done + len(reading.unreadable), steps.stop)
        yield sample, result
    if reading.handed:
        raise ModelError(f"the model gave {done} results for {done + len(reading.handed)} images")
