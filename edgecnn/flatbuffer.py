"""A FlatBuffer, read field by field, every access checked.

This module knows the wire format: tables, vtables, vectors, strings, and where each may lie. It does not know
what a field means: its reader says so with a layout, one `name:type` per field in the order of the schema:

    layout("shape:[i type:b buffer:I=0 name:s quantization:t")

Types are the letters of `struct` for scalars (`? b B h H i I q Q f d`), `s` a string, `t` a table, `[x` a
vector of x, `-` a field that is skipped. Nothing is copied but scalars and strings: vectors of scalars are
views into the file.

A damaged or hostile file raises FlatbufferError; the work one file may cost is bounded
(`Flatbuffer.allowance`), so offsets that point a million times at the same table end in an error too.

Source: https://flatbuffers.dev/internals/, and the checks of flatbuffers::Verifier.
"""

import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.errors import ModelError

_ALLOWANCE: Final = 1_000_000  # tables and elements one file may make us visit; MobileNet V2 needs 2,000
_U16: Final = struct.Struct("<H")
_I32: Final = struct.Struct("<i")
_U32: Final = struct.Struct("<I")
_TABLE_SIZES: Final = struct.Struct("<HH")
_SCALARS: Final = {
    letter: (struct.Struct(f"<{letter}"), np.dtype(kind))
    for letter, kind in {
        "?": "?", "b": "<i1", "B": "<u1", "h": "<i2", "H": "<u2", "i": "<i4", "I": "<u4", "q": "<i8",
        "Q": "<u8",
        "f": "<f4", "d": "<f8",
    }.items()
}  # fmt: skip


class FlatbufferError(ModelError):
    """The bytes are no FlatBuffer, or a damaged one."""


class Field(NamedTuple):
    """One field of a layout: its name, its type letters, its value when the file leaves it out."""

    name: str
    kind: str
    default: Any


Layout: TypeAlias = tuple[Field, ...]


def layout(text: str) -> Layout:
    """Read a layout from its one-line notation (see the module's docstring)."""
    fields = []
    for word in text.split():
        name, _, kind = word.partition(":")
        kind, _, given = kind.partition("=")
        if kind in ("s", "t", "-"):
            default: Any = None
        elif kind[0] == "[":
            default = () if kind[1] in "st" else np.empty(0, _SCALARS[kind[1]][1])
        elif kind == "?":
            default = given == "True"
        else:
            default = float(given or 0) if kind in "fd" else int(given or 0)
        fields.append(Field(name, kind, default))
    return tuple(fields)


class Flatbuffer:
    """The bytes of one FlatBuffer and what is left of the work it may cost.

    Args:
        content: the file, bytes or a map of it; kept, never copied. Bytes behind the FlatBuffer do no harm.
        identifier: the four bytes that must stand at offset 4, such as b"TFL3".
    """

    __slots__ = ("allowance", "content", "size")

    def __init__(self, content: bytes | memoryview, identifier: bytes) -> None:
        self.content = content
        self.size = len(content)
        self.allowance = _ALLOWANCE
        if self.size < 8:
            raise FlatbufferError(f"only {self.size} bytes; a FlatBuffer has 8 at least")
        found = bytes(content[4:8])
        if found != identifier:
            raise FlatbufferError(f"bytes 4 to 7 are {found!r}, not {identifier!r}")

    def root(self) -> "Table":
        """The table the file begins with."""
        return Table(self, self.follow(0))

    def spend(self, amount: int) -> None:
        """Take `amount` visits off the allowance."""
        self.allowance -= amount
        if self.allowance < 0:
            raise FlatbufferError(f"more than {_ALLOWANCE:,} tables and elements; no model needs that many")

    def follow(self, position: int) -> int:
        """Where the offset at `position` points: always forward, always inside the file."""
        if position < 0 or position + 4 > self.size:
            raise self.outside("an offset", position)
        target: int = position + _U32.unpack_from(self.content, position)[0]
        if target <= position or target + 4 > self.size:
            raise self.outside(f"the offset at byte {position}", target)
        return target

    def vector(self, position: int, width: int) -> tuple[int, int]:
        """First byte and number of elements of the vector at `position`, `width` bytes each."""
        if position % 4:
            raise FlatbufferError(f"the vector at byte {position} is misaligned")
        count: int = _U32.unpack_from(self.content, position)[0]
        start = position + 4
        if start + count * width > self.size:
            raise FlatbufferError(
                f"{count:,} elements of {width} bytes at byte {start:,}, but the file has {self.size:,} bytes"
            )
        if count and start % width:
            raise FlatbufferError(f"the vector at byte {position} is misaligned")
        return start, count

    def scalars(self, position: int, letter: str) -> npt.NDArray[Any]:
        """The vector of scalars at `position`, as a read-only view."""
        kind = _SCALARS[letter][1]
        start, count = self.vector(position, kind.itemsize)
        if letter != "B":  # bytes are weights, which nobody goes through
            self.spend(count >> 6)
        array = np.frombuffer(self.content, kind, count, start)
        array.flags.writeable = False
        return array

    def text(self, position: int) -> str:
        """The string at `position`; bytes that are not UTF-8 become U+FFFD: a name never stops us."""
        start, count = self.vector(position, 1)
        if start + count >= self.size or self.content[start + count] != 0:
            raise FlatbufferError(f"the string at byte {position} does not end in a zero byte")
        self.spend(count >> 3)
        return bytes(self.content[start : start + count]).decode("utf-8", "replace")

    def outside(self, what: str, position: int) -> FlatbufferError:
        """The error for something that should lie inside the file."""
        return FlatbufferError(f"{what} leads to byte {position:,}, outside the file's {self.size:,} bytes")


