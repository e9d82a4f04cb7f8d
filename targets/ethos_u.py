"""Which operators Vela puts on an Ethos-U NPU, and which stay on the Cortex-M beside it.

The rules are those that `vela --supported-ops-report` of ethos-u-vela 5.2.0 lists, checked against what the
compiler did with the one-operator models in benchmarks/one_op_models.py. Vela runs the same checks and has
the last word: `converters.to_ethosu` calls it and compares.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from converters.to_ethosu import VelaReport
from edgecnn.graph import Graph, Operator, Tensor
from targets import tflite_micro
from targets.ethos_u_rules import RULES
from targets.verdict import CPU, NOWHERE, Verdict

UNIT: Final = "ethos_u"
SOURCE: Final = "SUPPORTED_OPS.md of ethos-u-vela 5.2.0 (vela --supported-ops-report)"

_EIGHT: Final = ("int8", "uint8")
_INT: Final = ("int8", "uint8", "int16")
_WIDE: Final = ("int8", "uint8", "int16", "int32")

U55_U65: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys((
        "ABS", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "EXP", "FULLY_CONNECTED",
        "LEAKY_RELU", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "PACK", "PAD", "PADV2",
        "PRELU", "QUANTIZE", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1",
        "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SLICE", "SOFTMAX", "SPLIT", "SPLIT_V",
        "SQUARED_DIFFERENCE", "STRIDED_SLICE", "TANH", "TILE", "TRANSPOSE", "TRANSPOSE_CONV", "UNPACK",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
    ), _INT),
    **dict.fromkeys((
        "ADD", "EXPAND_DIMS", "MIRROR_PAD", "MUL", "NEG", "RESHAPE", "SQUEEZE", "SUB", "SUM",
    ), _WIDE),
    "ARG_MAX": _EIGHT, "BATCH_MATMUL": ("int8",), "ELU": ("int8",), "GELU": _EIGHT, "HARD_SWISH": _EIGHT,
    "LOG": ("int8", "int16"), "RSQRT": ("int8", "int16"),
}  # fmt: skip
"""Types of the feature map, by operator, on Ethos-U55 and U65."""

_ALWAYS_QUANTIZED: Final = (
    "ARG_MAX", "EXPAND_DIMS", "MIRROR_PAD", "PAD", "PADV2", "QUANTIZE", "TRANSPOSE",
)  # fmt: skip
"""Operators whose tensors need no scale."""
_BY_CHANNEL: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_SETTINGS: Final[Mapping[str, tuple[int, ...]]] = {
    "ARG_MAX": (1,), "MEAN": (1,), "SUM": (1,), "REDUCE_MAX": (1,), "REDUCE_MIN": (1,), "PAD": (1,),
    "PADV2": (1,), "MIRROR_PAD": (1,), "RESHAPE": (1,), "TRANSPOSE": (1,), "SLICE": (1, 2),
    "STRIDED_SLICE": (1, 2, 3), "SPLIT": (0,), "SPLIT_V": (1, 2), "TILE": (1,), "EXPAND_DIMS": (1,),
    "RESIZE_BILINEAR": (1,), "RESIZE_NEAREST_NEIGHBOR": (1,), "TRANSPOSE_CONV": (0,),
}  # fmt: skip
"""Inputs that hold plain numbers, not a feature map, by operator."""


def judge(graph: Graph, level: int = 0) -> tuple[Verdict, ...]:
    """Where each operator runs: "ethos_u", or "cpu" where TFLite Micro has a kernel, or "nowhere".

    Args:
        graph: a model that `edgecnn.graph.check` lets pass.
        level: not used. Ethos-U55 and U65 have the same rules; an Ethos-U85 takes more than is said here.
    """
    return tuple(_verdict(graph, op) for op in graph.ops)


def _verdict(graph: Graph, op: Operator) -> Verdict:
    if stopped := _stops(graph, op):
        return Verdict(op.index, op.label, NOWHERE, *stopped, source=SOURCE)
    reason, remedy, fix = refusal(graph, op)
    if not reason:
        return Verdict(op.index, op.label, UNIT)
    missing, micro_remedy, micro_fix = tflite_micro.refusal(graph, op)
    if not missing:
        return Verdict(op.index, op.label, CPU, reason, remedy, fix, SOURCE)
    both = f"{reason}; and on the Cortex-M: {missing}"
    return Verdict(op.index, op.label, NOWHERE, both, remedy or micro_remedy, fix or micro_fix, SOURCE)


def _stops(graph: Graph, op: Operator) -> tuple[str, str, str] | None:
    """What ends Vela 5.2.0 with an error, where it should leave the operator to the Cortex-M."""
    tensors = [graph.tensors[index] for index in (*op.inputs, *op.outputs) if index >= 0]
    if any(tensor.dtype == "bool" for tensor in tensors):
        return "Vela refuses a model with tensors of truth values", "Compare in your program.", ""
    if op.kind in ("HARD_SWISH", "ARG_MAX") and tensors[0].dtype not in _EIGHT:
        return f"Vela refuses a model with {op.kind} of {tensors[0].dtype}", "Convert all of it to int8.", ""
    return None


def refusal(graph: Graph, op: Operator) -> tuple[str, str, str]:
    """Why an operator is not on the NPU, what to do, and the fix's name; three "" where it is."""
    if op.kind not in U55_U65:
        return "the NPU does not know it", "", ""
    maps = feature_maps(graph, op)
    for tensor in maps:
        if any(size == -1 for size in (tensor.shape_signature or ())[1:]):
            return (
                f"tensor {tensor.name!r} has a size that is only known when the model runs",
                "Convert it with a fixed input size.", "",
            )  # fmt: skip
        if tensor.dtype not in (*_WIDE, "int64"):
            return (
                f"tensor {tensor.name!r} is {tensor.dtype}; the NPU computes in integers",
                "Convert the model to int8, with int8 inputs and outputs.", "int8-io",
            )  # fmt: skip
    if reason := _unquantized(graph, op):
        return reason, "Convert the model to int8.", ""
    kinds = U55_U65[op.kind]
    for tensor in maps:
        if tensor.dtype not in kinds and not (op.kind == "ARG_MAX" and tensor is maps[-1]):
            return f"takes {', '.join(kinds)}, not {tensor.dtype}", "Convert the model to int8.", ""
    for rule in RULES.get(op.kind, ()):
        if refused := rule(graph, op):
            return (*refused, "")
    return "", "", ""


