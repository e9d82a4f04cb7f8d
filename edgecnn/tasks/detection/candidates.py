"""From output tensors to candidates: boxes in prepared pixels with a score and a label, best first.

One reader for each form of output that gives rows; `edgecnn.tasks.detection.anchored` reads codes relative to
anchors, `edgecnn.tasks.detection.centroids` coarse grids. Readers take the outputs by role and the checked
options, drop what is below the threshold before anything is computed with it, and know nothing of suppression
or of the original image.
"""

from collections.abc import Mapping
from math import inf, isnan
from typing import Final, NamedTuple

import numpy as np

from edgecnn.errors import CardError, ModelError
from edgecnn.image import Array
from edgecnn.tasks.detection.settings import Settings

MOST_CANDIDATES: Final = 1000
"""Of all answers over the threshold, as many best ones are looked at (as in Detectron and torchvision)."""

FARTHEST: Final = 1e6
"""Prepared pixels, or anchors, that a box can be away: no image is as large, and nothing overflows."""

_ALMOST: Final = 0.05
"""By which probabilities may leave [0, 1]: the range of an 8-bit output is rounded to its steps."""


class Candidates(NamedTuple):
    """n possible answers, best first; of equal scores, the earlier cell or row, then the lower label.

    Attributes:
        xyxy: (n, 4) float64, in prepared pixels; may reach out of the image; right may lie left of left.
        score: (n,) float32 in [0, 1].
        label_id: (n,) int64.
    """

    xyxy: Array
    score: Array
    label_id: Array


def from_yolov8(outputs: Mapping[str, Array], said: Settings) -> Candidates:
    """Read rows of box and class scores, (4 + c, n) or (n, 4 + c), as YOLOv8 and its kin are exported.

    Raises:
        CardError: the shape does not fit the labels, or probabilities are none.
        ModelError: an output is not a number.
    """
    found, columns = outputs["predictions"], 4 + said.labels
    if found.ndim != 2 or columns not in found.shape:
        raise CardError(
            f"predictions {found.shape} came out, but {said.labels} labels give ({columns}, n) or "
            f"(n, {columns}). {_labels_hint(found, 4)}"
        )
    rows = found.T if found.shape[0] == columns else found
    highest = rows[:, 4:].max(axis=1)
    _check(highest, said)
    likely = np.flatnonzero(highest >= said.cut)  # thousands of rows, of which a few are looked into
    inside, score, label_id = best(rows[likely, 4:], said)
    return Candidates(_around_center(rows[likely[inside], :4], said), score, label_id)


def from_yolov5(outputs: Mapping[str, Array], said: Settings) -> Candidates:
    """Read rows of box, objectness and class scores, (n, 5 + c), as YOLOv5 and its kin are exported.

    The score is objectness times class score.

    Raises:
        CardError: the shape does not fit the labels, or probabilities are none.
        ModelError: an output is not a number.
    """
    rows, columns = outputs["predictions"], 5 + said.labels
    if rows.ndim != 2 or rows.shape[1] != columns:
        raise CardError(
            f"predictions {rows.shape} came out, but {said.labels} labels give (n, {columns}). "
            f"{_labels_hint(rows, 5)}"
        )
    _check(rows[:, 4:], said)
    # no class score is above 1: where the object is too unlikely, so is every class of it
    likely = np.flatnonzero(rows[:, 4] >= said.cut)
    product = probabilities(rows[likely, 4:5], said) * probabilities(rows[likely, 5:], said)
    place = over(product, np.float32(said.threshold))
    inside, score, label_id = ranked(place, product.reshape(-1)[place], said.labels)
    return Candidates(_around_center(rows[likely[inside], :4], said), score, label_id)


def from_postprocess(outputs: Mapping[str, Array], said: Settings) -> Candidates:
    """Read what the operator TFLite_Detection_PostProcess gives.

    Args:
        outputs: boxes (n, 4) ymin, xmin, ymax, xmax in [0, 1]; classes (n,); scores (n,);
            count (1,) or absent.
        said: the card's options.

    Raises:
        CardError: the shapes do not fit each other, or a class is none of the labels.
        ModelError: an output is not a number.
    """
    boxes, classes, scores = outputs["boxes"], outputs["classes"].reshape(-1), outputs["scores"].reshape(-1)
    if boxes.shape != (len(scores), 4) or len(classes) != len(scores):
        raise CardError(
            f"boxes {boxes.shape}, classes {classes.shape} and scores {scores.shape} came out; "
            "they must be (n, 4), (n,) and (n,). The card's roles are mixed up."
        )
    valid = _count(outputs["count"], len(scores)) if "count" in outputs else len(scores)
    row, score, _ = best(scores[:valid, None], said)
    label = numbers(classes[row], "classes") - said.label_base
    wrong = np.flatnonzero((label != np.floor(label)) | (label < 0) | (label >= said.labels))
    if len(wrong):
        raise CardError(_about_class(float(classes[row[wrong[0]]]), said))
    corners = within(numbers(boxes[row])[:, (1, 0, 3, 2)], FARTHEST)
    corners *= (said.width, said.height, said.width, said.height)
    return Candidates(corners, score, label.astype(np.int64))


