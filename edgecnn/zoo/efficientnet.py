"""EfficientNet-Lite 0 to 4: no squeeze-and-excite, ReLU6 instead of swish, stem and head fixed.

Source: tensorflow/tpu, models/official/efficientnet/lite/efficientnet_lite_builder.py.
"""

import math
from typing import NamedTuple

from edgecnn.zoo.blocks import Tensor, convolution, dropout, inverted_residual, layers, logits, relu6, scaled

STEM, HEAD = 32, 1280

# Repeats, kernel, stride of the first, expansion, filters.
ROWS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class Scaling(NamedTuple):
    """How one of the family differs from Lite0: times as wide, times as deep, dropout before the logits."""

    width: float
    depth: float
    dropped: float


FAMILY = {
    "efficientnet_lite0": Scaling(1.0, 1.0, 0.2),
    "efficientnet_lite1": Scaling(1.0, 1.1, 0.2),
    "efficientnet_lite2": Scaling(1.1, 1.2, 0.3),
    "efficientnet_lite3": Scaling(1.2, 1.4, 0.3),
    "efficientnet_lite4": Scaling(1.4, 1.8, 0.3),
}


def features(name: str, images: Tensor, width: float) -> dict[int, Tensor]:
    """The stem and the rows but for the last, which only widens what the classifier's 1280 filters read."""
    x = convolution(images, STEM, kernel=3, stride=2, name="stem", activate=relu6)
    maps, reached, number = {2: x}, 2, 0
    for row, (_, kernel, first_stride, expansion, filters) in enumerate(ROWS[:-1]):
        for repeat in range(_depth(name, row)):
            stride = first_stride if repeat == 0 else 1
            x = inverted_residual(
                x,
                scaled(filters, FAMILY[name].width * width),
                expanded=expansion * x.shape[-1],
                kernel=kernel,
                stride=stride,
                name=f"block{number}",
            )
            number, reached = number + 1, reached * stride
            maps[reached] = x
    return maps


def _depth(name: str, row: int) -> int:
    # The first row, like the last, is part of the fixed stem and head: wider, but never repeated.
    return ROWS[row][0] if row == 0 else math.ceil(ROWS[row][0] * FAMILY[name].depth)


def classifier(name: str, x: Tensor, classes: int, width: float) -> Tensor:
    """The last row, 1280 filters, the mean over the image, dropout, logits."""
    _, kernel, _, expansion, filters = ROWS[-1]
    x = inverted_residual(
        x,
        scaled(filters, FAMILY[name].width * width),
        expanded=expansion * x.shape[-1],
        kernel=kernel,
        name=f"block{sum(_depth(name, row) for row in range(len(ROWS) - 1))}",
    )
    x = convolution(x, HEAD, name="head", activate=relu6)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return logits(dropout(x, FAMILY[name].dropped), classes)
