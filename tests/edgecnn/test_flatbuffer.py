import struct
import time
from typing import Any

import flatbuffers
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.errors import ModelError
from edgecnn.flatbuffer import Flatbuffer, FlatbufferError, Table, layout

FIELDS = layout(
    "flag:? small:b count:i=7 big:q real:f name:s numbers:[i words:[s child:t children:[t bytes:[B"
)


def written() -> bytes:
    """One table with every kind of field, written by Google's own builder."""
    b = flatbuffers.Builder(0)
    name, hello, empty = b.CreateString("grüße"), b.CreateString("hello"), b.CreateString("")
    numbers = b.CreateNumpyVector(np.array([1, -2, 3], np.int32))
    data = b.CreateNumpyVector(np.arange(5, dtype=np.uint8))

    def child(value: int) -> Any:
        b.StartObject(3)
        b.PrependInt32Slot(2, value, 7)
        return b.EndObject()

    kids = [child(10), child(11)]

    def vector(offsets: list[Any]) -> Any:
        b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            b.PrependUOffsetTRelative(offset)
        return b.EndVector()

    words, children = vector([hello, empty]), vector(kids)
    b.StartObject(11)
    b.PrependBoolSlot(0, True, False)
    b.PrependInt8Slot(1, -5, 0)
    b.PrependInt64Slot(3, -(2**40), 0)
    b.PrependFloat32Slot(4, 0.5, 0.0)
    for slot, offset in ((5, name), (6, numbers), (7, words), (8, kids[0]), (9, children), (10, data)):
        b.PrependUOffsetTRelativeSlot(slot, offset, 0)
    b.Finish(b.EndObject(), b"TEST")
    return bytes(b.Output())


def test_an_empty_file_is_no_flatbuffer() -> None:
    with pytest.raises(FlatbufferError, match="only 0 bytes"):
        Flatbuffer(b"", b"TEST")


def test_another_identifier_is_named() -> None:
    with pytest.raises(FlatbufferError, match="b'OTHR', not b'TEST'"):
        Flatbuffer(b"\x08\0\0\0OTHR", b"TEST")


def test_every_kind_of_field_comes_back_as_written() -> None:
    values = Flatbuffer(written(), b"TEST").root().read(FIELDS)
    assert values["flag"] is True
    assert (values["small"], values["count"], values["big"], values["real"]) == (-5, 7, -(2**40), 0.5)
    assert values["name"] == "grüße"
    assert values["numbers"].tolist() == [1, -2, 3]
    assert values["words"] == ("hello", "")
    assert values["bytes"].tolist() == [0, 1, 2, 3, 4]
    assert values["child"].read(FIELDS)["count"] == 10
    assert [child.read(FIELDS)["count"] for child in values["children"]] == [10, 11]


def test_fields_left_out_have_their_defaults() -> None:
    child = Flatbuffer(written(), b"TEST").root().read(FIELDS)["child"].read(FIELDS)
    assert child["flag"] is False
    assert child["name"] is None
    assert child["child"] is None
    assert child["words"] == child["children"] == ()
    assert len(child["numbers"]) == 0
    assert child["numbers"].dtype == np.int32


def test_a_field_that_the_layout_passes_over_is_not_looked_at() -> None:
    content = bytearray(written())
    values = Flatbuffer(bytes(content), b"TEST").root().read(layout("flag:- small:-"))
    assert values == {"flag": None, "small": None}


def test_vectors_of_numbers_are_views_that_cannot_be_written() -> None:
    content = written()
    numbers = Flatbuffer(content, b"TEST").root().read(FIELDS)["bytes"]
    assert np.shares_memory(numbers, np.frombuffer(content, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        numbers[0] = 1


def read_everything(content: bytes) -> None:
    def walk(table: Table, depth: int) -> None:
        values = table.read(FIELDS)
        for child in (*values["children"], *([values["child"]] if values["child"] else [])):
            if depth:
                walk(child, depth - 1)

    walk(Flatbuffer(content, b"TEST").root(), 3)


def survives(content: bytes) -> None:
    """Read everything; nothing but a FlatbufferError of one line may come out."""
    message = ""
    try:
        read_everything(content)
    except FlatbufferError as error:
        message = str(error)
    assert "\n" not in message


def test_a_flatbuffer_error_is_a_model_error() -> None:
    assert issubclass(FlatbufferError, ModelError)


@pytest.mark.parametrize("length", range(len(written())))
def test_a_file_cut_off_anywhere_is_refused_or_still_whole(length: int) -> None:
    survives(written()[:length])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(written()) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_bytes_raise_nothing_but_a_flatbuffer_error(damage: list[tuple[int, int]]) -> None:
    content = bytearray(written())
    for place, value in damage:
        content[place] = value
    survives(bytes(content))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_noise_raises_nothing_but_a_flatbuffer_error(noise: bytes) -> None:
    survives(b"\x08\0\0\0TEST" + noise)


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (0, struct.pack("<I", 10**6), "outside the file"),
        (0, struct.pack("<I", 0), "outside the file"),
        (0, struct.pack("<I", 9), "misaligned|outside|claims"),
    ],
)
def test_a_root_that_leads_astray_is_refused(place: int, value: bytes, reason: str) -> None:
    content = bytearray(written())
    content[place : place + len(value)] = value
    with pytest.raises(FlatbufferError, match=reason):
        read_everything(bytes(content))


def bomb(count: int) -> bytes:
    """A vector of `count` offsets that all lead to the same table."""
    vtable = struct.pack("<HHH", 6, 8, 4)
    table_at = 16
    vector_at = table_at + 8
    table = struct.pack("<iI", table_at - 8, vector_at - (table_at + 4))
    ends_at = vector_at + 4 + 4 * count
    small_vtable, small = struct.pack("<HH", 4, 4), struct.pack("<i", 4)
    offsets = b"".join(
        struct.pack("<I", ends_at + 4 - (vector_at + 4 + 4 * number)) for number in range(count)
    )
    head = struct.pack("<I4s", table_at, b"TEST") + vtable.ljust(8, b"\0")
    return head + table + struct.pack("<I", count) + offsets + small_vtable + small


def test_a_small_vector_of_one_table_is_read() -> None:
    children = Flatbuffer(bomb(3), b"TEST").root().read(layout("children:[t"))["children"]
    assert [child.position for child in children] == [children[0].position] * 3


def test_a_file_that_leads_a_million_times_to_one_table_ends_soon() -> None:
    begin = time.process_time()
    with pytest.raises(FlatbufferError, match="no model needs that many"):
        Flatbuffer(bomb(2_000_000), b"TEST").root().read(layout("children:[t"))
    assert time.process_time() - begin < 10
