"""Which operators XNNPACK computes: the delegate that LiteRT puts beside its own kernels by default.

The rules are those of xnnpack_delegate.cc, put right where the interpreter of ai-edge-litert 2.3.0 does
otherwise: `benchmarks/delegate_partitions.py` compares them, operator by operator. That build takes 8-bit
integers of both signs, quantizes activations on the fly where only the weights are int8, unpacks constant
float16 and int8 weights itself, and takes graphs with sizes that are only known when they run.
"""

from collections.abc import Mapping
from typing import Final

from edgecnn.graph import Graph, Operator, Tensor
from targets.delegate_rules import EIGHT_BIT, FLOAT, Node, Refusal, first, one_scale, verdict
from targets.verdict import Verdict
from targets.xnnpack_rules import REDUCTIONS, RULES

UNIT: Final = "xnnpack"
SOURCE: Final = (
    "https://github.com/google-ai-edge/LiteRT, tflite/delegates/xnnpack/xnnpack_delegate.cc; what the "
    "interpreter of ai-edge-litert 2.3.0 does"
)

_ALL: Final = (*FLOAT, *EIGHT_BIT)
_NO_HALF: Final = ("float32", *EIGHT_BIT)

TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys((
        "ABS", "AVERAGE_POOL_2D", "CEIL", "COS", "DIV", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LOG",
        "MAXIMUM", "MINIMUM", "NEG", "PRELU", "RELU", "RELU6", "RELU_N1_TO_1", "ROUND", "RSQRT", "SIN",
        "SOFTMAX", "SQRT", "SQUARE", "SQUARED_DIFFERENCE",
    ), FLOAT),
    **dict.fromkeys((
        "ADD", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "FULLY_CONNECTED",
        "LEAKY_RELU", "LOGISTIC", "MUL", "PAD", "RESHAPE", "SLICE", "SPLIT", "STRIDED_SLICE", "SUB", "TANH",
        "TRANSPOSE", *REDUCTIONS,
    ), _ALL),
    **dict.fromkeys(("MAX_POOL_2D", "RESIZE_BILINEAR", "SPACE_TO_DEPTH", "TRANSPOSE_CONV"), _NO_HALF),
    "BATCH_MATMUL": (*FLOAT, "int8"), "ELU": (*FLOAT, "int8"), "DEQUANTIZE": EIGHT_BIT,
    "QUANTIZE": (*FLOAT, *EIGHT_BIT),
}  # fmt: skip
"""Types of what flows in, by operator; what flows out has the same, but for QUANTIZE and DEQUANTIZE."""

_VARIABLES: Final = ("VAR_HANDLE", "ASSIGN_VARIABLE", "READ_VARIABLE")
_FIXED_WEIGHTS: Final = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D")


def judge(graph: Graph, level: int = 0) -> tuple[Verdict, ...]:
    """Whether XNNPACK computes each operator, on an interpreter with default settings.

    Args:
        graph: a model that `edgecnn.graph.check` lets pass.
        level: not used; XNNPACK has none.
    """
    unpacked: dict[int, int] = {}
    refused: dict[int, Refusal | None] = {}
    variables = _variables(graph)
    for op in graph.ops:
        if _unpacks(graph, op, unpacked):
            unpacked[op.outputs[0]] = op.index
            refused[op.index] = None
            continue
        if op.kind in _VARIABLES:
            refused[op.index] = variables[op.index]
        else:
            refused[op.index] = refusal(Node(graph, op, frozenset(unpacked)))
        if refused[op.index] is not None:
            for index in op.inputs:
                if index in unpacked:
                    refused[unpacked[index]] = Refusal(
                        f"its output is read by {op.label}, which stays on the processor"
                    )
    return tuple(verdict(op, UNIT, SOURCE, refused[op.index]) for op in graph.ops)


def refusal(node: Node) -> Refusal | None:
    """Why XNNPACK does not compute an operator; None where it does."""
    kind = node.op.kind
    if kind not in TYPES:
        return Refusal("XNNPACK does not know it", _INSTEAD.get(kind, ""))
    return _types(node) or first(node, RULES.get(kind, ())) or _half_bias(node)


def _types(node: Node) -> Refusal | None:
    kinds = TYPES[node.op.kind]
    for tensor in _flowing(node):
        if tensor.dtype not in kinds:
            remedy = _BETTER.get(node.op.kind, "Convert the model to int8, or leave it in float.")
            return Refusal(f"takes {', '.join(kinds)}, not {tensor.dtype}", remedy)
        if tensor.dtype in EIGHT_BIT and not one_scale(tensor):
            return Refusal(f"tensor {tensor.name!r} has no scale, or more than one", "Quantize it anew.")
    return None


