"""Bias correction: what rounding adds to the mean of a channel is taken off its bias, free at run time.

Rounded weights are wrong by the same amount for every image, so a channel's mean moves; a depthwise channel
of nine weights moves most. The mean of each channel is measured on images in the float and in the integer
model (`converters.mean_error`), and the difference leaves through the int32 bias (Nagel et al., 2019, section
4.2 and appendix D).

A layer must be corrected behind corrected layers: all at once, errors that passed from layer to layer are
taken off many times, which ruins EfficientNet-Lite0 (15.6 dB before, 3.3 dB after). So the integer model is
run piece by piece (`converters.piecewise`): a piece ends with a layer; it is run, its bias corrected, it is
run again, and what comes out goes into the next piece. That costs three runs for each image in all, not one
for each layer.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from calibration import constants, editable
from converters.bias import LIMIT
from converters.mean_error import (
    BIAS_INPUT,
    IMAGE_INPUT,
    Means,
    Measured,
    Target,
    Values,
    float_means,
    measure,
    targets_of,
)
from converters.piecewise import Walk, live_bytes
from edgecnn.errors import ConversionError
from edgecnn.graph import Graph, read

IMAGES = 64
"""Most images that are looked at. EfficientNet-Lite0 comes from 15.7 dB to 21.3 with 8, 22.1 with 16, 22.5
with 32, 22.6 with 64 and 128, 22.8 with 256."""

MEMORY_BYTES = 192 << 20
"""What the activations between two pieces may take for all images; fewer images are taken for large ones."""

LEAST_IMAGES = 8
"""Taken whatever their memory: fewer say too little about a mean."""

_LEAST_ACTIVE = 0.25
"""Of a channel's outputs that lie inside the activation's bounds, the share that a step of the bias is
thought to move at least: a channel that is nearly always zero is known from a few values only."""


@dataclass(frozen=True, eq=False)
class Layer:
    """What was taken off the bias of one operator.

    Attributes:
        name: of the tensor that the operator makes.
        kind: of the operator.
        error: (channels,) float64: how far each channel's mean was off before, in real units.
        shift: (channels,) float64: what was added to the bias, in real units.
        steps: (channels,) int64: the same in the integers of the file.
    """

    name: str
    kind: str
    error: Means
    shift: Means
    steps: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Corrected:
    """A model with other biases.

    Attributes:
        content: the `.tflite` file; only biases differ, in nothing but their values.
        layers: what was changed, in the order they run.
        images: how many were looked at.
    """

    content: bytes
    layers: tuple[Layer, ...]
    images: int


def correct_biases(
    source: bytes,
    quantized: bytes,
    tensors: Callable[[], Iterable[Values]],
    *,
    name: str = "the model",
    threads: int = 1,
    progress: Callable[[str], None] = lambda line: None,
) -> Corrected:
    """Correct the biases of an integer model by images.

    A shift is made smaller the less the images agree about it, so that few images do little harm. Operators
    that stayed float, or have no bias, are left as they are.

    Args:
        source: the float `.tflite` that the other was made from, with one input.
        quantized: its int8 (int16, mixed) version; tensors have the names they had.
        tensors: gives the float input (1, height, width, channels) for each image; at most IMAGES are taken,
            fewer where the activations would take more than MEMORY_BYTES.
        name: what to call the model in errors.
        threads: how many the interpreter may use.
        progress: told what begins, one line each.

    Raises:
        ConversionError: no image came, the two do not belong together, or the model has control flow.
        ModelError: one of the models cannot be run.
    """
    floating, integer = read(source, name), read(quantized, name)
    _check_plain(integer, name)
    targets = targets_of(floating, integer)
    if not targets:
        raise ConversionError(
            f"{name}: no integer layer with a bias has the name of a float one, so no bias can be corrected. "
            "Give the float file that it was made from."
        )
    ends = [target.operator.index + 1 for target in targets]
    most = max(LEAST_IMAGES, min(IMAGES, MEMORY_BYTES // max(1, live_bytes(integer, ends))))
    progress(f"correcting biases on up to {most} images")
    means, entered = float_means(
        source, floating, integer, targets, islice(tensors(), most), name=name, threads=threads
    )
    if not entered:
        raise ConversionError(f"{name}: no image came to correct biases with")

    model = editable.read(quantized)
    walk = Walk(model, integer, entered)
    layers: list[Layer] = []
    for end, target, reference in zip(ends, targets, means, strict=True):
        measured = measure(walk.run(end, name, threads), integer, target, reference)
        if layer := _shifted(model, integer, target, measured):
            layers.append(layer)
        walk.go(end, name, threads)
    return Corrected(editable.write(model), tuple(layers), len(entered))


def _check_plain(graph: Graph, name: str) -> None:
    """Refuse what cannot be run in pieces."""
    if len(graph.subgraphs) > 1 or any(tensor.is_variable for tensor in graph.tensors):
        raise ConversionError(
            f"{name}: has control flow or a state, so its layers cannot be run one by one and its biases not "
            "be corrected. Leave the correction out."
        )
    if len(graph.inputs) != 1:
        raise ConversionError(f"{name}: has {len(graph.inputs)} inputs; biases are corrected for one.")


def _shifted(model: editable.Model, graph: Graph, target: Target, measured: Measured) -> Layer | None:
    """Take the error off the operator's bias; None where it is below every channel's step."""
    operator = target.operator
    position = BIAS_INPUT[operator.kind]
    bias = constants.values(model, operator.inputs[position])
    if bias is None or bias.size != len(measured.error):
        return None
    entered = graph.tensors[operator.inputs[IMAGE_INPUT[operator.kind]]]
    step = float(entered.scale[0]) * graph.tensors[operator.inputs[1]].scale.astype(np.float64)
    # Of a measured error, this part is one that another draw of images would show too (James and Stein).
    square = measured.error**2
    believed = np.divide(square, square + measured.variance, out=np.zeros_like(square), where=square > 0)
    wanted = -measured.error * believed / np.maximum(measured.active, _LEAST_ACTIVE)
    before = bias.ravel().astype(np.int64)
    reach = np.maximum(np.abs(before), LIMIT)
    after = (before + np.rint(np.clip(wanted / step, -2.0 * LIMIT, 2.0 * LIMIT))).clip(-reach, reach)
    steps = after.astype(np.int64) - before
    if not steps.any():
        return None
    constants.replace(model, operator.index, position, (before + steps).reshape(bias.shape))
    return Layer(graph.tensors[operator.outputs[0]].name, operator.kind, measured.error, steps * step, steps)
