"""What the float detector saw in the validation images: found out once, asked by every rung of the ladder.

Results are decoded under the task's `JUDGING` options, as mAP wants them. Where nobody drew boxes, those that
the float model itself would show, over its threshold, are the truth.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Self

import numpy as np

from calibration.samples import choose
from converters.reference import sha256
from edgecnn.card import Card
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.unlabelled import UNLABELLED
from edgecnn.errors import DataError, ModelError
from edgecnn.evaluation.boxes import bytes_of, hit_of, over
from edgecnn.evaluation.detection import Hit
from edgecnn.evaluation.judged import Judged
from edgecnn.evaluation.reading import Reading
from edgecnn.image import Array
from edgecnn.results import Boxes
from edgecnn.runtime.model import Model
from edgecnn.tasks import TASKS
from edgecnn.tasks.detection.settings import THRESHOLD

MEMORY = 64 << 20
"""Bytes that kept outputs may take."""

SHOWN = 64
"""Images whose outputs are kept to be compared: decibels need no more."""

_IMAGE_BYTES = 16 << 10  # of 300 boxes and what holds them


@dataclass(frozen=True, eq=False)
class BoxReference:
    """What the float model saw.

    Attributes:
        card: of the float model.
        dataset: the images that are judged, cut to what memory holds.
        results: the boxes of each image, decoded under the task's `JUDGING` options.
        truths: what people drew; without labels, the float model's own boxes over its threshold.
        shown: the float outputs of some images by their place: role to values.
        data: which images these were; with labels, the fingerprint is the one that `evaluate` gives.
        model_sha256: of the float model without its card.
        record: the average precision of each class at IoU 0.5, in [0, 1], that training recorded; {} if not.
        unreadable: one line for each image that was left out.
    """

    card: Card
    dataset: Dataset
    results: tuple[Boxes, ...] = field(repr=False)
    truths: tuple[Boxes, ...] = field(repr=False)
    shown: Mapping[int, Mapping[str, Array]] = field(repr=False)
    data: Judged
    model_sha256: str
    record: Mapping[str, float]
    unreadable: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        model: Model,
        dataset: Dataset,
        *,
        record: Mapping[str, float] | None = None,
        most: int | None = None,
        skip_unreadable: bool = False,
    ) -> Self:
        """Show the validation images to the float model.

        Args:
            model: the float model, by the road that candidates go too.
            dataset: with boxes of labels that the model knows; or `UNLABELLED`.
            record: the average precision of each class that training recorded, by label.
            most: images at most; None: as many as `MEMORY` holds.
            skip_unreadable: leave images out that cannot be read; else they are an error.

        Raises:
            DataError: no images, no box in any, another task, a label that the model does not know, an
                unreadable image.
            ModelError: the model's outputs are not numbers, or it failed.
        """
        _check_fit(model.card, dataset)
        if most is not None and most < 1:
            raise DataError(f"{dataset.name}: at least 1 image is needed to judge by, not {most}")
        limit = min(MEMORY // _IMAGE_BYTES, len(dataset) if most is None else most)
        if len(dataset) > limit:
            dataset = choose(dataset, count=limit)
        wanted = places(len(dataset))
        digest = hashlib.sha256("\n".join(dataset.labels).encode())
        shown: dict[int, Mapping[str, Array]] = {}
        results: list[Boxes] = []
        truths: list[Boxes] = []
        room = MEMORY
        with Reading(dataset.samples, skip_unreadable=skip_unreadable) as reading:
            for sample, outputs, found in seen(model, model.card, reading):
                if found is None:
                    raise ModelError(
                        f"{model.path}: its outputs for {sample.image.name} are infinite or not numbers. "
                        "Train or export it again."
                    )
                size = sum(values.nbytes for values in outputs.values())
                if len(results) in wanted and (room >= size or not shown):
                    shown[len(results)] = outputs
                    room -= size
                truth = _truth(sample) if dataset.task != UNLABELLED else _own(found, model.card)
                results.append(found)
                truths.append(truth)
                name = PurePath(sample.image.name).name
                known = b"?" if dataset.task == UNLABELLED else bytes_of(truth)
                digest.update(f"{name}\0".encode(errors="surrogateescape") + known + b"\n")
            unreadable = tuple(reading.unreadable)
        if not results:
            raise DataError(f"{dataset.name}: no image of {len(dataset)} can be read. {unreadable[0]}")
        if not any((~np.asarray(truth.ignored, bool)).any() for truth in truths):
            whose = "no box is drawn" if dataset.task != UNLABELLED else "the float model finds nothing"
            raise DataError(
                f"{dataset.name}: {whose} in {len(results)} images, so nothing can be judged. Give images "
                "that show what it is made for."
            )
        return cls(
            card=model.card,
            dataset=dataset,
            results=tuple(results),
            truths=tuple(truths),
            shown=shown,
            data=Judged(dataset.name, dataset.split, len(results), digest.hexdigest()),
            model_sha256=sha256(model),
            record=dict(record or {}),
            unreadable=unreadable,
        )

    @property
    def is_labelled(self) -> bool:
        """Whether people drew the boxes."""
        return self.dataset.task != UNLABELLED

    @property
    def hit(self) -> Hit:
        """When an answer found a truth."""
        return hit_of(self.card.options)

    @property
    def threshold(self) -> float:
        """The least score of a box that the float model shows."""
        return threshold_of(self.card)


def seen(
    model: Model, card: Card, reading: Reading
) -> Iterator[tuple[Sample, dict[str, Array], Boxes | None]]:
    """Each image that can be read, the model's outputs for it by role, and the boxes they mean.

    Args:
        model: float or integer.
        card: whose options say what outputs mean, but for the task's `JUDGING`.
        reading: the images.

    Returns:
        None for boxes where an output is infinite or not a number.

    Raises:
        DataError: an image cannot be read.
        ModelError: the model failed while running.
    """
    task = TASKS[card.task]
    judged = replace(card, options={**card.options, **task.JUDGING})
    for image in reading:
        sample = reading.handed.popleft()
        tensor, view = model.prepare(image)
        outputs = model.raw(tensor)
        if not all(np.isfinite(values).all() for values in outputs.values()):
            yield sample, outputs, None
            continue
        found = task.decode(outputs, view, judged)
        if not isinstance(found, Boxes):
            raise ModelError(f"{model.path}: gives {type(found).__name__}, not Boxes")
        yield sample, outputs, found


def places(images: int) -> frozenset[int]:
    """Which of so many images are compared output by output: evenly spread."""
    return frozenset(np.linspace(0, images - 1, min(images, SHOWN)).round().astype(int).tolist())


def threshold_of(card: Card) -> float:
    """The least score of a box that is shown."""
    return float(card.options.get("threshold", THRESHOLD))


def _own(found: Boxes, card: Card) -> Boxes:
    sure = over(found, threshold_of(card))
    return Boxes(sure.xyxy, np.ones(len(sure), np.float32), sure.label_id, sure.labels)


def _check_fit(card: Card, dataset: Dataset) -> None:
    if not len(dataset):
        raise DataError(f"{dataset.name}: {dataset.split or 'the data set'} holds no images to judge by")
    if dataset.task == UNLABELLED:
        return
    if dataset.task != card.task:
        raise DataError(f"{dataset.name}: is for {dataset.task}, but {card.name} is for {card.task}")
    if foreign := [label for label in dataset.labels if label not in card.labels]:
        raise DataError(
            f"{dataset.name}: the label {foreign[0]!r} is not one of the {len(card.labels)} of {card.name}. "
            "Give the data it was trained on."
        )


def _truth(sample: Sample) -> Boxes:
    if not isinstance(sample.truth, Boxes):
        raise DataError(f"{sample.image.name}: its truth is {type(sample.truth).__name__}, not Boxes")
    return sample.truth
