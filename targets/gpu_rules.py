"""What the GPU delegate asks of an operator, by kind.

Sources: the parsers of tflite/delegates/gpu/common/model_builder.cc and CheckGpuDelegateCompatibility in
tflite/tools/versioning/gpu_compatibility.cc of LiteRT.
"""

from collections.abc import Mapping
from typing import Final

from edgecnn.graph import Tensor
from targets.delegate_rules import FLOAT, Node, Refusal, Rule, activation, rank

_UNARY: Final = (
    "ABS", "COS", "ELU", "EXP", "FLOOR", "GELU", "LOG", "LOGISTIC", "NEG", "RSQRT", "SIGN", "SIN", "SQRT",
    "SQUARE", "TANH",
)  # fmt: skip
_BINARY: Final = (
    "DIV", "FLOOR_DIV", "FLOOR_MOD", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE", "SUB", "LOGICAL_AND",
)  # fmt: skip
_COMPARED: Final = ("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL")
_REDUCED: Final = ("REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM")

NEWEST: Final[Mapping[str, int]] = {
    **dict.fromkeys((
        *_UNARY, *_BINARY, *_COMPARED, "ADD", "ADD_N", "AVERAGE_POOL_2D", "CONCATENATION", "LEAKY_RELU",
        "MAX_POOL_2D", "MIRROR_PAD", "PAD", "PADV2", "QUANTIZE", "RELU", "RELU6", "RELU_0_TO_1",
        "RELU_N1_TO_1", "SLICE", "SOFTMAX", "SPACE_TO_DEPTH",
    ), 2),
    **dict.fromkeys((
        "CUMSUM", "DENSIFY", "GATHER", "ONE_HOT", "PRELU", "RESHAPE", "SELECT", "SELECT_V2",
    ), 1),
    **dict.fromkeys((
        "DEQUANTIZE", "MUL", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "TRANSPOSE_CONV",
    ), 3),
    "CONV_2D": 6, "DEPTHWISE_CONV_2D": 6, "FULLY_CONNECTED": 9, "STRIDED_SLICE": 4, "TRANSPOSE": 4,
}  # fmt: skip
"""Newest version of an operator that the delegate knows; of the others any."""


def _computed(node: Node) -> int:
    return sum(not tensor.is_constant for tensor in node.inputs)


def _computes(count: int) -> Rule:
    """So many inputs that the model computes; the others are constants."""

    def rule(node: Node) -> Refusal | None:
        found = _computed(node)
        if found == count:
            return None
        return Refusal(f"{found} inputs that the model computes, not {count}", "Make the others constants.")

    return rule


def _alone(node: Node) -> Refusal | None:
    """One input, computed."""
    if len(node.inputs) == 1 and _computed(node) == 1:
        return None
    return Refusal("an input that is a constant", "Compute it before the model is converted.")


def _two(node: Node) -> Refusal | None:
    """Two inputs, of which at most one is a constant; twice the same has no kernel."""
    if len(node.inputs) != 2 or not _computed(node):
        return Refusal("other than two inputs of which one is computed")
    if node.op.inputs[0] == node.op.inputs[1] and node.op.kind not in ("ADD", "MUL"):
        return Refusal("twice the same input", "Use another operator for it, such as MUL.")
    return None


def _weights(node: Node) -> Refusal | None:
    """At most the data and the weights are computed."""
    found = _computed(node)
    return None if found <= 2 else Refusal("a bias that the model computes", "Make it a constant.")


def _depthwise(node: Node) -> Refusal | None:
    shapes = node.data.shape, node.known(1).shape, node.output.shape
    if any(len(shape) != 4 for shape in shapes):
        return Refusal("tensors that are no images")
    source, filters, made = shapes
    bias = node.input(2)
    fits = made[3] == source[3] * node.setting("depth_multiplier", 1) == filters[3] and source[0] == made[0]
    if not fits or (bias is not None and bias.elements != made[3]):
        return Refusal("sizes of filter, bias and image that do not fit")
    return None


