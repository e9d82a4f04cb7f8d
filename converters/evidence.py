"""The images a conversion rests on: training images to calibrate with, validation images to compare on.

Test images are never looked at: what is chosen by them can no longer be judged by them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from calibration.samples import choose
from edgecnn.card import Card, InputSpec
from edgecnn.data import training_splits
from edgecnn.data.dataset import Dataset
from edgecnn.data.unlabelled import UNLABELLED, open_images
from edgecnn.errors import ConversionError, DataError
from edgecnn.evaluation.reading import Reading
from edgecnn.image import Image

Data: TypeAlias = Path | str | tuple[Dataset, Dataset] | None
"""A data set's place, of which the training and the validation part are taken, or the two; None is none."""


@dataclass(frozen=True)
class Evidence:
    """Images to calibrate with and to compare on.

    Attributes:
        training: None where no data were given.
        validation: likewise; noise is then compared on.
    """

    training: Dataset | None
    validation: Dataset | None

    @property
    def is_real(self) -> bool:
        """Whether models are compared on images that they are made for."""
        return self.validation is not None

    def images(self, spec: InputSpec, count: int) -> Iterator[Image]:
        """`count` images to compare on, or as many as there are; the same ones each time.

        Raises:
            DataError: an image cannot be read; names it.
        """
        if self.validation is None:
            yield from noise(spec, count)
            return
        with Reading(choose(self.validation, count=count).samples) as reading:
            for image in reading:
                reading.handed.clear()
                yield image


def gather(data: Data, card: Card, *, calibrated: Sequence[str] = (), unlabelled: bool = False) -> Evidence:
    """The images that were given, once they are known to belong to the card.

    Args:
        data: see `Data`.
        card: of the model.
        calibrated: the schemes that cannot do without training images.
        unlabelled: the place holds photographs that nobody labelled: see `edgecnn.data.unlabelled`.

    Raises:
        ConversionError: no data were given though a scheme needs them.
        DataError: there is no such data set, it has no training part, or it is for another task or has labels
            that the card does not know.
    """
    if data is None:
        if calibrated:
            raise ConversionError(
                f"{calibrated[0]} needs training images to calibrate; there are none. Give them with --data."
            )
        return Evidence(None, None)
    if isinstance(data, Path | str):
        parts = open_images(data) if unlabelled else training_splits(data, task=card.task)
    else:
        parts = data
    for part in parts:
        if part.task == UNLABELLED:
            continue
        if part.task != card.task:
            raise DataError(
                f"{part.name}: is for {part.task}, but {card.name} is for {card.task}. Give other data."
            )
        if foreign := sorted(set(part.labels) - set(card.labels)):
            raise DataError(
                f"{part.name}: the label {foreign[0]!r} is not one of the {len(card.labels)} of {card.name}. "
                "Give the data it was trained on."
            )
    return Evidence(*parts)


def noise(spec: InputSpec, count: int, *, seed: int = 0) -> Iterator[Image]:
    """Images of coarse and fine grain where there are none from a camera: (height, width, 3) uint8."""
    random = np.random.default_rng(seed)
    for number in range(count):
        grain = 1 << number % 4
        size = (-(-spec.height // grain), -(-spec.width // grain), 3)
        coarse = random.integers(0, 256, size, np.uint8).repeat(grain, 0).repeat(grain, 1)
        yield np.ascontiguousarray(coarse[: spec.height, : spec.width])
