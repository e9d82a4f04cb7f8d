"""Which operators the Core ML delegate of TFLite gives to Apple's Core ML, and with it to the Neural Engine.

The rules are those of coreml_delegate.mm and its builders. Core ML computes in float: neither an int8 model
nor the int8 weights of a dynamic-range model can go there. On iPhones without a Neural Engine (before the
A12) the delegate is not made at all, unless the program asks for all devices.
"""

from collections.abc import Mapping
from itertools import zip_longest
from typing import Final

from edgecnn.graph import Graph, Tensor
from targets.delegate_rules import (
    FLOAT,
    Node,
    Refusal,
    Rule,
    activation,
    constant,
    first,
    free_sizes,
    open_shape,
    unpacks_half,
    verdicts,
    with_halves,
)
from targets.partition import limited
from targets.verdict import Verdict

UNIT: Final = "core_ml"
SOURCE: Final = "https://github.com/google-ai-edge/LiteRT, tflite/delegates/coreml/coreml_delegate.mm"

LEAST_OPERATORS: Final = 2
"""kMinNodesPerCoreMlDelegate: smaller pieces stay on the processor."""

NEWEST: Final = {"DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 6}
"""Newest version of an operator that the delegate knows; 1 of the others."""

_LARGEST_KERNEL: Final = 16384


def judge(graph: Graph, level: int = 3) -> tuple[Verdict, ...]:
    """Whether the Core ML delegate takes each operator, with its default options.

    Args:
        graph: a model that `edgecnn.graph.check` lets pass.
        level: version of Core ML, 2 (iOS 12) or 3 (iOS 13 and later); 0 stands for the newest.
    """
    free = free_sizes(graph)
    nodes = [Node(graph, op, _halves(graph)) for op in graph.ops]
    found = verdicts(nodes, UNIT, SOURCE, lambda node: open_shape(node, free) or refusal(node, level))
    return limited(graph, with_halves(graph, found, UNIT, SOURCE), UNIT, least=LEAST_OPERATORS)


def refusal(node: Node, level: int) -> Refusal | None:
    """Why the delegate does not take an operator; None where it does."""
    kind = node.op.kind
    if unpacks_half(node.graph, node.op):
        return None
    if kind not in RULES:
        return Refusal("the Core ML delegate does not know it", _INSTEAD.get(kind, ""))
    if kind == "RESHAPE" and level != 2:
        return Refusal("the delegate reshapes with Core ML 2 only", "End the network with a 1x1 convolution.")
    if node.data.dtype != "float32":
        return Refusal(
            f"takes float32, not {node.data.dtype}: Core ML has no integers",
            "Convert the model to float16: its weights are half as large.",
        )
    if node.op.version > NEWEST.get(kind, 1):
        return Refusal(f"version {node.op.version} of it; the delegate knows up to {NEWEST.get(kind, 1)}")
    return first(node, RULES[kind])


def _halves(graph: Graph) -> frozenset[int]:
    return frozenset(op.outputs[0] for op in graph.ops if unpacks_half(graph, op))


def _float_weights(node: Node) -> Refusal | None:
    for tensor in node.inputs[1:] if node.op.kind != "TRANSPOSE_CONV" else (node.known(1),):
        if tensor.dtype not in FLOAT:
            return Refusal(
                f"{tensor.dtype} weights: a dynamic-range model", "Convert the model to float16 instead."
            )
        if not node.is_fixed(tensor):
            return Refusal(f"{tensor.name!r} is computed by the model; weights must be constants")
    return None


def _small_kernel(node: Node) -> Refusal | None:
    if max(node.known(1).shape[1:3], default=1) <= _LARGEST_KERNEL:
        return None
    return Refusal(f"a kernel of {node.known(1).shape[1:3]}")


def _one_image(node: Node) -> Refusal | None:
    if node.setting("weights_format", 0):
        return Refusal("weights in a format of their own")
    if node.data.shape and node.data.shape[-1] == node.data.elements:
        return None
    return Refusal(f"an input of shape {node.data.shape}; all but the last must be 1", "Use a batch of 1.")


def _spread(node: Node) -> Refusal | None:
    """The two inputs can be computed with each other as Core ML's broadcasting allows."""
    one, other = node.known(0), node.known(1)
    for tensor in (one, other):
        if tensor.dtype != "float32" and not (tensor.dtype == "float16" and node.is_fixed(tensor)):
            return Refusal(f"takes float32, not {tensor.dtype}")
    if max(len(one.shape), len(other.shape)) > 4:
        return Refusal("more than 4 dimensions")
    pairs = list(zip_longest(reversed(one.shape), reversed(other.shape), fillvalue=1))
    pairs += [(1, 1)] * (4 - len(pairs))
    channels, width, height, batch = pairs
    if batch[0] != batch[1] and not any(_is_scalar(node, tensor) for tensor in (one, other)):
        return _unlike(one, other)
    sized = height[0] == height[1] and width[0] == width[1]
    if not sized and not any(height[side] == width[side] == 1 for side in (0, 1)):
        return _unlike(one, other)
    return _unlike(one, other) if channels[0] != channels[1] and 1 not in channels else None


def _is_scalar(node: Node, tensor: Tensor) -> bool:
    return node.is_fixed(tensor) and tensor.elements == 1


def _unlike(one: Tensor, other: Tensor) -> Refusal:
    return Refusal(
        f"shapes {one.shape} and {other.shape}",
        "Let one have the other's shape, or 1 for height and width, or 1 for the channels.",
    )


def _by_channel(node: Node) -> Refusal | None:
    count = len(node.data.shape)
    if len(node.op.inputs) < 2 or count not in (3, 4) or node.setting("axis", 0) not in (count - 1, -1):
        return Refusal("a concatenation along another dimension than the channels")
    return None


def _whole_image(node: Node) -> Refusal | None:
    if not node.setting("keep_dimensions", False):
        return Refusal("it drops dimensions", "Keep them (keepdims=True), and end with a 1x1 convolution.")
    if len(node.data.shape) != 4 or not node.known(1).is_constant:
        return Refusal("other than over the height and width of images")
    if any(int(axis) % 4 not in (1, 2) for axis in node.values(1)):
        return Refusal("other than over height and width")
    return None


def _borders(node: Node) -> Refusal | None:
    paddings = node.known(1)
    if not paddings.is_constant or paddings.shape != (4, 2):
        return Refusal("paddings that are no constant, or not of an image")
    batch, _, _, channels = node.graph.data(paddings)
    return Refusal("padding of batch or channels") if batch.any() or channels.any() else None


def _reflected(node: Node) -> Refusal | None:
    if node.setting("mode", 0):
        return Refusal("SYMMETRIC padding", "Use REFLECT.")
    return _borders(node)


def _beta(node: Node) -> Refusal | None:
    beta = node.setting("beta", 0.0)
    return None if beta == 1 else Refusal(f"a beta of {beta:g}, not 1")


def _new_shape(node: Node) -> Refusal | None:
    if len(node.op.inputs) == 1:
        count = len(node.setting("new_shape", ()))
    elif not node.known(1).is_constant or node.known(1).dtype != "int32":
        return Refusal("a shape that is no int32 constant")
    else:
        count = node.known(1).elements
    return None if count in (3, 4) else Refusal(f"to {count} dimensions, not 3 or 4")


_NONE: Final = activation("NONE")
_FUSED: Final = activation("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH")

RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    **dict.fromkeys(("HARD_SWISH", "LOGISTIC", "RELU", "RELU6", "RELU_N1_TO_1", "TANH"), ()),
    **dict.fromkeys(("ADD", "MUL"), (_spread,)),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), (_NONE,)),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), (_FUSED, _float_weights, _small_kernel)),
    **dict.fromkeys(("PAD", "PADV2"), (_borders,)),
    "CONCATENATION": (_NONE, _by_channel),
    "FULLY_CONNECTED": (_FUSED, _float_weights, _one_image),
    "MEAN": (_whole_image,),
    "MIRROR_PAD": (_reflected,),
    "RESHAPE": (_new_shape,),
    "RESIZE_BILINEAR": (constant(1),),
    "SOFTMAX": (_beta,),
    "TRANSPOSE_CONV": (_float_weights, constant(0), _small_kernel),
}  # fmt: skip
"""Operators that the delegate knows, with what each asks for."""

_INSTEAD: Final = {
    "ELU": "Use RELU.", "GELU": "Use RELU6.", "LEAKY_RELU": "Use RELU.", "PRELU": "Use RELU.",
    "SUB": "Use ADD.", "DIV": "Use MUL.", "RESIZE_NEAREST_NEIGHBOR": "Use RESIZE_BILINEAR.",
    "SQUEEZE": "Leave the dimensions of size 1 in.", "SPLIT": "Use two convolutions.",
    "QUANTIZE": "Convert the model to float16.", "DEQUANTIZE": "Convert the model to float16.",
}  # fmt: skip
