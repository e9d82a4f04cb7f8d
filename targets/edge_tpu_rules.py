"""What the Edge TPU asks of an operator's settings and shapes, beyond the type of its tensors.

One function for each limit of the table at https://coral.ai/docs/edgetpu/models-intro/#supported-operations
and for each that users met since. Where a limit is known only from examples (resizing, averaging), the rule
lies between the largest example that the compiler took and the smallest that it left: see docs/edge_tpu.md.
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import Final, TypeAlias

import numpy as np

from edgecnn.graph import Graph, Operator, Tensor

Refused: TypeAlias = tuple[str, str, str] | None
Rule: TypeAlias = Callable[[Graph, Operator, int], Refused]
"""From a model, an operator and a runtime version to why the Edge TPU does not take it, what to do and the
fix's name; None where it takes it."""

_SOFTMAX_ELEMENTS: Final = 16_000
_MEAN_AREA: Final = (
    16_384  # 64 x 128 was taken, 256 x 128 was left: github.com/google-coral/edgetpu/issues/461
)
_RESIZED_BYTES: Final = (
    4 << 20
)  # 128x128x32 was taken, 512x512x32 was left: github.com/google-coral/edgetpu/issues/31
_RESIZE_FACTOR: Final = 8  # DeepLab's 1x1 to 33x33 was left; twice the size was taken
_MULTI_AXIS: Final = 13  # the runtime from which the x and y axes are not the only ones
_GROUP: Final = 4


def _activation(graph: Graph, op: Operator, level: int) -> Refused:
    if op.options.get("activation", "NONE") == "NONE":
        return None
    return (
        f"a fused {op.options['activation']}, which it does not take here",
        "Put the activation into the layer before it.", "",
    )  # fmt: skip


def _dilation(graph: Graph, op: Operator, level: int) -> Refused:
    high, wide = op.options.get("dilation_height", 1), op.options.get("dilation_width", 1)
    if high != wide:
        return f"dilation {high}x{wide}, not the same on both sides", "Dilate both sides alike.", ""
    if op.kind == "DEPTHWISE_CONV_2D" and high != 1 and level < _MULTI_AXIS:
        return f"dilation {high}x{wide} before runtime {_MULTI_AXIS}", "Use a newer Edge TPU runtime.", ""
    return None


def _weights(graph: Graph, op: Operator, level: int) -> Refused:
    if graph.tensors[op.inputs[1]].is_constant:
        return None
    return "weights that are computed, not stored", "Use constant weights.", ""


def _dense(graph: Graph, op: Operator, level: int) -> Refused:
    if op.options.get("weights_format", 0):
        return "weights in a shuffled format", "Convert it again with plain weights.", ""
    if len(graph.tensors[op.inputs[1]].scale) > 1:
        return (
            "weights with a scale for each output, which the compiler's TensorFlow does not know",
            "Use one weight scale for the whole layer.", "dense-per-tensor",
        )  # fmt: skip
    shape = graph.tensors[op.outputs[0]].shape
    if prod(shape[:-1]) != 1:
        return f"an output of {_by(shape)}, not one-dimensional", "Use a 1x1 convolution instead.", ""
    return None


def _concatenation(graph: Graph, op: Operator, level: int) -> Refused:
    constants = [graph.tensors[index] for index in op.inputs if graph.tensors[index].is_constant]
    if not constants:
        return None
    zero = all(np.all(graph.data(each) == _zero_of(each)) for each in constants)
    if len(op.inputs) == 2 and zero:
        return None
    return "a constant beside other than one tensor, or not all zero", "Leave the constant out.", ""


def _zero_of(tensor: Tensor) -> int:
    return int(tensor.zero_point[0]) if len(tensor.zero_point) else 0


def _reduced(graph: Graph, op: Operator, level: int) -> Refused:
    shape = graph.tensors[op.inputs[0]].shape
    axes = {int(axis) % len(shape) for axis in graph.data(graph.tensors[op.inputs[1]]).ravel()}
    if 0 in axes and len(shape) > 1:
        return "it reduces the batch", "Leave the batch axis alone.", ""
    if op.kind == "MEAN" and len(shape) == 4:
        return _mean(shape, axes, level)
    return None


def _mean(shape: tuple[int, ...], axes: set[int], level: int) -> Refused:
    if level < _MULTI_AXIS and axes - {1, 2}:
        return f"a mean over channels before runtime {_MULTI_AXIS}", "Use a newer Edge TPU runtime.", ""
    if 3 in axes and shape[3] % _GROUP:
        return f"a mean over {shape[3]} channels, no multiple of {_GROUP}", "Use a multiple of 4.", ""
    area = prod(shape[axis] for axis in axes & {1, 2})
    if area > _MEAN_AREA:
        return (
            f"a mean over {_by(shape[1:3])}, more than it is known to take",
            "Take the mean in two steps, or reduce the size before.", "",
        )  # fmt: skip
    return None


