"""An output as a golden check keeps it: whole if it is small, else a sample and the fingerprint of all."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import gcd, prod
from typing import Any, Final

import numpy as np

from edgecnn.errors import CardError
from edgecnn.image import Array
from edgecnn.runtime import untrusted

_SAMPLED: Final = 256
_MOST_WHOLE: Final = 2048  # values of an output; a detector has ten thousand, and a card shall stay small
_DTYPES: Final = ("float32", "int8", "uint8", "int16")


@dataclass(frozen=True, eq=False)
class Stored:
    """An output as it left the model; of a large one some values and the fingerprint of all, see `keep`.

    Attributes:
        values: in the output's own dtype, without the batch axis.
        scale: of integers that stand for real numbers; 0.0 otherwise.
        zero_point: likewise.
        sampled_from: the output's shape, where `values` are a sample of it; None where they are all.
        sha256: of the real numbers of an output that was sampled, else "".
    """

    values: Array
    scale: float = 0.0
    zero_point: int = 0
    sampled_from: tuple[int, ...] | None = None
    sha256: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """The output's, without the batch axis."""
        return self.values.shape if self.sampled_from is None else self.sampled_from

    def fits(self, found: Array) -> bool:
        """Whether an output has this shape."""
        return found.shape == self.shape and self.same_places(found).shape == self.values.shape

    def is_equal(self, found: Array) -> bool:
        """Whether real numbers, of this shape, are equal to the last bit."""
        if self.sampled_from is None:
            return bool(np.array_equal(found, self.real))
        return _fingerprint(found) == self.sha256

    def same_places(self, found: Array) -> Array:
        """Of an output of this shape, the values that are stored here."""
        return found if self.sampled_from is None else sample(found)

    @property
    def real(self) -> Array:
        """The real numbers of `values`, float32, as `Model.raw` gives them."""
        if not self.scale:
            return self.values
        return (self.values.astype(np.int32) - self.zero_point).astype(np.float32) * np.float32(self.scale)


def sample(tensor: Array) -> Array:
    """Some values of a tensor, (n,), n <= 256, spread evenly over it.

    The stride has no factor in common with 3 nor with the last side, so that every colour is met, and every
    number of a box.
    """
    flat = tensor.reshape(-1)
    stride = max(1, len(flat) // _SAMPLED)
    while stride > 1 and (stride % 3 == 0 or gcd(stride, tensor.shape[-1]) > 1):
        stride += 1
    return flat[::stride][:_SAMPLED].copy()


def keep(values: Array, scale: float = 0.0, zero_point: int = 0) -> Stored:
    """An output for a check: whole if it is small, else a sample of it.

    Args:
        values: as they left the model, without the batch axis.
        scale: of integers that stand for real numbers; 0.0 otherwise.
        zero_point: likewise.
    """
    whole = Stored(values, scale, zero_point)
    if values.size <= _MOST_WHOLE:
        return whole
    return Stored(sample(values), scale, zero_point, values.shape, _fingerprint(whole.real))


def from_json(raw: Mapping[str, Any]) -> Stored:
    """An output out of a card.

    Raises:
        CardError: it is none.
    """
    scale = untrusted.number(raw, "scale", 0, 1e30)
    zero_point = int(untrusted.number(raw, "zero_point", -(2**31), 2**31))
    values = array_from_json(raw)
    if "of" not in raw:
        return Stored(values, scale, zero_point)
    shape = untrusted.shape(raw["of"])
    if values.ndim != 1 or len(values) > min(_SAMPLED, prod(shape)):
        raise CardError(f"{values.shape} values are no sample of {shape}")
    return Stored(values, scale, zero_point, shape, untrusted.text(raw.get("sha256")))


def to_json(output: Stored) -> dict[str, Any]:
    """The output as JSON values."""
    found = {**array_to_json(output.values), "scale": output.scale, "zero_point": output.zero_point}
    if output.sampled_from is not None:
        found |= {"of": list(output.sampled_from), "sha256": output.sha256}
    return found


def array_to_json(values: Array) -> dict[str, Any]:
    """An array as JSON values."""
    stored = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"))
    return {
        "dtype": str(values.dtype),
        "shape": list(values.shape),
        "data": base64.b64encode(stored.tobytes()).decode("ascii"),
    }


def array_from_json(raw: Mapping[str, Any]) -> Array:
    """An array out of a card.

    Raises:
        CardError: it is none, or holds what is no number.
    """
    dtype = raw.get("dtype")
    if dtype not in _DTYPES:
        raise CardError(f"the dtype {str(dtype)[:40]!r} is none of {', '.join(_DTYPES)}")
    shape = untrusted.shape(raw.get("shape"))
    data = untrusted.base64_bytes(raw.get("data"), "data")
    wanted = np.dtype(dtype).newbyteorder("<")
    if len(data) != prod(shape) * wanted.itemsize:
        raise CardError(f"{len(data)} bytes of {dtype} do not make the shape {str(shape)[:40]}")
    values = np.frombuffer(data, wanted).astype(dtype).reshape(shape)
    if not np.isfinite(values).all():
        raise CardError("a stored value is not a number")
    return values


def _fingerprint(real: Array) -> str:
    return sha256(np.ascontiguousarray(real, "<f4").tobytes()).hexdigest()
