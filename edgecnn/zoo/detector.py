"""A one-stage detector on any network of the zoo: a pyramid of three maps, and candidates in every cell.

Designed for int8: convolutions, sums, ReLU6; one anchor in each cell, nothing suppressed in the graph; and
boxes and scores leave as two outputs, each with its own scale. Boxes are coded relative to their cell (Liu et
al., 2016: offsets in strides, logarithms of the sides), so that those of all sizes fill the same range.

Pyramid: Lin et al. 2017 (arXiv 1612.03144), with the way back up of Liu et al. 2018 (arXiv 1803.01534), in
depthwise separable convolutions. What the numbers mean on the device is `edgecnn.tasks.detection`.
"""

import math
from typing import Any, Final

import numpy as np

from edgecnn.errors import TrainingError
from edgecnn.zoo import features
from edgecnn.zoo.blocks import Tensor, convolution, depthwise, layers, relu6, scaled
from edgecnn.zoo.initialize import initialize
from edgecnn.zoo.keras import keras

STRIDES: Final = (8, 16, 32)
ANCHOR_STRIDES: Final = 3
"""Side of a cell's anchor, in strides."""

SCALE_YXHW: Final = (3.0, 3.0, 1.0, 1.0)
"""What divides a code: offsets are in strides, thirds of the anchor; sides are plain logarithms."""

NORM_MOMENTUM: Final = 0.95
"""Of the running statistics: batches are small, epochs short. With 0.99 they lag so far behind that a
detector of BCCD's blood cells lost 3 points of mAP after 17 epochs."""

OWN: Final = ("pyramid", "detect")
"""How the names of the layers begin that no classifier has."""

FILTERS: Final = 96
"""Of every map of the pyramid, at width 1."""

PRIOR: Final = 0.01
"""The score that an untrained network gives to everything (Lin et al., 2017, RetinaNet, section 4.1)."""


def anchor_px() -> list[int]:
    """Side of the anchors of each stride, in prepared pixels."""
    return [ANCHOR_STRIDES * stride for stride in STRIDES]


def structure(name: str, *, input_shape: tuple[int, int, int], classes: int, width: float = 1.0) -> Any:
    """What `build` makes, with Keras' own random weights: to be counted, or given the weights of another.

    Raises:
        TrainingError: an unknown network, or an image, width or number of classes that cannot work.
    """
    height, wide = input_shape[:2]
    coarsest = STRIDES[-1]
    if height % coarsest or wide % coarsest or min(height, wide) < 2 * coarsest:
        raise TrainingError(
            f"a detector's input must have sides that are multiples of {coarsest}, at least {2 * coarsest}, "
            f"not {wide}x{height}. Take {_near(wide)}x{_near(height)}."
        )
    if type(classes) is not int or classes < 1:
        raise TrainingError(f"{name} needs at least 1 class, got {classes!r}")
    images = keras.Input(input_shape, name="image")
    maps = features(name, images, width=width)
    if absent := [stride for stride in STRIDES if stride not in maps]:
        raise TrainingError(
            f"{name} does not shrink its images {absent[0]} times, as a detector needs; take a MobileNet or "
            "an EfficientNet-Lite."
        )
    filters = scaled(FILTERS, width)
    codes, scores = [], []
    for stride, level in _pyramid([maps[stride] for stride in STRIDES], filters).items():
        x = level
        for number in (1, 2):
            x = _separable(x, filters, kernel=5, name=f"detect{stride}_{number}")
        cells = math.prod(int(side) for side in x.shape[1:3])
        code = layers.Conv2D(4, 1, name=f"detect{stride}_boxes")(x)
        score = layers.Conv2D(classes, 1, name=f"detect{stride}_scores")(x)
        codes.append(layers.Reshape((cells, 4), name=f"boxes{stride}")(code))
        scores.append(layers.Reshape((cells, classes), name=f"scores{stride}")(score))
    outputs = [
        layers.Concatenate(axis=1, name="boxes")(codes),
        layers.Concatenate(axis=1, name="scores")(scores),
    ]
    model = keras.Model(images, outputs, name=name)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = NORM_MOMENTUM
    return model


def build(
    name: str, *, input_shape: tuple[int, int, int], classes: int, width: float = 1.0, seed: int = 0
) -> Any:
    """A detector with fresh weights.

    Args:
        name: a key of `edgecnn.zoo.ZOO` that shrinks its images 32 times.
        input_shape: height, width, channels of one image; the sides are multiples of 32.
        classes: number of labels.
        width: multiplies the number of filters.
        seed: gives the same weights for the same network, always.

    Returns:
        A keras.Model of standard layers: images (batch, height, width, channels) float32, already normalized,
        to [boxes (batch, n, 4), scores (batch, n, classes)] for n cells, finest grid first, row by row: codes
        (ty, tx, th, tw) as SCALE_YXHW says, and logits.

    Raises:
        TrainingError: see `structure`.
    """
    model = structure(name, input_shape=input_shape, classes=classes, width=width)
    initialize(model, seed)
    for stride in STRIDES:
        boxes, scores = model.get_layer(f"detect{stride}_boxes"), model.get_layer(f"detect{stride}_scores")
        for layer in (boxes, scores):  # answers begin near the prior and the anchor, whatever the image shows
            layer.kernel.assign(0.1 * layer.kernel)
        scores.bias.assign(np.full(classes, -math.log((1 - PRIOR) / PRIOR), np.float32))
    return model


def _pyramid(maps: list[Tensor], filters: int) -> dict[int, Tensor]:
    """From coarse to fine, so that fine cells know what they lie in; then back, so that places stay exact."""
    same = [
        convolution(x, filters, name=f"pyramid{stride}", activate=relu6)
        for stride, x in zip(STRIDES, maps, strict=True)
    ]
    down = [same[-1]]
    for stride, x in list(zip(STRIDES, same, strict=True))[-2::-1]:
        larger = layers.UpSampling2D(2, name=f"pyramid{stride}_up")(down[-1])
        x = layers.Add(name=f"pyramid{stride}_sum")([x, larger])
        down.append(_separable(x, filters, name=f"pyramid{stride}_down"))
    found = {STRIDES[0]: down[-1]}
    for stride, x in zip(STRIDES[1:], down[-2::-1], strict=True):
        smaller = depthwise(
            found[stride // 2], stride=2, name=f"pyramid{stride}_back", activate=relu6, kernel=5
        )
        x = layers.Add(name=f"pyramid{stride}_total")([x, smaller])
        found[stride] = _separable(x, filters, name=f"pyramid{stride}_out")
    return found


def _separable(x: Tensor, filters: int, *, name: str, kernel: int = 3) -> Tensor:
    """Depthwise, then pointwise, each with norm and ReLU6."""
    x = depthwise(x, kernel=kernel, name=f"{name}_depthwise", activate=relu6)
    return convolution(x, filters, name=f"{name}_pointwise", activate=relu6)


def _near(side: int) -> int:
    return max(2, round(side / STRIDES[-1])) * STRIDES[-1]
