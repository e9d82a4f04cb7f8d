"""The float model that a conversion starts from: quantized files are refused, float16 weights widened.

Whoever quantizes twice rounds twice, and calibrates on what the first rounding left.
"""

from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from calibration import editable
from edgecnn.errors import ConversionError
from edgecnn.graph import Graph, read

_INTEGERS: Final = frozenset({"int2", "int4", "uint4", "int8", "uint8", "int16", "int32"})


def check_float(source: Graph) -> None:
    """Refuse a model some of whose tensors are quantized.

    Raises:
        ConversionError: one is; names it.
    """
    for subgraph in source.subgraphs:
        for tensor in subgraph.tensors:
            if tensor.is_quantized and tensor.dtype in _INTEGERS:
                what = "weights" if tensor.is_constant else "values"
                raise ConversionError(
                    f"{source.name}: is quantized already ({tensor.dtype} {what} in {tensor.name}). Convert "
                    "from the float file it was made from."
                )


def to_float32(content: bytes, name: str = "the model") -> bytes:
    """The same model with float32 weights, when they were stored as float16; else as it is.

    Args:
        content: a float `.tflite`.
        name: what to call the model in errors.

    Raises:
        ConversionError: the model is quantized already.
    """
    source = read(content, name)
    check_float(source)
    if not any(operator.kind == "DEQUANTIZE" for operator in source.ops):
        return content
    model = editable.read(content)
    widen_halves(model)
    return editable.write(model)


def widen_halves(model: editable.Model) -> None:
    """Weights in half precision become float32 weights, and nobody has to unpack them."""
    graph = model.subgraphs[0]
    kept = []
    for operator in graph.operators:
        if not _unpacks_halves(model, operator):
            kept.append(operator)
            continue
        stored, wide = (graph.tensors[index] for index in (operator.inputs[0], operator.outputs[0]))
        halves = np.frombuffer(bytes(model.buffers[stored.buffer].data), "<f2")
        buffer = schema.BufferT()
        buffer.data = halves.astype("<f4").view(np.uint8)
        wide.buffer = len(model.buffers)
        model.buffers.append(buffer)
    graph.operators = kept
    editable.drop_unused(model)


def _unpacks_halves(model: editable.Model, operator: Any) -> bool:
    code = model.operatorCodes[operator.opcodeIndex].builtinCode
    if code != schema.BuiltinOperator.DEQUANTIZE:
        return False
    stored = model.subgraphs[0].tensors[operator.inputs[0]]
    data = model.buffers[stored.buffer].data
    return stored.type == schema.TensorType.FLOAT16 and data is not None and len(data) > 0
