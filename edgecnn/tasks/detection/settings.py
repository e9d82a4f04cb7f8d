"""What a detector's card says about its outputs: the options, checked once, with their defaults.

Knows every option, its values and its default; how outputs are read with them is left to
`edgecnn.tasks.detection.candidates` and `edgecnn.tasks.detection.centroids`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isfinite, log
from numbers import Integral, Real
from typing import Any, Final, TypeAlias

import numpy as np

from edgecnn.card import Card
from edgecnn.errors import CardError
from edgecnn.image import Array

MOST: Final = 300
"""Boxes that are given at most, of one image."""

THRESHOLD: Final = 0.3
"""Least score of an answer, where the card does not say."""

IOU: Final = 0.6
"""Overlap above which the weaker box goes, where the card does not say."""

_COMMON: Final = ("decode", "threshold", "iou", "most", "nms")
OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "anchors": (*_COMMON, "scores", "strides", "anchor_px", "scale_yxhw"),
    "centroids": (*_COMMON, "scores", "stride"),
    "postprocess": (*_COMMON, "label_base", "count"),
    "yolov8": (*_COMMON, "scores", "boxes"),
    "yolov5": (*_COMMON, "scores", "boxes"),
}
"""The options that a card may have, by its option `decode`."""

_Plain: TypeAlias = str | bool | int | float | tuple[Any, ...] | None


@dataclass(frozen=True)
class Settings:
    """The options of a detector, complete. Those that its `decode` does not know have no meaning.

    Attributes:
        decode: a key of `OPTIONS`.
        height: of the prepared image, in pixels.
        width: likewise.
        labels: how many there are.
        threshold: least score of an answer, in [0, 1].
        iou: overlap above which the weaker of two boxes of one label goes, in [0, 1].
        most: how many boxes are given at most, 1 to 300.
        nms: "hard", "soft" or "none".
        scores: "logits" or "probabilities".
        strides: pixels from cell to cell, one for each level, ascending.
        anchor_px: side of the anchor of each level.
        scale_yxhw: what the four numbers of a box's code are divided by.
        stride: pixels from cell to cell of a coarse grid.
        label_base: the class number of the first label.
        count: whether there is an output that says how many boxes are valid.
        boxes: "pixels" or "normalized".
    """

    decode: str
    height: int
    width: int
    labels: int
    threshold: float
    iou: float
    most: int
    nms: str
    scores: str = "probabilities"
    strides: tuple[int, ...] = ()
    anchor_px: tuple[float, ...] = ()
    scale_yxhw: tuple[float, ...] = ()
    stride: int = 0
    label_base: int = 0
    count: bool = True
    boxes: str = "pixels"

    @property
    def enough(self) -> float:
        """Slightly less than the threshold: what is below it stays so, however probabilities are rounded."""
        return self.threshold * (1 - 1e-6)

    @property
    def cut(self) -> float:
        """`enough` as a raw score, so that only the few survivors are turned into probabilities."""
        if self.scores == "probabilities":
            return self.enough
        return log(self.enough / (1 - self.enough)) if self.enough else -inf


def settings(card: Card) -> Settings:
    """The options of a card, checked; the same object for every frame.

    Raises:
        CardError: an option is missing, unknown, or has a value that it cannot have.
    """
    options = tuple([(name, _plain(name, value)) for name, value in card.options.items()])
    return _checked(options, card.input.height, card.input.width, len(card.labels))


def decode_of(options: Mapping[str, Any]) -> str:
    """The option `decode`.

    Raises:
        CardError: it is missing or unknown.
    """
    if "decode" not in options:
        raise CardError(f"a detector's card must say how its outputs are read: decode is {_any(OPTIONS)}")
    return str(_one_of(options, "decode", tuple(OPTIONS)))


@lru_cache(maxsize=32)
def anchors_of(said: Settings) -> Array:
    """Centre and side of every cell: (n, 3) float64 x, y, side in prepared pixels, read-only.

    Level by level, row by row; grids of ceil(height / stride) x ceil(width / stride) cells.
    """
    levels = []
    for stride, side in zip(said.strides, said.anchor_px, strict=True):
        row, column = np.mgrid[0 : -(-said.height // stride), 0 : -(-said.width // stride)]
        x, y = (column.ravel() + 0.5) * stride, (row.ravel() + 0.5) * stride
        levels.append(np.stack([x, y, np.full(x.size, side, np.float64)], axis=1))
    cells = np.concatenate(levels)
    cells.setflags(write=False)
    return cells


def _plain(name: str, value: object) -> _Plain:
    """The value as something that can be a key; a list becomes a tuple."""
    if isinstance(value, list | tuple):
        return tuple([_plain(name, one) for one in value])
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Real):  # numpy's
        return int(value) if isinstance(value, Integral) else float(value)
    raise CardError(f"option {name} must be a number, a word or a list of them, not {type(value).__name__}")


@lru_cache(maxsize=32)
def _checked(pairs: tuple[tuple[str, _Plain], ...], height: int, width: int, labels: int) -> Settings:
    options = dict(pairs)
    decode = decode_of(options)
    unknown = [name for name in options if name not in OPTIONS[decode]]
    if unknown:
        raise CardError(
            f"a detector with decode {decode} has no option {unknown[0]!r}; it has {_any(OPTIONS[decode])}"
        )
    if not labels:
        raise CardError("a detector's card must name its labels")
    drawn_apart = decode in ("centroids", "postprocess")  # groups of cells; what has been suppressed already
    said: dict[str, Any] = {
        "decode": decode,
        "height": height,
        "width": width,
        "labels": labels,
        "threshold": _number({"threshold": THRESHOLD, **options}, "threshold", 0, 1),
        "iou": _number({"iou": IOU, **options}, "iou", 0, 1),
        "most": _whole({"most": MOST, **options}, "most", 1, MOST),
        "nms": _one_of(
            {"nms": "none" if drawn_apart else "hard", **options}, "nms", ("hard", "soft", "none")
        ),
    }
    if "scores" in OPTIONS[decode]:
        usual = "logits" if decode in ("anchors", "centroids") else "probabilities"
        said["scores"] = _one_of({"scores": usual, **options}, "scores", ("logits", "probabilities"))
    if decode == "anchors":
        said |= _of_anchors(options)
    if decode == "centroids":
        said["stride"] = _whole(options, "stride", 1, max(height, width))
    if decode == "postprocess":
        said["label_base"] = _whole({"label_base": 0, **options}, "label_base", 0, 1)
        said["count"] = _one_of({"count": True, **options}, "count", (True, False))
    if decode in ("yolov8", "yolov5"):
        said["boxes"] = _one_of(options, "boxes", ("pixels", "normalized"))
    return Settings(**said)


def _of_anchors(options: Mapping[str, Any]) -> dict[str, Any]:
    strides = _numbers(options, "strides")
    sides = _numbers(options, "anchor_px")
    scale = _numbers({"scale_yxhw": (4, 4, 1, 1), **options}, "scale_yxhw")
    if any(stride != int(stride) for stride in strides) or list(strides) != sorted(set(strides)):
        raise CardError(
            f"option strides must be whole numbers, ascending, such as [8, 16, 32], not {list(strides)}"
        )
    if len(sides) != len(strides):
        raise CardError(
            f"option anchor_px has {len(sides)} sides for {len(strides)} strides; each level needs one"
        )
    if len(scale) != 4:
        raise CardError(
            f"option scale_yxhw must be four numbers, for y, x, height and width, not {list(scale)}"
        )
    return {"strides": tuple(int(stride) for stride in strides), "anchor_px": sides, "scale_yxhw": scale}


def _number(options: Mapping[str, Any], name: str, low: float, high: float) -> float:
    value = options[name]
    if not _is_number(value) or not low <= value <= high:
        raise CardError(f"option {name} must be a number in {low}..{high}, not {value!r}")
    return float(value)


def _whole(options: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = options.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise CardError(f"option {name} must be a whole number in {low}..{high}, not {value!r}")
    return value


def _numbers(options: Mapping[str, Any], name: str) -> tuple[float, ...]:
    values = options.get(name)
    if (
        not isinstance(values, tuple)
        or not values
        or not all(_is_number(value) and isfinite(value) and value > 0 for value in values)
    ):
        raise CardError(f"option {name} must be a list of numbers above 0, not {values!r}")
    return tuple(float(value) for value in values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _one_of(options: Mapping[str, Any], name: str, allowed: tuple[Any, ...]) -> Any:
    value = options.get(name)
    if not any(value is one or (isinstance(value, str) and value == one) for one in allowed):
        raise CardError(f"option {name} must be one of {_any(allowed)}, not {value!r}")
    return value


def _any(names: Any) -> str:
    return ", ".join(str(name) for name in names)
