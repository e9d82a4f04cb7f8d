"""From one table of a .tflite file to a `Tensor`."""

from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from edgecnn.flatbuffer import FlatbufferError, Table
from edgecnn.graph import schema
from edgecnn.graph.view import SparseLevel, Sparsity, Tensor

_DTYPES: Final = tuple(schema.TENSOR_TYPES)
_MOST_DIMENSIONS: Final = 64  # kernels stop at 8
_MOST_ELEMENTS: Final = 2**62
_NO_DATA: Final = np.empty(0, np.uint8)
_NOT_QUANTIZED: Final = {field.name: field.default for field in schema.QUANTIZATION}
_T = TypeVar("_T")


def read_tensor(number: int, table: Table, buffers: tuple[npt.NDArray[np.uint8], ...]) -> Tensor:
    """Read one tensor of a subgraph.

    Raises:
        FlatbufferError: it is damaged, or names a type or buffer that does not exist.
    """
    fields = table.read(schema.TENSOR)
    name = fields["name"] or ""
    shape, signature = _shape(fields["shape"]), fields["shape_signature"]
    if not 0 <= fields["type"] < len(_DTYPES):
        raise FlatbufferError(f"type {fields['type']} of {name!r} is unknown")
    if fields["external_buffer"]:
        raise FlatbufferError(f"the values of {name!r} lie in another file; that is not supported")
    for variant in fields["variant_tensors"]:
        variant.read(schema.VARIANT)
    dtype = _DTYPES[fields["type"]]
    # buffer 0 is empty by definition, and some writers leave out even that
    stored = at(buffers, fields["buffer"], f"buffer of {name!r}") if fields["buffer"] else _NO_DATA
    quantization = (
        fields["quantization"].read(schema.QUANTIZATION) if fields["quantization"] else _NOT_QUANTIZED
    )
    elements = 1
    for size in shape:
        elements *= size
    return Tensor(
        index=number,
        name=name,
        shape=shape,
        shape_signature=_shape(signature, lowest=-1) if len(signature) else None,
        dtype=dtype,
        scale=quantization["scale"],
        zero_point=quantization["zero_point"],
        quantized_dimension=quantization["dimension"],
        bytes=-int(-elements * schema.TENSOR_TYPES[dtype] // 1),
        buffer=fields["buffer"],
        is_constant=len(stored) > 0,
        is_variable=fields["is_variable"],
        sparsity=_sparsity(fields["sparsity"]) if fields["sparsity"] else None,
        blockwise=_blockwise(quantization),
    )


def _shape(vector: npt.NDArray[np.int32], *, lowest: int = 0) -> tuple[int, ...]:
    if len(vector) > _MOST_DIMENSIONS:
        raise FlatbufferError(f"{len(vector):,} dimensions")
    shape = tuple(vector.tolist())
    elements = 1
    for size in shape:
        if size < lowest:
            raise FlatbufferError(f"shape {shape} has a negative size")
        elements *= size
    if elements > _MOST_ELEMENTS:
        raise FlatbufferError(f"shape {shape} has more than 2**62 elements")
    return shape


def _blockwise(quantization: dict[str, Any]) -> tuple[int, ...]:
    if quantization["details_type"] != schema.BLOCKWISE_NUMBER or quantization["details"] is None:
        return ()
    blocks = quantization["details"].read(schema.BLOCKWISE)
    return (blocks["scales"], blocks["zero_points"])


def _sparsity(table: Table) -> Sparsity:
    fields = table.read(schema.SPARSITY)
    if max(len(fields[name]) for name in ("traversal_order", "block_map", "dimensions")) > _MOST_DIMENSIONS:
        raise FlatbufferError(f"more than {_MOST_DIMENSIONS} sparse dimensions")
    return Sparsity(
        traversal_order=tuple(fields["traversal_order"].tolist()),
        block_map=tuple(fields["block_map"].tolist()),
        levels=tuple(_sparse_level(table.read(schema.SPARSE_DIMENSION)) for table in fields["dimensions"]),
    )


def _sparse_level(fields: dict[str, Any]) -> SparseLevel:
    if fields["format"] == schema.SPARSE_DENSE:
        return SparseLevel(size=fields["dense_size"], segments=None, indices=_NO_DATA)
    parts = []
    for part in ("segments", "indices"):
        number = fields[f"{part}_type"]
        if not 1 <= number < len(schema.SPARSE_INDICES) or fields[part] is None:
            raise FlatbufferError(f"sparse {part} of kind {number}")
        parts.append(fields[part].read(schema.SPARSE_INDICES[number])["values"])
    return SparseLevel(size=0, segments=parts[0], indices=parts[1])


def at(items: tuple[_T, ...], number: int, what: str) -> _T:
    """Item `number`, which the file names, or an error that says `what` names it."""
    if not 0 <= number < len(items):
        raise FlatbufferError(f"{what} is number {number}, but there are only {len(items)}")
    return items[number]
