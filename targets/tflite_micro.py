"""Which operators TFLite Micro has a kernel for, in which type.

The table is what the interpreter of the PyPI package tflite-micro (0.dev20261023) ran of the one-operator
models in benchmarks/one_op_models.py, in each type; where a kernel asks for more, the rule says so. It says
more than tensorflow/lite/micro/micro_mutable_op_resolver.h, which names operators without their types.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from edgecnn.graph import Graph, Operator, Tensor
from targets.verdict import NOWHERE, Verdict

UNIT: Final = "tflite_micro"
SOURCE: Final = "https://github.com/tensorflow/tflite-micro, tensorflow/lite/micro/kernels"

_F: Final = ("float32",)
_FI: Final = ("float32", "int8")
_FIS: Final = ("float32", "int8", "int16")
_ARITHMETIC: Final = ("float32", "int8", "int16", "int32")
_MOVED: Final = ("float32", "int8", "int16", "int32", "int64")
_ORDERED: Final = ("float32", "int8", "int32", "int64")
_COMPARED: Final = (*_ORDERED, "bool")
_ANY: Final = ("float32", "int8", "uint8", "int16", "int32", "int64", "bool")

KERNELS: Final[Mapping[str, tuple[str, ...]]] = {
    "ABS": _FIS, "ADD": _ARITHMETIC, "ADD_N": _FI, "ARG_MAX": _FI, "ARG_MIN": _FI, "AVERAGE_POOL_2D": _FIS,
    "BATCH_MATMUL": _FIS, "BATCH_TO_SPACE_ND": _FI, "BROADCAST_TO": _ANY,
    "CAST": ("float32", "int8", "int16", "int32", "bool"), "CEIL": _F, "CONCATENATION": (*_MOVED, "bool"),
    "CONV_2D": _FIS, "COS": _F, "CUMSUM": _FI, "DEPTHWISE_CONV_2D": _FIS, "DEPTH_TO_SPACE": _FI,
    "DEQUANTIZE": ("int8", "uint8", "int16"), "DIV": ("float32", "int8", "int32"),
    "DYNAMIC_UPDATE_SLICE": _ARITHMETIC,
    "ELU": _FI,
    "EMBEDDING_LOOKUP": _FI, "EQUAL": _COMPARED, "EXP": _F, "EXPAND_DIMS": _FIS, "FILL": ("int32", "int64"),
    "FLOOR": _F, "FLOOR_DIV": _F, "FLOOR_MOD": _F, "FULLY_CONNECTED": _FIS, "GATHER": _FI, "GATHER_ND": _FI,
    "GREATER": _MOVED, "GREATER_EQUAL": _ORDERED,
    "HARD_SWISH": _FI, "L2_NORMALIZATION": _FI, "L2_POOL_2D": _F, "LEAKY_RELU": _FIS,
    "LESS": _ORDERED,
    "LESS_EQUAL": _ORDERED, "LOG": _F,
    "LOGICAL_AND": _ANY, "LOGICAL_NOT": ("bool",), "LOGICAL_OR": _ANY, "LOGISTIC": _FIS, "LOG_SOFTMAX": _FI,
    "MAXIMUM": _MOVED, "MAX_POOL_2D": _FIS, "MEAN": _FIS, "MINIMUM": _MOVED, "MIRROR_PAD": _FI,
    "MUL": _ARITHMETIC, "NEG": _F, "NOT_EQUAL": _COMPARED, "PACK": _MOVED, "PAD": _ARITHMETIC,
    "PADV2": _ARITHMETIC, "PRELU": _FI, "QUANTIZE": ("float32", "int8", "uint8", "int16", "int32"),
    "REDUCE_ALL": ("bool",), "REDUCE_MAX": _FI, "REDUCE_MIN": _FI, "RELU": _FIS, "RELU6": _FIS,
    "RESHAPE": _ANY, "RESIZE_BILINEAR": _FI, "RESIZE_NEAREST_NEIGHBOR": _FIS, "REVERSE_V2": _ANY, "ROUND": _F,
    "RSQRT": _FIS, "SELECT_V2": _FIS, "SHAPE": _ANY, "SIN": _F, "SLICE": (*_ARITHMETIC, "bool"),
    "SOFTMAX": _FIS, "SPACE_TO_BATCH_ND": _FI, "SPACE_TO_DEPTH": _FI, "SPLIT": _ARITHMETIC,
    "SPLIT_V": _ARITHMETIC, "SQRT": _F, "SQUARE": _F, "SQUARED_DIFFERENCE": _ARITHMETIC, "SQUEEZE": _ANY,
    "STRIDED_SLICE": (*_ARITHMETIC, "bool"), "SUB": _ARITHMETIC, "SUM": _FIS, "SVDF": _FIS, "TANH": _FIS,
    "TRANSPOSE": _FIS, "TRANSPOSE_CONV": _FIS, "UNIDIRECTIONAL_SEQUENCE_LSTM": _FIS, "UNPACK": _ARITHMETIC,
    "ZEROS_LIKE": ("float32", "int8", "int32", "int64"),
}  # fmt: skip
"""Types of the tensor that decides (see `deciding`), by operator."""

FLOW: Final = ("IF", "WHILE", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
CUSTOM: Final = ("TFLite_Detection_PostProcess", "ethos-u", "CIRCULAR_BUFFER")

_DECIDING: Final = {"TRANSPOSE_CONV": 2, "SELECT_V2": 1, "SPLIT": 1, "EMBEDDING_LOOKUP": 1}
_WEIGHTED: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")

Rule: TypeAlias = Callable[[Graph, Operator], str]
"""Says what a kernel does not take; "" where it takes the operator."""

_TO_INT8: Final = "Convert the model to int8, with int8 inputs and outputs."


def judge(graph: Graph, level: int = 0) -> tuple[Verdict, ...]:
    """Whether TFLite Micro has a kernel for each operator.

    Args:
        graph: a model that `edgecnn.graph.check` lets pass.
        level: not used; TFLite Micro has none.
    """
    return tuple(_verdict(graph, op) for op in graph.ops)


def _verdict(graph: Graph, op: Operator) -> Verdict:
    reason, remedy, fix = refusal(graph, op)
    if not reason:
        return Verdict(op.index, op.label, UNIT)
    return Verdict(op.index, op.label, NOWHERE, reason, remedy, fix, SOURCE)


def refusal(graph: Graph, op: Operator) -> tuple[str, str, str]:
    """Why TFLite Micro does not run an operator, what to do, and the fix's name; three "" where it does."""
    if op.kind in FLOW:
        return "", "", ""
    if op.kind == "CUSTOM":
        if op.label in CUSTOM:
            return "", "", ""
        return "custom operator that TFLite Micro does not know", "Register its kernel in your program.", ""
    if op.kind not in KERNELS:
        return "TFLite Micro has no kernel for it", _INSTEAD.get(op.kind, "Replace the layer."), ""
    tensor = deciding(graph, op)
    if tensor is not None and tensor.dtype not in KERNELS[op.kind]:
        takes = ", ".join(KERNELS[op.kind])
        remedy = _TO_INT8 if "int8" in KERNELS[op.kind] else "Keep it out of the quantized part."
        return f"its kernel takes {takes}, not {tensor.dtype}", remedy, ""
    for rule in RULES.get(op.kind, ()):
        if reason := rule(graph, op):
            return reason, _TO_INT8, ""
    return "", "", ""


