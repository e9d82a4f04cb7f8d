"""From the bytes of a .tflite file to a `Graph`; nothing is copied but names and shapes.

This module answers for the file's structure: whatever it returns lies inside the file and names only
operators, tensors and buffers that exist in the schema. Whether the model makes sense is for
`edgecnn.graph.safety`.
"""

import mmap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from edgecnn.errors import ModelError
from edgecnn.flatbuffer import Flatbuffer, FlatbufferError, Table
from edgecnn.graph import schema
from edgecnn.graph.operators import macs
from edgecnn.graph.tensor_reader import at, read_tensor
from edgecnn.graph.view import Graph, Operator, Signature, Subgraph, Tensor

_IDENTIFIER: Final = b"TFL3"
_LOOKALIKES: Final = (
    (b"PK\x03\x04", "a zip, perhaps a .keras model; convert it first"),
    (b"\x89HDF", "HDF5, perhaps Keras weights; convert the model first"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file itself with `git lfs pull`"),
    (b"<", "a web page; the download went wrong"),
    (b"\x08", "perhaps ONNX; convert it first"),
)
_T = TypeVar("_T")


def read(source: Path | bytes, name: str | None = None) -> Graph:
    """Read a .tflite file.

    Args:
        source: the file (mapped, not copied) or its bytes.
        name: what to call it in errors; None calls it by its path, and bytes "model".

    Returns:
        What the file says. Arrays in it are views into the file, which stays mapped as long as they live.

    Raises:
        ModelError: it cannot be opened, is no .tflite file, or is damaged; says where.
    """
    if isinstance(source, bytes):
        name, content = name or "model", memoryview(source)
    else:
        name, content = name or str(source), _map(source)
    if bytes(content[4:8]) != _IDENTIFIER:
        raise ModelError(_not_tflite(name, content))
    try:
        return _graph(name, content)
    except FlatbufferError as error:
        raise ModelError(
            f"{name}: {error}. The file is damaged or cut off; copy or convert it again."
        ) from None


def _map(path: Path) -> memoryview:
    try:
        with path.open("rb") as file:
            if not file.seek(0, 2):
                raise ModelError(f"{path}: the file is empty; copy or convert it again.")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror}). Give the path of a .tflite file."
        ) from None


def _not_tflite(name: str, content: memoryview) -> str:
    begin = bytes(content[:64])
    for mark, what in _LOOKALIKES:
        if begin.startswith(mark):
            return f"{name}: not a .tflite file but {what}."
    return f"{name}: not a .tflite file: bytes 4 to 7 are {begin[4:8]!r} instead of {_IDENTIFIER!r}."


def _graph(name: str, content: memoryview) -> Graph:
    model = Flatbuffer(content, _IDENTIFIER).root().read(schema.MODEL)
    if model["version"] != 3:
        raise FlatbufferError(f"schema version {model['version']}, but only version 3 exists")
    buffers = _each("buffer", model["buffers"], lambda _, table: _buffer(table, content))
    codes = _each("operator code", model["operator_codes"], lambda _, table: table.read(schema.OPERATOR_CODE))
    subgraphs = _each(
        "subgraph", model["subgraphs"], lambda n, table: _subgraph(n, table, codes, buffers, content)
    )
    if not subgraphs:
        raise FlatbufferError("no subgraph")
    metadata = {}
    for entry in _each("metadata", model["metadata"], lambda _, table: table.read(schema.METADATA)):
        metadata[entry["name"] or ""] = at(buffers, entry["buffer"], f"buffer of metadata {entry['name']!r}")
    return Graph(
        name=name,
        version=model["version"],
        description=model["description"] or "",
        subgraphs=subgraphs,
        signatures=_each("signature", model["signatures"], lambda _, table: _signature(table)),
        metadata=metadata,
        buffers=buffers,
        content=content,
    )


def _each(what: str, tables: Iterable[Table], build: Callable[[int, Table], _T]) -> tuple[_T, ...]:
    built = []
    for number, table in enumerate(tables):
        try:
            built.append(build(number, table))
        except FlatbufferError as error:
            raise FlatbufferError(f"{what} {number}: {error}") from None
    return tuple(built)


def _buffer(table: Table, content: memoryview) -> npt.NDArray[np.uint8]:
    fields = table.read(schema.BUFFER)
    offset, size = fields["offset"], fields["size"]
    if offset <= 1:  # 0 and 1 mean: the data is inside the FlatBuffer
        data: npt.NDArray[np.uint8] = fields["data"]
        return data
    if offset + size > len(content):
        raise FlatbufferError(
            f"{size:,} bytes at byte {offset:,}, but the file ends at byte {len(content):,}"
        )
    return np.frombuffer(content, np.uint8, size, offset)


