"""What XNNPACK asks of the weights of a layer: constants, of types and scales that go together.

Source: xnnpack_delegate.cc, put right where the interpreter of ai-edge-litert 2.3.0 does otherwise.
"""

import math
from typing import Final

from edgecnn.graph import Tensor
from targets.delegate_rules import ANEW, FLOAT, Node, Refusal

_HYBRID: Final = ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_CHANNEL: Final = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
_SUB_BYTE: Final = {"int4": 2, "int2": 4}
"""Weights smaller than a byte, to how many a byte holds."""


def weights(node: Node) -> Refusal | None:
    """Filter and bias: constant, of types that go together, their scales along the channels."""
    data, filters, bias = node.data, node.known(1), node.input(3 if node.op.kind == "TRANSPOSE_CONV" else 2)
    for tensor in (filters,) if bias is None else (filters, bias):
        if not node.is_fixed(tensor):
            return Refusal(f"{tensor.name!r} is computed by the model; weights must be constants")
    hybrid = node.op.kind in _HYBRID and (data.dtype, filters.dtype) == ("float32", "int8")
    packed = node.op.kind == "FULLY_CONNECTED" and filters.dtype in _SUB_BYTE
    packed = packed and data.dtype in ("float32", "int8")
    if data.dtype != filters.dtype and not (hybrid or packed):
        return Refusal(
            f"{filters.dtype} weights on {data.dtype}", "Convert the model to int8, or leave it in float."
        )
    if filters.dtype in _SUB_BYTE and (reason := _small(filters)):
        return Refusal(reason)
    if len(filters.scale) > 1 and filters.quantized_dimension != _CHANNEL[node.op.kind]:
        return Refusal(f"weights with scales along dimension {filters.quantized_dimension}", ANEW)
    if filters.dtype == "uint8" and len(filters.scale) != 1:
        return Refusal("uint8 weights with a scale for each channel", "Convert the model to int8.")
    return None if bias is None else _bias(bias)


def _small(filters: Tensor) -> str:
    if filters.blockwise:
        return ""
    if filters.dtype == "int2" and len(filters.scale) != filters.shape[0]:
        return f"{filters.dtype} weights without a scale for each channel"
    if filters.shape[1] % _SUB_BYTE[filters.dtype]:
        return f"{filters.dtype} weights of {filters.shape[1]} inputs, which do not fill their bytes"
    return ""


def _bias(bias: Tensor) -> Refusal | None:
    if bias.dtype in FLOAT:
        return None
    if bias.dtype == "int32" and len(bias.scale) and bias.quantized_dimension == 0:
        return None
    return Refusal(f"a bias of {bias.dtype}" + ("" if len(bias.scale) else " without a scale"), ANEW)


def needs_bias(node: Node) -> Refusal | None:
    """A third input, there."""
    if len(node.op.inputs) == 3 and node.op.inputs[2] >= 0:
        return None
    return Refusal("no bias", "Give the layer a bias; zeros will do.")


def grouped(node: Node) -> Refusal | None:
    """As many channels as the filter has, or a multiple."""
    if node.data.shape[3] >= node.known(1).shape[3]:
        return None
    return Refusal("an input of fewer channels than its filter has")


def dense(node: Node) -> Refusal | None:
    """Plain weights of two dimensions, and a bias for each output."""
    filters, bias = node.known(1), node.input(2)
    if node.setting("weights_format", 0) or node.op.version == 8 or filters.is_sparse:
        return Refusal("weights in a format of their own (shuffled or sparse)")
    if len(filters.shape) != 2:
        return Refusal(f"weights of {len(filters.shape)} dimensions, not 2")
    if bias is not None and bias.elements != filters.shape[0]:
        return Refusal(f"a bias of {bias.elements} for {filters.shape[0]} outputs")
    return None


def transposed(node: Node) -> Refusal | None:
    """Sizes that XNNPACK's deconvolution can make: TFLite's own padding is freer."""
    if node.known(0).shape != (4,):
        return Refusal(f"an output size of shape {node.known(0).shape}")
    _, height, width, _ = (int(size) for size in node.values(0))
    kernels = node.known(1).shape[1:3]
    strides = (node.setting("stride_height", 1), node.setting("stride_width", 1))
    for kernel, stride, size, given in zip(
        kernels, strides, (height, width), node.data.shape[1:3], strict=True
    ):
        if node.setting("padding", "SAME") == "VALID":
            if kernel > size:
                return Refusal(f"an output of {size}, smaller than the kernel of {kernel}")
        elif kernel < stride or math.ceil(size / stride) != given:
            return Refusal(
                f"from {given} to {size} by a kernel of {kernel} and a stride of {stride}",
                "Use a kernel at least as large as the stride.",
            )
    return None
