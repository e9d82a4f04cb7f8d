"""A FlatBuffer, written from a description of its tables.

Knows the wire format's order (what a table points to is written before it), not what a field means.
`edgecnn.flatbuffer` is the reader.

Source: https://flatbuffers.dev/internals/
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import flatbuffers  # type: ignore[import-untyped]  # it has none
import numpy as np
import numpy.typing as npt

Kind: TypeAlias = Literal["bool", "uint8", "int32", "float32"]

_ALIGNMENT: Final = 16  # of a FlatBuffer inside another; the strictest that schemas ask for


class Scalar(NamedTuple):
    """A number or a truth; zero is not written, it is what readers take a missing one for."""

    kind: Kind
    value: float


class Table(NamedTuple):
    """The fields of one table: slot and value."""

    fields: tuple[tuple[int, "Value"], ...]


Value: TypeAlias = "str | bytes | Scalar | Table | Sequence[Table] | Sequence[float] | npt.NDArray[Any]"
"""A string; bytes, aligned so that they may be a FlatBuffer themselves; a number; a table; several tables;
numbers, float32 unless they are an array of another dtype."""


def table(**fields: "Value | None") -> Table:
    """A table of those fields that are given; the word says the slot: s0, s1 and so on."""
    return Table(tuple((int(slot[1:]), value) for slot, value in fields.items() if value is not None))


def written(root: Table, identifier: bytes) -> bytes:
    """The FlatBuffer that begins with this table.

    Args:
        root: it, and all it points to.
        identifier: the four bytes that say which schema it follows.
    """
    builder = flatbuffers.Builder(1024)
    builder.Finish(_table(builder, root), identifier)
    return bytes(builder.Output())


def _table(builder: Any, described: Table) -> int:
    """Write a table, what it points to first; gives its place."""
    placed = [
        (slot, value if isinstance(value, Scalar) else _place(builder, value))
        for slot, value in described.fields
    ]
    builder.StartObject(max((slot for slot, _ in placed), default=-1) + 1)
    for slot, value in placed:
        if isinstance(value, Scalar):
            prepend = getattr(builder, f"Prepend{value.kind.capitalize()}Slot")
            prepend(slot, float(value.value) if value.kind == "float32" else int(value.value), 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
    return int(builder.EndObject())


def _place(builder: Any, value: Any) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, bytes):
        builder.Prep(_ALIGNMENT, len(value))
        return int(builder.CreateByteVector(value))
    if isinstance(value, Table):
        return _table(builder, value)
    if isinstance(value[0], Table):
        tables = [_table(builder, one) for one in value]
        builder.StartVector(4, len(tables), 4)
        for place in reversed(tables):
            builder.PrependUOffsetTRelative(place)
        return int(builder.EndVector())
    numbers = value if isinstance(value, np.ndarray) else np.array(value, np.float32)
    return int(builder.CreateNumpyVector(numbers))
