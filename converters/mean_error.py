"""How far the mean of each channel is off in an integer model, against the float model it was made from.

A layer is told by the name of what it makes, the same in both. What is done about its error is
`converters.correction`'s.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from calibration.observe import unclipped
from calibration.pieces import exposed
from edgecnn.graph import Graph, Operator, Tensor
from edgecnn.runtime.interpreter import open_interpreter

Values: TypeAlias = npt.NDArray[np.float32]
Means: TypeAlias = npt.NDArray[np.float64]

IMAGE_INPUT: Final = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 0, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 2}
BIAS_INPUT: Final = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
_INTEGERS: Final = ("int8", "uint8", "int16")
_BOUNDS: Final = {"RELU": (0.0, np.inf), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}


@dataclass(frozen=True)
class Target:
    """An operator of the integer model whose bias can be corrected, and the float tensor it should match."""

    operator: Operator
    reference: int


@dataclass(frozen=True, eq=False)
class Measured:
    """How far the channels of a layer are off, each (channels,).

    Attributes:
        error: mean over images and places of the integer model's values minus the float model's, real units.
        variance: of `error`, as the images' differences show it.
        active: the share of values that a step of the bias moves.
    """

    error: Means
    variance: Means
    active: Means


def targets_of(floating: Graph, integer: Graph) -> list[Target]:
    """The operators whose bias can be corrected, in the order they run."""
    names = [tensor.name for tensor in floating.tensors]
    activations = {
        floating.tensors[index].name: index
        for operator in floating.ops
        for index in operator.outputs
        if index >= 0 and names.count(floating.tensors[index].name) == 1
    }
    found = []
    for operator in integer.ops:
        position = BIAS_INPUT.get(operator.kind)
        if position is None or len(operator.inputs) <= position or operator.inputs[position] < 0:
            continue
        bias, made = integer.tensors[operator.inputs[position]], integer.tensors[operator.outputs[0]]
        reference = activations.get(made.name)
        if reference is None or floating.tensors[reference].shape != made.shape:
            continue
        entered = integer.tensors[operator.inputs[IMAGE_INPUT[operator.kind]]]
        if (
            bias.is_constant
            and bias.dtype in ("int32", "int64")
            and made.dtype in _INTEGERS
            and entered.dtype in _INTEGERS
            and len(made.scale) == len(entered.scale) == 1
        ):
            found.append(Target(operator, reference))
    return found


def float_means(
    source: bytes,
    floating: Graph,
    integer: Graph,
    targets: Sequence[Target],
    tensors: Iterable[Values],
    *,
    name: str = "the model",
    threads: int = 1,
) -> tuple[list[Means], list[npt.NDArray[Any]]]:
    """What the layers make in the float model.

    Of an answer that was clipped on purpose (`calibration.background`), the float values are clipped alike:
    what lies beyond is no error that a bias should take back.

    Args:
        source: the float model.
        floating: its graph.
        integer: that of the integer model.
        targets: the layers, no two of one float tensor.
        tensors: the float input for each image; taken to its end.
        name: what to call the model in errors.
        threads: how many the interpreter may use.

    Returns:
        For each target the channel means (images, channels); and each image as the integer model takes it.

    Raises:
        ModelError: the model cannot be run.
    """
    answer = unclipped(floating)
    references = {
        target.reference: _written(integer, target)
        if floating.tensors[target.reference].name in answer
        else (-np.inf, np.inf)
        for target in targets
    }
    entrance = integer.tensors[integer.inputs[0]]
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


def measure(
    made: Mapping[int, list[npt.NDArray[Any]]], graph: Graph, target: Target, reference: Means
) -> Measured:
    """How far a layer is off.

    Args:
        made: tensor index to its values for each image, in the integer model.
        graph: of the integer model.
        target: the layer.
        reference: what `float_means` gives for it.
    """
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
    return Measured(errors.mean(0), variance, active / count)


def _channel_means(values: npt.NDArray[Any]) -> Means:
    """Mean over everything but the last axis, (channels,); as a product, because that is fastest."""
    rows = values.reshape(-1, values.shape[-1]).astype(np.float32, copy=False)
    means = np.full(len(rows), 1 / len(rows), np.float32) @ rows
    return means.astype(np.float64)


def _written(graph: Graph, target: Target) -> tuple[float, float]:
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


def _bounds(tensor: Tensor, activation: str) -> tuple[int, int]:
    """The lowest and the highest integer a layer can make; a value there does not follow the bias."""
    limits = np.iinfo(tensor.dtype)
    low, high = _BOUNDS.get(activation, (-np.inf, np.inf))
    steps = np.array([low, high]) / float(tensor.scale[0]) + int(tensor.zero_point[0])
    return int(np.rint(max(limits.min, steps[0]))), int(np.rint(min(limits.max, steps[1])))
