"""Cross-layer equalization: channels of one tensor get ranges of one size, before anything is rounded.

An int8 tensor has one step for all channels, so a channel a thousand times smaller than its neighbour becomes
zero. Where a channel may be divided by a number s and its weights in the readers multiplied by s
(`converters.channel_groups`), the function stays and the step fits (Nagel et al., 2019, section 4.1; Meller
et al., 2019). Here s is a power of two: then every float product and sum is scaled exactly, and the outputs
stay the same bit for bit.

Dividing by a channel's range makes activations even, and may make the readers' weights uneven, which have one
step for all channels, too. The error of both is predicted from what images show, and the best of several
compromises is taken; or none, if it gains little.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import log10
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from calibration import constants, editable
from calibration.pieces import exposed
from converters import channel_groups
from converters.channel_groups import BIAS_INPUT, IMAGE_INPUT, MADE_AXIS, READ_AXIS, ChannelGroup
from edgecnn.errors import ConversionError
from edgecnn.graph import Graph, read
from edgecnn.runtime.interpreter import open_interpreter

Values: TypeAlias = npt.NDArray[np.float32]
Reals: TypeAlias = npt.NDArray[np.float64]

SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How evenness is divided: 0 makes the readers' weights even, 1 the activations, 0.5 is the paper's."""

LEAST_GAIN_DB = 6.0
"""A group that gains less stays as it was trained: healthy ones show up to 3.7 dB, uneven ones from 10 on."""

_WIDEST = 2.0**40
"""Factors lie within this of each other: no float32 overflows, and none loses its small values."""


@dataclass(frozen=True)
class Group:
    """Tensors whose channels are rescaled together.

    Attributes:
        names: of the tensors.
        channels: how many each has.
        before: the widest channel's range over the median channel's, in the tensor where it is largest.
        after: the same, after rescaling.
        gain_db: by how much the predicted rounding error of the readers falls.
    """

    names: tuple[str, ...]
    channels: int
    before: float
    after: float
    gain_db: float


@dataclass(frozen=True, eq=False)
class Equalized:
    """A float model that computes the same and rounds better.

    Attributes:
        content: the `.tflite` file; the one that was given where no group was worth it.
        groups: what was rescaled, in the order they run.
        left: what could have been, but would gain less than LEAST_GAIN_DB.
        images: how many were looked at.
    """

    content: bytes
    groups: tuple[Group, ...]
    left: tuple[Group, ...]
    images: int


def equalize(
    content: bytes,
    tensors: Callable[[], Iterable[Values]],
    *,
    name: str = "the model",
    threads: int = 1,
) -> Equalized:
    """Even out the channels of a float model. Memory does not grow with the images.

    Args:
        content: a float32 `.tflite` with one input. One without any group comes back as it is.
        tensors: gives the input for each image.
        name: what to call the model in errors.
        threads: how many the interpreter may use.

    Raises:
        ConversionError: no image came, or a tensor became infinite or not a number.
        ModelError: the model cannot be run.
    """
    graph = read(content, name)
    found = channel_groups.find(graph)
    if not found:
        return Equalized(content, (), (), 0)
    seen = _watch(content, graph, [index for group in found for index in group.tensors], tensors, threads)
    model = editable.read(content)
    groups: list[Group] = []
    left: list[Group] = []
    for group in found:
        readers = [_Reader.of(graph, number, seen) for number in group.readers]
        factors, gain = _best(group, readers, seen)
        described = Group(
            names=tuple(graph.tensors[index].name for index in group.tensors),
            channels=group.channels,
            before=max(seen.unevenness(index) for index in group.tensors),
            after=max(seen.unevenness(index, factors) for index in group.tensors),
            gain_db=gain,
        )
        if gain < LEAST_GAIN_DB:
            left.append(described)
            continue
        _rescale(model, graph, group, factors)
        groups.append(described)
    made = editable.write(model) if groups else content
    return Equalized(made, tuple(groups), tuple(left), seen.images)


