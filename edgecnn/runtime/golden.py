"""A golden check: a small image, and what a model made of it at home, as it is kept in the card.

Knows the format, and takes nothing in it on trust: a card may come from anywhere. What is compared with it,
and how closely, is `edgecnn.runtime.selftest`; which images are taken, `converters.golden`.
"""

import base64
import binascii
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite, prod
from typing import Any, Final

import cv2
import numpy as np

from edgecnn import image_file
from edgecnn.errors import CardError, DataError
from edgecnn.graph import Graph
from edgecnn.image import Array, Image

MOST_CHECKS: Final = 16
MOST_SIDE: Final = 64
"""Of the image as it is stored, in pixels."""

MOST_SHOWN: Final = 4096
"""Of the image as it is shown, in pixels."""

_MOST_TEXT: Final = 1 << 20  # of base64, in characters; a thousand float scores take 5,400
_SAMPLED: Final = 256
_DTYPES: Final = ("float32", "int8", "uint8", "int16")


@dataclass(frozen=True, eq=False)
class Stored:
    """An output as it left the model.

    Attributes:
        values: in the output's own dtype, without the batch axis.
        scale: of integers that stand for real numbers; 0.0 otherwise.
        zero_point: likewise.
    """

    values: Array
    scale: float = 0.0
    zero_point: int = 0

    @property
    def real(self) -> Array:
        """The real numbers, float32, as `Model.raw` gives them."""
        if not self.scale:
            return self.values
        return (self.values.astype(np.int32) - self.zero_point).astype(np.float32) * np.float32(self.scale)


@dataclass(frozen=True, eq=False)
class Golden:
    """One image and what became of it, stage by stage.

    Attributes:
        image: (h, w, 3) uint8 BGR, as it is stored.
        tiled: how often it is repeated, down and across, before it is shown: so that a small image fills one
            as large as a camera's, and passes through the same halvings.
        tensor_sha256: of the prepared tensor's bytes.
        sampled: (n,) some of its values, see `sample`.
        level: by how much a value of the tensor changes with one grey level, at most.
        outputs: role to output.
        record: the result's best entry: label, score.
        labels_sha256: of the card's labels, see `of_labels`.
        weights_sha256: of the file's constants, see `of_weights`.
        computed_by: runtime, version and processor.
    """

    image: Image
    tiled: int
    tensor_sha256: str
    sampled: Array
    level: float
    outputs: Mapping[str, Stored]
    record: Mapping[str, Any]
    labels_sha256: str
    weights_sha256: str
    computed_by: str

    def shown(self) -> Image:
        """The image as it is shown to the model."""
        return np.tile(self.image, (self.tiled, self.tiled, 1))


