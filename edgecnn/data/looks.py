"""Every image of a data set, read once: sizes, what cannot be read, and which are the same.

Knows images only, not what they show; `edgecnn.data.info` and `box_info` judge that.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn import image_file
from edgecnn.data import alike
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.folder import StoredImage
from edgecnn.errors import DataError

_AT_ONCE = 100


@dataclass(frozen=True)
class Sizes:
    """Widths and heights of the images that can be read.

    Attributes:
        width: smallest, median, largest, in pixels.
        height: likewise.
        common: the most frequent sizes ((width, height), count), at most five.
        distinct: how many sizes there are.
    """

    width: tuple[int, int, int]
    height: tuple[int, int, int]
    common: tuple[tuple[tuple[int, int], int], ...]
    distinct: int

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "width": dict(zip(("min", "median", "max"), self.width, strict=True)),
            "height": dict(zip(("min", "median", "max"), self.height, strict=True)),
            "distinct": self.distinct,
            "common": [{"size_wh": list(size), "count": count} for size, count in self.common],
        }


@dataclass(frozen=True)
class Looks:
    """What was seen of n images; others are named by their index.

    Attributes:
        names: n names.
        splits: of each, its split ("all" where there are none).
        size_wh: (n, 2) int64, pixels; 0 of those that cannot be read.
        sizes: of those that can; None where there are none.
        unreadable: (name, reason) of the others.
        groups: two or more images with the same content.
        leaks: the groups among them that lie in different splits.
        near_leaks: pairs from different splits that are nearly the same, but in no group together.
        crowd: how many images were not compared: too plain, or too many.
    """

    names: tuple[str, ...]
    splits: tuple[str, ...]
    size_wh: npt.NDArray[np.int64]
    sizes: Sizes | None
    unreadable: tuple[tuple[str, str], ...]
    groups: list[list[int]]
    leaks: list[list[int]]
    near_leaks: list[tuple[int, int]]
    crowd: int

    def named(self, groups: Sequence[Sequence[int]]) -> tuple[tuple[str, ...], ...]:
        """The names of the images of each group."""
        return tuple(tuple(self.names[index] for index in group) for group in groups)

    def warnings(self) -> list[str]:
        """What deserves attention, worst first, one sentence each."""
        found = []
        if self.unreadable:
            name, reason = self.unreadable[0]
            found.append(f"{len(self.unreadable)} images cannot be read, such as {name}: {reason}")
        if self.leaks:
            found.append(
                f"{len(self.leaks)} images are in more than one split, such as "
                f"{' = '.join(self.named(self.leaks[:1])[0][:2])}: what is judged by them is too good "
                "to be true"
            )
        if self.near_leaks:
            found.append(
                f"{len(self.near_leaks)} pairs of images from different splits are nearly the same, such as "
                f"{' and '.join(self.named(self.near_leaks[:1])[0])}: look at some of them"
            )
        if copies := sum(len(group) - 1 for group in self.groups):
            found.append(
                f"{copies} images are copies of others, such as "
                f"{' = '.join(self.named(self.groups[:1])[0][:2])}"
            )
        if self.crowd:
            found.append(
                f"{self.crowd} images were not searched for near copies: they are too plain, or there "
                "are too many"
            )
        return found


def look_at(parts: Mapping[str, Dataset], progress: Callable[[int, int], None] | None) -> Looks:
    """Read every image of a data set.

    Args:
        parts: the data set of each split, or of "".
        progress: is told now and then how many images are done, and of how many.
    """
    samples = [sample for part in parts.values() for sample in part.samples]
    splits = [split or "all" for split, part in parts.items() for _ in range(len(part))]
    names = [sample.image.name for sample in samples]
    looks = _look_at_all(samples, progress)
    groups = alike.same([look.digest for look in looks])
    order = {split: number for number, split in enumerate(dict.fromkeys(splits))}
    kept = [index for index, look in enumerate(looks) if look.gist is not None]
    near, crowd = alike.nearly_same(
        [gist for look in looks if (gist := look.gist)], [order[splits[index]] for index in kept]
    )
    exact = {index: number for number, group in enumerate(groups) for index in group}
    return Looks(
        names=tuple(names),
        splits=tuple(splits),
        size_wh=np.array([look.size_wh for look in looks], np.int64).reshape(-1, 2),
        sizes=_sizes([look.size_wh for look in looks if not look.reason]),
        unreadable=tuple((name, look.reason) for name, look in zip(names, looks, strict=True) if look.reason),
        groups=groups,
        leaks=[group for group in groups if len({splits[index] for index in group}) > 1],
        near_leaks=[
            (kept[one], kept[two])
            for one, two in near
            if exact.get(kept[one], -1) != exact.get(kept[two], -2)
        ],
        crowd=crowd,
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """One image, looked at: a reason why not, or what was seen."""

    reason: str = ""
    size_wh: tuple[int, int] = (0, 0)
    digest: bytes | None = None
    gist: alike.Gist | None = None


def _look_at_all(samples: Sequence[Sample], progress: Callable[[int, int], None] | None) -> list[_Look]:
    looks: list[_Look] = []
    starts = range(0, len(samples), _AT_ONCE)
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1), thread_name_prefix="edgecnn-info") as pool:
        for some in pool.map(lambda start: [_look(s) for s in samples[start : start + _AT_ONCE]], starts):
            looks += some
            if progress:
                progress(len(looks), len(samples))
    return looks


def _look(sample: Sample) -> _Look:
    source = sample.image
    try:
        if isinstance(source, StoredImage):
            data = source.read_bytes()
            image = image_file.decode(data, source.name)
        else:
            image = source.read()
            data = image.tobytes()
    except DataError as error:
        return _Look(reason=str(error).removeprefix(f"{source.name}: "))
    height, width = image.shape[:2]
    return _Look("", (width, height), blake2b(data, digest_size=16).digest(), alike.gist(image))


def _sizes(found: list[tuple[int, int]]) -> Sizes | None:
    if not found:
        return None
    widths, heights = zip(*found, strict=True)
    counted = Counter(found)
    return Sizes(_span(widths), _span(heights), tuple(counted.most_common(5)), len(counted))


def _span(values: Sequence[int]) -> tuple[int, int, int]:
    return min(values), round(float(np.median(values))), max(values)
