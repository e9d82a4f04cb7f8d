"""Rounding weights by what it does to a layer's output: less error in the same file, free at run time.

To the nearest integer is best for each weight alone. Together the errors meet in one sum, and what one weight
is off there, others can take back: the inputs of a layer go up and down together. Over images the error of
an output varies by e' H e, where e is what the weights of its row are off, and H the covariance of the values
that they are multiplied with. So the weights are rounded one after the other, the error of each is handed to
those not rounded yet as H says (Hassibi and Stork, 1993; Frantar et al., "GPTQ", 2023), and the row is taken
where it errs less than the one in the file. Scales and biases stay; the mean of the error is the business of
`converters.correction`, which comes afterwards.

A covariance of few values knows less than it says. So a multiple of the identity is added to it, the more
the fewer values there are to its size; without it, networks with small images lose what large ones gain.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from calibration import constants, editable
from converters.covariance import Covariance, covariances
from edgecnn.errors import ConversionError
from edgecnn.graph import Graph, Operator, read

Values: TypeAlias = npt.NDArray[np.float32]
Reals: TypeAlias = npt.NDArray[np.float64]

IMAGES: Final = 64
"""Most images that are looked at."""

_MOST_INPUTS: Final = 2304
"""Weights of one output that are looked at together: time grows with their cube, memory with their square."""

_BLOCK: Final = 128
"""Weights whose errors are handed on to the later ones in one product; for speed only."""

_DAMPING: Final = 0.01
"""Least share of the mean variance that is added to every variance; from the paper on GPTQ."""

_LARGEST: Final = 127
"""Of a weight: TFLite's int8 weights do not use -128."""

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True)
class Layer:
    """What became of the weights of one operator.

    Attributes:
        name: of the tensor that the operator makes.
        kind: of the operator.
        changed: how many weights are other integers now.
        before: mean square by which rounded weights moved its outputs, around the mean, in real units.
        after: the same now.
    """

    name: str
    kind: str
    changed: int
    before: float
    after: float


@dataclass(frozen=True, eq=False)
class Rounded:
    """A model with other weights.

    Attributes:
        content: the `.tflite` file; only int8 weights differ, in nothing but their values.
        layers: what was changed, in the order they run.
        images: how many were looked at.
    """

    content: bytes
    layers: tuple[Layer, ...]
    images: int


@dataclass(frozen=True)
class _Target:
    """An operator whose weights are rounded anew, and the float one that it was made from."""

    operator: Operator
    source: Operator


def round_weights(
    source: bytes,
    quantized: bytes,
    tensors: Callable[[], Iterable[Values]],
    *,
    name: str = "the model",
    threads: int = 1,
    progress: Callable[[str], None] = lambda line: None,
) -> Rounded:
    """Round the weights of an integer model by images; correct its biases afterwards.

    Operators with float weights, with weights that others share, with groups, or with more than 2304 weights
    for one output, are left as they are. Memory does not grow with the images.

    Args:
        source: the float `.tflite` that the other was made from, with one input.
        quantized: its version with int8 weights; tensors have the names they had.
        tensors: gives the float input (1, height, width, channels) for each image; at most IMAGES are taken.
        name: what to call the model in errors.
        threads: how many the interpreter may use.
        progress: told what begins, one line each.

    Raises:
        ConversionError: no image came, or the two do not belong together.
        ModelError: the float model cannot be run.
    """
    floating, integer = read(source, name), read(quantized, name)
    targets = _targets(floating, integer)
    if not targets:
        raise ConversionError(
            f"{name}: no layer with int8 weights has the name of a float one, so no weights can be rounded. "
            "Give the float file that it was made from."
        )
    progress(f"rounding weights on up to {IMAGES} images")
    operators = [target.source for target in targets]
    seen, images = covariances(source, floating, operators, islice(tensors(), IMAGES), name, threads)
    if not images:
        raise ConversionError(f"{name}: no image came to round weights with")
    model = editable.read(quantized)
    layers: list[Layer] = []
    for position, target in enumerate(targets):
        if layer := _rounded(model, floating, integer, target, seen[position]):
            layers.append(layer)
        seen[position].forget()
    return Rounded(editable.write(model), tuple(layers), images)


