"""The constants of a model that is being changed: read, and replaced so that nobody else notices.

Files share: several tensors may name one buffer, and several operators one tensor. Who replaces a constant
for one operator here changes it for no other.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from calibration.editable import Model

_TYPES: Final[dict[int, "np.dtype[Any]"]] = {
    schema.TensorType.INT8: np.dtype("<i1"),
    schema.TensorType.FLOAT32: np.dtype("<f4"),
    schema.TensorType.INT32: np.dtype("<i4"),
    schema.TensorType.INT64: np.dtype("<i8"),
}


def values(model: Model, index: int) -> npt.NDArray[Any] | None:
    """A copy of a constant tensor's values in its shape; None for another type, or where there are none.

    Args:
        model: its main subgraph is meant.
        index: of a tensor; -1, an input left out, gives None.
    """
    if index < 0:
        return None
    tensor = model.subgraphs[0].tensors[index]
    data = model.buffers[tensor.buffer].data
    if tensor.type not in _TYPES or tensor.sparsity is not None or data is None or not len(data):
        return None
    stored = np.frombuffer(bytes(bytearray(data)), _TYPES[tensor.type])
    return stored.reshape([int(size) for size in tensor.shape]).copy()


def replace(model: Model, operator: int, position: int, array: npt.NDArray[Any]) -> None:
    """Give one operator of the main subgraph another constant.

    A tensor that others use too is copied first, and so is a buffer.

    Args:
        model: is changed.
        operator: number of the operator.
        position: which of its inputs.
        array: of the shape and type that the tensor has.
    """
    graph = model.subgraphs[0]
    index = int(graph.operators[operator].inputs[position])
    tensor = graph.tensors[index]
    if _users(graph, index) > 1:
        copied = schema.TensorT()
        copied.__dict__.update(tensor.__dict__)
        copied.name = tensor.name + f"_of_{operator}".encode()
        graph.tensors.append(copied)
        inputs = [int(value) for value in graph.operators[operator].inputs]
        inputs[position] = len(graph.tensors) - 1
        graph.operators[operator].inputs = inputs
        tensor = copied
    everyone = [one for subgraph in model.subgraphs for one in subgraph.tensors]
    named = [entry.buffer for entry in model.metadata or ()]
    if sum(one.buffer == tensor.buffer for one in everyone) > 1 or tensor.buffer in named:
        model.buffers.append(schema.BufferT())
        tensor.buffer = len(model.buffers) - 1
    data = np.ascontiguousarray(array, _TYPES[tensor.type])
    model.buffers[tensor.buffer].data = np.frombuffer(data.tobytes(), np.uint8)


def _users(graph: Any, index: int) -> int:
    """How many times operators and the graph's own outputs name a tensor."""
    named = [int(value) for operator in graph.operators for value in operator.inputs]
    return named.count(index) + [int(value) for value in graph.outputs].count(index)
