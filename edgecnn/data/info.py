"""What is in a data set, and what is wrong with it, before anyone trains on it.

Images of two splits that are the same make a test say too much; the same image under two labels makes a
network learn nothing from either. Classes are judged here, boxes by `edgecnn.data.box_info`. The CLI prints
what `inspect_dataset` finds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.data import box_info, folder, open_parts
from edgecnn.data.dataset import Dataset, label_ids
from edgecnn.data.looks import Sizes, look_at
from edgecnn.data.storage import Place
from edgecnn.errors import DataError

IMBALANCE = 3.0
"""A class with so many times the images of another is worth a warning."""

FEW = 20
"""So few training images of a class are worth a warning."""


@dataclass(frozen=True)
class DatasetInfo:
    """What was found in a classification data set.

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
        return {
            "name": self.name,
            "images": self.images,
            "labels": list(self.labels),
            "counts": {
                split: dict(zip(self.labels, counts, strict=True)) for split, counts in self.counts.items()
            },
            "balance": round(self.balance, 3),
            "sizes": self.sizes and self.sizes.as_dict(),
            "unreadable": [{"name": name, "reason": reason} for name, reason in self.unreadable],
            "duplicates": [list(group) for group in self.duplicates],
            "mislabelled": [list(group) for group in self.mislabelled],
            "leaks": [list(group) for group in self.leaks],
            "near_leaks": [list(pair) for pair in self.near_leaks],
            "others": dict(self.others),
            "warnings": list(self.warnings),
        }


def inspect_dataset(
    path: str | Path,
    format: str | None = None,  # noqa: A002
    *,
    task: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> "DatasetInfo | box_info.BoxInfo":
    """Read every image of a data set and say what is there.

    Args:
        path: as for `edgecnn.data.open_dataset`.
        format: likewise.
        task: classification or detection; None is what the format serves first.
        progress: is told now and then how many images are done, and of how many.

    Raises:
        DataError: the data set cannot be opened. Images that cannot be read are reported, not raised.
    """
    parts = open_parts(path, format, task=task)
    found_task = next(iter(parts.values())).task
    if found_task == "detection":
        return box_info.inspect_boxes(parts, look_at(parts, progress))
    if found_task != "classification":
        raise DataError(
            f"{path}: what is in data for {found_task} is not known. Ask for classification or detection."
        )
    ids = np.concatenate([label_ids(part) for part in parts.values()]).tolist()
    looks = look_at(parts, progress)
    mislabelled = [group for group in looks.groups if len({ids[index] for index in group}) > 1]
    counts = {split or "all": _counts(part) for split, part in parts.items()}
    info = DatasetInfo(
        name=next(iter(parts.values())).name,
        labels=next(iter(parts.values())).labels,
        counts=counts,
        balance=_balance(counts),
        sizes=looks.sizes,
        unreadable=looks.unreadable,
        duplicates=looks.named(looks.groups),
        mislabelled=looks.named(mislabelled),
        leaks=looks.named(looks.leaks),
        near_leaks=tuple((looks.names[one], looks.names[two]) for one, two in looks.near_leaks),
        others=_others(path, format),
        warnings=(),
    )
    return replace(info, warnings=(*looks.warnings(), *_warnings(info)))


def _counts(part: Dataset) -> tuple[int, ...]:
    return tuple(np.bincount(label_ids(part), minlength=len(part.labels)).tolist())


def _balance(counts: Mapping[str, tuple[int, ...]]) -> float:
    learned = _learned(counts)
    return max(learned) / max(1, min(learned))


def _learned(counts: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    return counts.get("train", next(iter(counts.values())))


def _others(path: str | Path, format: str | None) -> Mapping[str, int]:  # noqa: A002
    if format not in (None, "folder") or not (place := Place(path)).exists:
        return {}
    return folder.lay_out(place.storage).others


def _warnings(info: DatasetInfo) -> list[str]:
    found = []
    if info.mislabelled:
        found.append(
            f"{len(info.mislabelled)} images lie under more than one label, such as "
            f"{' = '.join(info.mislabelled[0][:2])}: one label is wrong"
        )
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
