"""Classification: one score for each label of the whole image.

Role of the output: `scores`, (c,). Option `scores` says what they are: "logits" (softmax is applied here)
or "probabilities" (taken as they are).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np

from edgecnn.card import Card
from edgecnn.errors import CardError, DataError, ModelError
from edgecnn.image import Array, Image, View
from edgecnn.results import Classes, Result
from edgecnn.tasks.stored import Steps, real

JUDGING: Mapping[str, Any] = {}


def roles(options: Mapping[str, Any]) -> tuple[str, ...]:
    """The one output, whatever the options."""
    return ("scores",)


@dataclass(frozen=True, eq=False)
class Metrics:
    """How often the class was right.

    Attributes:
        labels: c names.
        confusion: (c, c) int64, row = truth, column = prediction. A tie for the highest score counts
            as wrong if any of the tied labels is wrong: the model did not decide.
        top5_correct: images whose true label has fewer than five labels with a score as high or higher.
        images: how many were judged.
        ties: images on which the true label shared the highest score with another.
    """

    labels: tuple[str, ...]
    confusion: Array
    top5_correct: int
    images: int
    ties: int

    @property
    def top1(self) -> float:
        """Share of images whose true label had the highest score, alone; in [0, 1]."""
        return float(np.trace(self.confusion)) / self.images

    @property
    def top5(self) -> float:
        """Share of images whose true label is among the five best; in [0, 1]."""
        return self.top5_correct / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of `top1`."""
        return wilson(int(np.trace(self.confusion)), self.images)

    def per_class(self) -> list[dict[str, Any]]:
        """One record for each label: images, recall with interval, precision, f1; None where undefined."""
        records = []
        for index, label in enumerate(self.labels):
            right = int(self.confusion[index, index])
            true, said = int(self.confusion[index].sum()), int(self.confusion[:, index].sum())
            records.append(
                {
                    "label": label,
                    "images": true,
                    "recall": right / true if true else None,
                    "recall_interval": list(wilson(right, true)) if true else None,
                    "precision": right / said if said else None,
                    "f1": 2 * right / (true + said) if true + said else None,
                }
            )
        return records

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {
            "images": self.images,
            "top1": self.top1,
            "top1_interval": list(self.interval),
            "top5": self.top5,
            "ties": self.ties,
            "per_class": self.per_class(),
            "labels": list(self.labels),
            "confusion": self.confusion.tolist(),
        }


def decode(outputs: Mapping[str, Array], view: View, card: Card) -> Classes:
    """Turn the scores into `Classes`.

    Args:
        outputs: {"scores": (c,) float}.
        view: not used; every task's decode takes it.
        card: gives the labels and the option `scores`.

    Raises:
        CardError: as many scores as labels is not what came out, or the option is unknown.
        ModelError: a score is not a number.
    """
    scores = outputs["scores"].reshape(-1)
    labels = card.labels
    if len(scores) != len(labels):
        raise CardError(
            f"{card.name}: {len(scores)} scores but {len(labels)} labels. "
            f"Give a label file with {len(scores)} lines."
        )
    kind = card.options.get("scores", "probabilities")
    if kind not in ("logits", "probabilities"):
        raise CardError(f"{card.name}: option scores must be logits or probabilities, not {kind!r}")
    classes = Classes(softmax(scores) if kind == "logits" else scores, labels)
    if not isfinite(classes.score.sum(dtype=np.float64)):  # one pass; doubles cannot overflow here
        raise ModelError(f"{card.name}: scores are not finite (NaN or infinity). The weights are damaged.")
    return classes


def decoder(
    card: Card, steps: Mapping[str, Steps] = MappingProxyType({})
) -> Callable[[Mapping[str, Array], View], Classes]:
    """`decode` for one card; of the roles in `steps`, stored values are given. See `edgecnn.tasks.Task`."""
    table = steps["scores"].real if "scores" in steps else np.full(256, np.nan, np.float32)
    if card.options.get("scores", "probabilities") != "probabilities" or not np.isfinite(table).all():
        return lambda outputs, view: decode(real(outputs, steps), view, card)

    def looked_up(outputs: Mapping[str, Array], view: View) -> Classes:
        stored = outputs["scores"].reshape(-1)
        if len(stored) != len(card.labels):
            return decode(real(outputs, steps), view, card)  # says what is wrong
        # of 256 values, all finite and none read before: nothing is left to check or to copy
        return Classes.adopt(table.take(stored.view(np.uint8)), card.labels)

    return looked_up


def softmax(logits: Array) -> Array:
    """exp(x) / sum(exp(x)) over the last axis, float32, safe from overflow."""
    logits = np.asarray(logits, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # -inf is a fine result; NaN is the caller's to judge
        shifted = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)


def draw(image: Image, result: Result) -> Image:
    """A copy of the image with the three best labels and their scores along the bottom.

    Raises:
        DataError: the result is of another task.
    """
    classes = _classes(result)
    lines = [f"{label}  {score:.0%}" for label, score in classes.top(3)]
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy()
    height, width = canvas.shape[:2]
    size = max(0.35, min(width, height) / 600)
    step = max(12, round(26 * size))
    top = max(0, height - step * len(lines) - step // 2)
    canvas[top:] = (canvas[top:] * 0.35).astype(np.uint8)
    for number, line in enumerate(lines):
        color = (255, 255, 255) if number == 0 else (190, 190, 190)
        place = (step // 2, top + step * (number + 1))
        cv2.putText(
            canvas, line, place, cv2.FONT_HERSHEY_SIMPLEX, size * 0.8, color, max(1, round(size)), cv2.LINE_AA
        )
    return np.asarray(canvas, np.uint8)


def score(results: Sequence[Result], truths: Sequence[Result]) -> Metrics:
    """Judge predictions, ties broken against the model.

    Args:
        results: n predictions.
        truths: n truths with the same labels in the same order.

    Raises:
        DataError: no images, unequal counts, labels that differ, or results of another task.
    """
    if len(results) != len(truths) or not truths:
        raise DataError(f"{len(results)} results for {len(truths)} truths: nothing to judge")
    labels = _classes(truths[0]).labels
    for one in (*results, *truths):
        if _classes(one).labels != labels:
            raise DataError(
                f"the model's labels {_some(_classes(one).labels)} are not the data's {_some(labels)}"
            )
    scores = np.stack([_classes(result).score for result in results])
    true = np.array([_classes(truth).label_id for truth in truths])
    return metrics(scores, true, labels)


def metrics(scores: Array, true: Array, labels: tuple[str, ...]) -> Metrics:
    """`score` on arrays: scores (n, c), true label numbers (n,)."""
    rows = np.arange(len(true))
    others = scores.astype(np.float64)
    own = others[rows, true].copy()
    others[rows, true] = -np.inf
    as_good = (others >= own[:, None]).sum(1)
    best_other = others.argmax(1)
    said = np.where(as_good == 0, true, best_other)
    ties = int(((as_good > 0) & (others.max(1) == own)).sum())
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (true, said), 1)
    return Metrics(labels, confusion, int((as_good < 5).sum()), len(true), ties)


def wilson(right: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """The confidence interval of a share (Wilson, 1927); 95 % for the default z. total must be > 0."""
    p = right / total
    center = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return max(0.0, center - half), min(1.0, center + half)


def _classes(result: Result) -> Classes:
    if not isinstance(result, Classes):
        raise DataError(f"classification wants Classes, not {type(result).__name__}")
    return result


def _some(labels: tuple[str, ...]) -> str:
    return "(" + ", ".join(labels[:5]) + (", …" if len(labels) > 5 else "") + f"; {len(labels)})"
