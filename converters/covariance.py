"""Covariances of what a layer's weights are multiplied with, gathered while the float model looks at images.

A convolution's window sees a patch at each place. Neighbouring patches say nearly the same, so a sample of
the places is taken, always the same one. What is done with the covariances, `converters.rounding` knows.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from calibration.pieces import exposed
from edgecnn.graph import Graph, Operator
from edgecnn.runtime.interpreter import open_interpreter

Values: TypeAlias = npt.NDArray[np.float32]
Reals: TypeAlias = npt.NDArray[np.float64]

_PLACES: Final = 64
"""Of a feature map, the places that one image gives."""


class Covariance:
    """Of the values that the weights of one operator are multiplied with."""

    def __init__(self, operator: Operator, shape: Sequence[int]) -> None:
        """Begin with none.

        Args:
            operator: whose weights are meant.
            shape: of its weights.
        """
        self._operator = operator
        self._window = tuple(shape[1:3]) if len(shape) == 4 else (1, 1)
        self._count, self._sum, self._squares = 0, np.zeros(1), np.zeros(1)

    def add(self, values: Values, random: np.random.Generator) -> None:
        """Look at an operator's input for one image."""
        if self._operator.kind == "FULLY_CONNECTED":
            rows = values.reshape(1, -1, values.shape[-1])
        else:
            rows = _patches(values[0], self._window, self._operator, random)
            if self._operator.kind == "DEPTHWISE_CONV_2D":
                rows = np.ascontiguousarray(rows.transpose(2, 0, 1))
            else:
                rows = rows.reshape(1, len(rows), -1)
        self._count += rows.shape[1]
        self._sum = self._sum + rows.sum(1, dtype=np.float64)
        self._squares = self._squares + rows.transpose(0, 2, 1) @ rows

    def matrices(self) -> tuple[Reals, int]:
        """(groups, weights, weights), and of how many values."""
        mean = self._sum / self._count
        return self._squares / self._count - mean[:, :, None] * mean[:, None, :], self._count

    def forget(self) -> None:
        """Give the memory back."""
        self._sum, self._squares = np.zeros(1), np.zeros(1)


def covariances(
    source: bytes,
    floating: Graph,
    operators: Sequence[Operator],
    tensors: Iterable[Values],
    name: str,
    threads: int,
) -> tuple[list[Covariance], int]:
    """What enters each operator, over all images; memory does not grow with them.

    Args:
        source: a float `.tflite` with one input.
        floating: the same as it is read.
        operators: of it, each CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED.
        tensors: the input for each image.
        name: what to call the model in errors.
        threads: how many the interpreter may use.

    Returns:
        One for each operator, and how many images came.

    Raises:
        ModelError: the model cannot be run.
    """
    entrance = floating.inputs[0]
    entered = [operator.inputs[0] for operator in operators]
    wanted = [index for index in dict.fromkeys(entered) if index != entrance]
    interpreter = open_interpreter(exposed(source, wanted or floating.outputs), name, threads=threads)
    seen = [Covariance(each, floating.tensors[each.inputs[1]].shape) for each in operators]
    random = np.random.default_rng(0)
    images = 0
    for values in tensors:
        images += 1
        interpreter.write(0, values)
        interpreter.invoke()
        found = {index: interpreter.read(position) for position, index in enumerate(wanted)}
        found[entrance] = values
        for index, covariance in zip(entered, seen, strict=True):
            covariance.add(found[index], random)
    interpreter.close()
    return seen, images


def _patches(
    image: Values, window: tuple[int, ...], operator: Operator, random: np.random.Generator
) -> Values:
    """What a convolution's window sees at some places: (places, height · width of the window, channels)."""
    options = operator.options
    steps = [int(options[f"stride_{axis}"]) for axis in ("height", "width")]
    reach = [int(options[f"dilation_{axis}"]) for axis in ("height", "width")]
    counts, before = [], []
    for size, taps, step, apart in zip(image.shape, window, steps, reach, strict=False):
        span = (taps - 1) * apart + 1
        same = options["padding"] == "SAME"
        counts.append(-(-size // step) if same else (size - span) // step + 1)
        before.append(max((counts[-1] - 1) * step + span - size, 0) // 2 if same else 0)
    places = np.arange(counts[0] * counts[1])
    if len(places) > _PLACES:
        places = random.choice(places, _PLACES, replace=False)
    offsets = np.indices(window).reshape(2, 1, -1)
    corner = np.array(np.unravel_index(places, counts))[:, :, None]
    scaled = [corner[i] * steps[i] + offsets[i] * reach[i] - before[i] for i in (0, 1)]
    inside = np.ones(1, bool)
    for place, size in zip(scaled, image.shape, strict=False):
        inside = inside & (place >= 0) & (place < size)
    rows, columns = (place.clip(0, size - 1) for place, size in zip(scaled, image.shape, strict=False))
    # What lies outside the image is zero, in the integer model too.
    return image[rows, columns] * inside[:, :, None].astype(np.float32)
