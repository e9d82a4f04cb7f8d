"""Values out of a card that may come from anywhere: nothing in them is taken on trust.

Every function raises a CardError that says what is wrong, without the file's name.
"""

import base64
import binascii
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from edgecnn.errors import CardError

_MOST_TEXT: Final = 1 << 20  # of base64, in characters; a thousand float scores take 5,400


def base64_bytes(raw: object, what: str) -> bytes:
    """Bytes from base64, of at most a megabyte of text."""
    if not isinstance(raw, str) or len(raw) > _MOST_TEXT:
        raise CardError(f"{what} is no base64 text of at most {_MOST_TEXT} characters")
    try:
        return base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError):
        raise CardError(f"{what} is not base64") from None


def mapping(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object of a few fields."""
    value = raw.get(name)
    if not isinstance(value, dict) or len(value) > 100:
        raise CardError(f"{name} is no object")
    return value


def number(raw: Mapping[str, Any], name: str, low: float, high: float) -> float:
    """A number in a range."""
    value: Any = raw.get(name)
    if type(value) not in (int, float) or not (isfinite(value) and low <= value <= high):
        raise CardError(f"{name} must be a number in {low:g}..{high:g}, not {str(value)[:40]}")
    return float(value)


def text(raw: object) -> str:
    """A short text without control characters."""
    if not isinstance(raw, str) or len(raw) > 200 or not raw.isprintable():
        raise CardError(f"{str(raw)[:40]!r} is no short text")
    return raw


def plain(name: str, value: object) -> Any:
    """A text, a number, or a list of numbers."""
    numbers: list[Any] = value if isinstance(value, list) and len(value) <= 4096 else [value]
    if all(type(one) in (int, float) and isfinite(one) for one in numbers):
        return value
    return text(value) if not isinstance(value, list) else wrong(f"record.{name[:40]} holds no numbers")


def wrong(what: str) -> Any:
    """Say what is wrong.

    Raises:
        CardError: always.
    """
    raise CardError(what)


def shape(raw: object) -> tuple[int, ...]:
    """The sizes of an array."""
    if not isinstance(raw, list) or len(raw) > 8 or not all(type(n) is int and n > 0 for n in raw):
        raise CardError(f"the shape {str(raw)[:40]} is no list of sizes")
    return tuple(raw)
