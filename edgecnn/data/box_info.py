"""What boxes a data set holds, and what is wrong with them, before anyone trains on it.

Boxes are judged as the files say; sizes are of what is left of them within their images, without ignored
ones. `edgecnn.data.info` opens the data set, `looks` has read the images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgecnn.data import box_statistics as statistics
from edgecnn.data.annotated import has_area
from edgecnn.data.dataset import Dataset
from edgecnn.data.looks import Looks, Sizes

TINY_PX = 2.0
"""A box with a side shorter than this is more likely a slip of the hand than a thing."""

CROWDED_IOU = 0.5
"""Boxes of one class that overlap more than this are hard to tell apart: suppression takes one for "
"the other."""

CLEAR_PX = 16.0
"""A thing of this side covers two cells of a detector's finest grid (stride 8) each way."""

INPUTS = (96, 128, 160, 192, 224, 256, 320, 384, 448, 512)

FEW = 20
"""So few training boxes of a class are worth a warning."""

SMALL_PX, LARGE_PX = 32, 96
"""COCO's small, medium and large: by area, below 32² and above 96² pixels of the original image."""


@dataclass(frozen=True)
class Found:
    """A box that deserves a look.

    Attributes:
        image: its image's name.
        label: its own.
        box_xyxy: left, top, right, bottom, as the file says.
    """

    image: str
    label: str
    box_xyxy: tuple[float, float, float, float]


@dataclass(frozen=True)
class Input:
    """An input size that shows even the smallest class.

    Attributes:
        side: of the square input, pixels; the image is made to fit into it.
        label: the class whose boxes are smallest.
        side_px: the median side of its boxes then, the root of their area.
        enough: whether that is at least CLEAR_PX; False where even the largest input is too small.
    """

    side: int
    label: str
    side_px: float
    enough: bool


@dataclass(frozen=True)
class BoxInfo:
    """What was found in a detection data set.

    Attributes:
        name: of the data set.
        labels: of its classes.
        counts: of each split ("all" where it comes in one piece).
        sizes: of the images; None where none can be read.
        side_px: QUANTILES of the boxes' side, the root of the area, in pixels of the original image.
        side_share: QUANTILES of the root of the share of the image that a box covers.
        aspect: QUANTILES of width over height.
        per_image: QUANTILES of boxes in an image.
        median_px: of each label, the median side; None where it has no boxes.
        coco_sizes: boxes that COCO calls small, medium and large.
        crowded: share of the boxes that overlap another of their class by more than CROWDED_IOU.
        input: the input size to begin with; None without boxes.
        outside: boxes that reach out of their image by more than half a pixel; clipped for learning.
        without_area: boxes of which nothing is left in the image; not learned from.
        tiny: boxes with a side below TINY_PX.
        twice: boxes that are in an image twice with the same label.
        contradictory: boxes that are in an image under more than one label.
        wrong_sizes: (image, width and height as its annotation says, and as it has).
        unreadable: (name, reason) of each image that cannot be read.
        duplicates: names of images with the same content, in one group each.
        mislabelled: the groups among them whose boxes differ.
        leaks: the groups among them that lie in different splits.
        near_leaks: pairs of images from different splits that are nearly the same, but not in `leaks`.
        warnings: what deserves attention, one sentence each.
    """

    name: str
    labels: tuple[str, ...]
    counts: Mapping[str, statistics.SplitCounts]
    sizes: Sizes | None
    side_px: tuple[float, ...]
    side_share: tuple[float, ...]
    aspect: tuple[float, ...]
    per_image: tuple[float, ...]
    median_px: tuple[float | None, ...]
    coco_sizes: Mapping[str, int]
    crowded: float
    input: Input | None
    outside: tuple[Found, ...]
    without_area: tuple[Found, ...]
    tiny: tuple[Found, ...]
    twice: tuple[Found, ...]
    contradictory: tuple[Found, ...]
    wrong_sizes: tuple[tuple[str, tuple[int, int], tuple[int, int]], ...]
    unreadable: tuple[tuple[str, str], ...]
    duplicates: tuple[tuple[str, ...], ...]
    mislabelled: tuple[tuple[str, ...], ...]
    leaks: tuple[tuple[str, ...], ...]
    near_leaks: tuple[tuple[str, ...], ...]
    warnings: tuple[str, ...]

    @property
    def images(self) -> int:
        """All images, readable or not."""
        return sum(each.images for each in self.counts.values())

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        found = {
            **asdict(self),
            "task": "detection",
            "images": self.images,
            "quantiles": statistics.QUANTILES,
        }
        for each in found["counts"].values():
            for key in ("boxes", "images_with"):
                each[key] = dict(zip(self.labels, each[key], strict=True))
        found["median_px"] = dict(zip(self.labels, self.median_px, strict=True))
        found["sizes"] = self.sizes and self.sizes.as_dict()
        found["unreadable"] = [{"name": name, "reason": reason} for name, reason in self.unreadable]
        found["wrong_sizes"] = [
            {"name": name, "stated_wh": stated, "size_wh": actual}
            for name, stated, actual in self.wrong_sizes
        ]
        return found


