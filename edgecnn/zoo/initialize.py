"""Fresh weights from a seed.

Weights are drawn by numpy, layer by layer from (seed, index of the layer), so the same seed gives the same
weights on every machine and in every TensorFlow, whatever was drawn before.
"""

import math
from typing import Any

import numpy as np

from edgecnn.errors import TrainingError
from edgecnn.zoo.keras import keras

_UNTOUCHED = (keras.layers.BatchNormalization,)  # starts as the identity


def initialize(model: Any, seed: int) -> None:
    """Draw every kernel anew; biases and norms stay as Keras made them, zeros and the identity.

    He et al. 2015 (arXiv 1502.01852), uniform: variance 2 / fan-in, which keeps the size of the activations
    through any number of rectified layers. The layer named "logits" is not rectified: 1 / fan-in.

    Args:
        model: a functional or sequential model of convolutions, depthwise and dense layers.
        seed: 0 or more.

    Raises:
        TrainingError: a negative seed, or a layer with weights of which it isn't known how to draw them.
    """
    if seed < 0:
        raise TrainingError(f"a seed is 0 or more, got {seed}")
    for index, layer in enumerate(model.layers):
        if layer.weights and not isinstance(layer, _UNTOUCHED):
            kernel = _kernel(layer)
            variance = (1.0 if layer.name == "logits" else 2.0) / _fan_in(layer, tuple(kernel.shape))
            bound = np.float32(math.sqrt(3 * variance))
            drawn = np.random.default_rng((seed, index)).random(tuple(kernel.shape), dtype=np.float32)
            drawn *= 2 * bound
            drawn -= bound
            kernel.assign(drawn)


def _kernel(layer: Any) -> Any:
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return layer.depthwise_kernel
    if type(layer) in (keras.layers.Conv2D, keras.layers.Conv2DTranspose, keras.layers.Dense):
        return layer.kernel
    raise TrainingError(
        f"layer {layer.name!r} is a {type(layer).__name__}: how to draw its weights from a seed is not known"
    )


def _fan_in(layer: Any, shape: tuple[int, ...]) -> int:
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return math.prod(shape[:2])
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return math.prod(shape[:2]) * shape[3]  # (height, width, out, in)
    return math.prod(shape[:-1])
