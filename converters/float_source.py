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
    graph = model.subgraphs[0]
    left = []
    for operator in graph.operators:
        if not _widens(model, operator):
            left.append(operator)
            continue
        stored, wide = (graph.tensors[index] for index in (operator.inputs[0], operator.outputs[0]))
        values = np.frombuffer(bytes(model.buffers[stored.buffer].data), "<f2").astype("<f4")
        buffer = schema.BufferT()
        buffer.data = values.view(np.uint8)
        wide.buffer = len(model.buffers)
        model.buffers.append(buffer)
    graph.operators = left
    return editable.write(_without_unused(model))


def _widens(model: Any, operator: Any) -> bool:
    """Whether the operator makes float32 of constant float16."""
    code = model.operatorCodes[operator.opcodeIndex].builtinCode
    if code != schema.BuiltinOperator.DEQUANTIZE:
        return False
    stored = model.subgraphs[0].tensors[operator.inputs[0]]
    data = model.buffers[stored.buffer].data
    return stored.type == schema.TensorType.FLOAT16 and data is not None and len(data) > 0


def _without_unused(model: Any) -> Any:
    """Tensors that no operator touches any more go, and with them the buffers that only they had."""
    graph = model.subgraphs[0]
    touched = {int(index) for operator in graph.operators for index in (*operator.inputs, *operator.outputs)}
    touched |= {int(index) for index in (*graph.inputs, *graph.outputs)}
    left = sorted(touched - {-1})
    new = {-1: -1} | {index: position for position, index in enumerate(left)}
    graph.tensors = [graph.tensors[index] for index in left]
    for holder in (graph, *graph.operators):
        holder.inputs = [new[int(index)] for index in holder.inputs]
        holder.outputs = [new[int(index)] for index in holder.outputs]
    for signature in model.signatureDefs or ():
        for end in (*(signature.inputs or ()), *(signature.outputs or ())):
            end.tensorIndex = new[int(end.tensorIndex)]
    taken = {tensor.buffer for subgraph in model.subgraphs for tensor in subgraph.tensors}
    taken |= {entry.buffer for entry in model.metadata or ()}
    for number, buffer in enumerate(model.buffers):
        if number not in taken:
            buffer.data = None
    return model