class Table:
    """One table: its place, and where its fields lie."""

    __slots__ = ("_size", "_slots", "buffer", "position")

    def __init__(self, buffer: Flatbuffer, position: int) -> None:
        buffer.spend(1)
        content, size = buffer.content, buffer.size
        if position % 4 or position + 4 > size:
            raise (
                buffer.outside("a table", position) if position + 4 > size else _misaligned("table", position)
            )
        vtable = position - _I32.unpack_from(content, position)[0]
        if vtable < 0 or vtable + 4 > size:
            raise buffer.outside(f"the table at byte {position}", vtable)
        if vtable % 2:
            raise _misaligned("vtable", vtable)
        vtable_size, table_size = _TABLE_SIZES.unpack_from(content, vtable)
        if vtable_size < 4 or vtable_size % 2 or vtable + vtable_size > size:
            raise FlatbufferError(f"the vtable at byte {vtable} claims {vtable_size} bytes")
        if table_size < 4 or position + table_size > size:
            raise FlatbufferError(f"the table at byte {position} claims {table_size} bytes")
        self.buffer = buffer
        self.position = position
        self._size = table_size
        self._slots: Sequence[int] = struct.unpack_from(f"<{(vtable_size - 4) >> 1}H", content, vtable + 4)

    def read(self, fields: Layout) -> dict[str, Any]:
        """Every field of the layout: scalar, string, view, `Table`, or the default where the file has none.

        A missing string or table is None, a missing vector is empty. Vectors of tables and strings come as
        tuples.

        Raises:
            FlatbufferError: a field lies outside its table or outside the file, or is misaligned.
        """
        values = {}
        for (name, kind, default), offset in zip(fields, self._slots, strict=False):
            if not offset or kind == "-":
                values[name] = default
            elif kind in _SCALARS:
                values[name] = self._scalar(offset, kind, name)
            else:
                values[name] = self._behind(offset, kind, name)
        for name, _, default in fields[len(self._slots) :]:
            values[name] = default
        return values

    def _scalar(self, offset: int, kind: str, name: str) -> Any:
        code = _SCALARS[kind][0]
        if offset < 4 or offset + code.size > self._size:
            raise FlatbufferError(f"{name} lies outside its table at byte {self.position}")
        if (self.position + offset) % code.size:
            raise _misaligned(name, self.position + offset)
        return code.unpack_from(self.buffer.content, self.position + offset)[0]

    def _behind(self, offset: int, kind: str, name: str) -> Any:
        if offset < 4 or offset + 4 > self._size:
            raise FlatbufferError(f"{name} lies outside its table at byte {self.position}")
        buffer = self.buffer
        try:
            target = buffer.follow(self.position + offset)
            if kind == "t":
                return Table(buffer, target)
            if kind == "s":
                return buffer.text(target)
            if kind[1] not in "st":
                return buffer.scalars(target, kind[1])
            start, count = buffer.vector(target, 4)
            buffer.spend(count)
            places = range(start, start + 4 * count, 4)
            if kind[1] == "s":
                return tuple(buffer.text(buffer.follow(place)) for place in places)
            return tuple(Table(buffer, buffer.follow(place)) for place in places)
        except FlatbufferError as error:
            raise FlatbufferError(f"{name}: {error}") from None


def _misaligned(what: str, position: int) -> FlatbufferError:
    return FlatbufferError(f"{what} at byte {position} is misaligned")