def inspect_boxes(parts: Mapping[str, Dataset], looks: Looks) -> BoxInfo:
    """Judge the boxes of a detection data set.

    Args:
        parts: the data set of each split, or of "".
        looks: at its images, in the same order.
    """
    first = next(iter(parts.values()))
    labels, all_boxes = first.labels, statistics.table(parts, looks.size_wh)
    xyxy = all_boxes.left
    kept = statistics.usable(all_boxes)
    width_height = (xyxy[:, 2:] - xyxy[:, :2])[kept]
    side, ids, image = np.sqrt(width_height.prod(1)), all_boxes.label_id[kept], all_boxes.image[kept]
    of_image = side / np.sqrt(all_boxes.size_wh[image].prod(1))

    def found(chosen: Any) -> tuple[Found, ...]:
        return tuple(_found(all_boxes, int(row), looks, labels) for row in np.flatnonzero(chosen))

    twice, contradictory = statistics.repeated(all_boxes)
    area = has_area(xyxy)
    info = BoxInfo(
        name=first.name,
        labels=labels,
        counts=statistics.counts(parts, all_boxes, kept),
        sizes=looks.sizes,
        side_px=statistics.quantiles(side),
        side_share=statistics.quantiles(of_image),
        aspect=statistics.quantiles(width_height[:, 0] / width_height[:, 1]),
        per_image=statistics.quantiles(np.bincount(image, minlength=len(all_boxes.size_wh))),
        median_px=statistics.medians(side, ids, len(labels)),
        coco_sizes={
            "small": int((side < SMALL_PX).sum()),
            "medium": int(((side >= SMALL_PX) & (side <= LARGE_PX)).sum()),
            "large": int((side > LARGE_PX).sum()),
        },
        crowded=float(statistics.crowded(image, ids, xyxy[kept], CROWDED_IOU).mean()) if len(side) else 0.0,
        input=_input(statistics.medians(side / all_boxes.size_wh[image].max(1), ids, len(labels)), labels),
        outside=found(all_boxes.reaches_out),
        without_area=found(~area),
        tiny=found(area & ((xyxy[:, 2:] - xyxy[:, :2]).min(1, initial=np.inf) < TINY_PX)),
        twice=found(twice),
        contradictory=found(contradictory),
        wrong_sizes=_wrong_sizes(all_boxes, looks),
        unreadable=looks.unreadable,
        duplicates=looks.named(looks.groups),
        mislabelled=looks.named([group for group in looks.groups if statistics.differ(all_boxes, group)]),
        leaks=looks.named(looks.leaks),
        near_leaks=looks.named(looks.near_leaks),
        warnings=(),
    )
    return BoxInfo(**{**vars(info), "warnings": (*looks.warnings(), *_warnings(info))})


def _found(boxes: statistics.Table, row: int, looks: Looks, labels: tuple[str, ...]) -> Found:
    left, top, right, bottom = boxes.xyxy[row].tolist()
    name = looks.names[boxes.image[row]]
    return Found(name, labels[boxes.label_id[row]], (left, top, right, bottom))


def _wrong_sizes(
    boxes: statistics.Table, looks: Looks
) -> tuple[tuple[str, tuple[int, int], tuple[int, int]], ...]:
    wrong = (
        (boxes.stated_wh > 0).all(1) & (looks.size_wh > 0).all(1) & (boxes.stated_wh != looks.size_wh).any(1)
    )
    return tuple(
        (looks.names[index], _pair(boxes.stated_wh[index]), _pair(looks.size_wh[index]))
        for index in np.flatnonzero(wrong)
    )


def _pair(size: Any) -> tuple[int, int]:
    return int(size[0]), int(size[1])


def _input(shares: Sequence[float | None], labels: tuple[str, ...]) -> Input | None:
    """From the median side of each class, as a share of its image's longer side."""
    known = [(share, label) for share, label in zip(shares, labels, strict=True) if share]
    if not known:
        return None
    share, label = min(known)
    side = next((side for side in INPUTS if side * share >= CLEAR_PX), INPUTS[-1])
    return Input(side, label, side * share, side * share >= CLEAR_PX)


def _warnings(info: BoxInfo) -> list[str]:
    found = []
    for boxes, what in (
        (info.without_area, "have no area in their image and are not learned from"),
        (info.contradictory, "stand in one image under more than one label"),
        (info.twice, "are in their image twice"),
        (info.outside, "reach out of their image and are clipped"),
        (info.tiny, f"have a side below {TINY_PX:g} pixels"),
    ):
        if boxes:
            found.append(f"{len(boxes)} boxes {what}, such as {boxes[0].label!r} in {boxes[0].image}")
    if info.mislabelled:
        found.append(
            f"{len(info.mislabelled)} images have copies with other boxes, such as "
            f"{' = '.join(info.mislabelled[0][:2])}: one of them is wrong"
        )
    if info.wrong_sizes:
        name, stated, actual = info.wrong_sizes[0]
        found.append(
            f"{len(info.wrong_sizes)} annotations say another size than their image has, such as {name}: "
            f"{stated[0]}x{stated[1]}, but {actual[0]}x{actual[1]}; their boxes may be wrong"
        )
    learned = info.counts.get("train", next(iter(info.counts.values())))
    for label, count in zip(info.labels, learned.boxes, strict=True):
        if 0 < count < FEW:
            found.append(f"{label!r} has only {count} boxes to learn from")
    for split, counts in info.counts.items():
        if missing := [label for label, count in zip(info.labels, counts.boxes, strict=True) if not count]:
            found.append(f"{split} has no boxes of {', '.join(map(repr, missing))}: it cannot judge them")
    if info.input and not info.input.enough:
        found.append(
            f"{info.input.label!r} is small: {info.input.side_px:.0f} px even at {info.input.side} x "
            f"{info.input.side}; cut the images into tiles"
        )
    return found
