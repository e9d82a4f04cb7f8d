"""What is learned from, what is chosen by, and what is judged by: three parts that never share an image.

A data set may come with splits or without. Without, a tenth is the test part: an image belongs to it by a
hash of its own name, so adding images never moves others into or out of the test part, nor does a seed.
Without a validation split, part of what remains is held out, the same share of every class, by seed. An image
with boxes of several classes counts as one of the rarest among them.
"""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from edgecnn.data.dataset import Dataset, label_ids
from edgecnn.errors import DataError
from edgecnn.results import Boxes

TEST_SHARE = 0.1
"""Of a data set that comes without splits."""

HOLD_OUT_SHARE = 0.1
"""Of the training images, where there is no validation split."""

HOLD_OUT_MOST = 2000
"""More make validation slower, hardly better: the standard error of an accuracy is then about 1 point."""


def with_splits(parts: Mapping[str, Dataset]) -> dict[str, Dataset]:
    """The splits that a data set came with; of one that came in one piece, a training and a test part."""
    if "" not in parts:
        return dict(parts)
    whole = parts[""]
    test = _test_part(whole)
    return {
        "train": replace(whole.subset(np.flatnonzero(~test)), split="train"),
        "test": replace(whole.subset(np.flatnonzero(test)), split="test"),
    }


def hold_out(train: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """Divide a training split into training and validation, the same share of every class.

    Every class with two images or more has some on both sides. Which images are held out follows from
    `seed` and their names, not from their order.

    Raises:
        DataError: there are fewer than two images.
    """
    if len(train) < 2:
        raise DataError(f"{train.name}: {len(train)} training image(s) cannot be divided. Add images.")
    share = min(HOLD_OUT_SHARE, HOLD_OUT_MOST / len(train))
    rank = _hashes(train, f"{seed}")
    held = np.zeros(len(train), bool)
    for members in _strata(train):
        count = min(max(1, round(share * len(members))), len(members) - 1)
        held[members[np.argsort(rank[members], kind="stable")[:count]]] = True
    return (
        replace(train.subset(np.flatnonzero(~held)), split="train"),
        replace(train.subset(np.flatnonzero(held)), split="val"),
    )


def _test_part(whole: Dataset) -> npt.NDArray[np.bool_]:
    place = _hashes(whole, "test")
    test = place < TEST_SHARE
    for members in _strata(whole):
        if len(members) > 2 and not test[members].any():  # small classes are judged as well
            test[members[place[members].argmin()]] = True
    return test


def _strata(dataset: Dataset) -> list[npt.NDArray[np.int64]]:
    """Indices of the samples of each class; all samples, where there are no classes."""
    if dataset.task not in ("classification", "detection"):
        return [np.arange(len(dataset))]
    ids = label_ids(dataset) if dataset.task == "classification" else _rarest(dataset)
    return [np.flatnonzero(ids == label_id) for label_id in np.unique(ids)]


def _rarest(dataset: Dataset) -> npt.NDArray[np.int64]:
    """The class in each image that the fewest images have; -1 where there are no boxes; (n,) int64."""
    present = [
        np.unique(sample.truth.label_id) if isinstance(sample.truth, Boxes) else np.empty(0, np.int64)
        for sample in dataset.samples
    ]
    images = np.bincount(np.concatenate([*present, np.empty(0, np.int64)]), minlength=len(dataset.labels))
    return np.array([ids[images[ids].argmin()] if len(ids) else -1 for ids in present], np.int64)


def _hashes(dataset: Dataset, salt: str) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each sample, (n,) float64, from the file's own name and that of its folder."""
    numbers = np.empty(len(dataset), np.uint64)
    for index, sample in enumerate(dataset.samples):
        own = "/".join(sample.image.name.rsplit("/", 2)[-2:])
        digest = blake2b(f"{salt}/{own}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
        numbers[index] = int.from_bytes(digest, "big")
    return numbers / 2.0**64
