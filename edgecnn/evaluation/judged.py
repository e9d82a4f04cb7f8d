"""Which images were judged, and by which labels: what two figures must share to be compared."""

import hashlib
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError
from edgecnn.image import Array


@dataclass(frozen=True)
class Judged:
    """Which images were judged: figures compare only where this is equal.

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


class Fingerprint:
    """The images of a data set as they are judged, one after the other."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._digest = hashlib.sha256("\n".join(dataset.labels).encode())
        self._images = 0

    def add(self, sample: Sample, truth: bytes) -> None:
        """One more image, and its truth in bytes."""
        self._images += 1
        self._digest.update(f"{PurePath(sample.image.name).name}\0".encode() + truth + b"\n")

    def judged(self) -> Judged:
        """All images so far."""
        data = self._dataset
        return Judged(data.name, data.split, self._images, self._digest.hexdigest())


def refuse_other_images(found: Judged, reference: Judged) -> None:
    """Refuse to compare figures of different images.

    Raises:
        DataError: they are not the same.
    """
    if found.sha256 != reference.sha256:
        ours, theirs = (f"{d.images} images of {d.name} {d.split or ''}".rstrip() for d in (found, reference))
        raise DataError(
            f"the model judged {ours}, its reference judged {theirs}, and these are not the same images "
            "in the same order. Evaluate both on the same data."
        )


def matched_labels(model_labels: tuple[str, ...], dataset: Dataset) -> tuple[tuple[str, ...], Array]:
    """The labels that are judged, the data set's first, and the model's number of each.

    Raises:
        DataError: the model does not know a label of the data, or means two by it.
    """
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


def _some(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:5]) + (f", … ({len(labels)})" if len(labels) > 5 else "")
