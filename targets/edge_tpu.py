"""Which operators edgetpu_compiler puts on a Coral Edge TPU, and which stay on the host's CPU.

The compiler is closed and runs on x86-64 Linux only; these rules say before it is at hand what it will do.
It cuts the graph once: what it cannot map, and everything that needs its result, stays on the CPU.
`converters.to_edgetpu` calls the real one where it is installed and `mispredicted` compares.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from converters.to_edgetpu import CUSTOM, CompilerReport
from edgecnn.graph import Graph, Operator, Tensor
from targets.edge_tpu_rules import RULES
from targets.verdict import CPU, Verdict

UNIT: Final = "edge_tpu"
SOURCE: Final = "https://coral.ai/docs/edgetpu/models-intro/#supported-operations"
_CUT: Final = "https://coral.ai/docs/edgetpu/models-intro/#compiling"

NEWEST: Final = 14
OLDEST: Final = 10

MAPPED: Final[Mapping[str, int]] = {
    **dict.fromkeys((
        "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED",
        "L2_NORMALIZATION", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MUL", "PAD", "RELU",
        "RELU6", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SLICE", "SOFTMAX",
        "SPACE_TO_DEPTH", "SPLIT", "SQUEEZE", "STRIDED_SLICE", "SUB", "TANH",
    ), OLDEST),
    **dict.fromkeys(("EXPAND_DIMS", "PACK", "PRELU", "QUANTIZE", "SUM", "TRANSPOSE_CONV"), 13),
    **dict.fromkeys((
        "REDUCE_MAX", "REDUCE_MIN", "RSQRT", "SQUARED_DIFFERENCE", "TRANSPOSE",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
    ), 14),
}  # fmt: skip
"""Runtime version from which an operator is mapped, by operator."""

VERSIONS: Final[Mapping[str, int]] = {
    "ADD": 4, "AVERAGE_POOL_2D": 3, "CONCATENATION": 3, "CONV_2D": 5, "DEPTHWISE_CONV_2D": 6,
    "FULLY_CONNECTED": 9, "MAX_POOL_2D": 3, "MUL": 5, "RESIZE_BILINEAR": 3, "RESIZE_NEAREST_NEIGHBOR": 3,
    "TRANSPOSE_CONV": 3,
}  # fmt: skip
"""Newest operator versions of TensorFlow 2.5 (lite/kernels/register.cc), which edgetpu_compiler 16.0 is
built from; it ends with "Didn't find op for builtin opcode" where a file asks for a newer one."""
_RESIZE_VERSION: Final = 2  # compilers 2.0 to 15.0, github.com/google-coral/edgetpu/issues/45 and /396

_EIGHT: Final = ("int8", "uint8")
_INNERMOST: Final = 3
_INT8_IO: Final = 12
_BATCH: Final = 11
_SETTINGS: Final[Mapping[str, tuple[int, ...]]] = {
    "EXPAND_DIMS": (1,), "MEAN": (1,), "SUM": (1,), "REDUCE_MAX": (1,), "REDUCE_MIN": (1,), "PAD": (1,),
    "RESHAPE": (1,), "TRANSPOSE": (1,), "SLICE": (1, 2), "STRIDED_SLICE": (1, 2, 3), "SPLIT": (0,),
    "RESIZE_BILINEAR": (1,), "RESIZE_NEAREST_NEIGHBOR": (1,), "TRANSPOSE_CONV": (0,),
}  # fmt: skip
"""Inputs that hold plain numbers, not a feature map, by operator."""
_BIASES: Final[Mapping[str, int]] = {
    "CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3,
}  # fmt: skip
_INSTEAD: Final = {
    "HARD_SWISH": "Use RELU6: a minimalistic MobileNet V3 has no hard swish.",
    "LEAKY_RELU": "Use RELU or PRELU.", "ELU": "Use RELU.", "GELU": "Use RELU6.",
    "ARG_MAX": "Leave it out and take the maximum in your program.",
    "DEQUANTIZE": "Let the outputs be int8 or uint8.", "MIRROR_PAD": "Pad with zeros.",
    "SPLIT_V": "Split evenly.", "BATCH_MATMUL": "Use a 1x1 convolution.", "CAST": "Cast in your program.",
    "DIV": "Multiply by the reciprocal.", "GATHER": "Use SLICE.",
}  # fmt: skip

_OLDER: Final = {
    "FULLY_CONNECTED": ("Use one weight scale for the whole layer.", "dense-per-tensor"),
    "RESIZE_NEAREST_NEIGHBOR": ("Resize by whole steps, without half-pixel centres.", "resize"),
}  # fmt: skip
"""What to do about an operator version that is too new, and the fix's name."""
_TO_INT8: Final = "Convert the model to int8, with int8 or uint8 inputs and outputs."
Refusal = tuple[str, str, str]


