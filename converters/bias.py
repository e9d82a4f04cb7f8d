"""Biases of an integer model that would not fit their bits, and the weight scales that make them fit.

A bias is stored as an int32 (an int64 beside int16 activations) in steps of (input scale * weight scale),
because the kernel adds it to the sum of products (Jacob et al., 2018, section 2.4). Where the weights of a
channel are nearly zero (a dead channel: batch normalization with a variance near 0, or a pruned filter)
these steps are tiny and the bias saturates: a constant channel becomes a wrong constant. Coarser weights cost
such a channel nothing and let its bias fit.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.precision import pairs
from edgecnn.graph import Graph

LIMIT = 2**30
"""Largest |bias| in steps: half of int32, so that the sum of products has the other half. A product is at
most 255 * 127, so half is enough for 33,000 of them in one output."""

LIMIT_INT64 = 2**46
"""Likewise beside int16 activations, where kernels scale a sum of 48 bits (`MultiplyByQuantizedMultiplier`
for int64 in tensorflow/lite/kernels/internal/common.cc)."""

_CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
_BIAS_INPUT = {"TRANSPOSE_CONV": 3}


@dataclass(frozen=True, eq=False)
class Layer:
    """An operator with weights and a bias.

    Attributes:
        weights: name of the tensor in the float model.
        axis: of the weights, along which the output channels lie.
        steps: (channels,) float64: |bias| in steps of input scale * weight scale, not rounded, not clipped.
        amplitude: (channels,) float64: the highest |weight| that the integers of the file can stand for.
        limit: what `steps` may be.
        per_channel: each channel has its own scale; else all share one.
    """

    weights: str
    axis: int
    steps: npt.NDArray[np.float64]
    amplitude: npt.NDArray[np.float64]
    limit: int
    per_channel: bool


def too_large(quantized: Graph, floating: Graph) -> list[Layer]:
    """The layers of the quantized model whose bias is above the limit in some channel.

    Args:
        quantized: the integer model; layers kept in float are passed over.
        floating: the model it was made from.
    """
    layers = []
    for operator, origin in pairs(quantized, floating):
        if operator.kind not in _CHANNEL_AXIS:
            continue
        position = _BIAS_INPUT.get(operator.kind, 2)
        if len(origin.inputs) <= position or origin.inputs[position] < 0:
            continue
        bias = floating.tensors[origin.inputs[position]]
        source = quantized.tensors[operator.inputs[2 if operator.kind == "TRANSPOSE_CONV" else 0]]
        weights = quantized.tensors[operator.inputs[1]]
        if not (bias.is_constant and source.is_quantized and weights.is_quantized):
            continue
        exact = np.abs(floating.data(bias).astype(np.float64).ravel())
        steps = exact / (float(source.scale[0]) * weights.scale.astype(np.float64))
        limit = LIMIT_INT64 if source.dtype == "int16" else LIMIT
        if steps.max() > limit:
            amplitude = np.broadcast_to(weights.scale * 127.0, steps.shape)
            # By the name it had: a tensor that several operators share is duplicated, and renamed.
            name = floating.tensors[origin.inputs[1]].name
            axis, per_channel = _CHANNEL_AXIS[operator.kind], len(weights.scale) > 1
            layers.append(Layer(name, axis, steps, amplitude, limit, per_channel))
    return layers


def widened(layer: Layer, rank: int) -> dict[str, Any]:
    """The range for the layer's weights that lets every bias fit, as ai-edge-quantizer takes it."""
    amplitude = layer.amplitude * np.maximum(1.0, 1.001 * layer.steps / layer.limit)  # scales are float32
    shape = [1] * rank
    if layer.per_channel:
        shape[layer.axis] = -1
    else:
        amplitude = amplitude.max(keepdims=True)
    bound = amplitude.astype(np.float32).reshape(shape)
    return {"min": -bound, "max": bound}
