"""What TFLite Micro keeps in its arena beside the tensors: descriptions of tensors, and data of its kernels.

Sizes are those of a 64-bit build, taken from one-operator models (benchmarks/one_op_models.py) with the
recording allocator of tflite-micro 0.dev20261023: what is left of the tail when every known structure is
subtracted. Struct names: tensorflow/lite/micro/micro_allocator.cc, tensorflow/tflite-micro.
"""

from collections.abc import Mapping
from typing import Final

from edgecnn.graph import Graph, Operator
from targets.arena import MICRO_ALIGNMENT, aligned

_FIXED: Final = 496  # MicroAllocator, planner, builtin-data allocator, subgraph list
_TENSOR: Final = 24  # TfLiteEvalTensor, one for each tensor
_OPERATOR: Final = 64  # NodeAndRegistration
_PORT: Final = 72  # TfLiteTensor and the pointer to it, one for each input and output
_PORT_SCALE: Final = 32  # its TfLiteAffineQuantization and zero point
_SCRATCH: Final = 8  # ScratchBufferHandle

KERNEL: Final[Mapping[str, int]] = {
    "ABS": 48, "ADD": 88, "ADD_N": 32, "ARG_MAX": 16, "ARG_MIN": 16, "AVERAGE_POOL_2D": 80,
    "BATCH_MATMUL": 208, "BROADCAST_TO": 0, "CAST": 8, "CONCATENATION": 96, "CONV_2D": 108, "CUMSUM": 56,
    "DEPTHWISE_CONV_2D": 108, "DEPTH_TO_SPACE": 32, "DEQUANTIZE": 48, "DIV": 40, "ELU": 272,
    "EMBEDDING_LOOKUP": 40, "EQUAL": 32, "EXPAND_DIMS": 0, "FULLY_CONNECTED": 104, "GATHER": 40,
    "GATHER_ND": 16, "GREATER": 32, "GREATER_EQUAL": 32, "HARD_SWISH": 32, "L2_NORMALIZATION": 16,
    "L2_POOL_2D": 80, "LEAKY_RELU": 48, "LESS": 32, "LESS_EQUAL": 32, "LOGISTIC": 32, "MAX_POOL_2D": 80,
    "MEAN": 72, "MIRROR_PAD": 56, "MUL": 56, "NOT_EQUAL": 32, "PACK": 16, "PAD": 72, "PADV2": 64,
    "PRELU": 40, "QUANTIZE": 48, "REDUCE_ALL": 72, "REDUCE_MAX": 72, "REDUCE_MIN": 72, "RELU": 48,
    "RELU6": 16, "RESHAPE": 48, "RESIZE_BILINEAR": 8, "RESIZE_NEAREST_NEIGHBOR": 8, "RSQRT": 48,
    "SHAPE": 16, "SOFTMAX": 96, "SPACE_TO_BATCH_ND": 16, "SPACE_TO_DEPTH": 32, "SPLIT": 8,
    "SQUARED_DIFFERENCE": 112, "SQUEEZE": 48, "STRIDED_SLICE": 120, "SUB": 72, "SUM": 72, "TANH": 32,
    "TRANSPOSE_CONV": 104, "UNIDIRECTIONAL_SEQUENCE_LSTM": 656,
}  # fmt: skip
"""Bytes of one operator's data and options; a kind that is not named keeps nothing."""

_BY_CHANNEL: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")


def persistent_bytes(graph: Graph, scratch_buffers: int) -> int:
    """What lies at the arena's tail for as long as the interpreter lives, in bytes on a 64-bit host.

    Args:
        graph: the model.
        scratch_buffers: how many its kernels ask for.
    """
    ports = [graph.tensors[index] for index in (*graph.inputs, *graph.outputs)]
    variables = sum(aligned(tensor.bytes, MICRO_ALIGNMENT) for tensor in graph.tensors if tensor.is_variable)
    return aligned(
        _FIXED
        + _TENSOR * len(graph.tensors)
        + _OPERATOR * len(graph.ops)
        + sum(_PORT + _PORT_SCALE * port.is_quantized for port in ports)
        + sum(KERNEL.get(op.kind, 0) + _multipliers(graph, op) for op in graph.ops)
        + _SCRATCH * scratch_buffers
        + variables,
        MICRO_ALIGNMENT,
    )


def _multipliers(graph: Graph, op: Operator) -> int:
    """A multiplier and a shift for each output channel, int32 each."""
    if op.kind in _BY_CHANNEL or (
        op.kind == "FULLY_CONNECTED" and len(graph.tensors[op.inputs[1]].scale) > 1
    ):
        channels = graph.tensors[op.outputs[0]].shape[-1]
    else:
        return 0
    return 2 * aligned(4 * channels, MICRO_ALIGNMENT)