def compensated(wanted: Reals, covariance: Reals) -> Reals:
    """Round weights in turn, each error handed to those that are not rounded yet.

    Args:
        wanted: (groups, weights, rows) real weights in steps of the integers; rows share the inputs.
        covariance: (groups, weights, weights) of the inputs, positive definite.

    Returns:
        Integers of the shape of `wanted`, from -127 to 127.
    """
    # Inputs that vary most come first, while many are left to take their errors.
    order = np.argsort(-np.einsum("gii->gi", covariance), axis=1, kind="stable")
    sorted_by = np.take_along_axis(covariance, order[:, :, None], 1)
    sorted_by = np.take_along_axis(sorted_by, order[:, None, :], 2)
    factor = np.linalg.cholesky(np.linalg.inv(sorted_by))
    left = np.take_along_axis(wanted, order[:, :, None], 1)
    integers = np.empty_like(left)
    count = left.shape[1]
    for begin in range(0, count, _BLOCK):
        end = min(begin + _BLOCK, count)
        errors = np.empty_like(left[:, begin:end])
        for place in range(begin, end):
            integers[:, place] = np.rint(left[:, place]).clip(-_LARGEST, _LARGEST)
            error = (left[:, place] - integers[:, place]) / factor[:, place, place, None]
            left[:, place + 1 : end] -= factor[:, place + 1 : end, place, None] * error[:, None]
            errors[:, place - begin] = error
        left[:, end:] -= factor[:, end:, begin:end] @ errors
    back = np.argsort(order, axis=1)
    return np.take_along_axis(integers, back[:, :, None], 1)


def _targets(floating: Graph, integer: Graph) -> list[_Target]:
    """The operators whose weights can be rounded anew, in the order they run."""
    makers = {floating.tensors[op.outputs[0]].name: op for op in floating.ops if op.kind in _WEIGHTED}
    used = [index for operator in integer.ops for index in operator.inputs]
    targets = []
    for operator in integer.ops:
        source = makers.get(integer.tensors[operator.outputs[0]].name)
        if operator.kind not in _WEIGHTED or source is None or source.kind != operator.kind:
            continue
        weights, real = integer.tensors[operator.inputs[1]], floating.tensors[source.inputs[1]]
        entering = floating.tensors[source.inputs[0]]
        across = {"CONV_2D": 0, "FULLY_CONNECTED": 0, "DEPTHWISE_CONV_2D": 3}[operator.kind]
        inputs = int(np.prod(weights.shape)) // weights.shape[across]
        grouped = operator.kind == "CONV_2D" and weights.shape[3] != entering.shape[3]
        plain = weights.dtype == "int8" and weights.is_constant and not weights.is_sparse
        if (
            plain
            and real.dtype == "float32"
            and real.is_constant
            and not (real.is_sparse or entering.is_constant or weights.blockwise or grouped)
            and real.shape == weights.shape
            and (len(weights.scale) == 1 or weights.quantized_dimension == across)
            and len(weights.scale) in (1, weights.shape[across])
            and not weights.zero_point.any()
            and used.count(weights.index) == 1
            and inputs <= _MOST_INPUTS
        ):
            targets.append(_Target(operator, source))
    return targets


def _rounded(
    model: editable.Model, floating: Graph, integer: Graph, target: _Target, seen: Covariance
) -> Layer | None:
    """Give the operator the weights that err least; None where those of the file do."""
    tensor = integer.tensors[target.operator.inputs[1]]
    covariance, count = seen.matrices()
    groups, inputs = covariance.shape[:2]
    variance = np.einsum("gii->g", covariance)[:, None, None] / inputs
    if not variance.any():
        return None
    # A channel that is always the same has no covariance; any rounding is as good there.
    damping = max(_DAMPING, inputs / count) * np.maximum(variance, 1e-6 * variance.max())
    damped = covariance + damping * np.eye(inputs)

    def arranged(array: npt.NDArray[Any]) -> Reals:
        if target.operator.kind == "DEPTHWISE_CONV_2D":
            return array.reshape(inputs, groups, -1).transpose(1, 0, 2).astype(np.float64)
        return array.reshape(1, -1, inputs).transpose(0, 2, 1).astype(np.float64)

    stored = integer.data(tensor)
    old = arranged(stored)
    scale = tensor.scale.astype(np.float64)
    scale = scale.reshape(groups, 1, -1) if len(scale) > 1 else scale
    wanted = arranged(floating.data(floating.tensors[target.source.inputs[1]])) / scale
    new = compensated(wanted, damped)
    better = _error(new - wanted, damped) < _error(old - wanted, damped)
    new = np.where(better[:, None], new, old)
    changed = int((new != old).sum())
    if not changed:
        return None
    is_depthwise = target.operator.kind == "DEPTHWISE_CONV_2D"
    back = new.transpose(1, 0, 2) if is_depthwise else new.transpose(0, 2, 1)
    constants.replace(model, target.operator.index, 1, back.reshape(tensor.shape).astype(np.int8))
    before, after = (float(_error((each - wanted) * scale, covariance).mean()) for each in (old, new))
    return Layer(
        integer.tensors[target.operator.outputs[0]].name, target.operator.kind, changed, before, after
    )


def _error(off: Reals, covariance: Reals) -> Reals:
    """Variance of each output's error, (groups, rows); weights are off by (groups, weights, rows)."""
    return np.einsum("gir,gir->gr", covariance @ off, off)
