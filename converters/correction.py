"""Bias correction: what rounding adds to the mean of a channel is taken off its bias, free at run time.

Rounded weights are wrong by the same amount for every image, so a channel's mean moves; a depthwise channel
of nine weights moves most. The mean of each channel is measured on images in the float and in the integer
model, and the difference leaves through the int32 bias (Nagel et al., 2019, section 4.2 and appendix D).

A layer must be corrected behind corrected layers: all at once, errors that passed from layer to layer are
taken off many times, which ruins EfficientNet-Lite0 (15.6 dB before, 3.3 dB after). So the integer model is
run piece by piece (`converters.piecewise`): a piece ends with a layer; it is run, its bias corrected, it is
run again, and what comes out goes into the next piece. That costs three runs for each image in all, not one
for each layer.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from calibration import constants, editable
from calibration.observe import unclipped
from calibration.pieces import exposed
from converters.bias import LIMIT
from converters.piecewise import Walk, live_bytes
from edgecnn.errors import ConversionError
from edgecnn.graph import Graph, Operator, Tensor, read
from edgecnn.runtime.interpreter import open_interpreter

Values: TypeAlias = npt.NDArray[np.float32]
Means: TypeAlias = npt.NDArray[np.float64]

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

_IMAGE_INPUT = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 0, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 2}
_BIAS_INPUT = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
_INTEGERS = ("int8", "uint8", "int16")
_BOUNDS = {"RELU": (0.0, np.inf), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}


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


@dataclass(frozen=True)
class _Target:
    """An operator of the integer model whose bias can be corrected, and the float tensor it should match."""

    operator: Operator
    reference: int


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
    targets = _targets(floating, integer)
    if not targets:
        raise ConversionError(
            f"{name}: no integer layer with a bias has the name of a float one, so no bias can be corrected. "
            "Give the float file that it was made from."
        )
    ends = [target.operator.index + 1 for target in targets]
    most = max(LEAST_IMAGES, min(IMAGES, MEMORY_BYTES // max(1, live_bytes(integer, ends))))
    progress(f"correcting biases on up to {most} images")
    answer = unclipped(floating)
    references = {
        target.reference: _written(integer, target)
        if floating.tensors[target.reference].name in answer
        else (-np.inf, np.inf)
        for target in targets
    }
    entrance = integer.tensors[integer.inputs[0]]
    means, entered = _float_means(source, references, islice(tensors(), most), entrance, name, threads)
    if not entered:
        raise ConversionError(f"{name}: no image came to correct biases with")

    model = editable.read(quantized)
    walk = Walk(model, integer, entered)
    layers: list[Layer] = []
    for end, target, reference in zip(ends, targets, means, strict=True):
        measured = _measure(walk.run(end, name, threads), integer, target, reference)
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


def _targets(floating: Graph, integer: Graph) -> list[_Target]:
    """The operators whose bias can be corrected, in the order they run."""
    names = [tensor.name for tensor in floating.tensors]
    activations = {
        floating.tensors[index].name: index
        for operator in floating.ops
        for index in operator.outputs
        if index >= 0 and names.count(floating.tensors[index].name) == 1
    }
    targets = []
    for operator in integer.ops:
        position = _BIAS_INPUT.get(operator.kind)
        if position is None or len(operator.inputs) <= position or operator.inputs[position] < 0:
            continue
        bias, made = integer.tensors[operator.inputs[position]], integer.tensors[operator.outputs[0]]
        reference = activations.get(made.name)
        if reference is None or floating.tensors[reference].shape != made.shape:
            continue
        entered = integer.tensors[operator.inputs[_IMAGE_INPUT[operator.kind]]]
        if (
            bias.is_constant
            and bias.dtype in ("int32", "int64")
            and made.dtype in _INTEGERS
            and entered.dtype in _INTEGERS
            and len(made.scale) == len(entered.scale) == 1
        ):
            targets.append(_Target(operator, reference))
    return targets


def _float_means(
    source: bytes,
    references: Mapping[int, tuple[float, float]],
    tensors: Iterable[Values],
    entrance: Tensor,
    name: str,
    threads: int,
) -> tuple[list[Means], list[npt.NDArray[Any]]]:
    """Per reference the channel means (images, channels), and each image as the integer model takes it.

    Of an answer that was clipped on purpose (`calibration.background`), the float values are clipped alike:
    what lies beyond is no error that a bias should take back.
    """
    interpreter = open_interpreter(exposed(source, [*references]), name, threads=threads)
    means: list[list[Means]] = [[] for _ in references]
    entered = []
    for values in tensors:
        interpreter.write(0, values)
        interpreter.invoke()
        for position, (gathered, bounds) in enumerate(zip(means, references.values(), strict=True)):
            made = interpreter.read(position)
            gathered.append(_channel_means(made if bounds[0] == -np.inf else made.clip(*bounds)))
        entered.append(_as_input(values, entrance))
    interpreter.close()
    return [np.array(gathered) for gathered in means], entered


def _written(graph: Graph, target: _Target) -> tuple[float, float]:
    """The lowest and highest number that the operator can write."""
    tensor = graph.tensors[target.operator.outputs[0]]
    limits = np.iinfo(tensor.dtype)
    low, high = (
        (end - int(tensor.zero_point[0])) * float(tensor.scale[0]) for end in (limits.min, limits.max)
    )
    return low, high


def _as_input(values: Values, entrance: Tensor) -> npt.NDArray[Any]:
    """A float input in the type of the integer model's."""
    if entrance.dtype == "float32":
        return values.copy()
    bounds = np.iinfo(entrance.dtype)
    integers = np.rint(values / entrance.scale[0]) + entrance.zero_point[0]
    return integers.clip(bounds.min, bounds.max).astype(entrance.dtype)


