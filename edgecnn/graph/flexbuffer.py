"""The settings of a custom operator: a FlexBuffer map of names to numbers, every access checked.

Only what custom operators of TFLite use is read: one map whose values are numbers, truth values or strings.
Values of other kinds are passed over.

Source: https://flatbuffers.dev/internals/ (FlexBuffers).
"""

import struct
from collections.abc import Mapping
from typing import Final

from edgecnn.flatbuffer import FlatbufferError

_NULL, _INT, _UINT, _FLOAT, _KEY, _STRING, _FAR_INT, _FAR_UINT, _FAR_FLOAT, _MAP = range(10)
_BOOL: Final = 26
_INTEGERS: Final = {1: "<b", 2: "<h", 4: "<i", 8: "<q"}
_NATURALS: Final = {1: "<B", 2: "<H", 4: "<I", 8: "<Q"}
_REALS: Final = {4: "<f", 8: "<d"}
_MOST_KEYS: Final = 4096


def read_settings(content: bytes) -> Mapping[str, int | float | bool | str]:
    """The map a FlexBuffer holds.

    Raises:
        FlatbufferError: it holds no map, or leads outside its bytes.
    """
    if len(content) < 3:
        raise FlatbufferError(f"{len(content)} bytes are no FlexBuffer")
    kind, width = content[-2] >> 2, content[-1]
    if kind != _MAP:
        raise FlatbufferError(f"a FlexBuffer of kind {kind}, not a map")
    place = _back(content, len(content) - 2 - width, width)
    width = 1 << (content[-2] & 3)
    count = _natural(content, place - width, width)
    keys = _back(content, place - 3 * width, width)
    key_width = _natural(content, place - 2 * width, width)
    if count > _MOST_KEYS or _natural(content, keys - key_width, key_width) != count:
        raise FlatbufferError(f"a FlexBuffer map of {count} values with another number of keys")
    settings: dict[str, int | float | bool | str] = {}
    for number in range(count):
        name = _text(content, _back(content, keys + number * key_width, key_width))
        tag = _natural(content, place + count * width + number, 1)
        value = _value(content, place + number * width, width, tag)
        if value is not None:
            settings[name] = value
    return settings


def _value(content: bytes, place: int, width: int, tag: int) -> int | float | bool | str | None:
    kind, far_width = tag >> 2, 1 << (tag & 3)
    if kind in (_FAR_INT, _FAR_UINT, _FAR_FLOAT):
        place, width, kind = _back(content, place, width), far_width, kind - _FAR_INT + _INT
    if kind == _INT:
        return int(_unpack(content, place, width, _INTEGERS))
    if kind == _UINT:
        return _natural(content, place, width)
    if kind == _FLOAT:
        return float(_unpack(content, place, width, _REALS))
    if kind == _BOOL:
        return _natural(content, place, width) != 0
    if kind in (_KEY, _STRING):
        return _text(content, _back(content, place, width))
    return None


def _unpack(content: bytes, place: int, width: int, formats: Mapping[int, str]) -> float:
    if width not in formats:
        raise FlatbufferError(f"a FlexBuffer number of {width} bytes")
    if place < 0 or place + width > len(content):
        raise FlatbufferError(f"a FlexBuffer leads to byte {place} of {len(content)}")
    number: float = struct.unpack_from(formats[width], content, place)[0]
    return number


def _natural(content: bytes, place: int, width: int) -> int:
    return int(_unpack(content, place, width, _NATURALS))


def _back(content: bytes, place: int, width: int) -> int:
    """Where the offset at `place` leads: offsets of a FlexBuffer count backwards."""
    return place - _natural(content, place, width)


def _text(content: bytes, place: int) -> str:
    end = content.find(b"\0", place) if 0 <= place < len(content) else -1
    if end < 0:
        raise FlatbufferError(f"a FlexBuffer's text at byte {place} has no end")
    return content[place:end].decode("utf-8", "replace")
