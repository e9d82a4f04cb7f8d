"""Which operators cost an int8 model the most accuracy: measured, by keeping each of them alone in float32.

The measure is the signal-to-noise ratio of the outputs against the float model's, on a few images; it moves
smoothly where accuracy moves in steps. Keeping an operator alone spares it its own rounding and that of its
weights; what it reads and writes is still int8. Gains of several operators do not add up (neighbours that are
kept spare what passes between them as well), so whoever keeps some measures the model they make.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from math import inf, isfinite, log10
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from calibration.ranges import Ranges
from converters import float_source
from converters.quantize import quantize
from converters.schemes import Io, Keep, Precision, Weights
from converters.signal import Nearness
from edgecnn.errors import ConversionError
from edgecnn.graph import Graph, Operator, Tensor, read
from edgecnn.runtime.interpreter import open_interpreter

IMAGES = 32
"""How many are looked at: with 60 operators of EfficientNet-Lite0, a minute on one busy core."""

_FIRST_LOOK = 8
"""Images of the round that decides which operators are measured on all of them. On 4, the best of
60 operators of EfficientNet-Lite0 was not among the first 8."""

EXACT: Final = frozenset(
    {
        *("BROADCAST_TO", "EXPAND_DIMS", "GATHER", "GATHER_ND", "MAX_POOL_2D", "PACK", "PAD", "PADV2"),
        *("RESHAPE", "SHAPE", "SLICE", "SPACE_TO_DEPTH", "SPLIT", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE"),
        *("UNPACK", "DEPTH_TO_SPACE", "MIRROR_PAD", "RESIZE_NEAREST_NEIGHBOR"),
    }
)
"""Operators that move integers and round nothing."""

_WEIGHTED: Final = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})

Values: TypeAlias = npt.NDArray[np.float32]
_Doubles: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sensitivity:
    """What keeping one operator alone in another precision brings, and costs.

    Attributes:
        tensor: name of its first output in the float model; what `quantize.quantize(keep=)` calls it.
        kind: the operator's name in the schema.
        position: its place in the order of execution, from 0.
        snr_db: signal-to-noise ratio of the outputs with it kept; inf where they equal the float model's.
        gain_db: `snr_db` minus that of the model that keeps nothing; may be negative.
        bytes: by how much the file grows.
    """

    tensor: str
    kind: str
    position: int
    snr_db: float
    gain_db: float
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values; an infinite ratio is None."""
        raw = asdict(self)
        return raw | {key: raw[key] if isfinite(raw[key]) else None for key in ("snr_db", "gain_db")}