@dataclass(frozen=True, eq=False)
class _Measured:
    """How far the channels of a layer are off, each (channels,).

    Attributes:
        error: mean over images and places of the integer model's values minus the float model's, real units.
        variance: of `error`, as the images' differences show it.
        active: the share of values that a step of the bias moves.
    """

    error: Means
    variance: Means
    active: Means


def _measure(
    made: dict[int, list[npt.NDArray[Any]]], graph: Graph, target: _Target, reference: Means
) -> _Measured:
    tensor = graph.tensors[target.operator.outputs[0]]
    scale, zero_point = float(tensor.scale[0]), int(tensor.zero_point[0])
    low, high = _bounds(tensor, str(target.operator.options.get("activation")))
    images = made[tensor.index]
    active = np.zeros(reference.shape[1])
    means = np.empty_like(reference)
    for number, values in enumerate(images):
        means[number] = (_channel_means(values) - zero_point) * scale
        active += _channel_means((values > low) & (values < high))
    errors = means - reference
    count = len(images)
    # One image says nothing about the variance; its error is believed as it is.
    variance = errors.var(0, ddof=1) / count if count > 1 else np.zeros(reference.shape[1])
    return _Measured(errors.mean(0), variance, active / count)


def _bounds(tensor: Tensor, activation: str) -> tuple[int, int]:
    """The lowest and the highest integer a layer can make; a value there does not follow the bias."""
    limits = np.iinfo(tensor.dtype)
    low, high = _BOUNDS.get(activation, (-np.inf, np.inf))
    steps = np.array([low, high]) / float(tensor.scale[0]) + int(tensor.zero_point[0])
    return int(np.rint(max(limits.min, steps[0]))), int(np.rint(min(limits.max, steps[1])))


def _shifted(model: editable.Model, graph: Graph, target: _Target, measured: _Measured) -> Layer | None:
    """Take the error off the operator's bias; None where it is below every channel's step."""
    operator = target.operator
    position = _BIAS_INPUT[operator.kind]
    bias = constants.values(model, operator.inputs[position])
    if bias is None or bias.size != len(measured.error):
        return None
    entered = graph.tensors[operator.inputs[_IMAGE_INPUT[operator.kind]]]
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


def _channel_means(values: npt.NDArray[Any]) -> Means:
    """Mean over everything but the last axis, (channels,); as a product, because that is fastest."""
    rows = values.reshape(-1, values.shape[-1]).astype(np.float32, copy=False)
    means = np.full(len(rows), 1 / len(rows), np.float32) @ rows
    return means.astype(np.float64)