def _padding(graph: Graph, op: Operator, level: int) -> Refused:
    padded = {int(axis) for axis in np.flatnonzero(graph.data(graph.tensors[op.inputs[1]]).any(axis=1))}
    if 0 in padded:
        return "it pads the batch", "Leave the batch axis alone.", ""
    if level < _MULTI_AXIS and padded - {1, 2}:
        return f"it pads channels before runtime {_MULTI_AXIS}", "Use a newer Edge TPU runtime.", ""
    return None


def _packing(graph: Graph, op: Operator, level: int) -> Refused:
    rank = len(graph.tensors[op.outputs[0]].shape)
    if op.options.get("axis", 0) % rank:
        return None
    return "it packs along the batch", "Pack along another axis.", ""


def _splitting(graph: Graph, op: Operator, level: int) -> Refused:
    rank = len(graph.tensors[op.inputs[1]].shape)
    axis = int(graph.data(graph.tensors[op.inputs[0]]).ravel()[0]) % rank
    return None if axis else ("it splits the batch", "Split another axis.", "")


def _slope(graph: Graph, op: Operator, level: int) -> Refused:
    shape = graph.tensors[op.inputs[1]].shape
    if prod(shape[:-1]) == 1:
        return None
    return f"a slope of {_by(shape)}, not one for each channel", "Use PReLU with shared_axes=[1, 2].", ""


def _softmax(graph: Graph, op: Operator, level: int) -> Refused:
    shape = graph.tensors[op.inputs[0]].shape
    if prod(shape[:-1]) != 1:
        return f"an input of {_by(shape)}, not one-dimensional", "Take the softmax in your program.", ""
    if shape[-1] > _SOFTMAX_ELEMENTS:
        return f"{shape[-1]} elements, more than {_SOFTMAX_ELEMENTS}", "Take it in your program.", ""
    return None


def _strides(graph: Graph, op: Operator, level: int) -> Refused:
    if np.any(graph.data(graph.tensors[op.inputs[3]]) != 1):
        return "a stride other than 1", "Use pooling, or a convolution with that stride.", ""
    masks = [name for name in ("ellipsis_mask", "new_axis_mask") if op.options.get(name)]
    if masks:
        return f"{masks[0]} is not 0", "Write every axis of the slice out.", ""
    return None


def _resize(graph: Graph, op: Operator, level: int) -> Refused:
    source, made = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    if len(source.shape) != len(made.shape) or 0 in (*source.shape, *made.shape):
        return f"it resizes {_by(source.shape)} to {_by(made.shape)}", "Give the input a fixed size.", ""
    factor = max(after / before for before, after in zip(source.shape[1:3], made.shape[1:3], strict=True))
    sizes = f"from {_by(source.shape[1:3])} to {_by(made.shape[1:3])}"
    if op.kind == "RESIZE_BILINEAR" and factor > _RESIZE_FACTOR:
        return (
            f"it resizes {sizes}, by which the compiler expects to lose precision",
            "Resize in steps of two, or leave the last resize to your program.", "",
        )  # fmt: skip
    if prod(made.shape) > _RESIZED_BYTES:
        return (
            f"it resizes {sizes}, more than it is known to take",
            "Use a smaller input, or leave the last resize to your program.", "",
        )  # fmt: skip
    return None


def _squeeze(graph: Graph, op: Operator, level: int) -> Refused:
    shape = graph.tensors[op.inputs[0]].shape
    real = [place for place, size in enumerate(shape) if size > 1]
    if level >= _MULTI_AXIS or not real or 1 not in shape[real[0] :]:
        return None
    return f"from {_by(shape)} before runtime {_MULTI_AXIS}", "Use a newer Edge TPU runtime.", ""


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "CONV_2D": (_weights, _dilation), "DEPTHWISE_CONV_2D": (_weights, _dilation),
    "TRANSPOSE_CONV": (_weights,), "FULLY_CONNECTED": (_weights, _dense),
    "AVERAGE_POOL_2D": (_activation,), "MAX_POOL_2D": (_activation,),
    "CONCATENATION": (_activation, _concatenation),
    "MEAN": (_reduced,), "SUM": (_reduced,), "REDUCE_MAX": (_reduced,), "REDUCE_MIN": (_reduced,),
    "PAD": (_padding,), "PACK": (_packing,), "SPLIT": (_splitting,), "PRELU": (_slope,),
    "SOFTMAX": (_softmax,), "STRIDED_SLICE": (_strides,), "SQUEEZE": (_squeeze,),
    "RESIZE_BILINEAR": (_resize,), "RESIZE_NEAREST_NEIGHBOR": (_resize,),
}  # fmt: skip
