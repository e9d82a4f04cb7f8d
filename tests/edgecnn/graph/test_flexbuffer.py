from typing import Any

import pytest
from flatbuffers import flexbuffers
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.flatbuffer import FlatbufferError
from edgecnn.graph.flexbuffer import read_settings

VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(-1e30, 1e30),  # beyond, the writer itself stumbles
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
)
NAMES = st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1)


def test_an_empty_map_has_no_settings() -> None:
    assert read_settings(flexbuffers.Dumps({})) == {}


@settings(deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=12))
def test_settings_come_back_as_googles_writer_wrote_them(settings: dict[str, Any]) -> None:
    assert read_settings(flexbuffers.Dumps(settings)) == settings


def test_other_values_are_passed_over() -> None:
    assert read_settings(flexbuffers.Dumps({"a": [1, 2], "b": {"c": 1}, "d": None, "e": 7})) == {"e": 7}


@pytest.mark.parametrize("content", [b"", b"\0", b"\0\0", b"\0\0\0", b"\xff" * 40, flexbuffers.Dumps([1])])
def test_what_is_no_map_is_refused(content: bytes) -> None:
    with pytest.raises(FlatbufferError):
        read_settings(content)


@settings(deadline=None)
@given(data=st.data())
def test_damage_raises_nothing_but_a_flatbuffer_error(data: st.DataObject) -> None:
    content = bytearray(flexbuffers.Dumps({"x_scale": 10.0, "max_detections": 10, "name": "ssd", "on": True}))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    message = ""
    try:
        read_settings(bytes(content))
    except FlatbufferError as error:
        message = str(error)
    assert "\n" not in message
