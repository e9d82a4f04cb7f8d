"""What XNNPACK asks of an operator beyond its types: settings, weights, sizes.

Sources: xnnpack_delegate.cc (the Check… and Visit… functions), and what the interpreter of ai-edge-litert
2.3.0 did with one-operator models.
"""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from targets.delegate_rules import (
    ACTIVATIONS,
    ANEW,
    EIGHT_BIT,
    FLOAT,
    Node,
    Refusal,
    Rule,
    activation,
    constant,
    inputs,
    outputs,
    ratio,
    same_scale,
)
from targets.xnnpack_weights import dense, grouped, needs_bias, transposed, weights

REDUCTIONS: Final = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")
MOST_DIMENSIONS: Final = 6
"""XNN_MAX_TENSOR_DIMS."""

_fused = activation(*ACTIVATIONS)


def _no_empty(*places: int) -> Rule:
    """At most six dimensions, none of them of size 0."""

    def rule(node: Node) -> Refusal | None:
        for tensor in (*(node.known(place) for place in places), node.output):
            if len(tensor.shape) > MOST_DIMENSIONS:
                return Refusal(
                    f"tensor {tensor.name!r} has {len(tensor.shape)} dimensions, more than {MOST_DIMENSIONS}"
                )
            if 0 in tensor.shape:
                return Refusal(f"tensor {tensor.name!r} is empty")
        return None

    return rule


def _same_kind(node: Node) -> Refusal | None:
    """What flows in and out has one type."""
    kinds = {tensor.dtype for tensor in (*node.inputs, node.output)}
    return Refusal(f"unlike types: {', '.join(sorted(kinds))}", ANEW) if len(kinds) > 1 else None


def _as_it_came(node: Node) -> Refusal | None:
    """The output has the type of the data."""
    if node.data.dtype == node.output.dtype:
        return None
    return Refusal(f"unlike types: {node.data.dtype} and {node.output.dtype}", ANEW)


def _flat(*places: int) -> Rule:
    """Images, and filters over images: four dimensions."""

    def rule(node: Node) -> Refusal | None:
        for tensor in (*(node.known(place) for place in places), node.output):
            if len(tensor.shape) != 4:
                return Refusal(f"tensor {tensor.name!r} has {len(tensor.shape)} dimensions, not 4")
            if 0 in tensor.shape:
                return Refusal(f"tensor {tensor.name!r} is empty")
        return None

    return rule


def _pooled(node: Node) -> Refusal | None:
    window = node.setting("filter_height", 1), node.setting("filter_width", 1)
    strides = node.setting("stride_height", 1), node.setting("stride_width", 1)
    if all(stride <= size for stride, size in zip(strides, window, strict=True)):
        return None
    return Refusal(
        f"a stride of {max(strides)} over a window of {window[0]}x{window[1]}",
        "Use a window at least as large as the stride.",
    )


def _scaled(low: float, high: float) -> Rule:
    """Each input's scale over the output's, in [low, high)."""

    def rule(node: Node) -> Refusal | None:
        if node.output.dtype not in EIGHT_BIT:
            return None
        return _outside([ratio(tensor, node.output) for tensor in node.inputs], low, high)

    return rule


def _multiplied(node: Node) -> Refusal | None:
    if node.output.dtype not in EIGHT_BIT:
        return None
    one, other = node.inputs
    product = float(np.float32(one.scale[0]) * np.float32(other.scale[0]) / np.float32(node.output.scale[0]))
    return _outside([product], 1 / 65536, 256)


def _outside(found: list[float], low: float, high: float) -> Refusal | None:
    for value in found:
        if not low <= value < high:
            return Refusal(f"an input scale {value:g} times the output's, not in {low:g} to {high:g}", ANEW)
    return None


def _leaking(node: Node) -> Refusal | None:
    alpha = float(node.setting("alpha", 0.0))
    if not math.isfinite(alpha) or abs(alpha) < 2**-126:
        return Refusal(f"a slope of {alpha:g}", "Use RELU.")
    if node.data.dtype not in EIGHT_BIT:
        return None
    scale = ratio(node.data, node.output)
    if not 1 / 256 <= scale <= 128 or not 1 / 256 <= abs(scale * alpha) <= 128:
        return Refusal(f"a slope of {alpha:g} on scales {scale:g} apart", ANEW)
    return None


def _quantized(node: Node) -> Refusal | None:
    source, made = node.data, node.output
    if made.dtype not in (*FLOAT, *EIGHT_BIT) or (made.dtype in EIGHT_BIT and len(made.scale) != 1):
        return Refusal(f"to {made.dtype}", "Convert the model to int8.")
    if source.dtype in FLOAT:
        return None
    if source.dtype != made.dtype:
        return Refusal(
            f"from {source.dtype} to {made.dtype}", "Convert the model with int8 inputs and outputs."
        )
    if not 1 / 256 <= ratio(source, made) <= 128:
        return Refusal(f"scales {ratio(source, made):g} apart", ANEW)
    return None


def _to_float(node: Node) -> Refusal | None:
    return None if node.output.dtype == "float32" else Refusal(f"to {node.output.dtype}")


def _plain(*places: int, kinds: tuple[str, ...] = ("int32",)) -> Rule:
    """Inputs that hold plain numbers: constants of these types."""
    fixed = constant(*places)

    def rule(node: Node) -> Refusal | None:
        for place in places:
            tensor = node.known(place)
            if tensor.dtype not in kinds:
                return Refusal(f"input {tensor.name!r} is {tensor.dtype}, not {' or '.join(kinds)}")
            if not tensor.is_constant:
                return fixed(node) or Refusal(f"input {tensor.name!r} is unpacked, not stored")
        return None

    return rule


