"""Which tensors of a float model may have their channels rescaled together without changing its outputs.

A channel can be divided by a positive number where it is made and its weights multiplied by it where it is
read, if everything between is positively homogeneous in each channel: f(x / s) = f(x) / s. A ReLU is, and so
are additions of tensors with the same scales; ReLU6, sigmoids and products are not. ReLU6 is left alone even
where no image reaches 6: an image that does may come later, and the function would be another.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.graph import Graph, Operator

Array: TypeAlias = npt.NDArray[Any]

IMAGE_INPUT: Final = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 0, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 2}
"""Operators with weights, which are their input 1, and where their image comes in."""

BIAS_INPUT: Final = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}

MADE_AXIS: Final = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
"""Of the weights, along which the channels lie that an operator makes."""

READ_AXIS: Final = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 1, "TRANSPOSE_CONV": 3}
"""Likewise of the channels that it reads."""

_HOMOGENEOUS = ("NONE", "RELU", None)
"""Fused activations that a positive factor passes."""


@dataclass(frozen=True)
class ChannelGroup:
    """Tensors whose channels have one scale in common.

    Attributes:
        tensors: their indices, in the order they are made.
        makers: numbers of the operators with weights that make some of them.
        readers: numbers of the operators with weights that read some of them.
        channels: how many each tensor has.
        sources: for each tensor, those of the group that it is computed from, itself included.
    """

    tensors: tuple[int, ...]
    makers: tuple[int, ...]
    readers: tuple[int, ...]
    channels: int
    sources: Mapping[int, frozenset[int]]


def find(graph: Graph) -> tuple[ChannelGroup, ...]:
    """The groups of a float model that may be rescaled, in the order of their first tensors.

    Inputs and outputs of the model belong to none, and neither does anything that an operator touches of
    which it is not known that it may.
    """
    groups = _Union(graph)
    blocked = {*graph.inputs, *graph.outputs}
    makers: dict[int, int] = {}
    readers: dict[int, list[int]] = {}
    for operator in graph.ops:
        touched = [i for i in (*operator.inputs, *operator.outputs) if i >= 0 and not _constant(graph, i)]
        if operator.kind in IMAGE_INPUT and _is_plain(graph, operator):
            entered, made = operator.inputs[IMAGE_INPUT[operator.kind]], operator.outputs[0]
            makers[made] = operator.index
            readers.setdefault(entered, []).append(operator.index)
            if operator.options.get("activation") not in _HOMOGENEOUS:
                blocked.add(made)
        elif operator.kind in _PASSING and _PASSING[operator.kind](graph, operator):
            groups.join(touched)
        else:
            blocked.update(touched)
    blocked |= {tensor.index for tensor in graph.tensors if tensor.dtype != "float32" or tensor.is_variable}
    found = []
    for members in groups.all():
        made_by = tuple(makers[index] for index in members if index in makers)
        read_by = tuple(number for index in members for number in readers.get(index, ()))
        channels = {graph.tensors[index].shape[-1:] for index in members}
        if made_by and read_by and len(channels) == 1 and not blocked & set(members):
            (channel,) = channels.pop()
            found.append(ChannelGroup(tuple(members), made_by, read_by, channel, _sources(graph, members)))
    return tuple(found)


def read_weights(kind: str, weights: Array, channels: int) -> Array:
    """Weights by what they do with each channel read: (outputs, places, channels).

    A depthwise operator's outputs are those of one channel: (channel multiplier, places, channels).
    """
    if kind == "DEPTHWISE_CONV_2D":
        places, multiplier = int(np.prod(weights.shape[:3])), weights.shape[3] // channels
        return weights.reshape(places, channels, multiplier).transpose(2, 0, 1)
    return weights.reshape(weights.shape[0], -1, channels)


def _is_plain(graph: Graph, operator: Operator) -> bool:
    """Whether an operator's weights are constants of the file, of which each channel has its own."""
    position = IMAGE_INPUT[operator.kind]
    if len(operator.inputs) <= position or len(operator.outputs) != 1:
        return False
    bias = (
        operator.inputs[BIAS_INPUT[operator.kind]] if len(operator.inputs) > BIAS_INPUT[operator.kind] else -1
    )
    for index in (operator.inputs[1], bias):
        tensor = graph.tensors[index]
        if index >= 0 and not (tensor.is_constant and tensor.dtype == "float32" and not tensor.is_sparse):
            return False
    entered, weights = graph.tensors[operator.inputs[position]], graph.tensors[operator.inputs[1]]
    made = graph.tensors[operator.outputs[0]]
    if not entered.shape or not made.shape or len(weights.shape) <= READ_AXIS[operator.kind]:
        return False
    if made.shape[-1] != weights.shape[MADE_AXIS[operator.kind]]:
        return False
    if operator.kind == "DEPTHWISE_CONV_2D":
        return weights.shape[0] == 1 and weights.shape[3] % entered.shape[-1] == 0
    # A dense layer may flatten its input, a convolution have groups: channels are then not one axis.
    return entered.shape[-1] == weights.shape[READ_AXIS[operator.kind]]


