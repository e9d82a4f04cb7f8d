"""What NNAPI asks of an operator beyond level, type and version: settings, sizes, constants.

Source: NNAPIDelegateKernel::Validate in tflite/delegates/nnapi/nnapi_delegate.cc of LiteRT.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from edgecnn.graph import Tensor
from targets.delegate_rules import EIGHT_BIT, Node, Refusal, Rule, activation, constant, rank, same_scale

_TO_FOUR: Final = rank(0, 4)


def _two_ranks(node: Node) -> Refusal | None:
    for tensor in node.inputs[:2]:
        if len(tensor.shape) > 4:
            return Refusal(f"tensor {tensor.name!r} has {len(tensor.shape)} dimensions, more than 4")
    return None


def _integers_alone(node: Node) -> Refusal | None:
    return activation("NONE")(node) if node.data.dtype == "int32" else None


def _three_inputs(node: Node) -> Refusal | None:
    if len(node.op.inputs) == 3:
        return None
    return Refusal("no bias", "Give the layer a bias; zeros will do.")


def _dense(node: Node) -> Refusal | None:
    if node.output.dtype == "int16":
        return Refusal("an int16 output", "Convert the model to int8.")
    return None


def _no_scalar(node: Node) -> Refusal | None:
    return None if node.output.shape else Refusal("a scalar as its output", "Keep the dimensions.")


def _no_empty(node: Node) -> Refusal | None:
    return Refusal("an empty input") if 0 in node.data.shape else None


def _softmax(node: Node) -> Refusal | None:
    if node.output.dtype in ("float32", *EIGHT_BIT):
        return None
    return Refusal(f"an output of {node.output.dtype}", "Convert the model to int8.")


def _reshape(node: Node) -> Refusal | None:
    for tensor in (node.data, node.output):
        if len(tensor.shape) > 4:
            return Refusal(f"tensor {tensor.name!r} has {len(tensor.shape)} dimensions, more than 4")
    if len(node.op.inputs) == 1 and list(node.setting("new_shape", ())) in ([], [0]):
        return Refusal("a scalar as its output")
    return constant(1)(node)


def _scalars_constant(node: Node) -> Refusal | None:
    for tensor in node.inputs:
        if not tensor.shape and not tensor.is_constant:
            return Refusal(f"{tensor.name!r} is a scalar that the model computes", "Give it a dimension.")
    return None


def _crops(node: Node) -> Refusal | None:
    crops = node.known(2)
    if crops.is_constant and crops.bytes == 16 and not node.values(2).any():
        return None
    return Refusal("crops other than 0", "Use SLICE after it.")


def _axis_int32(place: int) -> Rule:
    """An axis: an int32 constant."""

    def rule(node: Node) -> Refusal | None:
        axis = node.known(place)
        return (
            None
            if axis.dtype == "int32" and axis.is_constant
            else Refusal("an axis that is no int32 constant")
        )

    return rule


def _arg_output(node: Node) -> Refusal | None:
    if node.output.dtype == "int32":
        return None
    return Refusal(f"an output of {node.output.dtype}; NNAPI has int32", "Ask for int32 indices.")


def _plain_int32(*places: int) -> Rule:
    def rule(node: Node) -> Refusal | None:
        for place in places:
            if node.known(place).dtype != "int32":
                return Refusal(f"input {node.known(place).name!r} is {node.known(place).dtype}, not int32")
        return None

    return rule


def _positions(node: Node) -> Refusal | None:
    return None if node.known(1).shape else Refusal("a single position", "Give it a dimension.")


def _not_last(node: Node) -> Refusal | None:
    last = len(node.data.shape) - (0 if node.op.kind == "PACK" else 1)
    if node.setting("axis", 0) not in (-1, last):
        return None
    return Refusal("along the last dimension", "Use RESHAPE and CONCATENATION.")


def _cast_to(node: Node) -> Refusal | None:
    if node.output.dtype in ("float32", "int32", *EIGHT_BIT):
        return None
    return Refusal(f"to {node.output.dtype}")


def _unhybrid(node: Node) -> Refusal | None:
    one, other = node.known(0), node.known(1)
    if one.dtype != other.dtype:
        return Refusal(f"{one.dtype} with {other.dtype}")
    if not (2 <= len(one.shape) <= 4) or one.shape[:-2] != other.shape[:-2]:
        return Refusal("batches of matrices that are not alike", "Give both the same leading dimensions.")
    return None


def _sizes(node: Node) -> Refusal | None:
    refused = constant(1, 2)(node) or _plain_int32(1, 2)(node)
    if refused is None and (node.values(1) == 0).any():
        return Refusal("a piece of size 0")
    return refused


def _quantize_from(node: Node) -> Refusal | None:
    if node.data.dtype in ("float32", *EIGHT_BIT):
        return None
    return Refusal(f"from {node.data.dtype}", "Convert it with int8 inputs and outputs.", "int8-io")


def _symmetric(node: Node) -> Refusal | None:
    if node.data.dtype != "int8" or not any(node.data.zero_point):
        return None
    return Refusal(
        "int8 whose zero point is not 0 needs API level 30",
        "Convert it with int8 inputs and outputs.",
        "int8-io",
    )


def _lstm(node: Node) -> Refusal | None:
    if len(node.op.inputs) in (20, 24) and node.known(1).dtype == "float32":
        return None
    return Refusal("an LSTM with quantized weights, or of another form", "Keep it in float32.")


def _whole_steps(node: Node) -> Refusal | None:
    if node.setting("align_corners", False):
        return Refusal("aligned corners need API level 30", "Resize without them.")
    if not node.setting("half_pixel_centers", False):
        return None
    before, after = node.data.shape[1:3], node.output.shape[1:3]
    same = node.op.kind == "RESIZE_NEAREST_NEIGHBOR" and not any(
        large % small for small, large in zip(before, after, strict=True)
    )
    return Refusal(
        "half-pixel centres need API level 30",
        "Resize without them, to whole multiples.",
        "resize" if same else "",
    )


def _square_output(node: Node) -> Refusal | None:
    sides = node.output.shape[1:3]
    if len(set(sides)) == 1:
        return None
    return Refusal(f"to {sides}; below API level 29 it must be square")


def _undilated(node: Node) -> Refusal | None:
    if node.setting("dilation_width", 1) == node.setting("dilation_height", 1) == 1:
        return None
    return Refusal("dilation needs API level 29")


def _ungrouped(node: Node) -> Refusal | None:
    if node.data.shape[-1:] == node.known(1).shape[-1:]:
        return None
    return Refusal("groups need API level 29", "Use DEPTHWISE_CONV_2D.")


def _narrow_scale(node: Node) -> Refusal | None:
    if node.data.dtype != "uint8":
        return None
    product = np.float32(_scale(node.data)) * np.float32(_scale(node.known(1)))
    if product < _scale(node.output):
        return None
    return Refusal(
        "an output scale not above those of input and weights multiplied, which needs API level 29",
        "Quantize the model anew, with wider ranges.",
    )


def _scale(tensor: Tensor) -> float:
    return float(tensor.scale[0]) if len(tensor.scale) else 0.0


def _small_window(node: Node) -> Refusal | None:
    size = node.setting("filter_width", 1) * node.setting("filter_height", 1)
    if node.data.dtype not in EIGHT_BIT or size <= 256:
        return None
    return Refusal(f"an 8-bit window of {size}, above 256", "Use MEAN.")


def _two_or_four(node: Node) -> Refusal | None:
    count = len(node.data.shape)
    return None if count in (2, 4) else Refusal(f"{count} dimensions; below API level 29 it takes 2 or 4")


def _alike(node: Node) -> Refusal | None:
    if node.data.dtype != "uint8" or all(same_scale(node.data, tensor) for tensor in node.inputs):
        return None
    return Refusal("uint8 inputs with unlike scales need API level 29", "Quantize the model anew.")


def _kept_dimensions(node: Node) -> Refusal | None:
    return (
        Refusal("keeps its dimensions, which needs API level 30")
        if node.setting("keep_dimensions", False)
        else None
    )


def _squeezed(node: Node) -> Refusal | None:
    return (
        None if len(node.setting("squeeze_dimensions", ())) else Refusal("no list of dimensions to squeeze")
    )


RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    **dict.fromkeys(("ADD", "MUL", "SUB"), (_two_ranks, _integers_alone)),
    **dict.fromkeys(("DIV", "SQUARED_DIFFERENCE"), (_two_ranks,)),
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), (_scalars_constant,)),
    **dict.fromkeys(("SUM", "REDUCE_PROD", "REDUCE_ANY"), (_no_scalar,)),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), (_arg_output,)),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), (_no_empty,)),
    "CONV_2D": (_three_inputs,),
    "FULLY_CONNECTED": (_dense,),
    "SOFTMAX": (_TO_FOUR, _softmax),
    "RESHAPE": (_reshape,),
    "RESIZE_BILINEAR": (rank(4, 4), constant(1)),
    "RESIZE_NEAREST_NEIGHBOR": (constant(1),),
    "CONCATENATION": (activation("NONE"), _TO_FOUR),
    "L2_NORMALIZATION": (activation("NONE"),),
    "BATCH_TO_SPACE_ND": (_crops,),
    "TRANSPOSE": (constant(1),),
    "TRANSPOSE_CONV": (constant(0, 1),),
    "SLICE": (_plain_int32(1, 2),),
    "MEAN": (_no_scalar, _TO_FOUR),
    "CAST": (_cast_to,),
    "TILE": (_plain_int32(1),),
    "GATHER": (_plain_int32(1), _positions),
    "EXPAND_DIMS": (_axis_int32(1),),
    "SPLIT": (_axis_int32(0),),
    "SPLIT_V": (_sizes,),
    "TOPK_V2": (_axis_int32(1),),
    "QUANTIZE": (_quantize_from,),
    "UNPACK": (rank(2, 4), _not_last),
    "BATCH_MATMUL": (_unhybrid,),
    "FILL": (constant(0),),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (_lstm,),
}  # fmt: skip

"""What holds on every API level, by operator."""

LIFTED: Final[Mapping[str, tuple[tuple[int, Rule], ...]]] = {
    "AVERAGE_POOL_2D": ((29, _small_window),),
    "CONCATENATION": ((29, _alike),),
    "CONV_2D": ((29, _undilated), (29, _ungrouped), (29, _narrow_scale)),
    "DEPTHWISE_CONV_2D": ((29, _undilated), (29, _narrow_scale)),
    "DEQUANTIZE": ((30, _symmetric),),
    "FULLY_CONNECTED": ((29, _narrow_scale), (30, _kept_dimensions)),
    "L2_NORMALIZATION": ((29, rank(4, 4)),),
    "L2_POOL_2D": ((29, activation("NONE")),),
    "PACK": ((32, _not_last),),
    "RESIZE_BILINEAR": ((29, _square_output), (30, _whole_steps)),
    "RESIZE_NEAREST_NEIGHBOR": ((30, _whole_steps),),
    "SOFTMAX": ((29, _two_or_four),),
    "SQUEEZE": ((29, _squeezed),),
}
"""What holds only below an API level, by operator."""


def rules(kind: str, level: int) -> tuple[Rule, ...]:
    """What is asked of an operator on an API level."""
    lifted = (rule for until, rule in LIFTED.get(kind, ()) if level < until)
    return (*RULES.get(kind, ()), *lifted)
