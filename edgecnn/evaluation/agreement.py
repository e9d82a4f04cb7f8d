"""Whether two models decide alike, image by image: sharper than comparing two accuracies."""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from edgecnn.image import Array
from edgecnn.tasks.classification import wilson

UNDECIDED = -1
"""The decision of a model whose highest score is shared by several labels."""


@dataclass(frozen=True)
class Agreement:
    """How a model's decisions compare with a reference's on the same images.

    Attributes:
        images: how many both judged.
        same: on how many both decided for the same label; undecided is never the same.
        gained: on how many only this model was right.
        lost: on how many only the reference was right.
    """

    images: int
    same: int
    gained: int
    lost: int

    @property
    def share(self) -> float:
        """The share of images with the same decision, in [0, 1]."""
        return self.same / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of `share`."""
        return wilson(self.same, self.images)

    @property
    def difference(self) -> float:
        """Accuracy of this model minus that of the reference, in [-1, 1]."""
        return (self.gained - self.lost) / self.images

    @property
    def difference_interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of `difference`, for matched pairs (Agresti and Min, 2005)."""
        total = self.images + 2
        gained, lost = (self.gained + 0.5) / total, (self.lost + 0.5) / total
        center = gained - lost
        half = 1.959964 * sqrt((gained + lost - center * center) / total)
        return max(-1.0, center - half), min(1.0, center + half)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {
            "images": self.images,
            "share": self.share,
            "interval": list(self.interval),
            "gained": self.gained,
            "lost": self.lost,
            "difference": self.difference,
            "difference_interval": list(self.difference_interval),
        }


def decide(scores: Array) -> Array:
    """The column of each row's highest score, or `UNDECIDED` where several share it.

    Args:
        scores: (n, c); n may be 0.

    Returns:
        (n,) int64.
    """
    best = scores.max(1, keepdims=True)
    alone = (scores == best).sum(1) == 1
    return np.where(alone, scores.argmax(1), UNDECIDED).astype(np.int64)


def compare(truths: Array, decisions: Array, reference: Array) -> Agreement:
    """Compare two models' decisions, all (n,) and of one numbering; n must be > 0."""
    right, reference_right = decisions == truths, reference == truths
    return Agreement(
        images=len(truths),
        same=int(((decisions == reference) & (decisions != UNDECIDED)).sum()),
        gained=int((right & ~reference_right).sum()),
        lost=int((~right & reference_right).sum()),
    )
