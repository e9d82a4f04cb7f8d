"""Scales that single kernels turn into multipliers, and abort on when they cannot.

Source: QuantizeMultiplierSmallerThanOneExp and QuantizeMultiplierGreaterThanOne in
tensorflow/lite/kernels/internal/quantization_util.cc, and their callers.
"""

import numpy as np

from edgecnn.graph.safety.call import Call, Unsafe, called
from edgecnn.graph.view import Tensor


def scaled(call: Call) -> None:
    """Bytes stand for real numbers, so all need scales; 16-bit integers may have none, or all."""
    tensors = [tensor for tensor in (*call.inputs, *call.outputs) if tensor is not None]
    bytes_ = any(tensor.dtype in ("int8", "uint8") for tensor in tensors)
    words = any(tensor.dtype == "int16" and len(tensor.scale) for tensor in tensors)
    for tensor in tensors:
        if (bytes_ or words) and tensor.dtype != "bool":
            _check_scale(tensor)


def tabled(call: Call) -> None:
    """A function of one number is looked up in a table, which is made from both scales."""
    for tensor in (call.inputs[0], call.outputs[0]):
        if tensor is not None and tensor.dtype in ("int8", "uint8", "int16"):
            _check_scale(tensor)


def _check_scale(tensor: Tensor) -> None:
    if not len(tensor.scale):
        raise Unsafe(f"{called(tensor)} of type {tensor.dtype} has no scale")
    if not tensor.scale.all():
        raise Unsafe(f"{called(tensor)} has the scale 0")


def comparable(call: Call) -> None:
    """A comparison knows multipliers smaller and greater than 1, and aborts on 1 itself (comparisons.cc)."""
    for tensor in call.inputs:
        if tensor is not None and len(tensor.scale) and tensor.scale[0] == 1.0:
            raise Unsafe(f"{called(tensor)} has a scale of exactly 1, on which the comparison aborts")


def addable(call: Call) -> None:
    """Twice the larger input scale over 2^shift output scales must lie in (0, 1) (add.cc, sub.cc)."""
    first, second = call.inputs
    output = call.outputs[0]
    if first is None or second is None or first.dtype not in ("int8", "uint8", "int16"):
        return
    if not len(output.scale) and first.dtype != "int16":
        raise Unsafe(f"{called(output)} of type {output.dtype} has no scale")
    if not (len(first.scale) and len(second.scale) and len(output.scale)):
        return
    # computed in float32 as there: what overflows here overflows there
    with np.errstate(over="ignore"):
        widest = np.float32(2) * max(first.scale[0], second.scale[0])
        finest = output.scale[0] * np.float32(2 ** (15 if first.dtype == "int16" else 20))
        if call.operator.kind == "SQUARED_DIFFERENCE":
            widest, finest = widest * widest, output.scale[0] * np.float32(2**14)
    if not 0.0 < float(widest) / float(finest) < 1.0:
        raise Unsafe(
            f"its output scale {output.scale[0]} does not fit its inputs' {first.scale[0]}, {second.scale[0]}"
        )
