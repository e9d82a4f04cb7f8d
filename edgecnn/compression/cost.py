"""Multiply-accumulates of a network without some of its channels, before anything is removed.

    cost = macs(model, channels)
    cost.total(keep)          # as edgecnn.zoo.count would count removal.without(model, channels, keep)

Knows the formulas of convolution, depthwise, separable, transposed convolution and dense, as `zoo.count`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.compression.groups import Channels, Keep
from edgecnn.compression.passing import described, is_depthwise
from edgecnn.compression.rewrite import Call, calls
from edgecnn.compression.ties import Numbers
from edgecnn.errors import TrainingError
from edgecnn.zoo.keras import keras

layers = keras.layers


@dataclass(frozen=True, eq=False)
class Product:
    """The MACs of one kernel: `each` times the kept units of `rows`, times those of `columns`.

    Attributes:
        name: of the call.
        each: MACs of one pair of channels: places times area of the kernel.
        rows: units of the input channels, (rows,).
        columns: units of the output channels, (columns,); None for a kernel of one input channel each.
    """

    name: str
    each: int
    rows: Numbers
    columns: Numbers | None

    def macs(self, keep: Keep) -> int:
        """Of what stays."""
        rows = int(np.count_nonzero(keep[self.rows]))
        return self.each * rows * (1 if self.columns is None else int(np.count_nonzero(keep[self.columns])))


@dataclass(frozen=True, eq=False)
class Cost:
    """What each unit costs.

    Attributes:
        products: of the network's kernels, in the order they run.
        units: how many there are.
    """

    products: tuple[Product, ...]
    units: int
    _touches: npt.NDArray[np.bool_] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        touches = np.zeros((len(self.products), self.units), bool)
        for row, product in zip(touches, self.products, strict=True):
            row[product.rows] = True
            if product.columns is not None:
                row[product.columns] = True
        object.__setattr__(self, "_touches", touches)

    @property
    def whole(self) -> int:
        """MACs of one image through the network as it is."""
        return self.total(np.ones(self.units, bool))

    def total(self, keep: Keep) -> int:
        """MACs of one image through what stays.

        Args:
            keep: (units,) bool.
        """
        return sum(product.macs(keep) for product in self.products)

    def saved(self, keep: Keep, units: Numbers) -> int:
        """MACs that go when these units go too.

        Args:
            keep: (units,) bool: what stays so far.
            units: (n,): what goes now; those that went already save nothing.
        """
        after = keep.copy()
        after[units] = False
        touched = np.flatnonzero(self._touches[:, units].any(axis=1))
        products = [self.products[index] for index in touched]
        return sum(product.macs(keep) - product.macs(after) for product in products)


def macs(model: Any, channels: Channels) -> Cost:
    """What the channels of a network cost.

    Args:
        model: a functional model of fixed image size.
        channels: its `channels_of`.

    Raises:
        TrainingError: the size of an activation is open; names the layer.
    """
    products = [product for call in calls(model) for product in _products(call, channels)]
    return Cost(tuple(products), channels.units)


def _products(call: Call, channels: Channels) -> Iterator[Product]:
    layer, kind, made = call.layer, type(call.layer), channels.made[call.name]
    if kind is layers.SeparableConv2D:
        read, places = channels.read[call.name], _places(call, call.output.shape)
        spread = np.repeat(read, layer.depth_multiplier)
        yield Product(call.name, places * math.prod(layer.kernel_size), spread, None)
        yield Product(call.name, places, spread, made)
    elif is_depthwise(call):
        yield Product(call.name, _places(call, call.output.shape) * math.prod(layer.kernel_size), made, None)
    elif kind is layers.Dense:
        yield Product(call.name, _places(call, call.output.shape), channels.read[call.name], made)
    elif kind in (layers.Conv2D, layers.Conv2DTranspose):
        # A transposed convolution spreads each of its inputs, others gather each of their outputs.
        places = _places(call, (call.inputs[0] if kind is layers.Conv2DTranspose else call.output).shape)
        read = channels.made[call.before[0].name]
        read = read[: len(read) // layer.groups]  # with groups all of them are fixed
        yield Product(call.name, places * math.prod(layer.kernel_size), read, made)


def _places(call: Call, shape: Sequence[int | None]) -> int:
    inner = list(shape[1:-1])
    if None in inner:
        raise TrainingError(
            f"{described(call)} has activations of open size {tuple(shape)}: fix the model's image size"
        )
    return math.prod(side for side in inner if side is not None)