def _flowing(node: Node) -> tuple[Tensor, ...]:
    """Tensors whose types the table is about: neither weights nor settings."""
    kind = node.op.kind
    if kind in ("QUANTIZE", "DEQUANTIZE"):
        return (node.data,)
    if kind == "CONCATENATION":
        return (*node.inputs, node.output)
    if kind in ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "PRELU", "SQUARED_DIFFERENCE"):
        return (*node.inputs, node.output)
    return (node.data, *node.outputs)


def _unpacks(graph: Graph, op: Operator, unpacked: Mapping[int, int]) -> bool:
    """Whether XNNPACK does once, at the start, what the operator does in each run."""
    if len(op.inputs) != 1 or len(op.outputs) != 1:
        return False
    source, made = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    if op.kind == "DENSIFY":
        kinds = ("float32", "float16", "int8")
        return source.is_constant and source.is_sparse and source.dtype == made.dtype and made.dtype in kinds
    if op.kind != "DEQUANTIZE" or source.is_sparse or made.dtype != "float32":
        return False
    fixed = source.is_constant or source.index in unpacked
    return fixed and (source.dtype == "float16" or (source.dtype == "int8" and source.is_quantized))


def _half_bias(node: Node) -> Refusal | None:
    """A float16 bias beside float32 weights: XNNPACK leaves both packed, and then finds unlike types."""
    if node.op.kind not in _FIXED_WEIGHTS or node.input(2) is None:
        return None
    if not _stays_half(node.graph, node.op.inputs[2]) or _stays_half(node.graph, node.op.inputs[1]):
        return None
    if node.known(1).dtype not in FLOAT:
        return None
    return Refusal("float32 weights with a float16 bias", "Convert both to float16, or neither.")


def _stays_half(graph: Graph, index: int) -> bool:
    """Whether a tensor is unpacked from float16 only for the weights and biases of layers."""
    producer = next((op for op in graph.ops if index in op.outputs), None)
    if producer is None or producer.kind != "DEQUANTIZE":
        return False
    if graph.tensors[producer.inputs[0]].dtype != "float16":
        return False
    readers = [op for op in graph.ops if index in op.inputs]
    return all(op.kind in _FIXED_WEIGHTS and op.inputs[0] != index for op in readers)


def _variables(graph: Graph) -> dict[int, Refusal | None]:
    """Which operators on variables are taken: those on a variable of a known type, and its handle."""
    handles = {op.outputs[0]: op.index for op in graph.ops if op.kind == "VAR_HANDLE"}
    found: dict[int, Refusal | None] = {
        index: Refusal("nothing that XNNPACK takes reads or writes the variable")
        for index in handles.values()
    }
    values: dict[int, Tensor] = {}
    for op in graph.ops:
        if op.kind not in ("ASSIGN_VARIABLE", "READ_VARIABLE"):
            continue
        handle = op.inputs[0]
        value = graph.tensors[op.inputs[1] if op.kind == "ASSIGN_VARIABLE" else op.outputs[0]]
        known = values.setdefault(handle, value)
        alike = known.dtype == value.dtype and known.shape == value.shape
        scalar = op.kind == "READ_VARIABLE" and not value.shape
        typed = value.dtype in FLOAT or (value.dtype in EIGHT_BIT and one_scale(value))
        if handle not in handles or not alike or scalar or not typed:
            found[op.index] = Refusal("a variable without a handle here, or of a type XNNPACK has not")
        else:
            found[op.index] = found[handles[handle]] = None
    return found


_INSTEAD: Final = {
    "RESIZE_NEAREST_NEIGHBOR": "Use RESIZE_BILINEAR.", "SQUEEZE": "Use RESHAPE.",
    "EXPAND_DIMS": "Use RESHAPE.", "PADV2": "Use PAD, with zeros.", "PACK": "Use CONCATENATION.",
    "SPLIT_V": "Use SLICE.", "UNPACK": "Use SLICE.", "L2_POOL_2D": "Use AVERAGE_POOL_2D.",
    "ADD_N": "Use ADD.", "ARG_MAX": "Take the largest in your program.", "RELU_0_TO_1": "Use RELU6.",
}  # fmt: skip
_BETTER: Final = {
    "SOFTMAX": "End the model before it, at the logits; the order of the classes is the same.",
    "HARD_SWISH": "Use RELU6 instead, as the minimalistic networks do.",
    "AVERAGE_POOL_2D": "Use MEAN over height and width where it pools the whole image.",
    "RELU": "Let the layer before it compute it: a fused activation costs nothing.",
    "RELU6": "Let the layer before it compute it: a fused activation costs nothing.",
}  # fmt: skip
