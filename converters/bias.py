"""Biases of an int8 model that would not fit their 32 bits, and the weight scales that make them fit.

A bias is stored as an int32 in steps of (input scale * weight scale), because the kernel adds it to the sum
of products (Jacob et al., 2018, section 2.4). Where the weights of a channel are nearly zero (a dead channel:
batch normalization with a variance near 0, or a pruned filter) these steps are tiny and the bias saturates: a
constant channel becomes a wrong constant. Coarser weights cost such a channel nothing and let its bias fit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.graph import Graph, Operator, Tensor

LIMIT = 2**30
"""Largest |bias| in steps: half of int32, so that the sum of products has the other half. A product is at
most 255 * 127, so half is enough for 33,000 of them in one output."""

_CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
_BIAS_INPUT = {"TRANSPOSE_CONV": 3}


@dataclass(frozen=True, eq=False)
class Layer:
    """An operator with weights and a bias.

    Attributes:
        weights: name of the tensor.
        axis: of the weights, along which the output channels lie.
        steps: (channels,) float64: |bias| in steps of input scale * weight scale, not rounded, not clipped.
        amplitude: (channels,) float64: the highest |weight| that the integers of the file can stand for.
    """

    weights: str
    axis: int
    steps: npt.NDArray[np.float64]
    amplitude: npt.NDArray[np.float64]


def too_large(quantized: Graph, floating: Graph) -> list[Layer]:
    """The layers of the quantized model whose bias is above LIMIT in some channel.

    Args:
        quantized: the int8 model.
        floating: the model it was made from; tensors have the same names.
    """
    biases = {tensor.name: tensor for tensor in floating.tensors if tensor.is_constant}
    layers = []
    for operator, source, weights, bias in _layers(quantized):
        exact = np.abs(floating.data(biases[bias.name]).astype(np.float64).ravel())
        step = float(source.scale[0]) * weights.scale.astype(np.float64)
        steps = exact / step
        if steps.max() > LIMIT:
            axis = _CHANNEL_AXIS[operator.kind]
            layers.append(
                Layer(weights.name, axis, steps, np.broadcast_to(weights.scale * 127.0, steps.shape))
            )
    return layers


def widened(layer: Layer, rank: int) -> dict[str, Any]:
    """The range for the layer's weights that lets every bias fit, as ai-edge-quantizer takes it."""
    amplitude = layer.amplitude * np.maximum(1.0, layer.steps / LIMIT)
    shape = [1] * rank
    shape[layer.axis] = -1
    bound = amplitude.astype(np.float32).reshape(shape)
    return {"min": -bound, "max": bound}


def _layers(graph: Graph) -> Iterator[tuple[Operator, Tensor, Tensor, Tensor]]:
    """Operator, input, weights and bias wherever an int32 bias is constant."""
    for operator in graph.ops:
        position = _BIAS_INPUT.get(operator.kind, 2)
        if (
            operator.kind not in _CHANNEL_AXIS
            or len(operator.inputs) <= position
            or operator.inputs[position] < 0
        ):
            continue
        bias = graph.tensors[operator.inputs[position]]
        source = graph.tensors[operator.inputs[2 if operator.kind == "TRANSPOSE_CONV" else 0]]
        if bias.dtype == "int32" and bias.is_constant:
            yield operator, source, graph.tensors[operator.inputs[1]], bias
