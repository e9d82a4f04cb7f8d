"""Codes relative to one square anchor for each cell: ours (Liu et al., 2016, SSD; y first, as MediaPipe).

Reads real numbers, or 8-bit outputs as the model stores them: then the scores are compared as they are, and
what the 256 values of a code mean is looked up. Both give the same candidates, to the bit.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np

from edgecnn.errors import CardError
from edgecnn.image import Array
from edgecnn.tasks.detection.candidates import (
    FARTHEST,
    Candidates,
    best,
    no_probabilities,
    numbers,
    over,
    probabilities,
    ranked,
    within,
)
from edgecnn.tasks.detection.settings import Settings, anchors_of
from edgecnn.tasks.stored import Steps

_LARGEST_EXPONENT: Final = 10.0
"""A box is at most exp(10) = 22,000 anchors wide: more than any image, and nothing overflows."""

_Ranking: TypeAlias = Callable[[Array], tuple[Array, Array, Array]]


def reader(said: Settings, steps: Mapping[str, Steps]) -> Callable[[Mapping[str, Array]], Candidates]:
    """What turns the outputs boxes (n, 4) and scores (n, c) into candidates.

    Args:
        said: the card's options.
        steps: of the roles that will be given as they are stored.

    Returns:
        A function of the outputs by role. It raises CardError where the shapes do not fit the card, and
        ModelError where an output is not a number.
    """
    center_yx, sides = _cells(said)
    wanted = {"boxes": (len(sides), 4), "scores": (len(sides), said.labels)}
    rank, offsets = _ranking(said, steps.get("scores")), _offsets(said, steps.get("boxes"))

    def read(outputs: Mapping[str, Array]) -> Candidates:
        codes, scores = outputs["boxes"], outputs["scores"]
        if scores.shape != wanted["scores"] or codes.shape != wanted["boxes"]:
            raise CardError(
                f"boxes {codes.shape} and scores {scores.shape} came out, but {said.width} x {said.height} "
                f"pixels with strides {list(said.strides)} and {said.labels} labels give {wanted['boxes']} "
                f"and {wanted['scores']}. The card belongs to another model, or its roles are mixed up."
            )
        row, score, label_id = rank(scores)
        moved = offsets(codes.take(row, axis=0))
        moved *= sides.take(row, axis=0)
        center, half = center_yx.take(row, axis=0), moved[:, 2:]
        center += moved[:, :2]
        xyxy = np.empty((len(row), 4))
        np.subtract(center, half, out=xyxy[:, 1::-1])
        np.add(center, half, out=xyxy[:, 3:1:-1])
        return Candidates(xyxy, score, label_id)

    return read


@lru_cache(maxsize=32)
def _cells(said: Settings) -> tuple[Array, Array]:
    """Of every cell: y, x of the centre; twice the side of its anchor, and twice half of it."""
    anchors = anchors_of(said)
    return np.ascontiguousarray(anchors[:, 1::-1]), anchors[:, 2:] * (1.0, 1.0, 0.5, 0.5)


def _ranking(said: Settings, steps: Steps | None) -> _Ranking:
    """What finds row, score and label of the (n, c) scores that reach the threshold, best first."""
    if steps is None:
        return lambda raw: best(raw, said)
    if no_probabilities(float(steps.real.max()), said):  # whether one is, the outputs of each image say
        return lambda stored: best(steps.real.take(stored.view(np.uint8)), said)
    score_of = probabilities(steps.real, said)
    least = steps.least(score_of >= np.float32(said.threshold))

    def rank(stored: Array) -> tuple[Array, Array, Array]:
        place = over(stored, least)
        return ranked(place, score_of.take(stored.reshape(-1).view(np.uint8).take(place)), stored.shape[1])

    return rank


def _offsets(said: Settings, steps: Steps | None) -> Callable[[Array], Array]:
    """What turns (k, 4) codes into y, x of the centre, from the cell's, and height, width; in anchors."""

    def computed(codes: Array) -> Array:
        real = numbers(codes) / said.scale_yxhw
        return np.concatenate(
            [within(real[:, :2], FARTHEST), np.exp(within(real[:, 2:], _LARGEST_EXPONENT))], axis=1
        )

    if steps is None:
        return computed
    table = np.ascontiguousarray(computed(np.repeat(steps.real[:, None], 4, axis=1)).T)
    column = 256 * np.arange(4)
    return lambda stored: table.take(stored.view(np.uint8) + column)