def _dense(node: Node) -> Refusal | None:
    if node.setting("weights_format", 0):
        return Refusal("weights in a format of their own")
    if node.setting("keep_dimensions", False) and len(node.data.shape) != len(node.output.shape):
        return Refusal("keeps its dimensions, but not their number")
    filters = node.known(1)
    if filters.is_constant and node.data.shape[-1:] != filters.shape[-1:]:
        return Refusal(
            f"an input of shape {node.data.shape} for {filters.shape[-1]} weights", "Reshape it before."
        )
    return None


def _spread(node: Node) -> Refusal | None:
    """Unlike numbers of dimensions: only as far as the GPU broadcasts."""
    one, other = sorted((node.known(0).shape, node.known(1).shape), key=len)
    if len(one) < 2 or len(one) == len(other):
        return None
    if len(other) == 4 and (
        (len(one) == 3 and other[0] == 1)
        or (one == (1, 1) and other[0] == 1)
        or (len(one) == 2 and (other[0], other[3]) == one)
    ):
        return None
    return Refusal(f"shapes {other} and {one}", "Reshape the smaller to the dimensions of the larger.")


def _axes(node: Node) -> Refusal | None:
    axes = node.known(1)
    if axes.is_constant and axes.dtype == "int32":
        return None
    return Refusal("axes that are no int32 constant")


def _blocks(node: Node) -> Refusal | None:
    block = node.setting("block_size", 0)
    return None if block > 1 else Refusal(f"a block of {block}")


def _paddings(node: Node) -> Refusal | None:
    shape = node.known(1).shape
    if shape in ((3, 2), (4, 2)):
        return None
    return Refusal(f"paddings of shape {shape}; it pads tensors of 3 or 4 dimensions")


def _reflected(node: Node) -> Refusal | None:
    return Refusal("SYMMETRIC padding", "Use REFLECT.") if node.setting("mode", 0) else None


def _beta(node: Node) -> Refusal | None:
    beta = node.setting("beta", 0.0)
    return None if beta == 1 else Refusal(f"a beta of {beta:g}, not 1")


def _masks(node: Node) -> Refusal | None:
    for mask in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask"):
        if node.setting(mask, 0):
            return Refusal(f"a {mask.replace('_', ' ')}", "Slice first, then RESHAPE.")
    return None


def _aligned(node: Node) -> Refusal | None:
    if node.setting("align_corners", False) and node.setting("half_pixel_centers", False):
        return Refusal("aligned corners with half-pixel centres")
    return None


def _matrices(node: Node) -> Refusal | None:
    other = node.known(1)
    if _computed(node) == 2 or (_computed(node) == 1 and other.is_constant and len(other.shape) == 2):
        return None
    return Refusal("a constant that is no plain matrix", "Use FULLY_CONNECTED.")


def _positions(node: Node) -> Refusal | None:
    if len(node.known(1).shape) != 1 or node.known(1).dtype != "int32":
        return Refusal("positions that are no list of int32")
    return None


def _then_cast(node: Node) -> Refusal | None:
    """A comparison is taken only where one float operator reads it."""
    readers = [op for op in node.graph.ops if node.op.outputs[0] in op.inputs]
    alone = len(readers) == 1 and readers[0].kind in ("CAST", "SELECT", "SELECT_V2")
    if alone and node.graph.tensors[readers[0].outputs[0]].dtype in FLOAT:
        return None
    return Refusal("truth values that no single CAST or SELECT reads", "Compare in your program.")


def _cast(node: Node) -> Refusal | None:
    pair = node.data.dtype, node.output.dtype
    numbers = ("float32", "int32")
    if (pair[0] in numbers and pair[1] in numbers) or (pair[0] in FLOAT and pair[1] == "bool"):
        return None
    if pair[0] == "bool" and pair[1] in FLOAT:
        readers = sum(node.op.outputs[0] in op.inputs for op in node.graph.ops)
        if readers == 1:
            return None
    return Refusal(f"from {pair[0]} to {pair[1]}")