def sensitivities(
    content: bytes,
    ranges: Ranges,
    tensors: Iterable[Values],
    *,
    name: str = "the model",
    threads: int = 1,
    most: int | None = None,
    precision: Precision = "float32",
    images: int = IMAGES,
    io: Io | None = None,
    weights: Weights = "channel",
    make: Callable[[Keep], bytes] | None = None,
    near: Nearness | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> tuple[Sensitivity, ...]:
    """Measure what each operator of an int8 model costs.

    One small model is made and run for each operator that rounds: convolutions, dense layers, additions,
    activations, concatenations, means.

    Args:
        content: the float model.
        ranges: of its activations.
        tensors: the inputs, (1, height, width, channels) float32; the first `images` of them are held.
        name: what to call the model in errors.
        threads: how many the interpreter may use.
        most: how many operators to measure on all images; the others are dropped after a round on 8 images.
            None measures all.
        precision: what an operator is kept in.
        images: how many inputs to look at, at most.
        io: see `quantize.quantize`.
        weights: see `quantize.quantize`.
        make: how the int8 model is made from what is kept, for conversions of more than one step; `io` and
            `weights` are then its own business. None is `quantize.quantize`.
        near: how outputs are compared; None is `signal_to_noise_db`.
        progress: told what is measured, one line each.

    Returns:
        The highest gain first.

    Raises:
        ConversionError: no image came, or the model cannot be made int8.
        ModelError: a model cannot be run.
    """
    content = float_source.to_float32(content, name)
    source = read(content, name)
    shown = [tensor.copy() for tensor in islice(tensors, images)]
    if not shown:
        raise ConversionError(f"{name}: no image came to measure the layers on")
    expected = outputs_of(content, shown, name, threads)

    def plainly(keep: Keep) -> bytes:
        return quantize(content, "int8", name=name, ranges=ranges, io=io, weights=weights, keep=keep)

    def measured(operator: Operator | None, count: int) -> tuple[float, int]:
        keep: Keep = {} if operator is None else {_tensor(source, operator): precision}
        made = (make or plainly)(keep)
        found = outputs_of(made, shown[:count], name, threads)
        return (near or signal_to_noise_db)([real[:count] for real in expected], found), len(made)

    operators = [operator for operator in source.ops if _rounds(source, operator)]
    if most is not None and most < len(operators) and len(shown) > _FIRST_LOOK:
        progress(f"looking at {len(operators)} operators on {_FIRST_LOOK} images")
        operators.sort(key=lambda operator: -measured(operator, _FIRST_LOOK)[0])
        operators = operators[:most]
    base, size = measured(None, len(shown))
    found = []
    for number, operator in enumerate(operators, 1):
        progress(f"measuring operator {number} of {len(operators)} ({operator.label})")
        ratio, grown = measured(operator, len(shown))
        tensor = _tensor(source, operator)
        gain = ratio - base if ratio != base else 0.0
        found.append(Sensitivity(tensor, operator.label, operator.index, ratio, gain, grown - size))
    return tuple(sorted(found, key=lambda one: (-one.gain_db, one.position)))


def keep_plan(
    found: Sequence[Sensitivity], count: int, *, source: Graph, precision: Precision = "float32"
) -> dict[str, Precision]:
    """The operators to keep: the `count` best ones that gain anything, and what lies between them.

    An operator without weights (an addition, an activation, a pooling) that reads from a kept one and is read
    by a kept one is kept as well: it costs less there than QUANTIZE before it and DEQUANTIZE behind it.

    Args:
        found: what `sensitivities` found, best first.
        count: how many to keep, those between not counted.
        source: the float model, as `edgecnn.graph.read` reads it.
        precision: what they are kept in.

    Returns:
        What `quantize.quantize` takes as `keep`; empty where nothing gains.
    """
    kept = {one.tensor for one in found[:count] if one.gain_db > 0}
    producer = {index: operator for operator in source.ops for index in operator.outputs}
    between = [one for one in source.ops if one.kind not in _WEIGHTED and _computes_in_float(source, one)]
    grown = True
    while grown:
        feeding = {
            source_operator.index
            for operator in source.ops
            if _tensor(source, operator) in kept
            for index in operator.inputs
            if (source_operator := producer.get(index)) is not None
        }
        bridges = {
            _tensor(source, operator)
            for operator in between
            if operator.index in feeding
            and any(
                index in producer and _tensor(source, producer[index]) in kept for index in operator.inputs
            )
        }
        grown = not bridges <= kept
        kept |= bridges
    return {tensor: precision for operator in source.ops if (tensor := _tensor(source, operator)) in kept}


def signal_to_noise_db(expected: Sequence[_Doubles], found: Sequence[_Doubles]) -> float:
    """Power of the expected outputs over that of the difference, in decibels.

    The noise of every output is taken relative to that output's own power, and averaged: boxes in pixels do
    not drown scores.

    Args:
        expected: one array for each output.
        found: likewise, of the same shapes.

    Returns:
        inf where nothing differs, -inf where something differs from an output that is zero.
    """
    ratios = []
    for real, other in zip(expected, found, strict=True):
        noise, signal = float(((real - other) ** 2).sum()), float((real**2).sum())
        ratios.append(0.0 if noise == 0 else noise / signal if signal > 0 else inf)
    noise = sum(ratios) / len(ratios)
    return inf if noise == 0 else -inf if noise == inf else -10 * log10(noise)


def outputs_of(content: bytes, tensors: Iterable[Values], name: str, threads: int = 1) -> list[_Doubles]:
    """Real outputs of a float or an integer model, (images, values) each.

    Args:
        content: the `.tflite`.
        tensors: the inputs, float32; none is kept.
        name: what to call the model in errors.
        threads: how many the interpreter may use.

    Raises:
        ModelError: it cannot be run.
    """
    graph = read(content, name)
    entry, ends = graph.tensors[graph.inputs[0]], [graph.tensors[index] for index in graph.outputs]
    interpreter = open_interpreter(content, name, threads=threads)
    rows: list[list[_Doubles]] = [[] for _ in ends]
    for tensor in tensors:
        interpreter.write(0, _integers(tensor, entry))
        interpreter.invoke()
        for position, (row, end) in enumerate(zip(rows, ends, strict=True)):
            row.append(_real(interpreter.read(position), end).ravel())
    interpreter.close()
    return [np.array(row) for row in rows]


def _integers(values: Values, tensor: Tensor) -> npt.NDArray[Any]:
    if not tensor.is_quantized:
        return values
    limits = np.iinfo(tensor.dtype)
    rounded = np.rint(values / tensor.scale[0]) + tensor.zero_point[0]
    return rounded.clip(limits.min, limits.max).astype(tensor.dtype)


def _real(values: npt.NDArray[Any], tensor: Tensor) -> _Doubles:
    wide = values.astype(np.float64)
    return (wide - tensor.zero_point[0]) * tensor.scale[0] if tensor.is_quantized else wide


def _tensor(source: Graph, operator: Operator) -> str:
    return source.tensors[operator.outputs[0]].name


def _computes_in_float(source: Graph, operator: Operator) -> bool:
    return source.tensors[operator.outputs[0]].dtype == "float32"


def _rounds(source: Graph, operator: Operator) -> bool:
    return operator.kind not in EXACT and _computes_in_float(source, operator)
