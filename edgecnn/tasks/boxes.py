"""Rectangles: how much they overlap, and which of the overlapping ones stay.

Boxes are (n, 4): left, top, right, bottom, finite, in any one unit; n may be 0. Knows geometry and greedy
suppression; what a box means is left to `edgecnn.tasks.detection`. All sums are in float64.
"""

from typing import Final

import numpy as np

from edgecnn.image import Array

SIGMA: Final = 0.5
"""Width of the Gaussian of soft suppression (Bodla et al., 2017, section 4: 0.5 for all their detectors)."""

_BLOCK: Final = 256
"""Boxes that `suppress` adds at a time. Bounds its memory (about 10 MB), and lets the strongest of a crowd do
their work before the rest is compared: 1,000 clustered boxes of one label take a third of the time."""

_FEW: Final = 64
"""Boxes that Python compares faster one by one than NumPy at once: right after a model has run, NumPy's code
is no longer in the caches, and each of its functions costs 5 to 50 microseconds. A usual frame has 45."""


def iou(a_xyxy: Array, b_xyxy: Array) -> Array:
    """Overlap of every box of one list with every box of another: intersection over union, (n, m) float64.

    A box without area overlaps nothing, not even itself: 0.

    Args:
        a_xyxy: (n, 4).
        b_xyxy: (m, 4), in the same unit.
    """
    a = np.asarray(a_xyxy, np.float64).reshape(-1, 4)
    b = np.asarray(b_xyxy, np.float64).reshape(-1, 4)
    return _over_union(a.T[:, :, None], b.T[:, None, :])


def suppress(xyxy: Array, label_id: Array, *, iou: float, most: int | None = None) -> Array:
    """Keep the best box of every overlapping group: greedy non-maximum suppression, exact.

    From the best to the worst, a box stays unless it overlaps one that stays by MORE than `iou`. Boxes of
    different labels never suppress each other.

    Args:
        xyxy: (n, 4), best first.
        label_id: (n,) whole numbers, >= 0.
        iou: overlap in [0, 1].
        most: how many boxes are wanted; None is all.

    Returns:
        Positions of the boxes that stay, ascending, at most `most`.
    """
    most = len(xyxy) if most is None else most
    xyxy = np.asarray(xyxy, np.float64)
    if len(xyxy) <= _BLOCK:
        return _greedy(xyxy, label_id, iou)[:most]
    kept = np.arange(0)
    for start in range(0, len(xyxy), _BLOCK):
        if len(kept) >= most:
            break
        # Those kept lead, and do not disturb each other: only what is new can go.
        some = np.concatenate([kept, np.arange(start, min(start + _BLOCK, len(xyxy)))])
        kept = some[_greedy(xyxy[some], label_id[some], iou)]
    return kept[:most]


def soften(
    xyxy: Array, label_id: Array, score: Array, *, least: float, most: int | None = None, sigma: float = SIGMA
) -> tuple[Array, Array]:
    """Lower the scores of boxes that overlap better ones: Gaussian soft-NMS (Bodla et al., 2017, eq. 4).

    Again and again the best box is taken, and every box of its label that is left has its score multiplied by
    exp(-overlap² / sigma). Of equal scores, the one that came first is taken.

    Args:
        xyxy: (n, 4), best first.
        label_id: (n,) whole numbers, >= 0.
        score: (n,) in [0, 1].
        least: boxes whose score falls below it go.
        most: how many boxes are wanted; None is all.
        sigma: the smaller, the harder.

    Returns:
        Positions of the boxes that stay, in the order taken, and their lowered scores, float64, descending.
    """
    most = len(xyxy) if most is None else most
    sides = np.ascontiguousarray(np.asarray(xyxy, np.float64).T)
    left = np.array(score, np.float64)
    label_of = np.asarray(label_id).tolist()
    of_label = {label: np.flatnonzero(label_id == label) for label in set(label_of)}
    taken: list[int] = []
    lowered: list[float] = []
    while len(taken) < min(most, len(left)):
        best = int(left.argmax())
        if left[best] < least:
            break
        taken.append(best)
        lowered.append(float(left[best]))
        left[best] = -1.0  # is never the best again: scores are not negative
        rivals = of_label[label_of[best]]
        overlap = _over_union(sides[:, rivals], sides[:, best, None])
        left[rivals] *= np.exp(-np.square(overlap) / sigma)
    return np.array(taken, np.int64), np.array(lowered, np.float64)