def _constant(graph: Graph, index: int) -> bool:
    return graph.tensors[index].is_constant


def _same_shapes(graph: Graph, operator: Operator) -> bool:
    """Element by element, both from images."""
    shapes = {graph.tensors[index].shape for index in (*operator.inputs, *operator.outputs)}
    activation = operator.options.get("activation") in _HOMOGENEOUS
    return len(shapes) == 1 and activation and not any(_constant(graph, index) for index in operator.inputs)


def _pools(graph: Graph, operator: Operator) -> bool:
    return operator.options.get("activation") in _HOMOGENEOUS


def _keeps_channels_last(graph: Graph, operator: Operator) -> bool:
    """The last axis is the same before and after."""
    before, after = graph.tensors[operator.inputs[0]].shape, graph.tensors[operator.outputs[0]].shape
    return before[-1:] == after[-1:] != ()


def _leaves_last_axis(graph: Graph, operator: Operator) -> bool:
    """A reduction over other axes than the last."""
    axes = graph.tensors[operator.inputs[1]]
    rank = len(graph.tensors[operator.inputs[0]].shape)
    if not axes.is_constant or axes.dtype != "int32":
        return False
    return all(axis % rank != rank - 1 for axis in graph.data(axes).ravel())


def _pads_places(graph: Graph, operator: Operator) -> bool:
    """Zeros around the image, no further channels."""
    widths = graph.tensors[operator.inputs[1]]
    if len(operator.inputs) != 2 or not widths.is_constant or widths.dtype not in ("int32", "int64"):
        return False
    return not graph.data(widths).reshape(-1, 2)[-1].any()


_PASSING: Final[dict[str, Callable[[Graph, Operator], bool]]] = {
    **dict.fromkeys(("ADD", "SUB", "MAXIMUM", "MINIMUM"), _same_shapes),
    **dict.fromkeys(("MAX_POOL_2D", "AVERAGE_POOL_2D"), _pools),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), _leaves_last_axis),
    **dict.fromkeys(("RELU", "LEAKY_RELU", "RESHAPE", "SQUEEZE", "EXPAND_DIMS"), _keeps_channels_last),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), _keeps_channels_last),
    "PAD": _pads_places,
}
"""Operators that a factor for each channel passes, and what must be true for it."""


def _sources(graph: Graph, members: list[int]) -> dict[int, frozenset[int]]:
    """For each member, the members that it is computed from."""
    sources = {index: frozenset({index}) for index in members}
    for operator in graph.ops:
        if operator.kind in _PASSING:
            for index in operator.outputs:
                if index in sources:
                    before = [sources[i] for i in operator.inputs if i in sources]
                    sources[index] = sources[index].union(*before)
    return sources


class _Union:
    """Sets of tensors that are joined one by one."""

    def __init__(self, graph: Graph) -> None:
        made = [index for operator in graph.ops for index in operator.outputs if index >= 0]
        self._sets = {index: [index] for index in (*graph.inputs, *made)}

    def join(self, indices: list[int]) -> None:
        first = self._sets.get(indices[0], [indices[0]])
        for index in indices:
            other = self._sets.get(index, [index])
            if other is not first:
                first.extend(other)
            for member in other:
                self._sets[member] = first

    def all(self) -> list[list[int]]:
        """The sets, each once and sorted."""
        return sorted(sorted(one) for one in {id(one): one for one in self._sets.values()}.values())