class _Seen:
    """What images showed of some tensors, channel by channel; zero always lies within a range."""

    def __init__(self, channels: dict[int, int]) -> None:
        self.images = 0
        self.low = {index: np.zeros(count) for index, count in channels.items()}
        self.high = {index: np.zeros(count) for index, count in channels.items()}
        self._squares = {index: np.zeros(count) for index, count in channels.items()}

    def watch(self, index: int, values: Values) -> None:
        """Look at a tensor's values for one image; they are not kept."""
        rows = values.reshape(-1, values.shape[-1])
        np.minimum(self.low[index], rows.min(0), out=self.low[index])
        np.maximum(self.high[index], rows.max(0), out=self.high[index])
        self._squares[index] += np.einsum("ij,ij->j", rows, rows, dtype=np.float64) / len(rows)

    def width(self, index: int) -> Reals:
        """Range of each channel."""
        return self.high[index] - self.low[index]

    def power(self, index: int) -> Reals:
        """Mean square of each channel."""
        return self._squares[index] / self.images

    def step(self, index: int, factors: Reals) -> float:
        """Of the whole tensor in int8, once its channels are divided."""
        return float(((self.high[index] / factors).max() - (self.low[index] / factors).min()) / 255)

    def unevenness(self, index: int, factors: Reals | float = 1.0) -> float:
        """The widest channel over the median one that ever moves."""
        widths = self.width(index) / factors
        alive = widths[widths > 0]
        return float(alive.max() / np.median(alive)) if len(alive) else 1.0


def _watch(
    content: bytes,
    graph: Graph,
    indices: Sequence[int],
    tensors: Callable[[], Iterable[Values]],
    threads: int,
) -> _Seen:
    seen = _Seen({index: graph.tensors[index].shape[-1] for index in indices})
    interpreter = open_interpreter(exposed(content, indices), graph.name, threads=threads)
    for values in tensors():
        seen.images += 1
        interpreter.write(0, values)
        interpreter.invoke()
        for position, index in enumerate(indices):
            seen.watch(index, interpreter.read(position))
    interpreter.close()
    if not seen.images:
        raise ConversionError(f"{graph.name}: no image came to equalize channels with")
    for index in indices:
        if not np.isfinite(seen.power(index)).all():
            raise ConversionError(
                f"{graph.name}: {graph.tensors[index].name} becomes infinite or not a number on the images, "
                "so the float model is broken there. Check its training and the images' normalization."
            )
    return seen


@dataclass(frozen=True, eq=False)
class _Reader:
    """An operator that reads a group's channels.

    Attributes:
        entered: the tensor it reads.
        weights: (outputs, places, channels) float64, each output divided by the strength of its signal, so
            that outputs of all sizes count alike.
        per_channel: each channel has outputs, and steps of weights, of its own (depthwise).
    """

    entered: int
    weights: Reals
    per_channel: bool

    @classmethod
    def of(cls, graph: Graph, number: int, seen: _Seen) -> "_Reader":
        operator = graph.ops[number]
        entered = operator.inputs[IMAGE_INPUT[operator.kind]]
        power = seen.power(entered)
        weights = channel_groups.read_weights(
            operator.kind, graph.data(graph.tensors[operator.inputs[1]]).astype(np.float64), len(power)
        )
        per_channel = operator.kind == "DEPTHWISE_CONV_2D"
        signal = (weights**2 * power).sum(1 if per_channel else (1, 2), keepdims=True)
        strength = np.sqrt(signal)
        return cls(
            entered, np.divide(weights, strength, out=np.zeros_like(weights), where=signal > 0), per_channel
        )

    def noise(self, steps: Reals, powers: Reals, factors: Reals) -> float:
        """Predicted error over signal, mean of the outputs that have any.

        Args:
            steps: of the tensors that the image comes from, in int8, after rescaling.
            powers: of the channels, before.
            factors: of the channels.
        """
        # Rounding spreads evenly over a step, so its mean square is step²/12 (Widrow, 1956).
        squares = (self.weights * factors) ** 2
        rounded = squares.sum(1) * (steps**2).sum() / 12
        if self.per_channel:
            alive = squares.sum(1) > 0
            return float(rounded[alive].mean()) if alive.any() else 0.0
        weight_steps = np.abs(self.weights * factors).max((1, 2)) / 127
        places = self.weights.shape[1]
        from_weights = weight_steps**2 / 12 * places * (powers / factors**2).sum()
        alive = weight_steps > 0
        return float((rounded.sum(1) + from_weights)[alive].mean()) if alive.any() else 0.0


