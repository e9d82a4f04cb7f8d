"""Parts of a model as models of their own: the whole with other outputs, or a stretch of its operators.

What a part computes is what the whole computes there; which part is wanted, others know.
"""

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from calibration import editable
from calibration.editable import Model


def exposed(content: bytes, outputs: Sequence[int]) -> bytes:
    """The same model with other outputs.

    Args:
        content: a `.tflite` file.
        outputs: indices of tensors of the main subgraph, in the order they shall come.
    """
    model = editable.read(content)
    model.subgraphs[0].outputs = list(outputs)
    model.signatureDefs = []  # they name the outputs that were there before
    return editable.write(model)


def stretch(model: Model, operators: Iterable[Any], inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
    """Some operators of the main subgraph as a file, with the constants they use and nothing else.

    Args:
        model: stays as it is.
        operators: `schema.OperatorT`s of the model, in the order they run; none that calls a subgraph.
        inputs: indices in the model of the tensors that come from outside.
        outputs: likewise of those to be handed out.
    """
    graph = model.subgraphs[0]
    chosen = list(operators)
    used = [int(index) for operator in chosen for index in (*operator.inputs, *operator.outputs)]
    places = {index: place for place, index in enumerate(dict.fromkeys(i for i in used if i >= 0))}
    part = schema.SubGraphT()
    made = schema.ModelT()
    made.version, made.description = model.version, b""
    made.operatorCodes, made.subgraphs, made.buffers = model.operatorCodes, [part], [schema.BufferT()]
    part.tensors = []
    for index in places:
        tensor = copy.copy(graph.tensors[index])
        buffer = model.buffers[tensor.buffer]
        tensor.buffer = 0
        if buffer.data is not None and len(buffer.data):
            tensor.buffer = len(made.buffers)
            made.buffers.append(buffer)
        part.tensors.append(tensor)
    part.operators = []
    for operator in chosen:
        moved = copy.copy(operator)
        moved.inputs = [places.get(int(index), -1) for index in operator.inputs]
        moved.outputs = [places.get(int(index), -1) for index in operator.outputs]
        part.operators.append(moved)
    part.inputs = [places[index] for index in inputs]
    part.outputs = [places[index] for index in outputs]
    return editable.write(made)