def _cumulated(node: Node) -> Refusal | None:
    axis = node.known(1)
    if node.data.dtype in FLOAT and axis.is_constant and axis.dtype == "int32":
        return None
    return Refusal("other than floats along a constant axis")


def _selected(node: Node) -> Refusal | None:
    for tensor in (node.known(1), node.known(2)):
        if tensor.shape != node.output.shape and tensor.elements > 1:
            return Refusal(f"{tensor.name!r} of shape {tensor.shape}, neither the output's nor one value")
        if tensor.is_constant and len(tensor.shape) == 2:
            return Refusal(f"{tensor.name!r} is a constant of 2 dimensions")
    return None


def _one_hot(node: Node) -> Refusal | None:
    sizes = node.known(0).shape
    flat = all(size == 1 for size in (sizes[1:-1] if len(sizes) > 3 else sizes[:-1]))
    values = (node.known(2), node.known(3))
    if not flat or node.known(0).dtype != "int32" or not all(_is_number(value) for value in values):
        return Refusal("other than a list of int32 and two constant floats")
    if node.setting("axis", -1) not in (-1, sizes[-1] if sizes else -1):
        return Refusal("along another dimension than the last")
    return None


def _is_number(tensor: Tensor) -> bool:
    return tensor.is_constant and tensor.dtype == "float32" and tensor.elements == 1


def _slope(node: Node) -> Refusal | None:
    slope = node.known(1)
    if slope.is_constant and slope.shape[-1:] == node.data.shape[-1:]:
        return None
    return Refusal("slopes that are no constant for each channel")


def _dequantized(node: Node) -> Refusal | None:
    return Refusal("from int16", "Convert the model to int8.") if node.data.dtype == "int16" else None


_FUSED: Final = activation("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH")
_ONE: Final = _computes(1)
_THREE_OR_FOUR: Final = rank(3, 4)

RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    **dict.fromkeys(_UNARY, (_alone,)),
    **dict.fromkeys(_BINARY, (_two, _FUSED)),
    **dict.fromkeys(_COMPARED, (_then_cast,)),
    **dict.fromkeys((*_REDUCED, "MEAN"), (_ONE, _axes)),
    **dict.fromkeys(("RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "LEAKY_RELU"), ()),
    **dict.fromkeys(("ADD", "MUL"), (_two, _spread, _FUSED)),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), (_ONE, _FUSED)),
    **dict.fromkeys(("RESHAPE", "QUANTIZE", "HARD_SWISH", "TILE", "TRANSPOSE"), (_ONE,)),
    **dict.fromkeys(("SPACE_TO_DEPTH", "DEPTH_TO_SPACE"), (_ONE, _blocks)),
    **dict.fromkeys(("PAD", "PADV2"), (_ONE, _paddings)),
    **dict.fromkeys(("SPLIT", "SPLIT_V", "UNPACK", "PACK"), ()),
    **dict.fromkeys(("SELECT", "SELECT_V2"), (_selected,)),
    "ADD_N": (_two,),
    "BATCH_MATMUL": (_matrices,),
    "CAST": (_ONE, _cast),
    "CONCATENATION": (_FUSED,),
    "CONV_2D": (_weights, _FUSED),
    "CUMSUM": (_cumulated,),
    "DENSIFY": (_computes(0),),
    "DEPTHWISE_CONV_2D": (_weights, _FUSED, _depthwise),
    "DEQUANTIZE": (_dequantized,),
    "FULLY_CONNECTED": (_weights, _FUSED, _dense),
    "GATHER": (_positions,),
    "MIRROR_PAD": (_reflected, _ONE, _paddings),
    "ONE_HOT": (_one_hot,),
    "PRELU": (_slope,),
    "RESIZE_BILINEAR": (_ONE, _aligned),
    "RESIZE_NEAREST_NEIGHBOR": (_ONE,),
    "SLICE": (_THREE_OR_FOUR,),
    "SOFTMAX": (_beta,),
    "STRIDED_SLICE": (_masks, _THREE_OR_FOUR),
    "TRANSPOSE_CONV": (_weights,),
}  # fmt: skip
"""Operators that the delegate knows, with what each asks for."""