def _reduced(node: Node) -> Refusal | None:
    return None if node.known(1).elements else Refusal("no dimension to reduce", "Leave the layer out.")


def _padded(node: Node) -> Refusal | None:
    count = len(node.data.shape)
    if not 1 <= count <= MOST_DIMENSIONS or node.known(1).shape != (count, 2):
        return Refusal(f"{count} dimensions with paddings of shape {node.known(1).shape}")
    return Refusal("negative padding", "Use SLICE.") if (node.values(1) < 0).any() else None


def _reshaped(node: Node) -> Refusal | None:
    data, made = node.data, node.output
    if made.dtype in EIGHT_BIT and not same_scale(data, made):
        return Refusal("unlike scales before and after", ANEW)
    if len(node.op.inputs) > 1:
        return _plain(1)(node)
    if not data.shape and not made.shape and list(node.setting("new_shape", ())) == [0]:
        return Refusal("a scalar to a scalar, written the old way")
    return None


def _joined(node: Node) -> Refusal | None:
    if node.output.dtype == "uint8" and not all(same_scale(one, node.output) for one in node.inputs):
        return Refusal("uint8 inputs with unlike scales", "Convert the model to int8.")
    return None


def _sliced(node: Node) -> Refusal | None:
    return Refusal("a size of -1: to the end", "Give the size.") if (node.values(2) <= 0).any() else None


def _strided(node: Node) -> Refusal | None:
    for mask in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask"):
        if node.setting(mask, 0):
            return Refusal(f"a {mask.replace('_', ' ')}", "Slice first, then RESHAPE.")
    refused = _plain(3, 1, 2)(node)
    if refused is None and (node.values(3) != 1).any():
        return Refusal("strides other than 1", "Use a pooling or a convolution with a stride.")
    if refused is None and any(node.known(place).shape != (len(node.data.shape),) for place in (1, 2, 3)):
        return Refusal("corners of fewer dimensions than the tensor has")
    return refused


def _blocks(node: Node) -> Refusal | None:
    block = node.setting("block_size", 0)
    if block <= 1:
        return Refusal(f"a block of {block}")
    if node.op.kind == "SPACE_TO_DEPTH" and any(size % block for size in node.data.shape[1:3]):
        return Refusal(f"an image of {node.data.shape[1:3]} that blocks of {block} do not fill")
    return None


def _beta(node: Node) -> Refusal | None:
    beta = node.setting("beta", 0.0)
    return (
        None if beta == 1 else Refusal(f"a beta of {beta:g}, not 1", "Scale the logits in the layer before.")
    )


def _matrices(node: Node) -> Refusal | None:
    one, other = node.known(0), node.known(1)
    if min(len(one.shape), len(other.shape)) < 2:
        return Refusal("a vector; both must be matrices")
    if one.dtype != other.dtype and (one.dtype, other.dtype) != ("float32", "int8"):
        return Refusal(f"{one.dtype} with {other.dtype}")
    if one.dtype == "int8" and any(other.zero_point):
        return Refusal("a second input whose zero point is not 0", "Keep the matrix product in float.")
    return None


_SIZED: Final = _no_empty(0)
_BINARY: Final = (_no_empty(0, 1), _same_kind, _fused)

RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    **dict.fromkeys((
        "ABS", "CEIL", "COS", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LOG", "NEG", "RELU", "RELU6",
        "RELU_N1_TO_1", "ROUND", "RSQRT", "SIN", "SQRT", "SQUARE", "ELU", "LOGISTIC", "TANH",
    ), (_SIZED, _as_it_came)),
    **dict.fromkeys(("DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"), _BINARY),
    **dict.fromkeys(("ADD", "SUB"), (*_BINARY, _scaled(1 / 1024, 256))),
    **dict.fromkeys(("MAX_POOL_2D", "AVERAGE_POOL_2D"), (_as_it_came, _pooled, _fused)),
    **dict.fromkeys(REDUCTIONS, (_as_it_came, _plain(1), _reduced)),
    **dict.fromkeys(("SPACE_TO_DEPTH", "DEPTH_TO_SPACE"), (_as_it_came, _blocks)),
    "MUL": (*_BINARY, _multiplied),
    "PRELU": (_no_empty(0, 1), _same_kind, constant(1)),
    "LEAKY_RELU": (_SIZED, _as_it_came, _leaking),
    "QUANTIZE": (_SIZED, _quantized),
    "DEQUANTIZE": (_SIZED, _to_float),
    "CONV_2D": (needs_bias, _flat(0, 1), _as_it_came, weights, grouped, _fused),
    "DEPTHWISE_CONV_2D": (needs_bias, _flat(0, 1), _as_it_came, weights, _fused),
    "TRANSPOSE_CONV": (inputs(3, 4), _plain(0), _flat(1, 2), _as_it_came, weights, transposed, _fused),
    "FULLY_CONNECTED": (inputs(2, 3), dense, _as_it_came, weights, _fused),
    "BATCH_MATMUL": (_as_it_came, _matrices),
    "PAD": (_plain(1), _as_it_came, _padded),
    "RESHAPE": (_SIZED, _as_it_came, _reshaped),
    "RESIZE_BILINEAR": (_flat(0), _plain(1), _as_it_came),
    "SLICE": (_plain(1, 2, kinds=("int32", "int64")), _as_it_came, _sliced),
    "STRIDED_SLICE": (_strided, _as_it_came),
    "SOFTMAX": (_beta, _as_it_came),
    "SPLIT": (outputs(2, 4), _plain(0), _as_it_came),
    "CONCATENATION": (inputs(2, 5), _same_kind, _joined),
    "TRANSPOSE": (_plain(1), _as_it_came),
}  # fmt: skip
