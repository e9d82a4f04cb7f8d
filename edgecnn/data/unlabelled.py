"""Photographs that nobody labelled: a folder or an archive of images, however they lie in it.

They calibrate a model as well as labelled ones do, and show whether two models answer alike. Folder names
mean nothing here.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path

from edgecnn import image_file
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.folder import StoredImage
from edgecnn.data.storage import open_storage
from edgecnn.errors import DataError

UNLABELLED = "unlabelled"
"""The task of such a data set: it serves none, and `edgecnn.tasks.TASKS` does not know it."""

CALIBRATION_SHARE = 1 / 3
"""A few hundred images are enough to calibrate; checking gets sharper with every one."""

MOST = 20_000
"""Images that are looked at, shared by the same third; of more, those with the smallest hashes."""


def open_images(path: Path | str) -> tuple[Dataset, Dataset]:
    """Images to calibrate with and others to check on; both have the task `UNLABELLED` and no labels.

    On which side an image lies follows from its name and that of its folder alone, so it stays there when
    images are added. The same content under several names counts once. Every file is read for that, none is
    decoded: a damaged image shows when it is read.

    Args:
        path: a folder, .zip or .tar; images may lie at any depth.

    Returns:
        The calibration part (split "train", a third) and the checking part (split "val"), at least one image
        in each, both in the order of their hashes.

    Raises:
        DataError: nothing is there, it is no folder or archive, it is damaged or unsafe, a file cannot be
            read, or there are fewer than two different images.
    """
    storage = open_storage(Path(path))
    places: dict[str, float] = {
        name: _place(storage.name, name)
        for name in storage.listing.files
        if os.path.splitext(name)[1].lower() in image_file.IMAGE_SUFFIXES  # noqa: PTH122  (see data.folder)
    }
    if not places:
        kinds = " ".join(sorted(image_file.IMAGE_SUFFIXES))
        count = len(storage.listing.files)
        raise DataError(f"{storage.name}: holds no images ({count} other files). Read are {kinds}")
    ordered = sorted(places, key=lambda name: (places[name], name))
    first = sum(place < CALIBRATION_SHARE for place in places.values())
    most = round(MOST * CALIBRATION_SHARE)
    taken = [*ordered[:first][:most], *ordered[first:][: MOST - most]]
    different = _different([StoredImage(storage, name) for name in taken])
    if len(different) < 2:
        raise DataError(
            f"{storage.name}: holds {len(taken)} image(s), {len(different)} different; one part calibrates "
            "and another checks. Add images."
        )
    first = sum(places[image.path] < CALIBRATION_SHARE for image in different)
    first = min(max(first, 1), len(different) - 1)
    samples = tuple(Sample(image, None) for image in different)
    return (
        Dataset(storage.name, UNLABELLED, (), samples[:first], "train"),
        Dataset(storage.name, UNLABELLED, (), samples[first:], "val"),
    )


def _place(storage: str, path: str) -> float:
    """A number in [0, 1), from the file's own name and that of its folder."""
    own = "/".join(f"{storage}/{path}".rsplit("/", 2)[-2:])
    digest = blake2b(f"unlabelled/{own}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2.0**64


def _different(images: Sequence[StoredImage]) -> list[StoredImage]:
    """The images without those whose content came before."""
    seen: set[bytes] = set()
    kept = []
    with ThreadPoolExecutor(4, "edgecnn-hashing") as pool:
        for image, digest in zip(images, pool.map(_digest, images), strict=True):
            if digest not in seen:
                seen.add(digest)
                kept.append(image)
    return kept


def _digest(image: StoredImage) -> bytes:
    return blake2b(image.read_bytes(), digest_size=16).digest()
