"""Tables that are written come back through Google's own package."""

import flatbuffers
import numpy as np
import pytest
from flatbuffers import number_types as kinds
from flatbuffers.table import Table as Google

from converters.flatbuffer_tables import Scalar, table, written


def root(content):
    return Google(content, flatbuffers.encode.Get(kinds.UOffsetTFlags.packer_type, content, 0))


def place(found, slot):
    return found.Pos + found.Offset(4 + 2 * slot)


def test_an_empty_table_has_no_fields():
    content = written(table(), b"TEST")
    assert content[4:8] == b"TEST"
    assert root(content).Offset(4) == 0


def test_what_is_none_is_left_out_and_slots_keep_their_number():
    found = root(written(table(s0=None, s3="four"), b"TEST"))
    assert [bool(found.Offset(4 + 2 * slot)) for slot in range(5)] == [False, False, False, True, False]
    assert found.String(place(found, 3)) == b"four"


@pytest.mark.parametrize(
    ("kind", "value", "flags"),
    [
        ("bool", 1, kinds.BoolFlags),
        ("uint8", 255, kinds.Uint8Flags),
        ("int32", -70000, kinds.Int32Flags),
        ("float32", 0.25, kinds.Float32Flags),
    ],
)
def test_numbers_come_back(kind, value, flags):
    found = root(written(table(s1=Scalar(kind, value)), b"TEST"))
    assert found.Get(flags, place(found, 1)) == value


def test_numbers_of_any_dtype_and_tables_within_tables_come_back():
    inner = [table(s0=[1.5, 2.5]), table(s0=np.array([7, 8, 9], np.uint32))]
    content = written(table(s0=inner, s1=table(s0="deep")), b"TEST")
    found = root(content)
    assert found.VectorLen(found.Offset(4)) == 2
    first, second = (Google(content, found.Indirect(found.Vector(found.Offset(4)) + 4 * i)) for i in range(2))
    assert first.GetVectorAsNumpy(kinds.Float32Flags, first.Offset(4)).tolist() == [1.5, 2.5]
    assert second.GetVectorAsNumpy(kinds.Uint32Flags, second.Offset(4)).tolist() == [7, 8, 9]
    deep = Google(content, found.Indirect(place(found, 1)))
    assert deep.String(place(deep, 0)) == b"deep"


@pytest.mark.parametrize("length", [1, 15, 16, 17, 1000])
@pytest.mark.parametrize("before", ["", "abc"])
def test_bytes_begin_at_a_multiple_of_16(length, before):
    data = bytes(range(256)) * 4
    found = root(written(table(s0="a" * 5, s1=data[:length], s2=before), b"TEST"))
    start = found.Vector(found.Offset(6))
    assert start % 16 == 0
    assert found.Bytes[start : start + found.VectorLen(found.Offset(6))] == data[:length]