def judge(graph: Graph, level: int = 0) -> tuple[Verdict, ...]:
    """Where each operator runs: "edge_tpu" or "cpu".

    Args:
        graph: a model that `edgecnn.graph.check` lets pass.
        level: runtime version of the Edge TPU, 10 to 14; 0 is the newest.
    """
    level = level or NEWEST
    tainted: dict[int, int] = {}
    return tuple(_verdict(graph, op, level, tainted) for op in graph.ops)


def _verdict(graph: Graph, op: Operator, level: int, tainted: dict[int, int]) -> Verdict:
    """`tainted`: tensors that depend on an operator left on the CPU, and which it is."""
    cut = next((tainted[index] for index in op.inputs if index in tainted), None)
    refused = refusal(graph, op, level)
    if cut is None and refused is None:
        return Verdict(op.index, op.label, UNIT)
    if not (cut is None and _at_the_door(graph, op)):
        tainted.update(dict.fromkeys(op.outputs, op.index if cut is None else cut))
    if refused is not None:
        return Verdict(op.index, op.label, CPU, *refused, source=SOURCE)
    first = graph.ops[cut or 0]
    return Verdict(
        op.index, op.label, CPU,
        f"needs the result of operator {first.index} ({first.label}), which stays on the CPU",
        f"Mend operator {first.index}, or compile with -a, which makes several parts (experimental).",
        source=_CUT,
    )  # fmt: skip


def _at_the_door(graph: Graph, op: Operator) -> bool:
    """A QUANTIZE of the model's own float input: it runs before the part that is compiled, and cuts nothing.

    Source: https://github.com/google-coral/edgetpu/issues/461, and every compiled model with float inputs.
    """
    return op.kind == "QUANTIZE" and op.inputs[0] in graph.inputs


def refusal(graph: Graph, op: Operator, level: int) -> Refusal | None:
    """Why an operator is not mapped even if everything before it is; None where it is.

    Returns:
        Why, what to do, and the fix's name.
    """
    if op.label == CUSTOM:
        return None
    if op.kind not in MAPPED:
        why = "custom operators run on the CPU" if op.kind == "CUSTOM" else "the Edge TPU does not know it"
        return why, _INSTEAD.get(op.kind, ""), ""
    if level < MAPPED[op.kind]:
        return f"mapped from runtime {MAPPED[op.kind]} on, not {level}", "Use a newer Edge TPU runtime.", ""
    newest = VERSIONS.get(op.kind, op.version)
    if op.kind.startswith("RESIZE") and level < NEWEST:
        newest = _RESIZE_VERSION
    if op.version > newest:
        remedy, fix = _OLDER.get(op.kind, ("Convert with an older converter.", ""))
        return f"operator version {op.version}; the compiler knows up to {newest}", remedy, fix
    if refused := _of_tensors(graph, op, level):
        return refused
    found = (rule(graph, op, level) for rule in RULES.get(op.kind, ()))
    return next((refused for refused in found if refused is not None), None)


