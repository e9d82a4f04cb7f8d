"""All boxes of a data set in a few arrays, and what can be counted and measured of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgecnn.data.annotated import Annotated, clipped, has_area
from edgecnn.data.dataset import Dataset
from edgecnn.results import Boxes

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)

_BLOCK = 1024


@dataclass(frozen=True)
class Table:
    """Boxes of n images, as the files say; m all together.

    Attributes:
        image: (m,) int64, the index of the image that each lies in.
        xyxy: (m, 4) float64, pixels.
        label_id: (m,) int64.
        ignored: (m,) bool.
        size_wh: (n, 2) int64, pixels; 0 where nobody knows.
        stated_wh: (n, 2) int64, as the files say; 0 where they do not.
    """

    image: npt.NDArray[np.int64]
    xyxy: Floats
    label_id: npt.NDArray[np.int64]
    ignored: Bools
    size_wh: npt.NDArray[np.int64]
    stated_wh: npt.NDArray[np.int64]

    @property
    def left(self) -> Floats:
        """(m, 4) what is left of each box within its image."""
        return clipped(self.xyxy, self.size_wh[self.image]).astype(np.float64)

    @property
    def reaches_out(self) -> Bools:
        """(m,) which reach out of their image by more than half a pixel; less is rounding."""
        limits = self.size_wh[self.image]
        out: Bools = np.any((self.xyxy[:, :2] < -0.5) | (self.xyxy[:, 2:] > limits + 0.5), axis=1)
        return out


@dataclass(frozen=True)
class SplitCounts:
    """What one split holds.

    Attributes:
        images: how many.
        empty: how many of them without boxes.
        boxes: of each label, without ignored ones.
        images_with: of each label, images that show it.
        ignored: boxes that count neither when found nor when missed.
    """

    images: int
    empty: int
    boxes: tuple[int, ...]
    images_with: tuple[int, ...]
    ignored: int


def table(parts: Mapping[str, Dataset], size_wh: npt.NDArray[np.int64]) -> Table:
    """The boxes of all splits, one after the other.

    Args:
        parts: detection data sets.
        size_wh: (n, 2) int64, of the images as they were read; 0 where they could not be: then the files
            are believed.
    """
    images, boxes, labels, ignored, stated = [], [], [], [], []
    before = 0
    for part in parts.values():
        samples = part.samples
        if isinstance(samples, Annotated):
            counts = np.diff(samples.first)
            boxes.append(samples.xyxy)
            labels.append(samples.label_id)
            ignored.append(samples.ignored)
            stated.append(samples.size_wh)
        else:
            truths = [each.truth for each in samples if isinstance(each.truth, Boxes)]
            counts = np.array([len(truth) for truth in truths], np.int64)
            boxes += [truth.xyxy.astype(np.float64) for truth in truths]
            labels += [truth.label_id for truth in truths]
            ignored += [truth.ignored for truth in truths]
            stated.append(np.zeros((len(samples), 2), np.int64))
        images.append(before + np.repeat(np.arange(len(samples)), counts))
        before += len(samples)
    said = np.concatenate(stated)
    return Table(
        np.concatenate(images),
        np.concatenate([*boxes, np.empty((0, 4))]),
        np.concatenate([*labels, np.empty(0, np.int64)]),
        np.concatenate([*ignored, np.empty(0, bool)]),
        np.where(size_wh > 0, size_wh, said),
        said,
    )


def quantiles(values: Floats | npt.NDArray[np.int64]) -> tuple[float, ...]:
    """The QUANTILES of some values; () of none."""
    return tuple(float(value) for value in np.quantile(values, QUANTILES)) if len(values) else ()


def crowded(image: npt.NDArray[np.int64], label_id: npt.NDArray[np.int64], xyxy: Floats, iou: float) -> Bools:
    """Which boxes overlap another of their image and class by more than `iou`; (m,) bool."""
    found = np.zeros(len(xyxy), bool)
    for rows in groups(np.stack([image, label_id], 1)):
        boxes = xyxy[rows]
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        for start in range(0, len(rows), _BLOCK):  # not all pairs of thousands of boxes at once
            some = boxes[start : start + _BLOCK, None]
            sides = np.minimum(some[..., 2:], boxes[:, 2:]) - np.maximum(some[..., :2], boxes[:, :2])
            shared = sides.clip(0).prod(2)
            of = area[start : start + _BLOCK, None] + area - shared
            close = shared > iou * of
            close[np.arange(len(some)), start + np.arange(len(some))] = False
            found[rows[start : start + _BLOCK]] = close.any(1)
    return found


def groups(rows: npt.NDArray[np.int64] | Floats) -> list[npt.NDArray[np.int64]]:
    """Indices of equal rows (m, k), two or more in each group; groups by their first index."""
    if len(rows) < 2:
        return []
    _, inverse, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(inverse.ravel(), kind="stable")
    parts: Sequence[npt.NDArray[np.int64]] = np.split(order, np.cumsum(counts)[:-1])
    return sorted((part for part in parts if len(part) > 1), key=lambda part: int(part[0]))


def medians(values: Floats, label_id: npt.NDArray[np.int64], labels: int) -> tuple[float | None, ...]:
    """The median of each label's values; None where it has none."""
    own = [values[label_id == number] for number in range(labels)]
    return tuple(float(np.median(some)) if len(some) else None for some in own)


def usable(found: Table) -> Bools:
    """(m,) which boxes can be learned from: something of them is left, and they are not ignored."""
    return has_area(found.left) & ~found.ignored


def repeated(boxes: Table) -> tuple[Bools, Bools]:
    """Which boxes are there before with the same label, and which under another; each (m,) bool."""
    twice, contradictory = np.zeros(len(boxes.image), bool), np.zeros(len(boxes.image), bool)
    for rows in groups(np.concatenate([boxes.image[:, None], boxes.xyxy], 1)):
        ids = boxes.label_id[rows]
        seen = np.array([ids[at] in ids[:at] for at in range(len(ids))])
        twice[rows] = seen
        contradictory[rows] = len(set(ids.tolist())) > 1
    return twice, contradictory


def differ(boxes: Table, group: Sequence[int]) -> bool:
    """Whether images that are the same have different boxes."""
    rows = [np.flatnonzero(boxes.image == index) for index in group]
    sets = [{(*boxes.xyxy[row].tolist(), int(boxes.label_id[row])) for row in some} for some in rows]
    return any(one != sets[0] for one in sets)


def counts(parts: Mapping[str, Dataset], boxes: Table, kept: Bools) -> dict[str, SplitCounts]:
    """What each split holds ("all", where there are none); `kept` says of each box whether it counts."""
    found, start = {}, 0
    labels = len(next(iter(parts.values())).labels)
    for split, part in parts.items():
        inside = (boxes.image >= start) & (boxes.image < start + len(part))
        rows = inside & kept
        shown = np.unique(np.stack([boxes.image[rows], boxes.label_id[rows]], 1), axis=0)
        found[split or "all"] = SplitCounts(
            images=len(part),
            empty=len(part) - len(np.unique(shown[:, 0])),
            boxes=tuple(np.bincount(boxes.label_id[rows], minlength=labels).tolist()),
            images_with=tuple(np.bincount(shown[:, 1], minlength=labels).tolist()),
            ignored=int((inside & boxes.ignored).sum()),
        )
        start += len(part)
    return found
