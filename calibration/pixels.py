"""What can be seen in images before any model looks at them: no content, no colour, noise, a wrong scale.

Nothing is kept of an image but a few counts, and the names of a few that stand for others like them.
"""

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np

from edgecnn.card import InputSpec
from edgecnn.image import Image

NAMED: Final = 3
"""Images named in a finding; the rest is a number."""

PLAIN: Final = 4
"""Grey levels between the darkest and the brightest pixel of an image without content."""

DARK: Final = 63
"""If no pixel of any image is brighter, values lost their scale: 12 bits in files of 16 give at most 15."""

NOISE: Final = 0.2
"""Correlation of neighbouring pixels below which an image is noise: 0 for white noise. Of 2,000 images of
CIFAR-10 the least has 0.55, of 300 drawn scenes 0.54."""

_PATCH: Final = 256  # pixels a side that are looked at of a large image
_FEW: Final = 8


@dataclass
class Seen:
    """Images of one kind: how many, and the first few of them."""

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """One more."""
        self.count += 1
        if self.count <= NAMED:
            self.names.append(name)


class Pixels:
    """Counts over the images that were looked at.

    Attributes:
        images: how many.
        plain: without content: all pixels nearly equal.
        noise: neighbouring pixels have nothing to do with each other.
        grey: all channels nearly equal.
        small: both sides are less than half of what the model takes.
        brightest: value of the brightest pixel of all.
    """

    def __init__(self, spec: InputSpec) -> None:
        self.images = 0
        self.plain, self.noise, self.grey, self.small = Seen(), Seen(), Seen(), Seen()
        self.brightest = 0
        self._spec = spec

    def look(self, image: Image, name: str) -> None:
        """Look at an image, (h, w, 3) uint8 BGR."""
        self.images += 1
        height, width = image.shape[:2]
        if 2 * height < self._spec.height and 2 * width < self._spec.width:
            self.small.add(name)
        thinned = image[:: -(-height // _PATCH), :: -(-width // _PATCH)]
        low, high = int(thinned.min()), int(thinned.max())
        self.brightest = max(self.brightest, high)
        if high - low <= PLAIN:
            self.plain.add(name)
            return
        channels = thinned.reshape(-1, 3)
        if int(cv2.absdiff(channels, channels[:, :1].repeat(3, axis=1)).max()) <= 2:
            self.grey.add(name)
        top, left = (height - min(height, _PATCH)) // 2, (width - min(width, _PATCH)) // 2
        patch = image[top : top + _PATCH, left : left + _PATCH]
        if min(patch.shape[:2]) >= _FEW and neighbours(patch) < NOISE:
            self.noise.add(name)


def neighbours(image: Image) -> float:
    """The correlation of neighbouring pixels, across and down, in [-1, 1]; 1 where all are equal.

    Args:
        image: (h, w, 3) uint8; h and w at least 2.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    grey -= grey.mean()
    power = float((grey * grey).mean())
    if power < 1:  # less than a grey level
        return 1.0
    across = float((grey[:, 1:] * grey[:, :-1]).mean())
    down = float((grey[1:] * grey[:-1]).mean())
    return (across + down) / 2 / power
