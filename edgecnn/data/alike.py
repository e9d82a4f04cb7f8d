"""Images that are the same, or nearly: by a digest of their content, and by what is left of tiny ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgecnn.data.dataset import Image

DIFFERENT_BITS = 10
"""Nearly the same: at most so many of the 64 bits of the hash differ, …"""

DIFFERENT_LEVELS = 12.0
"""… the tiny images differ by at most so many grey levels on average, …"""

ALIKE = 0.9
"""… and are correlated at least so well, or else all plain images would be alike.

With these three, 94 pairs between the training and the test images of CIFAR-10 are found; sixty looked at
showed the same thing twice. Of 480,000 pairs of drawn scenes, none are.
"""

_TINY = 16
_CROWD = 1000
_BLOCK = 64
_MOST_COMPARISONS = 5_000_000_000  # about 10 s


@dataclass(frozen=True, slots=True)
class Gist:
    """What is left of an image for comparing.

    Attributes:
        bits: (8,) uint8, its difference hash of 64 bits.
        tiny: (256,) uint8, the grey image at 16 x 16.
    """

    bits: npt.NDArray[np.uint8]
    tiny: npt.NDArray[np.uint8]


def gist(image: Image) -> Gist:
    """Reduce an image, (h, w, 3) uint8 BGR.

    The hash says for each of 8 x 8 cells whether it is darker than the next to the right (N. Krawetz, 2013).
    """
    small = cv2.resize(image, (72, 64), interpolation=cv2.INTER_AREA) if min(image.shape[:2]) > 72 else image
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    cells = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA)
    bits = np.packbits(cells[:, 1:] > cells[:, :-1])
    tiny = cv2.resize(grey, (_TINY, _TINY), interpolation=cv2.INTER_AREA)
    return Gist(bits, tiny.ravel().astype(np.uint8))


def same(digests: Sequence[bytes | None]) -> list[list[int]]:
    """Groups of two or more indices with the same digest; None is like nothing. By first index."""
    found: dict[bytes, list[int]] = {}
    for index, digest in enumerate(digests):
        if digest is not None:
            found.setdefault(digest, []).append(index)
    return [group for group in found.values() if len(group) > 1]


def nearly_same(gists: Sequence[Gist], parts: Sequence[int]) -> tuple[list[tuple[int, int]], int]:
    """Pairs from different parts that are nearly the same.

    Args:
        gists: of the images.
        parts: the number of each one's split, from 0; the largest split first is fastest.

    Returns:
        Pairs of indices, sorted; and how many images were not compared: those that resemble thousands, being
        plain, or all, where there are too many to compare each with each.
    """
    part = np.array(parts, np.int64)
    sizes = np.bincount(part)
    if len(sizes) < 2:
        return [], 0
    if (np.cumsum(sizes)[:-1] * sizes[1:]).sum() > _MOST_COMPARISONS:
        return [], len(gists)
    # bits as -1 and 1: a product of two hashes is 64 less twice the bits that differ
    signs = np.unpackbits(np.stack([each.bits for each in gists]), axis=1).astype(np.float32) * 2 - 1
    tiny = np.stack([each.tiny for each in gists]).astype(np.float32)
    flat = tiny - tiny.mean(1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    pairs = []
    crowd = 0
    for number in range(1, len(sizes)):
        earlier, own = np.flatnonzero(part < number), np.flatnonzero(part == number)
        before = np.ascontiguousarray(signs[earlier].T)
        for block in np.split(own, range(_BLOCK, len(own), _BLOCK)):
            candidates = signs[block] @ before >= 64 - 2 * DIFFERENT_BITS
            for one, close in zip(block, candidates, strict=True):
                others = earlier[close]
                if len(others) > _CROWD:
                    crowd += 1
                    continue
                levels = np.abs(tiny[others] - tiny[one]).mean(1)
                near = (levels <= DIFFERENT_LEVELS) & (flat[others] @ flat[one] >= ALIKE)
                pairs += [(int(other), int(one)) for other in others[near]]
    return sorted(pairs), crowd