def _greedy(xyxy: Array, label_id: Array, iou: float) -> Array:
    """Positions that greedy suppression keeps."""
    if len(xyxy) <= _FEW:
        return _one_by_one(xyxy, label_id, iou)
    first, second = _in_sweep(xyxy, label_id, iou)
    stays = [True] * len(xyxy)
    # a stronger box is judged before those it suppresses: all pairs that can remove it came before
    for stronger, weaker in zip(first.tolist(), second.tolist(), strict=True):
        if stays[stronger]:
            stays[weaker] = False
    return np.flatnonzero(stays)


def _one_by_one(xyxy: Array, label_id: Array, iou: float) -> Array:
    """What `_greedy` gives, in plain Python: `_over_union` of each box and those of its label that stay."""
    stays: list[int] = []
    rivals_of: dict[int, list[tuple[float, ...]]] = {}
    for place, (label, (left, top, right, bottom)) in enumerate(
        zip(label_id.tolist(), xyxy.tolist(), strict=True)
    ):
        rivals = rivals_of.setdefault(label, [])
        area = (right - left) * (bottom - top)
        for west, north, east, south, its_area in rivals:
            wide = (right if right < east else east) - (left if left > west else west)
            if wide > 0:
                shared = wide * ((bottom if bottom < south else south) - (top if top > north else north))
                if shared > 0 and shared / (its_area + area - shared) > iou:
                    break
        else:
            stays.append(place)
            rivals.append((left, top, right, bottom, area))
    return np.array(stays, np.int64)


def _in_sweep(xyxy: Array, label_id: Array, iou: float) -> tuple[Array, Array]:
    """All pairs of boxes of one label that overlap by more than `iou`: low position, ascending; high one.

    A sweep along x, instead of a table of all pairs: if two boxes overlap by more than t, the right one
    begins before (1 - t) of the left one's width has passed. (Their intersection exceeds t times either area,
    so its width exceeds t times either width.) Of 1,000 random boxes of 20 labels, 0.7 % of the pairs are
    left.
    """
    left = xyxy[:, 0]
    start = left.min()
    # every label has a stretch of the x axis to itself
    stretch = 2 * (xyxy[:, 2].max() - start) + 1
    place = (left - start) + label_id * stretch
    order = place.argsort(kind="stable")
    place, sides = place[order], np.ascontiguousarray(xyxy[order].T)
    width = sides[2] - sides[0]
    rounding = 1e-12 * (place[-1] + stretch)  # a pair too many does no harm: the exact test follows
    end = np.searchsorted(place, place + (1 - iou) * width + rounding, side="right")
    numbers = np.arange(len(place))
    partners = np.maximum(end - numbers - 1, 0)
    first = np.repeat(numbers, partners)
    second = np.arange(len(first)) - np.repeat(partners.cumsum() - partners - numbers - 1, partners)
    _, top, _, bottom = sides
    near = np.flatnonzero(np.minimum(bottom[first], bottom[second]) > np.maximum(top[first], top[second]))
    first, second = first[near], second[near]
    overlap = _over_union(sides[:, first], sides[:, second])
    labels = label_id[order]
    over = np.flatnonzero((overlap > iou) & (labels[first] == labels[second]))
    first, second = order[first[over]], order[second[over]]
    lower = np.minimum(first, second)
    ascending = lower.argsort(kind="stable")
    return lower[ascending], np.maximum(first, second)[ascending]


def _over_union(a: Array, b: Array) -> Array:
    """Overlap of boxes given as four arrays each, left, top, right, bottom; of shapes that broadcast."""
    shared = np.minimum(a[2:], b[2:])
    shared -= np.maximum(a[:2], b[:2])
    wide, high = np.maximum(shared, 0, out=shared)
    wide *= high
    union = _area(a) + _area(b)
    union -= wide
    wide /= union
    return np.asarray(wide)


def _area(sides: Array) -> Array:
    """Of a box without area, 1: it shares nothing with any other, and nothing over something is 0."""
    width, height = sides[2:] - sides[:2]
    width *= height
    width[width <= 0] = 1.0
    return np.asarray(width)
