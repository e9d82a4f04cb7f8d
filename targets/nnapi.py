"""Which operators the NNAPI delegate of TFLite gives to Android's Neural Networks API, by API level.

The rules are those that `NNAPIDelegateKernel::Validate` checks; where it checks no type, those of the NNAPI
specification. What a phone's driver refuses beyond them, the phone alone knows: a verdict "nnapi" is what the
delegate offers. Feature levels 6 and 7 are counted as API levels 32 and 33, the Android versions that came
with them.
"""

from typing import Final

from edgecnn.graph import Graph, Tensor
from targets.delegate_rules import (
    EIGHT_BIT,
    WEIGHTED,
    Node,
    Refusal,
    first,
    free_sizes,
    open_shape,
    unpacks_half,
    verdicts,
    with_halves,
)
from targets.nnapi_rules import rules
from targets.nnapi_tables import NEWEST, SINCE, TYPES
from targets.partition import limited
from targets.verdict import Verdict

UNIT: Final = "nnapi"
SOURCE: Final = "https://github.com/google-ai-edge/LiteRT, tflite/delegates/nnapi/nnapi_delegate.cc"

MOST_PIECES: Final = 3
"""max_number_delegated_partitions, unless the program says otherwise."""

OLDEST_LEVEL: Final = 27


def judge(graph: Graph, level: int) -> tuple[Verdict, ...]:
    """Whether the NNAPI delegate takes each operator, with its default options.

    Args:
        graph: a model that `edgecnn.graph.check` lets pass.
        level: Android API level, from 27 (Android 8.1, the first that has NNAPI).
    """
    free = free_sizes(graph)
    nodes = [Node(graph, op) for op in graph.ops]
    found = verdicts(nodes, UNIT, SOURCE, lambda node: open_shape(node, free) or refusal(node, level))
    return limited(graph, with_halves(graph, found, UNIT, SOURCE), UNIT, most=MOST_PIECES)


def refusal(node: Node, level: int) -> Refusal | None:
    """Why the delegate does not take an operator on that API level; None where it does."""
    kind = node.op.kind
    if kind not in TYPES:
        return Refusal("NNAPI does not know it", _INSTEAD.get(kind, ""))
    if unpacks_half(node.graph, node.op):
        return None
    since = SINCE.get(kind, OLDEST_LEVEL)
    if level < since:
        return Refusal(f"needs API level {since}, not {level}", f"Use a phone with {_android(since)}.")
    if node.op.version > NEWEST.get(kind, 2):
        return Refusal(
            f"version {node.op.version} of it; the delegate knows up to {NEWEST.get(kind, 2)}",
            "Convert the model to int8 or float without newer options.",
        )
    return _type(node, level) or _weights(node, level) or first(node, rules(kind, level))


def _type(node: Node, level: int) -> Refusal | None:
    tensor = _deciding(node)
    kinds = TYPES[node.op.kind]
    since = kinds.get(tensor.dtype)
    if since is not None and level >= since:
        return None
    fix = "int8-io" if node.op.kind in ("QUANTIZE", "DEQUANTIZE") else ""
    if since is not None:
        return Refusal(
            f"{tensor.dtype} needs API level {since}, not {level}",
            _ENDS
            if fix
            else f"Use a phone with {_android(since)}, or {_OTHER.get(tensor.dtype, 'float32')}.",
            fix,
        )
    known = ", ".join(dtype for dtype, start in kinds.items() if level >= start)
    return Refusal(
        f"takes {known}, not {tensor.dtype}", _ENDS if fix else "Convert the model to int8 or float32.", fix
    )


def _deciding(node: Node) -> Tensor:
    """The tensor whose type the delegate looks at: of QUANTIZE, what it makes."""
    return node.output if node.op.kind == "QUANTIZE" else node.data


def _weights(node: Node, level: int) -> Refusal | None:
    if node.op.kind not in WEIGHTED:
        return None
    data, filters = node.data, node.known(1)
    if data.dtype == "float32" and filters.dtype in (*EIGHT_BIT, "int4"):
        if node.op.kind in ("CONV_2D", "FULLY_CONNECTED") and level >= 29 and filters.dtype != "int4":
            return None
        return Refusal(
            f"{filters.dtype} weights on float32 (a dynamic-range model)", "Convert the model to int8."
        )
    if len(filters.scale) < 2:
        return None
    if node.op.kind == "FULLY_CONNECTED":
        return Refusal(
            "dense weights with a scale for each output, which NNAPI has not",
            "Give the layer one scale.", "dense-per-tensor",
        )  # fmt: skip
    if level >= 29:
        return None
    return Refusal(
        "weights with a scale for each channel need API level 29", 'Convert with weights="tensor".'
    )


def _android(level: int) -> str:
    return {28: "Android 9", 29: "Android 10", 30: "Android 11", 31: "Android 12", 32: "Android 12L"}.get(
        level, "Android 13"
    )


_ENDS: Final = "Convert it with int8 inputs and outputs."
_OTHER: Final = {"int8": "uint8", "float16": "float32", "int32": "float32"}
_INSTEAD: Final = {
    "GELU": "Use RELU6 or HARD_SWISH.", "SQUARE": "Use MUL.", "CEIL": "Leave it to your program.",
    "ROUND": "Leave it to your program.", "BROADCAST_TO": "Use TILE.", "PADV2": "Use PAD.",
}  # fmt: skip