def probabilities(raw: Array, said: Settings) -> Array:
    """Raw scores as float32 in [0, 1]."""
    if said.scores == "probabilities":
        return np.asarray(raw, np.float32).clip(0, 1)
    # double: the same float32 comes out on every machine; exp(700) is the largest that it holds
    logits = np.maximum(raw, -700.0, dtype=np.float64)
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def no_probabilities(highest: float, said: Settings) -> bool:
    """Whether the highest score is too high for what the card says that scores are."""
    return said.scores == "probabilities" and highest > 1 + _ALMOST


def best(raw: Array, said: Settings) -> tuple[Array, Array, Array]:
    """Row, score and label of those of (n, c) raw scores that reach the threshold, best first."""
    place = over(raw, said.cut) if _check(raw, said) else np.arange(0)
    score = probabilities(raw.reshape(-1)[place], said)
    enough = np.flatnonzero(score >= np.float32(said.threshold))
    return ranked(place[enough], score[enough], raw.shape[1])


def over(raw: Array, cut: float | np.float32) -> Array:
    """Places in the flattened scores of the best that reach a limit: at most `MOST_CANDIDATES`, ascending."""
    flat = raw.reshape(-1)
    place = (flat >= cut).nonzero()[0]
    if len(place) <= MOST_CANDIDATES:
        return place
    found = flat[place]
    last = np.partition(found, -MOST_CANDIDATES)[-MOST_CANDIDATES]
    better, equal = np.flatnonzero(found > last), np.flatnonzero(found == last)
    # 8-bit scores tie by the dozen: the earlier cell wins, whatever order partition leaves
    kept = np.concatenate([better, equal[: MOST_CANDIDATES - len(better)]])
    return np.asarray(place[np.sort(kept)])


def ranked(place: Array, score: Array, columns: int) -> tuple[Array, Array, Array]:
    """Row, score and label of what lies at these places of the flattened scores, best first."""
    order = (-score).argsort(kind="stable")
    row, label_id = np.divmod(place.take(order), columns)
    return row, score.take(order), label_id.astype(np.int64, copy=False)


def numbers(found: Array, role: str = "boxes") -> Array:
    """As float64.

    Raises:
        ModelError: one is not a number; the error names the role.
    """
    real = np.asarray(found, np.float64)
    if real.size and isnan(real.max()):
        raise ModelError(f"{role} are not numbers (NaN). The weights are damaged.")
    return real


def within(real: Array, limit: float) -> Array:
    """Clipped to [-limit, limit]; in half the time of `clip`."""
    return np.asarray(np.minimum(np.maximum(real, -limit), limit))


def _check(raw: Array, said: Settings) -> bool:
    """Whether any raw score may be an answer. One pass over them, which also finds what is no number."""
    if not raw.size:
        return False
    highest = float(raw.max())  # NaN where there is one
    if not highest < inf:
        raise ModelError("scores are not finite (NaN or infinity). The weights are damaged.")
    if no_probabilities(highest, said):
        raise CardError(
            f"a score is {highest:.4g}, but probabilities lie in 0..1. Set the card's option scores to "
            "logits if a sigmoid is still to come; otherwise the roles are mixed up."
        )
    return highest >= said.cut


def _around_center(cxcywh: Array, said: Settings) -> Array:
    real = within(numbers(cxcywh), FARTHEST)
    if said.boxes == "normalized":
        real = real * (said.width, said.height, said.width, said.height)
    center, half = real[:, :2], 0.5 * real[:, 2:]
    return np.concatenate([center - half, center + half], axis=1)


def _count(found: Array, rows: int) -> int:
    count = np.asarray(found, np.float64).reshape(-1)
    if count.size != 1 or not 0 <= count[0] <= rows or count[0] != int(count[0]):
        raise CardError(
            f"count says {' '.join(f'{one:g}' for one in count[:4])}, but there are {rows} rows. "
            "The card's roles are mixed up."
        )
    return int(count[0])


def _labels_hint(found: Array, before: int) -> str:
    if found.ndim != 2:
        return "Another decode reads this model."
    several = " or ".join(str(side - before) for side in sorted(set(found.shape)) if side > before)
    return f"Give {several} labels, or another decode."


def _about_class(number: float, said: Settings) -> str:
    low, high = said.label_base, said.label_base + said.labels - 1
    if not number.is_integer():
        return f"class {number:g} is no whole number. The card's roles are mixed up: are these the scores?"
    advice = {low - 1: 0, high + 1: 1}.get(int(number))
    if advice is not None and advice != said.label_base:
        return (
            f"class {number:g}, but {said.labels} labels with label_base {low} are numbered {low}..{high}. "
            f"Set the option label_base to {advice} if the first label is class {advice}; else give more "
            "labels."
        )
    return (
        f"class {number:g}, but {said.labels} labels with label_base {low} are numbered {low}..{high}. "
        "Give a label file with a line for every class."
    )
