"""What an Ethos-U55 or U65 asks of an operator's settings and shapes, beyond the type of its tensors.

One function for each rule of `vela --supported-ops-report` (ethos-u-vela 5.2.0), in its order.
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import Final, TypeAlias

import numpy as np

from edgecnn.graph import Graph, Operator

Refused: TypeAlias = tuple[str, str] | None
Rule: TypeAlias = Callable[[Graph, Operator], Refused]
"""Says why the NPU does not take an operator, and what to do; None where it takes it."""

_STRIDE: Final = 3
_KERNEL_SIDE: Final = 256
_SAME_SIDE: Final = 8
_WEIGHT_SUM: Final = 8323072
_ARG_MAX_DEPTH: Final = 127
_REDUCED: Final = {"int8": 1 << 24, "uint8": 1 << 23, "int16": 1 << 16}
_REDUCED_AXIS: Final = 4096
_SOFTMAX_AREA: Final = 65536


def _shape(graph: Graph, index: int) -> tuple[int, ...]:
    """With ones in front, to four dimensions, as Vela sees it."""
    shape = graph.tensors[index].shape
    return (1,) * (4 - len(shape)) + shape


def _strides(graph: Graph, op: Operator) -> Refused:
    strides = op.options["stride_width"], op.options["stride_height"]
    if max(strides) <= _STRIDE:
        return None
    wide = f"a stride of {strides[1]}x{strides[0]}"
    if op.kind == "DEPTHWISE_CONV_2D":
        return f"{wide}; at most {_STRIDE} is taken", "Use a stride of 1 to 3."
    dilated = op.options.get("dilation_width", 1) * op.options.get("dilation_height", 1) != 1
    if dilated or op.options["padding"] != "VALID":
        return f"{wide} with padding {op.options['padding']}", "Use a stride of 1 to 3, or padding VALID."
    return None


def _constant_weights(graph: Graph, op: Operator) -> Refused:
    weights = graph.tensors[op.inputs[1]]
    if op.kind == "FULLY_CONNECTED" and not weights.is_constant:
        if graph.tensors[op.inputs[0]].dtype == "int8":
            return None
        return "weights that are computed, on other than int8", "Use constant weights."
    if not weights.is_constant:
        return "weights that are computed", "Use constant weights."
    if weights.dtype not in ("int8", "uint8"):
        return f"weights of {weights.dtype}", "Convert the model to int8."
    values = graph.data(weights).astype(np.int64) - (weights.zero_point[0] if len(weights.zero_point) else 0)
    axis = 3 if op.kind == "DEPTHWISE_CONV_2D" else 0
    sums = np.abs(values).sum(axis=tuple(place for place in range(values.ndim) if place != axis))
    if int(sums.max(initial=0)) > _WEIGHT_SUM:
        return f"weights whose absolute sum exceeds {_WEIGHT_SUM}", "Use fewer input channels."
    return None


def _bias(graph: Graph, op: Operator) -> Refused:
    place = 3 if op.kind == "TRANSPOSE_CONV" else 2
    if len(op.inputs) <= place or op.inputs[place] < 0:
        return None
    bias = graph.tensors[op.inputs[place]]
    if not bias.is_constant:
        return "a bias that is computed", "Use a constant bias."
    if bias.dtype not in ("int32", "int64"):
        return f"a bias of {bias.dtype}", "Convert the model to int8."
    return None


def _window(graph: Graph, op: Operator) -> Refused:
    width, height = op.options["filter_width"], op.options["filter_height"]
    if op.kind == "AVERAGE_POOL_2D" and op.options["padding"] == "SAME":
        if max(width, height) > _SAME_SIDE:
            return (
                f"a window of {height}x{width} with padding SAME; at most {_SAME_SIDE}x{_SAME_SIDE} is taken",
                "Use padding VALID, or MEAN.",
            )
        return None
    if height > _KERNEL_SIDE or width * height > _KERNEL_SIDE**2:
        return f"a window of {height}x{width}; at most 256x256 is taken", "Use a smaller window."
    return None


def _constant_settings(*places: int) -> Rule:
    def rule(graph: Graph, op: Operator) -> Refused:
        for place in places:
            if place < len(op.inputs) and not graph.tensors[op.inputs[place]].is_constant:
                return f"input {place} (a setting) is computed", "Make it a constant."
        return None

    return rule


def _arg_max(graph: Graph, op: Operator) -> Refused:
    source, axis = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]]
    if not axis.is_constant:
        return "an axis that is computed", "Make it a constant."
    if int(graph.data(axis).reshape(-1)[0]) % len(source.shape) != len(source.shape) - 1:
        return "an axis other than the last", "Find the maximum along the channels."
    if source.shape[-1] > _ARG_MAX_DEPTH:
        return f"{source.shape[-1]} channels; at most {_ARG_MAX_DEPTH} are taken", "Find it in your program."
    return None


def _mean(graph: Graph, op: Operator) -> Refused:
    source, axes = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]]
    if not axes.is_constant:
        return "axes that are computed", "Make them constant."
    rank = len(source.shape)
    along = {int(axis) % rank for axis in graph.data(axes).reshape(-1)}
    if rank == 4 and source.shape[0] != 1:
        return "a batch of more than 1", "Convert it with a batch of 1."
    many = prod(source.shape[axis] for axis in along)
    if many > _REDUCED.get(source.dtype, 0):
        return f"a mean of {many} values; at most {_REDUCED.get(source.dtype, 0)}", "Pool in two steps."
    if any(source.shape[axis] >= _REDUCED_AXIS for axis in along):
        return f"an axis of {_REDUCED_AXIS} or more", "Pool in two steps."
    image = _shape(graph, op.inputs[0])[1:]
    if rank - 1 in along and rank > 2 and 1 not in image:
        return "a mean over channels of an image", "Average over height and width only."
    return None


def _resize(graph: Graph, op: Operator) -> Refused:
    _, height, width, _ = _shape(graph, op.inputs[0])
    _, out_height, out_width, _ = _shape(graph, op.outputs[0])
    if (height, width) in ((1, 1), (out_height, out_width)):
        return None
    less = int(bool(op.options.get("align_corners")))
    factors = {
        (made - less) / (given - less) if given > less else 1.0
        for given, made in ((height, out_height), (width, out_width))
        if not (given == made == 1)
    }
    taken = (
        {2.0} if op.kind == "RESIZE_BILINEAR" and op.options.get("half_pixel_centers") else {2.0, 4.0, 8.0}
    )
    if len(factors) == 1 and factors <= taken:
        return None
    by = " or ".join(f"{factor:.0f}" for factor in sorted(taken))
    return (
        f"resizing {height}x{width} to {out_height}x{out_width}; it is taken by a factor of {by}",
        f"Resize by a factor of {by}.",
    )


def _softmax(graph: Graph, op: Operator) -> Refused:
    _, height, width, _ = _shape(graph, op.inputs[0])[-4:]
    if height * width < _SOFTMAX_AREA:
        return None
    return f"an image of {height}x{width}; height times width must be below {_SOFTMAX_AREA}", "Resize it."


def _transposed(graph: Graph, op: Operator) -> Refused:
    strides = op.options["stride_width"], op.options["stride_height"]
    height, width = graph.tensors[op.inputs[1]].shape[1:3]
    _, in_height, in_width, _ = _shape(graph, op.inputs[2])
    if (
        strides in ((1, 1), (2, 2))
        or (strides == (2, 1) and in_height == height == 1)
        or (strides == (1, 2) and in_width == width == 1)
    ):
        return None
    return f"a stride of {strides[1]}x{strides[0]}; 1x1 and 2x2 are taken", "Use a stride of 1 or 2."


def _same_scales(graph: Graph, op: Operator) -> Refused:
    out = graph.tensors[op.outputs[0]]
    for index in op.inputs:
        given = graph.tensors[index]
        if not np.array_equal(given.scale, out.scale) or not np.array_equal(given.zero_point, out.zero_point):
            return "inputs and output that differ in scale", "Convert the model with our int8 scheme."
    return None


def _reversed(graph: Graph, op: Operator) -> Refused:
    return "reversing along an axis", "Reverse it in your program."


_WEIGHTS: Final = (_constant_weights, _bias)
RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "ARG_MAX": (_arg_max,),
    "AVERAGE_POOL_2D": (_window, _strides),
    "CONV_2D": (_strides, *_WEIGHTS),
    "DEPTHWISE_CONV_2D": (_strides, *_WEIGHTS),
    "FULLY_CONNECTED": _WEIGHTS,
    "MAX_POOL_2D": (_window, _strides),
    "MAXIMUM": (_same_scales,),
    "MEAN": (_mean,),
    "MINIMUM": (_same_scales,),
    "MIRROR_PAD": (_constant_settings(1),),
    "PAD": (_constant_settings(1),),
    "PADV2": (_constant_settings(1),),
    "RESIZE_BILINEAR": (_resize,),
    "RESIZE_NEAREST_NEIGHBOR": (_resize,),
    "REVERSE_V2": (_reversed,),
    "SLICE": (_constant_settings(1, 2),),
    "SOFTMAX": (_softmax,),
    "STRIDED_SLICE": (_constant_settings(1, 2, 3),),
    "TRANSPOSE": (_constant_settings(1),),
    "TRANSPOSE_CONV": (_transposed, *_WEIGHTS),
}
