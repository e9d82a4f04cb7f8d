"""Coarse grids of class scores: for targets of about a cell's size, where a box would say little more.

In the manner of Edge Impulse's FOMO ("faster objects, more objects"), but answers are peaks (Zhou et al.,
2019, "Objects as Points", arXiv 1904.07850, section 4): groups of cells over a threshold would melt into one
as the threshold falls, and none could be fitted.
"""

from collections.abc import Mapping

import numpy as np

from edgecnn.errors import CardError, ModelError
from edgecnn.image import Array
from edgecnn.tasks.detection.candidates import Candidates, probabilities
from edgecnn.tasks.detection.settings import Settings


def from_centroids(outputs: Mapping[str, Array], said: Settings) -> Candidates:
    """Give every cell over the threshold that none of its eight neighbours of the same label outdoes.

    Of equal neighbours the first answers, row by row. Of equal answers the earlier cell comes first, then the
    lower label.

    Args:
        outputs: scores (rows, columns, c).
        said: the card's options.

    Returns:
        Boxes are the cells.

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
    row, column, label = np.nonzero((likely >= np.float32(said.threshold)) & _peaks(likely))
    score = likely[row, column, label]
    order = np.lexsort((label, row * likely.shape[1] + column, -score))
    row, column, label, score = (one[order] for one in (row, column, label, score))
    xyxy = np.stack([column, row, column + 1, row + 1], 1).astype(np.float64) * stride
    limits = (said.width, said.height, said.width, said.height)  # the last cells may reach out of the image
    return Candidates(np.minimum(xyxy, limits), score.astype(np.float32), label.astype(np.int64))


def _peaks(likely: Array) -> Array:
    """Where no neighbour is higher, nor an earlier one as high: (rows, columns, c) bool."""
    rows, columns, _ = likely.shape
    padded = np.pad(likely, ((1, 1), (1, 1), (0, 0)), constant_values=-1)
    found = np.ones(likely.shape, bool)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            other = padded[1 + down : 1 + down + rows, 1 + right : 1 + right + columns]
            if (down, right) < (0, 0):
                found &= likely > other
            elif (down, right) > (0, 0):
                found &= likely >= other
    return found
