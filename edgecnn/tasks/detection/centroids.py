"""Coarse grids of class scores: for targets of about a cell's size, where a box would say little more.

As in Edge Impulse's FOMO ("faster objects, more objects"): an answer is a group of neighbouring cells.
"""

from collections.abc import Mapping

import cv2
import numpy as np

from edgecnn.errors import CardError, ModelError
from edgecnn.image import Array
from edgecnn.tasks.detection.candidates import Candidates, probabilities
from edgecnn.tasks.detection.settings import Settings


def from_centroids(outputs: Mapping[str, Array], said: Settings) -> Candidates:
    """Join cells of one label over the threshold that touch, at sides or corners, to answers.

    Score: the best cell's. Box: what encloses the cells. Of equal scores, the group with the earlier first
    cell comes first, then the lower label.

    Args:
        outputs: scores (rows, columns, c).
        said: the card's options.

    Raises:
        CardError: the grid does not fit the card.
        ModelError: a score is not a number.
    """
    scores, stride = outputs["scores"], said.stride
    wanted = (-(-said.height // stride), -(-said.width // stride), said.labels)
    if scores.shape != wanted:
        raise CardError(
            f"scores {scores.shape} came out, but {said.width} x {said.height} pixels with stride {stride} "
            f"and {said.labels} labels give {wanted}. The card belongs to another model."
        )
    if np.isnan(scores).any() or (scores == np.inf).any():
        raise ModelError("scores are not finite (NaN or infinity). The weights are damaged.")
    likely = probabilities(scores, said)
    over = likely >= np.float32(said.threshold)
    present = np.flatnonzero(over.any(axis=(0, 1))).tolist()
    groups = [group for label in present for group in _groups(over, likely, label)]
    groups.sort(key=lambda group: (-group[0], group[1], group[2]))
    table = np.array(groups, np.float64).reshape(-1, 7)
    limits = (said.width, said.height, said.width, said.height)  # the last cells may reach out of the image
    xyxy = np.minimum(table[:, 3:] * stride, limits)
    return Candidates(xyxy, table[:, 0].astype(np.float32), table[:, 2].astype(np.int64))


def _groups(over: Array, likely: Array, label: int) -> list[tuple[float, ...]]:
    """Of one label: score, first cell, label, left, top, right, bottom in cells; one for each group."""
    mask = over[:, :, label].astype(np.uint8)
    count, group = cv2.connectedComponents(mask, connectivity=8, ltype=cv2.CV_32S)
    row, column = np.nonzero(group)
    number = np.asarray(group, np.intp)[row, column] - 1
    highest, lowest = np.zeros((3, count - 1)), np.full((3, count - 1), np.inf)
    for place, values in enumerate((likely[row, column, label], column + 1, row + 1)):
        np.maximum.at(highest[place], number, values)
    for place, values in enumerate((row * over.shape[1] + column, column, row)):
        np.minimum.at(lowest[place], number, values)
    (best, right, bottom), (first, left, top) = highest.tolist(), lowest.tolist()
    return list(zip(best, first, [float(label)] * (count - 1), left, top, right, bottom, strict=True))
