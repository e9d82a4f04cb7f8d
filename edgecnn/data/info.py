"""What is in a data set, and what is wrong with it, before anyone trains on it.

Reads every image once. Images of two splits that are the same make a test say too much; the same image
under two labels makes a network learn nothing from either. The CLI prints what `inspect_dataset` finds.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn import image_file
from edgecnn.data import alike, folder, open_parts
from edgecnn.data.dataset import Dataset, Sample, label_ids
from edgecnn.data.storage import Place
from edgecnn.errors import DataError

IMBALANCE = 3.0
"""A class with so many times the images of another is worth a warning."""

FEW = 20
"""So few training images of a class are worth a warning."""

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


@dataclass(frozen=True)
class DatasetInfo:
    """What was found.

    Attributes:
        name: of the data set.
        labels: of its classes.
        counts: for each split ("all" where it comes in one piece), images of each label.
        balance: images of the largest class over those of the smallest, in what is learned from.
        sizes: of the images; None where none can be read.
        unreadable: (name, reason) of each image that cannot be read.
        duplicates: names of images with the same content, in one group each; whatever their split and label.
        mislabelled: the groups among them that lie under different labels.
        leaks: the groups among them that lie in different splits.
        near_leaks: pairs of images from different splits that are nearly the same, but not in `leaks`.
        others: files that are no images, by their ending.
        warnings: what deserves attention, worst first, one sentence each.
    """

    name: str
    labels: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    balance: float
    sizes: Sizes | None
    unreadable: tuple[tuple[str, str], ...]
    duplicates: tuple[tuple[str, ...], ...]
    mislabelled: tuple[tuple[str, ...], ...]
    leaks: tuple[tuple[str, ...], ...]
    near_leaks: tuple[tuple[str, str], ...]
    others: Mapping[str, int]
    warnings: tuple[str, ...]

    @property
    def images(self) -> int:
        """All images, readable or not."""
        return sum(map(sum, self.counts.values()))

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        sizes = self.sizes
        return {
            "name": self.name,
            "images": self.images,
            "labels": list(self.labels),
            "counts": {
                split: dict(zip(self.labels, counts, strict=True)) for split, counts in self.counts.items()
            },
            "balance": round(self.balance, 3),
            "sizes": sizes
            and {
                "width": dict(zip(("min", "median", "max"), sizes.width, strict=True)),
                "height": dict(zip(("min", "median", "max"), sizes.height, strict=True)),
                "distinct": sizes.distinct,
                "common": [{"size_wh": list(size), "count": count} for size, count in sizes.common],
            },
            "unreadable": [{"name": name, "reason": reason} for name, reason in self.unreadable],
            "duplicates": [list(group) for group in self.duplicates],
            "mislabelled": [list(group) for group in self.mislabelled],
            "leaks": [list(group) for group in self.leaks],
            "near_leaks": [list(pair) for pair in self.near_leaks],
            "others": dict(self.others),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class _Look:
    """One image, looked at: a reason why not, or what was seen."""

    reason: str = ""
    size_wh: tuple[int, int] = (0, 0)
    digest: bytes | None = None
    gist: alike.Gist | None = None


def inspect_dataset(
    path: str | Path,
    format: str | None = None,  # noqa: A002
    *,
    progress: Callable[[int, int], None] | None = None,
) -> DatasetInfo:
    """Read every image of a classification data set and say what is there.

    Args:
        path: as for `edgecnn.data.open_dataset`.
        format: likewise.
        progress: is told now and then how many images are done, and of how many.

    Raises:
        DataError: the data set cannot be opened. Images that cannot be read are reported, not raised.
    """
    parts = open_parts(path, format)
    samples = [sample for part in parts.values() for sample in part.samples]
    splits = [split or "all" for split, part in parts.items() for _ in range(len(part))]
    ids = np.concatenate([label_ids(part) for part in parts.values()]).tolist()
    names = [sample.image.name for sample in samples]
    looks = _look_at_all(samples, progress)

    groups = alike.same([look.digest for look in looks])
    leaks = [group for group in groups if len({splits[index] for index in group}) > 1]
    mislabelled = [group for group in groups if len({ids[index] for index in group}) > 1]
    order = {split: number for number, split in enumerate(dict.fromkeys(splits))}
    kept = [index for index, look in enumerate(looks) if look.gist is not None]
    near, crowd = alike.nearly_same(
        [gist for look in looks if (gist := look.gist)], [order[splits[index]] for index in kept]
    )
    exact = {index: number for number, group in enumerate(groups) for index in group}
    near_leaks = [
        (kept[one], kept[two]) for one, two in near if exact.get(kept[one], -1) != exact.get(kept[two], -2)
    ]
    counts = {split or "all": _counts(part) for split, part in parts.items()}
    labels = next(iter(parts.values())).labels
    info = DatasetInfo(
        name=next(iter(parts.values())).name,
        labels=labels,
        counts=counts,
        balance=_balance(counts),
        sizes=_sizes([look.size_wh for look in looks if not look.reason]),
        unreadable=tuple((name, look.reason) for name, look in zip(names, looks, strict=True) if look.reason),
        duplicates=_named(groups, names),
        mislabelled=_named(mislabelled, names),
        leaks=_named(leaks, names),
        near_leaks=tuple((names[one], names[two]) for one, two in near_leaks),
        others=_others(path, format),
        warnings=(),
    )
    return DatasetInfo(**{**vars(info), "warnings": (*_warnings(info), *_crowd_warning(crowd))})


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
        if isinstance(source, folder.StoredImage):
            data = source.read_bytes()
            image = image_file.decode(data, source.name)
        else:
            image = source.read()
            data = image.tobytes()
    except DataError as error:
        return _Look(reason=str(error).removeprefix(f"{source.name}: "))
    height, width = image.shape[:2]
    return _Look("", (width, height), blake2b(data, digest_size=16).digest(), alike.gist(image))


def _counts(part: Dataset) -> tuple[int, ...]:
    return tuple(np.bincount(label_ids(part), minlength=len(part.labels)).tolist())


def _balance(counts: Mapping[str, tuple[int, ...]]) -> float:
    learned = _learned(counts)
    return max(learned) / max(1, min(learned))


def _learned(counts: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    return counts.get("train", next(iter(counts.values())))


def _sizes(found: list[tuple[int, int]]) -> Sizes | None:
    if not found:
        return None
    widths, heights = zip(*found, strict=True)
    counted = Counter(found)
    return Sizes(_span(widths), _span(heights), tuple(counted.most_common(5)), len(counted))


def _span(values: Sequence[int]) -> tuple[int, int, int]:
    return min(values), round(float(np.median(values))), max(values)


def _named(groups: list[list[int]], names: list[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(names[index] for index in group) for group in groups)


def _others(path: str | Path, format: str | None) -> Mapping[str, int]:  # noqa: A002
    if format not in (None, "folder") or not (place := Place(path)).exists:
        return {}
    return folder.lay_out(place.storage).others


def _warnings(info: DatasetInfo) -> list[str]:
    found = []
    if info.unreadable:
        name, reason = info.unreadable[0]
        found.append(f"{len(info.unreadable)} images cannot be read, such as {name}: {reason}")
    if info.leaks:
        found.append(
            f"{len(info.leaks)} images are in more than one split, such as {' = '.join(info.leaks[0][:2])}: "
            "what is judged by them is too good to be true"
        )
    if info.near_leaks:
        found.append(
            f"{len(info.near_leaks)} pairs of images from different splits are nearly the same, such as "
            f"{' and '.join(info.near_leaks[0])}: look at some of them"
        )
    if info.mislabelled:
        found.append(
            f"{len(info.mislabelled)} images lie under more than one label, such as "
            f"{' = '.join(info.mislabelled[0][:2])}: one label is wrong"
        )
    copies = sum(len(group) - 1 for group in info.duplicates)
    if copies:
        found.append(f"{copies} images are copies of others, such as {' = '.join(info.duplicates[0][:2])}")
    learned = _learned(info.counts)
    most, least = int(np.argmax(learned)), int(np.argmin(learned))
    if info.balance >= IMBALANCE:
        found.append(
            f"{info.labels[most]!r} has {info.balance:.1f} times the images of {info.labels[least]!r} "
            f"({learned[most]} and {learned[least]}): a network will prefer it"
        )
    if learned[least] < FEW:
        found.append(f"{info.labels[least]!r} has only {learned[least]} images to learn from")
    for split, counts in info.counts.items():
        if missing := [label for label, count in zip(info.labels, counts, strict=True) if not count]:
            found.append(f"{split} has no images of {', '.join(map(repr, missing))}: it cannot judge them")
    return found


def _crowd_warning(crowd: int) -> tuple[str, ...]:
    if not crowd:
        return ()
    return (f"{crowd} images were not searched for near copies: they are too plain, or there are too many",)
