"""Where a channel is read: the kernel slices that it meets, and a network in which nobody reads some.

A layer with a kernel is linear in each of its input channels, so that a channel whose slices are zero is as
good as gone. Which unit a channel belongs to says `edgecnn.compression.groups`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from edgecnn.compression.groups import Keep
from edgecnn.compression.ties import Numbers
from edgecnn.image import Array
from edgecnn.zoo.keras import keras

layers = keras.layers


def kernel_of(layer: Any) -> Any:
    """The variable that meets the input channels of a Conv2D, Dense, Conv2DTranspose or SeparableConv2D."""
    return layer.depthwise_kernel if isinstance(layer, layers.SeparableConv2D) else layer.kernel


def other_axes(layer: Any) -> tuple[int, ...]:
    """All axes of `kernel_of` but the one that counts input channels."""
    rank = len(kernel_of(layer).shape)
    inputs = rank - 1 if isinstance(layer, layers.Conv2DTranspose) else rank - 2
    return tuple(axis for axis in range(rank) if axis != inputs)


def squares(layer: Any) -> Array:
    """Sum of squares of all that each input channel is multiplied with, (inputs,) float64."""
    kernel = kernel_of(layer).numpy().astype(np.float64)
    if isinstance(layer, layers.SeparableConv2D):
        spread = np.square(kernel).sum((0, 1))  # (inputs, multiplier)
        gathered = np.square(layer.pointwise_kernel.numpy().astype(np.float64)).sum((0, 1, 3))
        return np.asarray((spread * gathered.reshape(spread.shape)).sum(1))
    return np.asarray(np.square(kernel).sum(other_axes(layer)))


@contextmanager
def silenced(model: Any, read: Mapping[str, Numbers], keep: Keep) -> Iterator[None]:
    """Inside, nobody reads some units: the same function as that of the network without them.

    All weights are what they were afterwards, whatever happened to them inside.

    Args:
        model: a keras.Model.
        read: reader to the unit of each input channel of its kernel.
        keep: (units,) bool: whether each unit is read.
    """
    before = model.get_weights()
    try:
        for name, units in read.items():
            layer = model.get_layer(name)
            kernel = kernel_of(layer)
            stays = np.expand_dims(keep[units].astype(np.float32), other_axes(layer))
            kernel.assign(kernel.numpy() * stays)
        yield
    finally:
        model.set_weights(before)
