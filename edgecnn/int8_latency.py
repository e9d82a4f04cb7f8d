"""How fast a Keras model will be once it is int8, measured here before anyone trains it.

A search for a network of a given latency asks this of many networks that are not trained yet. Their accuracy
does not matter and neither do their ranges: each becomes a float `.tflite`, then an int8 one, by the steps of
every conversion, and the interpreter alone is timed (no image preparation, no decoding).

Models that are compared are timed in turns, a few runs each. A processor that slows down slows all of them,
so single answers are stated as if the clock had stayed: the model is timed in turns with a reference, and
what the reference took then is held against what it took at first.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np

from calibration.observe import observe, of_inputs
from calibration.ranges import Ranges
from converters.quantize import quantize
from edgecnn.card import Card
from edgecnn.errors import DataError, ModelError
from edgecnn.graph import read
from edgecnn.image import Array
from edgecnn.runtime.interpreter import Interpreter, open_interpreter
from edgecnn.runtime.turns import median, time_in_turns
from edgecnn.tasks import TASKS

IMAGES = 8
"""Images whose values set the ranges: enough for numbers to lie where they lie later, and no more."""

SECONDS = 1.0


@dataclass(frozen=True)
class Latency:
    """Milliseconds that the interpreter alone takes: the median of runs that took place."""

    int8_ms: float
    float_ms: float


class Int8Latency:
    """Times Keras models as the int8 files that they will be. A context manager; leaving it closes it.

    Attributes:
        source: what the answers are; nothing here is estimated.
        runs: how many files were timed so far, the reference included.
    """

    source: Final = "measured"

    def __init__(self, images: Sequence[Array], card: Card, *, threads: int, seconds: float) -> None:
        self.runs = 0
        self._images = images
        self._card = card
        self._threads = threads
        self._seconds = seconds
        self._reference: Interpreter | None = None
        self._at_first = 0.0

    def __enter__(self) -> "Int8Latency":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ms(self, model: Any) -> float:
        """The int8 latency of a model, p50 in milliseconds.

        The first model that is asked about is the reference; later answers are corrected by how much slower
        or faster the reference has become meanwhile, so that answers of hours apart can be compared.

        Raises:
            ConversionError: a layer has no int8 form.
            ModelError: the model takes other images than the card says, or does not compute in float32.
        """
        opened = self._open(self.int8(model))
        if self._reference is None:
            self._reference = opened
            (self._at_first,) = _medians([opened], self._seconds)
            return self._at_first
        try:
            reference, found = _medians([self._reference, opened], self._seconds)
        finally:
            opened.close()
        return found * self._at_first / reference

    def together(self, models: Sequence[Any]) -> list[float]:
        """The int8 latency of several models, p50 in milliseconds, all timed in the same turns.

        Raises:
            ConversionError, ModelError: see `ms`.
        """
        with ExitStack() as stack:
            opened = [self._open(self.int8(model)) for model in models]
            for one in opened:
                stack.callback(one.close)
            return _medians(opened, self._seconds)

    def both(self, model: Any) -> Latency:
        """The latency of a model as int8 and as float, timed in the same turns.

        Raises:
            ConversionError, ModelError: see `ms`.
        """
        content = self._float(model)
        with ExitStack() as stack:
            opened = [self._open(content) for content in (self._quantized(content), content)]
            for one in opened:
                stack.callback(one.close)
            int8_ms, float_ms = _medians(opened, self._seconds)
        return Latency(int8_ms, float_ms)

    def int8(self, model: Any) -> bytes:
        """The int8 `.tflite` that is timed: as large and as fast as the one that would ship, not as right.

        Raises:
            ConversionError, ModelError: see `ms`.
        """
        return self._quantized(self._float(model))

    def close(self) -> None:
        """Give the reference's memory back; what is asked next becomes the reference."""
        if self._reference is not None:
            self._reference.close()
            self._reference = None

    def _float(self, model: Any) -> bytes:
        from converters.from_keras import fix, to_tflite  # TensorFlow takes seconds to load

        spec = self._card.input
        shape, own = (1, spec.height, spec.width, spec.channels), tuple(model.inputs[0].shape)
        if len(own) != 4 or any(a not in (None, b) for a, b in zip(own[1:], shape[1:], strict=True)):
            raise ModelError(f"{model.name}: takes {own}, but its card says {shape}. Give the card it has.")
        other = next((layer for layer in model.layers if layer.compute_dtype != "float32"), None)
        if other is not None:
            raise ModelError(
                f"{model.name}: layer {other.name!r} computes in {other.compute_dtype}. Time the network's "
                "float32 form."
            )
        network = fix(
            Path(f"{model.name}.keras"),
            lambda image: model(image, training=False),
            shape,
            roles=TASKS[self._card.task].roles(self._card.options),
            variables=model.variables,
        )
        return to_tflite(network)

    def _quantized(self, content: bytes) -> bytes:
        name = self._card.name
        found = observe(content, (image[None] for image in self._images), name=name, threads=self._threads)
        found |= of_inputs(read(content, name), self._card.input)
        return quantize(content, "int8", name=name, ranges=Ranges(found, "minmax", len(self._images), ""))

    def _open(self, content: bytes) -> Interpreter:
        self.runs += 1
        name = self._card.name
        opened = open_interpreter(content, name, threads=self._threads)
        graph = read(content, name)
        taken = graph.tensors[graph.inputs[0]]
        image = self._images[0][None]
        if taken.dtype == "int8":  # what it shows makes no difference; that it is no constant might
            image = np.clip(np.rint(image / taken.scale[0] + taken.zero_point[0]), -128, 127).astype(np.int8)
        opened.write(0, image)
        return opened


def int8_latency(
    batches: Iterable[Array], *, card: Card, threads: int = 1, seconds: float = SECONDS
) -> Int8Latency:
    """Get ready to time Keras models as the int8 files that they will be.

    Args:
        batches: images as the network takes them, (n, height, width, channels) float32, normalized; only the
            first `IMAGES` are taken, and kept.
        card: of the network: the input and the task's roles.
        threads: of the interpreter.
        seconds: of timing for each model.

    Raises:
        DataError: no images, or of another shape than the card's.
    """
    spec = card.input
    shape = (spec.height, spec.width, spec.channels)
    images: list[Array] = []
    for image in chain.from_iterable(batches):
        image = np.asarray(image, np.float32)
        if image.shape != shape:
            raise DataError(f"a calibration image has the shape {image.shape}, but the card says {shape}")
        images.append(np.array(image))
        if len(images) == IMAGES:
            break
    if not images:
        raise DataError(f"{card.name}: no image came to time the network with")
    if not seconds > 0:
        raise DataError(f"seconds must be above 0, not {seconds}")
    return Int8Latency(images, card, threads=threads, seconds=seconds)


def _medians(opened: Sequence[Interpreter], seconds: float) -> list[float]:
    """The median milliseconds of each, in turns; `seconds` is for each."""
    return [median(times) for times in time_in_turns(opened, seconds)]