def deciding(graph: Graph, op: Operator) -> Tensor | None:
    """The tensor whose type decides: the first input, or of some operators another."""
    place = _DECIDING.get(op.kind, 0)
    if place >= len(op.inputs) or op.inputs[place] < 0:
        return None
    return graph.tensors[op.inputs[place]]


def _hybrid(graph: Graph, op: Operator) -> str:
    """Float activations with integer weights ("dynamic"), or activations and weights of unlike kinds."""
    tensor, weights = graph.tensors[op.inputs[_DECIDING.get(op.kind, 0)]], graph.tensors[op.inputs[1]]
    allowed = ("float32",) if tensor.dtype == "float32" else ("int8", "int4")
    if weights.dtype in allowed:
        return ""
    return f"{weights.dtype} weights on {tensor.dtype} (a dynamic-range model), which has no kernel"


def _bias(graph: Graph, op: Operator) -> str:
    if len(op.inputs) > 2 and op.inputs[2] == -1:
        return "an optional bias that is left out, on which its kernel ends the program"
    return ""


def _unit_scale(bits: int) -> Rule:
    """A 16-bit output must have the scale that the kernel's table is made for."""

    def rule(graph: Graph, op: Operator) -> str:
        out = graph.tensors[op.outputs[0]]
        if out.dtype != "int16" or (len(out.scale) and abs(float(out.scale[0]) * 2**bits - 1) < 1e-3):
            return ""
        return f"an int16 output whose scale is not 1/{2**bits}"

    return rule


def _log_scale(graph: Graph, op: Operator) -> str:
    out = graph.tensors[op.outputs[0]]
    if out.dtype != "int8" or (len(out.scale) and float(out.scale[0]) == 16 / 256):
        return ""
    return "an int8 output whose scale is not 16/256"


def _fill_value(graph: Graph, op: Operator) -> str:
    dtype = graph.tensors[op.inputs[1]].dtype
    return (
        ""
        if dtype in ("float32", "int8", "int32")
        else f"a value of {dtype}, which its kernel does not write"
    )


def _pairs(taken: Mapping[str, tuple[str, ...]]) -> Rule:
    def rule(graph: Graph, op: Operator) -> str:
        source, made = graph.tensors[op.inputs[0]].dtype, graph.tensors[op.outputs[0]].dtype
        return "" if made in taken.get(source, ()) else f"from {source} to {made}, which has no kernel"

    return rule


RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    **dict.fromkeys(_WEIGHTED, (_hybrid,)),
    "DEPTHWISE_CONV_2D": (_hybrid, _bias),
    "LOGISTIC": (_unit_scale(15),), "TANH": (_unit_scale(15),), "SOFTMAX": (_unit_scale(15),),
    "LOG_SOFTMAX": (_log_scale,), "FILL": (_fill_value,),
    "QUANTIZE": (_pairs({
        "float32": ("int8", "uint8", "int16"), "int8": ("int8", "uint8", "int16", "int32"),
        "uint8": ("int8",),
        "int16": ("int8", "int16", "int32"), "int32": ("int8", "int16"),
    }),),
    "DEQUANTIZE": (_pairs(dict.fromkeys(("int8", "uint8", "int16"), ("float32",))),),
}  # fmt: skip

_INSTEAD: Final = {
    "RELU_N1_TO_1": "Use RELU6.", "RELU_0_TO_1": "Use RELU6.", "TILE": "Use CONCATENATION.",
    "GELU": "Use RELU or HARD_SWISH.", "SELECT": "Use SELECT_V2.", "REDUCE_PROD": "Use MUL.",
    "REDUCE_ANY": "Use REDUCE_MAX.", "POW": "Use MUL.", "LOCAL_RESPONSE_NORMALIZATION": "Use batch norm.",
}  # fmt: skip
