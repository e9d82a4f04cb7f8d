"""Detection: labelled boxes.

How the outputs are read, the card's option `decode` says:

    "anchors"      roles boxes (n, 4), scores (n, c): one candidate for each cell of a few grids. Ours.
                   Options strides, anchor_px (one for each level), scale_yxhw (default [4, 4, 1, 1]).
    "centroids"    role scores (rows, columns, c): a coarse grid; cells that touch are one answer. Option
                   stride.
    "postprocess"  roles boxes (n, 4), classes (n,), scores (n,), count (1,): the operator
                   TFLite_Detection_PostProcess. Option label_base: the class number of the first label, 0
                   (default) or 1; count: false where the model has no such output.
    "yolov8"       role predictions (4 + c, n) or (n, 4 + c). Option boxes: "pixels" of the prepared image, or
                   "normalized".
    "yolov5"       role predictions (n, 5 + c), with objectness. Likewise.

Option scores: "logits" (a sigmoid is applied to each; the default of anchors and centroids) or
"probabilities" (the default of the YOLOs; clipped to [0, 1]). All have: threshold, the least score of an
answer (default 0.3); nms, "hard" (the default where candidates overlap), "soft" or "none" (the default of
postprocess, where it was done, and of centroids); iou, the overlap above which the weaker of two boxes of one
label goes (0.6); most, how many boxes are given, at most 300.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np

from edgecnn.card import Card
from edgecnn.errors import CardError, ModelError
from edgecnn.image import Array, View
from edgecnn.results import Boxes
from edgecnn.tasks.boxes import soften, suppress
from edgecnn.tasks.detection import anchored, candidates, postprocessed
from edgecnn.tasks.detection.candidates import Candidates
from edgecnn.tasks.detection.centroids import from_centroids
from edgecnn.tasks.detection.drawing import draw
from edgecnn.tasks.detection.settings import MOST, OPTIONS, THRESHOLD, Settings, anchors_of, decode_of
from edgecnn.tasks.detection.settings import settings as settings_of
from edgecnn.tasks.stored import Steps, real

__all__ = ["JUDGING", "OPTIONS", "THRESHOLD", "anchors", "decode", "decoder", "draw", "roles"]

JUDGING: Mapping[str, Any] = {"threshold": 0.01, "most": MOST}

_Reader: TypeAlias = Callable[[Mapping[str, Array]], Candidates]
_READERS: Final[Mapping[str, Callable[[Mapping[str, Array], Settings], Candidates]]] = {
    "centroids": from_centroids,
    "postprocess": candidates.from_postprocess,
    "yolov8": candidates.from_yolov8,
    "yolov5": candidates.from_yolov5,
}
_ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "anchors": ("boxes", "scores"),
    "centroids": ("scores",),
    "postprocess": ("boxes", "classes", "scores", "count"),
    "yolov8": ("predictions",),
    "yolov5": ("predictions",),
}


def roles(options: Mapping[str, Any]) -> tuple[str, ...]:
    """The roles of the outputs that `decode` reads, by the option `decode`.

    Raises:
        CardError: the option is missing or unknown.
    """
    found = _ROLES[decode_of(options)]
    return found[:-1] if options.get("count") is False and found[-1] == "count" else found


def anchors(card: Card) -> Array:
    """Centre and side of every cell of a card with decode "anchors".

    Returns:
        (n, 3) float32: x, y, side in prepared pixels, in the order of the rows of boxes and scores.

    Raises:
        CardError: an option is missing, unknown, or has a value that it cannot have; or another decode.
    """
    try:
        said = settings_of(card)
    except CardError as error:
        raise CardError(f"{card.name}: {error}") from None
    if said.decode != "anchors":
        raise CardError(f"{card.name}: decode {said.decode} has no anchors")
    return anchors_of(said).astype(np.float32)


def decode(outputs: Mapping[str, Array], view: View, card: Card) -> Boxes:
    """Turn the outputs into boxes in pixels of the original image, best first.

    Boxes are suppressed as the model gives them, then clipped to the image; those without area in it do not
    take part. Order: score, descending; of equal scores, the earlier cell or row, then the lower label.

    Args:
        outputs: by role, real numbers, without the batch axis.
        view: where the original image lies in the prepared one.
        card: gives the labels, the input's size and the options; see the module.

    Returns:
        At most `most` boxes with an area, each with a score of at least `threshold`.

    Raises:
        CardError: the outputs do not fit the card, or an option is missing, unknown or has no such value.
        ModelError: an output is not a number.
    """
    return decoder(card)(outputs, view)


def decoder(
    card: Card, steps: Mapping[str, Steps] = MappingProxyType({})
) -> Callable[[Mapping[str, Array], View], Boxes]:
    """What does `decode`'s work for many images of one card: the options are read here, once.

    Args:
        card: as for `decode`.
        steps: by role, what the values of outputs mean that will be given as the model stores them.

    Returns:
        A function of outputs and view. Same boxes, to the bit, from stored values as from real ones.

    Raises:
        CardError: as `decode`. The function raises what else `decode` does.
    """
    try:
        said = settings_of(card)
        read = _reader(said, steps)
    except CardError as error:
        raise CardError(f"{card.name}: {error}") from None

    few = said.decode == "postprocess" and said.nms == "none" and not steps

    def decoded(outputs: Mapping[str, Array], view: View) -> Boxes:
        answers = postprocessed.answers(outputs, view, said, card.labels) if few else None
        if answers is not None:
            return answers
        try:
            found = read(outputs)
        except (CardError, ModelError) as error:
            raise type(error)(f"{card.name}: {error}") from None
        return _answers(found, view, said, card.labels)

    return decoded


def _reader(said: Settings, steps: Mapping[str, Steps]) -> _Reader:
    if said.decode == "anchors":
        return anchored.reader(said, steps)
    read = _READERS[said.decode]
    return lambda outputs: read(real(outputs, steps), said)


def _answers(found: Candidates, view: View, said: Settings, labels: tuple[str, ...]) -> Boxes:
    """Candidates on the original image, the weaker of those that overlap left out."""
    label_id, score = found.label_id, found.score
    if not len(score):
        return Boxes.adopt(np.empty((0, 4), np.float32), score, label_id, labels)
    xyxy = view.to_source(found.xyxy.reshape(-1, 2)).reshape(-1, 4)
    inside = np.minimum(np.maximum(xyxy, 0), view.source_wh * 2).astype(np.float32)
    visible = inside[:, 2:] > inside[:, :2]
    if np.count_nonzero(visible) < visible.size:
        some = np.flatnonzero(visible.all(axis=1))
        xyxy, inside, label_id, score = xyxy[some], inside[some], label_id[some], score[some]
    if said.nms == "hard":
        keep = suppress(xyxy, label_id, iou=said.iou, most=said.most)
    elif said.nms == "soft":
        least = float(np.float32(said.threshold))  # as scores are compared everywhere else
        keep, lowered = soften(xyxy, label_id, score, least=least, most=said.most)
        score[keep] = lowered
    else:
        keep = np.arange(min(len(score), said.most))
    return Boxes.adopt(inside.take(keep, axis=0), score.take(keep), label_id.take(keep), labels)
