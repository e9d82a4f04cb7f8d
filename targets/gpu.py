"""Which operators the GPU delegate of TFLite takes on Android (OpenCL, OpenGL).

The rules are those of model_builder.cc and gpu_compatibility.cc. The GPU computes in float16 or float32:
8-bit models are taken too, as it is told by default, but their numbers are rounded to their scales after each
operator, and they are not faster than float. One piece goes to the GPU, the largest. Where a phone has no
OpenCL, OpenGL stands in for it, and wants one batch size in the whole piece.
"""

from collections.abc import Mapping
from typing import Final

from edgecnn.graph import Graph
from targets.delegate_rules import (
    EIGHT_BIT,
    Node,
    Refusal,
    first,
    free_sizes,
    open_shape,
    unpacks_half,
    verdicts,
    with_halves,
)
from targets.gpu_rules import NEWEST, RULES
from targets.partition import limited
from targets.verdict import Verdict

UNIT: Final = "gpu"
SOURCE: Final = (
    "https://github.com/google-ai-edge/LiteRT, tflite/delegates/gpu/common/model_builder.cc and "
    "tflite/tools/versioning/gpu_compatibility.cc"
)

MOST_PIECES: Final = 1
"""max_delegated_partitions, unless the program says otherwise."""

TYPES: Final = ("float32", "float16", *EIGHT_BIT)
"""Types of what is computed; constants may have others."""

_COMPARED: Final = ("GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "EQUAL", "NOT_EQUAL")
_ALSO_IN: Final[Mapping[str, tuple[str, ...]]] = {
    "CAST": ("bool", "int32"), "ONE_HOT": ("int32",), "SELECT": ("bool",), "SELECT_V2": ("bool",),
    "LOGICAL_AND": ("bool",), "GATHER": ("int32",),
}  # fmt: skip
_ALSO_OUT: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(_COMPARED, ("bool",)), "CAST": ("bool", "int32"), "LOGICAL_AND": ("bool",),
}  # fmt: skip


def judge(graph: Graph, level: int = 0) -> tuple[Verdict, ...]:
    """Whether the GPU delegate takes each operator, with its default options.

    Args:
        graph: a model that `edgecnn.graph.check` lets pass.
        level: not used; the delegate has none.
    """
    free = free_sizes(graph)
    nodes = [Node(graph, op) for op in graph.ops]
    found = verdicts(nodes, UNIT, SOURCE, lambda node: open_shape(node, free) or refusal(node))
    return limited(graph, with_halves(graph, found, UNIT, SOURCE), UNIT, most=MOST_PIECES)


def refusal(node: Node) -> Refusal | None:
    """Why the delegate does not take an operator; None where it does."""
    kind = node.op.kind
    if unpacks_half(node.graph, node.op):
        return None
    if kind not in RULES:
        return Refusal("the GPU delegate does not know it", _INSTEAD.get(kind, ""))
    newest = NEWEST.get(kind)
    if newest is not None and node.op.version > newest:
        return Refusal(f"version {node.op.version} of it; the delegate knows up to {newest}")
    return first(node, RULES[kind]) or _tensors(node)


def _tensors(node: Node) -> Refusal | None:
    kind = node.op.kind
    allowed_in, allowed_out = (*TYPES, *_ALSO_IN.get(kind, ())), (*TYPES, *_ALSO_OUT.get(kind, ()))
    for tensors, allowed in ((node.inputs, allowed_in), (node.outputs, allowed_out)):
        for tensor in tensors:
            if len(tensor.shape) > 4:
                return Refusal(
                    f"tensor {tensor.name!r} has {len(tensor.shape)} dimensions, more than 4",
                    "Reshape it around the layer.",
                )
            if tensor.is_constant:
                continue
            if tensor.dtype not in allowed:
                return Refusal(
                    f"takes {', '.join(allowed)}, not {tensor.dtype}", "Convert the model to float16 or int8."
                )
            if not tensor.shape:
                return Refusal(f"tensor {tensor.name!r} is a scalar", "Give it a dimension.")
    return None


_INSTEAD: Final = {
    "SQUEEZE": "Use RESHAPE.", "EXPAND_DIMS": "Use RESHAPE.", "ARG_MAX": "Take the largest in your program.",
    "LOG_SOFTMAX": "Use SOFTMAX.", "CEIL": "Leave it to your program.", "ROUND": "Leave it to your program.",
    "L2_NORMALIZATION": "Leave it to your program.", "TOPK_V2": "Leave it to your program.",
}  # fmt: skip