def _subgraph(
    number: int,
    table: Table,
    codes: tuple[dict[str, Any], ...],
    buffers: tuple[npt.NDArray[np.uint8], ...],
    content: memoryview,
) -> Subgraph:
    fields = table.read(schema.SUBGRAPH)
    tensors = _each("tensor", fields["tensors"], lambda n, table: read_tensor(n, table, buffers))
    return Subgraph(
        index=number,
        name=fields["name"] or "",
        tensors=tensors,
        ops=_each(
            "operator", fields["operators"], lambda n, table: _operator(n, table, codes, tensors, content)
        ),
        inputs=_indices(fields["inputs"], tensors, "an input"),
        outputs=_indices(fields["outputs"], tensors, "an output"),
    )


def _indices(
    vector: npt.NDArray[np.int32], tensors: tuple[Tensor, ...], what: str, *, lowest: int = 0
) -> tuple[int, ...]:
    if len(vector) > 4 * len(tensors) + 64:
        raise FlatbufferError(f"{len(vector):,} times {what} for {len(tensors):,} tensors")
    indices = tuple(vector.tolist())
    for index in indices:
        if not lowest <= index < len(tensors):
            raise FlatbufferError(f"{what} is tensor {index}, but there are only {len(tensors)}")
    return indices


def _operator(
    number: int,
    table: Table,
    codes: tuple[dict[str, Any], ...],
    tensors: tuple[Tensor, ...],
    content: memoryview,
) -> Operator:
    fields = table.read(schema.OPERATOR)
    code = at(codes, fields["opcode"], "its code")
    # old files have only the one-byte field, new ones the other; the schema says: take the larger
    which = max(code["short_code"], code["code"])
    if which < 0:
        raise FlatbufferError(f"operator number {which}")
    kind = schema.OPERATORS[which] if which < len(schema.OPERATORS) else f"BUILTIN_{which}"
    inputs = _indices(fields["inputs"], tensors, "an input", lowest=-1)
    outputs = _indices(fields["outputs"], tensors, "an output", lowest=-1)
    options_kind, options = _options(fields)
    return Operator(
        index=number,
        kind=kind,
        version=code["version"],
        inputs=inputs,
        outputs=outputs,
        intermediates=_indices(fields["intermediates"], tensors, "an intermediate", lowest=-1),
        options=options,
        options_kind=options_kind,
        custom_code=code["custom_code"],
        custom_options=_custom_options(fields, content),
        macs=macs(
            kind,
            [tensors[i].shape if i >= 0 else () for i in inputs],
            tensors[outputs[0]].shape if outputs and outputs[0] >= 0 else (0,),
            options,
        ),
    )


def _options(fields: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    for union, suffix in ((1, ""), (2, "2")):
        number, table = fields[f"options{suffix}_type"], fields[f"options{suffix}"]
        if not number or table is None:
            continue
        known = schema.options_layout(union, number)
        if known is None:
            return f"UNKNOWN_{number}", {}
        options = table.read(known[1])
        for setting, names in (("padding", schema.PADDINGS), ("activation", schema.ACTIVATIONS)):
            value = options.get(setting)
            if isinstance(value, int):
                options[setting] = names[value] if 0 <= value < len(names) else f"UNKNOWN_{value}"
        return known[0], options
    return None, {}


def _custom_options(fields: dict[str, Any], content: memoryview) -> npt.NDArray[np.uint8]:
    offset, size = fields["large_options_offset"], fields["large_options_size"]
    if offset <= 1:
        inside: npt.NDArray[np.uint8] = fields["custom_options"]
        return inside
    if offset + size > len(content):
        raise FlatbufferError(
            f"custom options at byte {offset:,}, but the file ends at byte {len(content):,}"
        )
    return np.frombuffer(content, np.uint8, size, offset)


def _signature(table: Table) -> Signature:
    fields = table.read(schema.SIGNATURE)
    maps = []
    for side in ("inputs", "outputs"):
        entries = _each(side, fields[side], lambda _, entry: entry.read(schema.TENSOR_MAP))
        maps.append({entry["name"] or "": entry["tensor"] for entry in entries})
    return Signature(key=fields["key"] or "", subgraph=fields["subgraph"], inputs=maps[0], outputs=maps[1])
