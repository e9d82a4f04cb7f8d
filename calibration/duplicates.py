"""Images that are the same, or nearly: within a set, and between two that should share none.

Sixteen bytes are kept of each image: a digest of its pixels and its difference hash. Where two hashes are
close, both images are read again and compared as `edgecnn.data.alike` does, for hashes alone mistake plain
images for each other.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

from edgecnn.data import alike
from edgecnn.data.dataset import Sample
from edgecnn.image import Image

MOST_COMPARED: Final = 200
"""Pairs with close hashes that are read again, at most."""

_BLOCK: Final = 256


class Signatures:
    """What is kept of a set's images, in their order."""

    def __init__(self) -> None:
        self._digests = array("Q")
        self._hashes = array("Q")

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, image: Image) -> None:
        """Keep the signature of the next image, (h, w, 3) uint8 BGR."""
        digest = blake2b(f"{image.shape}".encode(), digest_size=8)
        digest.update(np.ascontiguousarray(image).data)
        self._digests.append(int.from_bytes(digest.digest(), "little"))
        self._hashes.append(int.from_bytes(alike.gist(image).bits.tobytes(), "little"))

    @property
    def digests(self) -> npt.NDArray[np.uint64]:
        """(n,) of the pixels and their shape."""
        return np.frombuffer(self._digests, np.uint64) if self._digests else np.empty(0, np.uint64)

    @property
    def signs(self) -> npt.NDArray[np.float32]:
        """(n, 64) the hashes' bits as -1 and 1: a product of two is 64 less twice the bits that differ."""
        if not self._hashes:
            return np.empty((0, 64), np.float32)
        raw = np.frombuffer(self._hashes, np.uint8).reshape(-1, 8)
        return np.unpackbits(raw, axis=1).astype(np.float32) * 2 - 1


@dataclass(frozen=True)
class Pairs:
    """Pairs of image numbers, the first of the one set and the second of the other, or both of one.

    Attributes:
        same: with the same pixels; of several alike, each with the first.
        near: nearly the same, but not in `same`.
    """

    same: tuple[tuple[int, int], ...]
    near: tuple[tuple[int, int], ...]


def within(signatures: Signatures, samples: Sequence[Sample]) -> Pairs:
    """Pairs of one set.

    Raises:
        DataError: an image can no longer be read.
    """
    first: dict[int, int] = {}
    same = []
    for number, digest in enumerate(signatures.digests.tolist()):
        if (earlier := first.setdefault(digest, number)) != number:
            same.append((earlier, number))
    copies = {number for _, number in same}
    close = [
        pair
        for pair in _close(signatures.signs, signatures.signs)
        if pair[0] < pair[1] and not copies.intersection(pair)
    ]
    return Pairs(tuple(same), _confirmed(close, samples, samples))


def between(one: Signatures, ones: Sequence[Sample], other: Signatures, others: Sequence[Sample]) -> Pairs:
    """Pairs of two sets.

    Raises:
        DataError: an image can no longer be read.
    """
    places = {digest: number for number, digest in enumerate(other.digests.tolist())}
    same = [
        (number, places[digest]) for number, digest in enumerate(one.digests.tolist()) if digest in places
    ]
    copies = {number for number, _ in same}
    close = [pair for pair in _close(one.signs, other.signs) if pair[0] not in copies]
    return Pairs(tuple(same), _confirmed(close, ones, others))


def _close(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start in range(0, len(one), _BLOCK):
        close = one[start : start + _BLOCK] @ other.T >= 64 - 2 * alike.DIFFERENT_BITS
        rows, columns = close.nonzero()
        found += zip((rows + start).tolist(), columns.tolist(), strict=True)
    return found


def _confirmed(
    close: Sequence[tuple[int, int]], ones: Sequence[Sample], others: Sequence[Sample]
) -> tuple[tuple[int, int], ...]:
    """The pairs that are alike when looked at again: a limited number."""
    return tuple(
        (one, other) for one, other in close[:MOST_COMPARED] if _alike(ones[one].read(), others[other].read())
    )


def _alike(one: Image, other: Image) -> bool:
    first, second = (alike.gist(image).tiny.astype(np.float64) for image in (one, other))
    if np.abs(first - second).mean() > alike.DIFFERENT_LEVELS:
        return False
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.linalg.norm(first) * np.linalg.norm(second))
    return scale > 0 and float(first @ second) / scale >= alike.ALIKE