def to_json(golden: Golden) -> dict[str, Any]:
    """The check as JSON values, for `Card.checks`.

    Raises:
        DataError: the image cannot be stored.
    """
    done, png = cv2.imencode(".png", golden.image, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if not done:
        raise DataError("OpenCV cannot write a PNG. Install a build of OpenCV that can.")
    return {
        "image": base64.b64encode(png.tobytes()).decode("ascii"),
        "tiled": golden.tiled,
        "tensor": {
            "sha256": golden.tensor_sha256,
            "level": golden.level,
            "sampled": _array_to_json(golden.sampled),
        },
        "outputs": {
            role: {**_array_to_json(one.values), "scale": one.scale, "zero_point": one.zero_point}
            for role, one in golden.outputs.items()
        },
        "record": dict(golden.record),
        "labels": golden.labels_sha256,
        "weights": golden.weights_sha256,
        "computed_by": golden.computed_by,
    }


def from_json(raw: Mapping[str, Any], where: str) -> Golden:
    """A check out of a card.

    Raises:
        CardError: it is none: says what is wrong with it.
    """
    try:
        tensor = _mapping(raw, "tensor")
        outputs = {
            _text(role): Stored(
                _array(one), _number(one, "scale", 0, 1e30), int(_number(one, "zero_point", -(2**31), 2**31))
            )
            for role, one in _mapping(raw, "outputs").items()
            if isinstance(one, Mapping) or _wrong(f"outputs.{role} is no object")
        }
        image = _image(raw)
        tiled = _number(raw, "tiled", 1, MOST_SHOWN // max(image.shape[:2]))
        return Golden(
            image=image,
            tiled=int(tiled),
            tensor_sha256=_text(tensor.get("sha256")),
            sampled=_array(_mapping(tensor, "sampled")),
            level=_number(tensor, "level", 0, 1e30),
            outputs=outputs,
            record={name: _plain(name, value) for name, value in _mapping(raw, "record").items()},
            labels_sha256=_text(raw.get("labels")),
            weights_sha256=_text(raw.get("weights")),
            computed_by=_text(raw.get("computed_by")),
        )
    except (CardError, DataError) as error:
        raise CardError(f"{where}: cannot be read: {error}. Convert the model again.") from None


def sample(tensor: Array) -> Array:
    """Some values of a tensor, (n,), n <= 256, spread evenly over it.

    The stride is no multiple of 3, so that every colour is met.
    """
    flat = tensor.reshape(-1)
    stride = max(1, len(flat) // _SAMPLED)
    stride += stride > 1 and stride % 3 == 0
    return flat[::stride][:_SAMPLED].copy()


def of_labels(labels: tuple[str, ...]) -> str:
    """The fingerprint of names in their order."""
    return sha256("\0".join(labels).encode()).hexdigest()


def of_weights(graph: Graph) -> str:
    """The fingerprint of all constants of the main subgraph and of every scale and zero point.

    Not of the file: TFLite Metadata and the card may be rewritten without changing what is computed.
    """
    digest = sha256()
    for tensor in graph.tensors:
        digest.update(f"{tensor.dtype} {tensor.shape}".encode())
        digest.update(np.ascontiguousarray(tensor.scale).tobytes())
        digest.update(np.ascontiguousarray(tensor.zero_point).tobytes())
        if tensor.is_constant:
            digest.update(graph.buffers[tensor.buffer].data)
    return digest.hexdigest()


def _array_to_json(values: Array) -> dict[str, Any]:
    stored = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"))
    return {
        "dtype": str(values.dtype),
        "shape": list(values.shape),
        "data": base64.b64encode(stored.tobytes()).decode("ascii"),
    }


def _array(raw: Mapping[str, Any]) -> Array:
    dtype, shape = raw.get("dtype"), raw.get("shape")
    if dtype not in _DTYPES:
        raise CardError(f"the dtype {str(dtype)[:40]!r} is none of {', '.join(_DTYPES)}")
    if not isinstance(shape, list) or len(shape) > 8 or not all(type(n) is int and n > 0 for n in shape):
        raise CardError(f"the shape {str(shape)[:40]} is no list of sizes")
    data = _bytes(raw.get("data"), "data")
    wanted = np.dtype(dtype).newbyteorder("<")
    if len(data) != prod(shape) * wanted.itemsize:
        raise CardError(f"{len(data)} bytes of {dtype} do not make the shape {str(shape)[:40]}")
    values = np.frombuffer(data, wanted).astype(dtype).reshape(shape)
    if not np.isfinite(values).all():
        raise CardError("a stored value is not a number")
    return values


def _image(raw: Mapping[str, Any]) -> Image:
    png = _bytes(raw.get("image"), "image")
    if png[:8] != b"\x89PNG\r\n\x1a\n" or len(png) < 24:
        raise CardError("the image is no PNG")
    # before anything is unpacked: a few bytes can stand for gigapixels
    width, height = struct.unpack_from(">II", png, 16)
    if not (0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE):
        raise CardError(f"the image has {width} x {height} pixels; {MOST_SIDE} x {MOST_SIDE} is the most")
    return image_file.decode(png, "the image")


def _bytes(raw: object, what: str) -> bytes:
    if not isinstance(raw, str) or len(raw) > _MOST_TEXT:
        raise CardError(f"{what} is no base64 text of at most {_MOST_TEXT} characters")
    try:
        return base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError):
        raise CardError(f"{what} is not base64") from None


def _mapping(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = raw.get(name)
    if not isinstance(value, dict) or len(value) > 100:
        raise CardError(f"{name} is no object")
    return value


def _number(raw: Mapping[str, Any], name: str, low: float, high: float) -> float:
    value: Any = raw.get(name)
    if type(value) not in (int, float) or not (isfinite(value) and low <= value <= high):
        raise CardError(f"{name} must be a number in {low:g}..{high:g}, not {str(value)[:40]}")
    return float(value)


def _text(raw: object) -> str:
    if not isinstance(raw, str) or len(raw) > 200 or not raw.isprintable():
        raise CardError(f"{str(raw)[:40]!r} is no short text")
    return raw


def _plain(name: str, value: object) -> Any:
    """A text, a number, or a list of numbers."""
    numbers: list[Any] = value if isinstance(value, list) and len(value) <= 4096 else [value]
    if all(type(one) in (int, float) and isfinite(one) for one in numbers):
        return value
    return _text(value) if not isinstance(value, list) else _wrong(f"record.{name[:40]} holds no numbers")


def _wrong(what: str) -> Any:
    raise CardError(what)
