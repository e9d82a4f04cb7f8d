"""Parameters and multiply-accumulates of a Keras model, by formula.

Knows convolution, depthwise, transposed convolution and dense. Sums, norms, poolings and activations count no
MACs: norms vanish into the convolution before them, and the published figures leave the rest out too.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edgecnn.errors import ModelError
from edgecnn.zoo.keras import keras


@dataclass(frozen=True)
class Counts:
    """How large a model is.

    Attributes:
        params: all parameters, the norms' moving mean and variance included: what Keras prints as total.
        trainable: those that training changes: what PyTorch and most papers count.
        macs: multiply-accumulates of one image through the network.
        kernel_values: parameters in kernels: what a quantizer stores as int8.
        kernel_channels: output channels of the kernels: each keeps one bias when the norms are folded.
    """

    params: int
    trainable: int
    macs: int
    kernel_values: int
    kernel_channels: int


def count(model: Any) -> Counts:
    """Count a functional or sequential Keras model with a fixed image size.

    A layer that is called several times has its parameters once and its MACs each time.

    Raises:
        ModelError: the size of an activation is open, or a layer with weights has no known formula.
    """
    macs, kernels = 0, {}
    for layer, inputs, outputs in _calls(model):
        kernel = _kernel(layer)
        if kernel is None:
            continue
        values = math.prod(kernel.shape)
        transposed = isinstance(layer, keras.layers.Conv2DTranspose)
        macs += values * _positions(layer, inputs if transposed else outputs)
        kernels[id(layer)] = (values, int(outputs[-1]))
    return Counts(
        params=int(model.count_params()),
        trainable=sum(math.prod(weight.shape) for weight in model.trainable_weights),
        macs=macs,
        kernel_values=sum(values for values, _ in kernels.values()),
        kernel_channels=sum(channels for _, channels in kernels.values()),
    )


def _calls(model: Any) -> Iterator[tuple[Any, Any, Any]]:
    # As Keras' own summary does: the nodes of this model only, though a layer may serve others too.
    depths = getattr(model, "_nodes_by_depth", None)
    if not depths:
        raise ModelError(
            f"model {model.name!r} is neither functional nor sequential: its layers cannot be seen"
        )
    for nodes in depths.values():
        for node in nodes:
            if isinstance(node.layer, keras.Model):
                yield from _calls(node.layer)
            else:
                yield node.layer, node.input_shapes, node.output_shapes


def _kernel(layer: Any) -> Any:
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return layer.depthwise_kernel
    if type(layer) in (keras.layers.Conv2D, keras.layers.Conv2DTranspose, keras.layers.Dense):
        return layer.kernel
    if layer.weights and not isinstance(layer, keras.layers.BatchNormalization):
        raise ModelError(
            f"layer {layer.name!r} is a {type(layer).__name__}, whose MACs are not known by formula"
        )
    return None


def _positions(layer: Any, shape: tuple[int | None, ...]) -> int:
    """How often the kernel is applied: everything between the batch and the channels."""
    inner = shape[1:-1]
    if any(side is None for side in inner):
        raise ModelError(
            f"layer {layer.name!r} has activations of open size {shape}: fix the model's input size"
        )
    return math.prod(side for side in inner if side is not None)
