"""What a model says about an image, and what a person said about it: the same types.

Ground truth is a result whose scores are 1. Arrays are checked and made read-only on construction; a
result never changes afterwards. Coordinates are pixels of the ORIGINAL image, x to the right, y down,
origin at the top left corner of the top left pixel.
"""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.errors import DataError

Array: TypeAlias = npt.NDArray[Any]

_UNSAID = np.zeros(0, bool)


@dataclass(frozen=True, eq=False)
class Classes:
    """One score for each label of the whole image.

    Attributes:
        score: (c,) float32; higher is more likely. Probabilities where the model gives them.
        labels: c names, in the order of `score`.
    """

    score: Array
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        _freeze(self, "score", np.float32, (len(self.labels),))

    @staticmethod
    def adopt(score: Array, labels: tuple[str, ...]) -> "Classes":
        """As `Boxes.adopt`."""
        classes = object.__new__(Classes)
        score.setflags(write=False)
        vars(classes).update(score=score, labels=labels)
        return classes

    @property
    def label_id(self) -> int:
        """The index of the highest score; of equal scores, the first."""
        return int(self.score.argmax())

    @property
    def label(self) -> str:
        """The name of the highest score."""
        return self.labels[self.label_id]

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The `k` best (label, score) pairs, best first; equal scores keep the order of the labels."""
        order = np.argsort(-self.score, kind="stable")[:k]
        return [(self.labels[i], float(self.score[i])) for i in order]

    def records(self, top: int | None = None) -> list[dict[str, Any]]:
        """`top` (default all) entries as plain JSON-ready dicts: label, score."""
        pairs = self.top(len(self.labels) if top is None else top)
        return [{"label": label, "score": score} for label, score in pairs]

    @staticmethod
    def truth(label_id: int, labels: tuple[str, ...]) -> "Classes":
        """What a person says: score 1 for `label_id`, 0 elsewhere."""
        if not 0 <= label_id < len(labels):
            raise DataError(f"class {label_id} is not one of the {len(labels)} labels (0-{len(labels) - 1})")
        score = np.zeros(len(labels), np.float32)
        score[label_id] = 1
        return Classes(score, labels)


@dataclass(frozen=True, eq=False)
class Boxes:
    """n labelled boxes, best first where a model made them.

    Attributes:
        xyxy: (n, 4) float32: left, top, right, bottom in pixels of the original image. n may be 0.
        score: (n,) float32 in [0, 1].
        label_id: (n,) int64 indices into `labels`.
        labels: all names the boxes can have.
        ignored: (n,) bool: of truth, boxes that count neither when they are found nor when they are missed
            (COCO's iscrowd, Pascal VOC's difficult). Where nothing is said, none of them.
    """

    xyxy: Array
    score: Array
    label_id: Array
    labels: tuple[str, ...]
    ignored: Array = field(default_factory=lambda: _UNSAID)

    def __post_init__(self) -> None:
        _freeze(self, "score", np.float32, (None,))
        n = len(self.score)
        _freeze(self, "xyxy", np.float32, (n, 4))
        _freeze(self, "label_id", np.int64, (n,))
        if self.ignored is _UNSAID:
            object.__setattr__(self, "ignored", np.zeros(n, bool))
        _freeze(self, "ignored", np.bool_, (n,))
        if n and not (self.label_id.min() >= 0 and self.label_id.max() < len(self.labels)):
            raise DataError(
                f"Boxes.label_id holds {self.label_id.min()}..{self.label_id.max()}, "
                f"but there are {len(self.labels)} labels (0-{len(self.labels) - 1})"
            )
        if n and ((self.xyxy[:, 2:] < self.xyxy[:, :2]).any() or not np.isfinite(self.xyxy).all()):
            raise DataError("Boxes.xyxy must be finite, with right >= left and bottom >= top")

    @staticmethod
    def adopt(xyxy: Array, score: Array, label_id: Array, labels: tuple[str, ...]) -> "Boxes":
        """Boxes of arrays that are already as the class says: taken over, neither checked nor copied.

        For whoever has just made them and keeps none of them. They become read-only. Checking would take
        longer than all else that a decoder does for one frame.
        """
        boxes = object.__new__(Boxes)
        ignored = np.zeros(len(score), bool)
        for array in (xyxy, score, label_id, ignored):
            array.setflags(write=False)
        vars(boxes).update(xyxy=xyxy, score=score, label_id=label_id, labels=labels, ignored=ignored)
        return boxes

    def __len__(self) -> int:
        return len(self.score)

    def records(self, top: int | None = None) -> list[dict[str, Any]]:
        """`top` (default all) entries as plain JSON-ready dicts: label, score, box_xyxy."""
        return [
            {
                "label": self.labels[int(self.label_id[i])],
                "score": float(self.score[i]),
                "box_xyxy": [float(v) for v in self.xyxy[i]],
            }
            for i in np.argsort(-self.score, kind="stable")[:top]
        ]


@dataclass(frozen=True, eq=False)
class Mask:
    """One label for each pixel.

    Attributes:
        label_id: (h, w) int32 indices into `labels`, at the original image's size.
        labels: all names a pixel can have.
    """

    label_id: Array
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        _freeze(self, "label_id", np.int32, (None, None))
        if self.label_id.size and not (self.label_id.min() >= 0 and self.label_id.max() < len(self.labels)):
            raise DataError(
                f"Mask.label_id holds {self.label_id.min()}..{self.label_id.max()}, "
                f"but there are {len(self.labels)} labels (0-{len(self.labels) - 1})"
            )

    def records(self, top: int | None = None) -> list[dict[str, Any]]:
        """Labels present, largest first, as JSON-ready dicts: label, score (share of the pixels)."""
        share = np.bincount(self.label_id.ravel(), minlength=len(self.labels)) / max(1, self.label_id.size)
        order = [int(i) for i in np.argsort(-share, kind="stable") if share[i] > 0][:top]
        return [{"label": self.labels[i], "score": float(share[i])} for i in order]


@dataclass(frozen=True, eq=False)
class Values:
    """k measured numbers, such as a steering angle.

    Attributes:
        value: (k,) float32, in the unit that its name states.
        names: k names, unit included (`bearing_deg`).
    """

    value: Array
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        _freeze(self, "value", np.float32, (len(self.names),))

    def records(self, top: int | None = None) -> list[dict[str, Any]]:
        """`top` (default all) entries as plain JSON-ready dicts: label, score (the value)."""
        pairs = list(zip(self.names, self.value, strict=True))[:top]
        return [{"label": name, "score": float(value)} for name, value in pairs]


@dataclass(frozen=True, eq=False)
class Embedding:
    """A point in a space where near means alike.

    Attributes:
        vector: (d,) float32.
    """

    vector: Array

    def __post_init__(self) -> None:
        _freeze(self, "vector", np.float32, (None,))

    def records(self, top: int | None = None) -> list[dict[str, Any]]:
        """One JSON-ready dict: vector. `top` changes nothing."""
        return [{"vector": [float(v) for v in self.vector]}]


Result: TypeAlias = Classes | Boxes | Mask | Values | Embedding


def _freeze(result: object, name: str, dtype: npt.DTypeLike, shape: tuple[int | None, ...]) -> None:
    found = np.asarray(getattr(result, name))
    # the first comparison is enough for every frame of a classifier
    if found.shape != shape and not (
        found.ndim == len(shape) and all(s in (None, f) for s, f in zip(shape, found.shape, strict=True))
    ):
        wanted = "(" + ", ".join("any" if s is None else str(s) for s in shape) + ")"
        raise DataError(f"{type(result).__name__}.{name} must have shape {wanted}, not {found.shape}")
    array = np.array(found, dtype=dtype)
    array.setflags(write=False)
    object.__setattr__(result, name, array)