def _of_tensors(graph: Graph, op: Operator, level: int) -> Refusal | None:
    for place in _SETTINGS.get(op.kind, ()):
        index = op.inputs[place] if place < len(op.inputs) else -1
        if index >= 0 and not graph.tensors[index].is_constant:
            return "a setting that is computed while the model runs", "Use a fixed one.", ""
    for tensor in feature_maps(graph, op):
        if tensor.dtype not in _EIGHT or not tensor.is_quantized:
            kind = tensor.dtype if tensor.is_quantized or tensor.dtype not in _EIGHT else "not quantized"
            fix = "int8-io" if op.kind in ("QUANTIZE", "DEQUANTIZE") else ""
            return f"tensor {tensor.name!r} is {kind}; it computes in 8 bits", _TO_INT8, fix
        if tensor.is_dynamic:
            free = [place for place, size in enumerate(tensor.shape_signature or ()) if size == -1]
            fix = "static-batch" if free == [0] else ""
            return (
                f"tensor {tensor.name!r} has a size that is only known when the model runs",
                "Give the input a fixed size.", fix,
            )  # fmt: skip
        if not tensor.shape and op.kind in RULES:
            return f"tensor {tensor.name!r} has no dimensions", "Give the input a fixed size.", ""
        if not tensor.is_constant and any(size > 1 for size in tensor.shape[:-_INNERMOST]):
            return (
                f"tensor {tensor.name!r} has {len(tensor.shape)} dimensions of which more than the last "
                f"{_INNERMOST} are above 1", "Use batch 1 and at most three dimensions.", "",
            )  # fmt: skip
    return None


def feature_maps(graph: Graph, op: Operator) -> tuple[Tensor, ...]:
    """What flows in and out, without settings, biases and the state an LSTM keeps; outputs last."""
    if op.kind == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        indices: tuple[int, ...] = (op.inputs[0], *op.outputs)
    else:
        beside = {*_SETTINGS.get(op.kind, ()), _BIASES.get(op.kind, -1)}
        indices = (*(index for place, index in enumerate(op.inputs) if place not in beside), *op.outputs)
    return tuple(graph.tensors[index] for index in indices if index >= 0)


def minimum_runtime(graph: Graph, verdicts: Sequence[Verdict]) -> int:
    """The oldest Edge TPU runtime that has all that the mapped operators and the inputs need; 0 for none."""
    needed = [MAPPED[one.kind] for one in verdicts if one.unit == UNIT and one.kind != CUSTOM]
    if not needed:
        return 0
    ends = [graph.tensors[index] for index in (*graph.inputs, *graph.outputs)]
    needed += [_INT8_IO for tensor in ends if tensor.dtype == "int8"]
    needed += [_BATCH for tensor in ends if len(tensor.shape) > 1 and tensor.shape[0] > 1]
    return max(needed)


@dataclass(frozen=True)
class Cache:
    """How much of the parameters the chip keeps from run to run; estimated.

    Attributes:
        parameter_bytes: weights and biases of the operators on the Edge TPU.
        cached_bytes: what fits into the chip's own memory.
        streamed_bytes: what comes from the host in every run.
    """

    parameter_bytes: int
    cached_bytes: int
    streamed_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {**asdict(self), "estimated": True}


RESERVED_BYTES: Final = 340_000
"""What the compiled program itself takes of the chip's memory: of 8 MiB a compiled YOLOv3-tiny with 3 KiB of
parameters left 7.67 MiB (edgetpu_compiler 15.0)."""


def cache(graph: Graph, verdicts: Sequence[Verdict], on_chip_bytes: int = 8 << 20) -> Cache:
    """Estimate what of the parameters stays on the chip.

    The compiler pads weights to its own layout, so that what it reports is a few per cent more.
    """
    constants: set[int] = set()
    for one in verdicts:
        if one.unit == UNIT:
            op = graph.ops[one.operator]
            places = _SETTINGS.get(op.kind, ())
            constants |= {
                index for place, index in enumerate(op.inputs) if index >= 0 and place not in places
            }
    total = sum(graph.tensors[index].bytes for index in constants if graph.tensors[index].is_constant)
    cached = min(total, max(on_chip_bytes - RESERVED_BYTES, 0))
    return Cache(total, cached, total - cached)


def mispredicted(report: CompilerReport, verdicts: Sequence[Verdict]) -> dict[str, tuple[int, int]]:
    """Kinds of which the compiler maps another number than we say: kind to (said, mapped)."""
    said = Counter(one.kind for one in verdicts if one.unit == UNIT)
    mapped = Counter({kind: count for kind, count in report.mapped.items() if count})
    return {
        kind: (said[kind], mapped[kind])
        for kind in sorted({*said, *mapped})
        if said[kind] != mapped[kind]
    }  # fmt: skip