def _best(group: ChannelGroup, readers: Sequence[_Reader], seen: _Seen) -> tuple[Reals, float]:
    """The best factors of those tried, and by how many decibels the predicted error falls."""

    def noise(factors: Reals) -> float:
        return sum(
            reader.noise(
                np.array([seen.step(index, factors) for index in sorted(group.sources[reader.entered])]),
                seen.power(reader.entered),
                factors,
            )
            for reader in readers
        )

    before = noise(np.ones(group.channels))
    tried = [_factors(group, readers, seen, share) for share in SHARES]
    errors = [noise(factors) for factors in tried]
    best = int(np.argmin(errors))
    silent = not (before > 0 and errors[best] > 0)
    return tried[best], 0.0 if silent else 10 * log10(before / errors[best])


def _factors(group: ChannelGroup, readers: Sequence[_Reader], seen: _Seen, share: float) -> Reals:
    """What to divide each channel by: range to the power of `share`, over weights to that of the rest."""
    # Tensors of a group have ranges of different sizes; a channel counts where it takes the most of one.
    widths = np.stack([seen.width(index) for index in group.tensors])
    tops = widths.max(1, keepdims=True)
    width = np.divide(widths, tops, out=np.zeros_like(widths), where=tops > 0).max(0)
    strength = np.stack([np.abs(reader.weights).max((0, 1)) for reader in readers]).max(0)
    alive = (width > 0) & (strength > 0)
    if not alive.any():
        return np.ones(group.channels)
    logs = np.zeros(group.channels)
    logs[alive] = share * np.log2(width[alive]) - (1 - share) * np.log2(strength[alive])
    # A channel that never moved must not be blown up; one that nobody reads must not widen the range.
    logs[~alive] = np.median(logs[alive])
    unread = (width > 0) & (strength == 0)
    logs[unread] = np.log2(width[unread]) + np.median(logs[alive] - np.log2(width[alive]))
    logs = logs - np.median(logs)
    reach = np.log2(_WIDEST) / 2
    return np.exp2(np.rint(logs.clip(-reach, reach)))


def _rescale(model: editable.Model, graph: Graph, group: ChannelGroup, factors: Reals) -> None:
    """Divide the channels where they are made, multiply their weights where they are read."""
    for number in group.makers:
        kind = graph.ops[number].kind
        _multiply(model, number, 1, MADE_AXIS[kind], 1 / factors)
        if len(graph.ops[number].inputs) > BIAS_INPUT[kind]:
            _multiply(model, number, BIAS_INPUT[kind], -1, 1 / factors)
    for number in group.readers:
        kind = graph.ops[number].kind
        _multiply(model, number, 1, READ_AXIS[kind], factors)


def _multiply(model: editable.Model, number: int, position: int, axis: int, factors: Reals) -> None:
    array = constants.values(model, int(model.subgraphs[0].operators[number].inputs[position]))
    if array is None:
        return  # a bias left out
    shape: list[Any] = [1] * array.ndim
    shape[axis] = -1
    # A depthwise operator reads each channel with several filters in a row.
    each = np.repeat(factors, array.shape[axis] // len(factors)).astype(np.float32)
    constants.replace(model, number, position, array * each.reshape(shape))
