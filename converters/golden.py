"""Golden checks for the card: a few images, and what the finished file makes of them here.

The last thing a converter does with a file, for what the checks hold is what a device is held to. How a check
is kept is `edgecnn.runtime.golden`; how it is used, `edgecnn.runtime.selftest`.
"""

import platform
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import islice
from typing import Any, Final

import cv2
import numpy as np

from edgecnn import image as images
from edgecnn.errors import ConversionError
from edgecnn.graph import Tensor
from edgecnn.image import Array, Image
from edgecnn.runtime import golden as goldens
from edgecnn.runtime.golden import Golden
from edgecnn.runtime.model import Model
from edgecnn.runtime.stored import Stored, keep, sample

SIDE: Final = 32
"""Of a stored image's longer side, in pixels: 3 kB as PNG, and what it shows can still be told."""


def checks(model: Model, given: Iterable[Image], *, count: int = 3) -> tuple[dict[str, Any], ...]:
    """What `Card.checks` shall hold for a finished file.

    One image is drawn, noise over a gradient, tiled to the size of a camera's, so that a wrong order or
    another way of shrinking shows; the others are real, shrunk.

    Args:
        model: the file as it will ship, loaded with its card.
        given: real images, uint8 (h, w, 3) BGR; the first few are used. Where there are none, all are drawn.
        count: how many checks, 1 or more.

    Raises:
        ConversionError: count is below 1, or above what a card may hold.
        ModelError: the file cannot be run.
    """
    if not 1 <= count <= goldens.MOST_CHECKS:
        raise ConversionError(f"a card holds 1 to {goldens.MOST_CHECKS} golden checks, not {count}")
    shown = [drawn(0), *(_small(image) for image in islice(given, count - 1))]
    shown += [drawn(number) for number in range(len(shown), count)]
    labels, weights = goldens.of_labels(model.card.labels), goldens.of_weights(model.graph)
    spec = model.card.input
    found = []
    for number, image in enumerate(shown):
        # the first is more than twice as large as the input, as a camera's is, and is halved on its way
        tiled = 1 if number else -(-5 * max(spec.height, spec.width) // (2 * min(image.shape[:2])))
        tiled = min(tiled, goldens.MOST_SHOWN // max(image.shape[:2]))
        found.append(goldens.to_json(_golden(model, image, tiled, labels, weights)))
    return tuple(found)


def drawn(number: int) -> Image:
    """Noise over a gradient, (15, 20, 3) uint8; another for each number."""
    random = np.random.default_rng(number)
    rows, columns = np.mgrid[0:15, 0:20]
    slope = np.stack([rows * 12, columns * 8, 230 - rows * 6 - columns * 4], axis=2)
    return (slope + random.integers(0, 80, slope.shape)).clip(0, 255).astype(np.uint8)


def _golden(model: Model, image: Image, tiled: int, labels: str, weights: str) -> Golden:
    tensor, view = model.prepare(np.tile(image, (tiled, tiled, 1)))
    real = model.raw(tensor)
    whole = {role: _stored(values, tensor) for role, values, tensor in _by_role(model, real)}
    # from what is stored, as on the device: rounding would not be the same otherwise
    records = goldens.best({role: one.real for role, one in whole.items()}, view, model.card)
    return Golden(
        image=image,
        tiled=tiled,
        tensor_sha256=sha256(tensor.tobytes()).hexdigest(),
        sampled=sample(tensor),
        level=_level(model, tensor),
        outputs={role: keep(one.values, one.scale, one.zero_point) for role, one in whole.items()},
        records=records,
        labels_sha256=labels,
        weights_sha256=weights,
        computed_by=f"{model.backend.name} {model.backend.version}, {platform.machine()}",
    )


def _by_role(model: Model, real: dict[str, Array]) -> Iterator[tuple[str, Array, Tensor]]:
    """Each output with the tensor it comes from, found by the card's name for it, or alone."""
    by_name = {model.graph.tensors[index].name: model.graph.tensors[index] for index in model.graph.outputs}
    for role, values in real.items():
        name = model.card.outputs.get(role)
        yield role, values, by_name[name] if name in by_name else model.graph.tensors[model.graph.outputs[0]]


def _stored(real: Array, tensor: Tensor) -> Stored:
    """Real numbers as the integers they came from, which take a quarter of the space."""
    if tensor.dtype not in ("int8", "uint8", "int16") or not len(tensor.scale):
        return Stored(real)
    scale, zero_point = float(tensor.scale[0]), int(tensor.zero_point[0])
    return Stored((np.rint(real / scale) + zero_point).astype(tensor.dtype), scale, zero_point)


def _level(model: Model, tensor: Array) -> float:
    """By how much a value of the input tensor changes with one grey level, at most."""
    spec = model.card.input
    declared = model.graph.tensors[model.graph.inputs[0]]
    if tensor.dtype == np.float32:
        table = images.lookup(spec, np.float32)
    else:
        scale = float(declared.scale[0]) if len(declared.scale) else 1.0
        zero_point = int(declared.zero_point[0]) if len(declared.zero_point) else 0
        table = images.lookup(spec, tensor.dtype, scale=scale, zero_point=zero_point)
    # the mean step: of integers, single steps are 0 or 2 where 256 levels do not fit evenly
    return float(np.abs(table[-1].astype(np.float64) - table[0]).max() / 255)


def _small(image: Image) -> Image:
    """Shrunk to `SIDE` with its shape kept, (h, w, 3); smaller ones stay as they are."""
    height, width = image.shape[:2]
    if image.ndim == 2:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    scale = SIDE / max(height, width)
    if scale >= 1:
        return image
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