def feature_maps(graph: Graph, op: Operator) -> tuple[Tensor, ...]:
    """What flows in and out, without weights, biases and settings; outputs last."""
    weights = (1, 2) if op.kind in _BY_CHANNEL else ()
    if op.kind == "TRANSPOSE_CONV":
        weights = (1, 3)
    beside = (*weights, *_SETTINGS.get(op.kind, ()))
    if op.kind == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        beside = tuple(range(1, len(op.inputs)))
    inputs = [index for place, index in enumerate(op.inputs) if index >= 0 and place not in beside]
    return tuple(graph.tensors[index] for index in (*inputs, *op.outputs))


def _unquantized(graph: Graph, op: Operator) -> str:
    """A tensor without a scale, or with one for each channel where the NPU takes none."""
    if op.kind in _ALWAYS_QUANTIZED:
        return ""
    tensors = list(feature_maps(graph, op))
    if op.kind in _BY_CHANNEL:
        tensors.append(graph.tensors[op.inputs[1]])
    for tensor in tensors:
        if tensor.dtype == "int32" and op.kind in ("ADD", "MUL", "SUB", "NEG", "RESHAPE", "SQUEEZE", "SUM"):
            continue
        if not len(tensor.scale):
            return f"tensor {tensor.name!r} has no scale"
        if len(tensor.scale) > 1 and op.kind not in _BY_CHANNEL:
            return f"tensor {tensor.name!r} has a scale for each channel"
    return ""


def mispredicted(report: VelaReport, verdicts: Sequence[Verdict]) -> tuple[int, ...]:
    """Operators of which Vela thinks otherwise, by their place in the model."""
    on_cpu = {left.operator for left in report.on_cpu}
    return tuple(one.operator for one in verdicts if (one.unit == UNIT) == (one.operator in on_cpu))
