"""A .tflite file as objects that can be changed, and back to bytes.

`edgecnn.graph` reads files that may be damaged and never changes them; this module is for files that were
just made or checked. The objects are the schema's own (`ai_edge_litert.schema_py_generated`).
"""

from typing import Any, TypeAlias

import flatbuffers  # type: ignore[import-untyped]  # it has none
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

Model: TypeAlias = Any
"""A `schema.ModelT`."""

_ALIGNMENT = 16
"""Of every buffer, in bytes: `force_align` of `Buffer.data` in schema.fbs."""


def read(content: bytes) -> Model:
    """The file's objects. Buffers that lie behind the FlatBuffer become ordinary ones."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0
    return model


def write(model: Model) -> bytes:
    """The file's bytes, every buffer inside the FlatBuffer.

    Buffers behind it (`Buffer.offset`) are for files above 2 GB; the Edge TPU compiler and microcontrollers
    read none.
    """
    builder = _Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def drop_unused(model: Model) -> None:
    """Leave out the tensors of the main subgraph that nothing touches any more, and what only they held."""
    graph = model.subgraphs[0]
    ends = [end for one in model.signatureDefs or () for end in (*(one.inputs or ()), *(one.outputs or ()))]
    lists = [graph.inputs, graph.outputs]
    for operator in graph.operators:
        lists += [operator.inputs, operator.outputs, _listed(operator.intermediates)]
    used = sorted({int(index) for indices in lists for index in indices if index >= 0})
    numbers = {-1: -1} | {old: new for new, old in enumerate(used)}
    for operator in graph.operators:
        operator.inputs = [numbers[int(index)] for index in operator.inputs]
        operator.outputs = [numbers[int(index)] for index in operator.outputs]
        if operator.intermediates is not None:
            operator.intermediates = [numbers[int(index)] for index in operator.intermediates]
    graph.inputs = [numbers[int(index)] for index in graph.inputs]
    graph.outputs = [numbers[int(index)] for index in graph.outputs]
    graph.tensors = [graph.tensors[old] for old in used]
    for end in ends:
        end.tensorIndex = numbers[int(end.tensorIndex)]
    taken = {tensor.buffer for subgraph in model.subgraphs for tensor in subgraph.tensors}
    taken |= {entry.buffer for entry in model.metadata or ()}
    for number, buffer in enumerate(model.buffers):
        if number not in taken:
            buffer.data = None


def _listed(indices: Any) -> Any:
    return () if indices is None else indices


class _Builder(flatbuffers.Builder):
    """Aligns vectors of bytes as the schema wants; Python's builder knows no `force_align`."""

    def CreateNumpyVector(self, x: npt.NDArray[Any]) -> int:  # noqa: N802  (the base's name)
        """Write a vector."""
        if x.dtype == np.uint8:
            self.Prep(_ALIGNMENT, x.nbytes)
        return int(super().CreateNumpyVector(x))
