"""A detector for very small targets: a coarse grid of class scores on the first few blocks of a network.

In the manner of FOMO (Edge Impulse, 2022; no paper): everything behind stride 8 is left out, so a few ten
thousand parameters say WHERE something is, not how large. What the scores mean is `edgecnn.tasks.detection`.
"""

import math
from typing import Any, Final

import numpy as np

from edgecnn.errors import TrainingError
from edgecnn.zoo import features
from edgecnn.zoo.blocks import convolution, layers, relu6, scaled
from edgecnn.zoo.detector import PRIOR
from edgecnn.zoo.initialize import initialize
from edgecnn.zoo.keras import keras

STRIDE: Final = 8
FILTERS: Final = 64
"""Before the scores, at width 1."""

OWN: Final = ("locate",)
"""How the names of the layers begin that no classifier has."""


def structure(name: str, *, input_shape: tuple[int, int, int], classes: int, width: float = 1.0) -> Any:
    """What `build` makes, with Keras' own random weights.

    Raises:
        TrainingError: an unknown network, or an image, width or number of classes that cannot work.
    """
    height, wide = input_shape[:2]
    if height % STRIDE or wide % STRIDE:
        raise TrainingError(
            f"a centroid detector's input must have sides that are multiples of {STRIDE}, not {wide}x{height}"
        )
    if type(classes) is not int or classes < 1:
        raise TrainingError(f"{name} needs at least 1 class, got {classes!r}")
    images = keras.Input(input_shape, name="image")
    maps = features(name, images, width=width)
    if STRIDE not in maps:
        raise TrainingError(f"{name} does not shrink its images {STRIDE} times; take a MobileNet.")
    x = convolution(maps[STRIDE], scaled(FILTERS, width), kernel=1, name="locate", activate=relu6)
    scores = layers.Conv2D(classes, 1, name="locate_scores")(x)
    return keras.Model(images, layers.Activation("linear", name="scores")(scores), name=name)


def build(
    name: str, *, input_shape: tuple[int, int, int], classes: int, width: float = 1.0, seed: int = 0
) -> Any:
    """A detector with fresh weights.

    Args:
        name: a key of `edgecnn.zoo.ZOO` that shrinks its images 8 times.
        input_shape: height, width, channels of one image; the sides are multiples of 8.
        classes: number of labels.
        width: multiplies the number of filters.
        seed: gives the same weights for the same network, always.

    Returns:
        A keras.Model: images (batch, height, width, channels) float32, already normalized, to logits (batch,
        height / 8, width / 8, classes).

    Raises:
        TrainingError: see `structure`.
    """
    model = structure(name, input_shape=input_shape, classes=classes, width=width)
    initialize(model, seed)
    last = model.get_layer("locate_scores")
    last.kernel.assign(0.1 * last.kernel)
    last.bias.assign(np.full(classes, -math.log((1 - PRIOR) / PRIOR), np.float32))
    return model
