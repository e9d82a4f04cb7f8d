"""How each kind of layer hands channels on: makes new ones, passes its input's, ties those of several inputs.

Channels are those of a tensor's last axis. A layer whose output channel depends on one input channel alone
passes it; one that mixes them all by a kernel makes new ones, and the kernel's part goes with the channel it
reads; of one that mixes them otherwise nothing can go, so it is named and what it reads is fixed, or refused.
What follows for the whole network says `groups`; what becomes of the weights `removal`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgecnn.compression.rewrite import Call
from edgecnn.compression.ties import Numbers, Ties
from edgecnn.errors import TrainingError
from edgecnn.zoo.keras import keras

layers = keras.layers

READERS = (layers.Conv2D, layers.Conv2DTranspose, layers.SeparableConv2D, layers.Dense)
"""Kinds with a kernel from all input channels to new ones, by exact type."""

ELEMENTWISE = frozenset({
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "sigmoid", "hard_sigmoid", "tanh",
    "softplus", "softsign", "swish", "silu", "mish", "exponential",
})  # fmt: skip
"""Activations that look at one value at a time."""

_COMPARING = frozenset({"softmax", "log_softmax"})
_WAY_OUT = "Build the network of standard Keras layers: Conv2D, DepthwiseConv2D, Dense, BatchNormalization."


def passed(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    """The channels of a call's output.

    Args:
        call: use of a layer.
        given: channels of each of its inputs, (channels,).
        ties: of the network; what the layer ties or fixes is noted there.

    Raises:
        TrainingError: a layer of which it isn't known how channels pass it; names it and the way out.
    """
    layer = call.layer
    if getattr(layer, "data_format", None) == "channels_first":
        raise _refused(call, "has its channels first. Build it with data_format='channels_last'.")
    if type(layer) not in _RULES:
        raise _refused(call, f"hands on channels in a way that is not known. {_WAY_OUT}")
    channels = call.output.shape[-1] if len(call.output.shape) > 1 else None
    if channels is None:
        raise _refused(
            call, f"has an open number of channels {tuple(call.output.shape)}. Fix the image size."
        )
    return _RULES[type(layer)](call, given, ties)


def is_depthwise(call: Call) -> bool:
    """Whether each output channel reads one input channel through a kernel: also a Conv2D of such groups."""
    if type(call.layer) is layers.DepthwiseConv2D:
        return True
    return type(call.layer) is layers.Conv2D and 1 < call.layer.groups == call.inputs[0].shape[-1]


def described(call: Call) -> str:
    """The layer for a message: name and kind."""
    return f"layer {call.name!r} ({type(call.layer).__name__})"


def _source(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    made = ties.fresh(int(call.output.shape[-1]), call.name)
    ties.fix(made, "is tied to the model's input")
    return made


def _reads(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    layer = call.layer
    if is_depthwise(call):
        return _activated(call, _repeated(call, given, ties), ties)
    made = ties.fresh(int(call.output.shape[-1]), call.name)
    if getattr(layer, "groups", 1) > 1:
        for channels in (given[0], made):
            ties.fix(channels, f"is tied to {described(call)}, which has {layer.groups} groups")
    return _activated(call, made, ties)


def _depthwise(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    return _activated(call, _repeated(call, given, ties), ties)


def _repeated(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    """Each input channel becomes as many in a row as there are kernels for it."""
    return np.repeat(given[0], int(call.output.shape[-1]) // len(given[0]))


def _same(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    return given[0]


def _activated(call: Call, channels: Numbers, ties: Ties) -> Numbers:
    function = call.layer.activation
    kind = getattr(function, "__name__", type(function).__name__)
    if kind in _COMPARING:
        ties.fix(channels, f"is tied to the {kind} of {described(call)}, which weighs all its channels")
    elif kind not in ELEMENTWISE:
        raise _refused(
            call,
            f"has the activation {kind!r}, of which it isn't known whether it mixes channels. Use one of "
            f"{', '.join(sorted(ELEMENTWISE))}, or a layer of its own.",
        )
    return channels


def _activation(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    return _activated(call, given[0], ties)


def _softmax(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    axes = call.layer.axis if isinstance(call.layer.axis, list | tuple) else [call.layer.axis]
    if len(call.output.shape) - 1 in {axis % len(call.output.shape) for axis in axes}:
        ties.fix(given[0], f"is tied to {described(call)}, which weighs all its channels")
    return given[0]


def _norm(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    axes = np.atleast_1d(call.layer.axis).tolist()
    if axes != [len(call.output.shape) - 1]:
        raise _refused(call, f"normalizes axis {axes}, not the channels. Give it axis=-1.")
    return given[0]


def _mixing_norm(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    raise _refused(
        call,
        "normalizes over its channels, so none of them can go without changing the rest. Use "
        "BatchNormalization.",
    )


def _rescaling(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    for value in (call.layer.scale, call.layer.offset):
        shape = np.shape(value)
        if shape not in ((), (1,), (len(given[0]),)):
            raise _refused(
                call, f"rescales by an array of shape {shape}. Give it one number, or one a channel."
            )
    return given[0]


def _standardized(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    ties.fix(given[0], f"is tied to {described(call)}, which has statistics of each channel")
    return given[0]


def _merged(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    """Channel by channel; one channel alone is spread over all."""
    widest = max(given, key=len)
    for channels in given:
        if len(channels) == len(widest):
            ties.tie(channels, widest)
    return widest


def _joined(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    rank = len(call.output.shape)
    if call.layer.axis % rank == rank - 1:
        return np.concatenate(list(given))
    return _merged(call, given, ties)


def _reshaped(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    """The last axis becomes whole rows of channels, or whole parts of a row; else nothing can go."""
    before, after = len(given[0]), int(call.output.shape[-1])
    if after % before == 0:
        return np.tile(given[0], after // before)
    if before % after == 0:
        parts = given[0].reshape(-1, after)
        for part in parts[1:]:
            ties.tie(part, parts[0])
        return parts[0]
    return _mixed(call, given, ties)


def _permuted(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    rank = len(call.output.shape)
    return given[0] if call.layer.dims[-1] == rank - 1 else _mixed(call, given, ties)


def _mixed(call: Call, given: Sequence[Numbers], ties: Ties) -> Numbers:
    made = ties.fresh(int(call.output.shape[-1]), call.name)
    for channels in (given[0], made):
        ties.fix(channels, f"is tied to {described(call)}, which moves channels to another axis")
    return made


def _refused(call: Call, reason: str) -> TrainingError:
    return TrainingError(f"{described(call)} {reason}")


_Rule = Callable[[Call, Sequence[Numbers], Ties], Numbers]

_PASSING = (
    layers.ReLU, layers.LeakyReLU, layers.ELU, layers.PReLU, layers.ThresholdedReLU,
    layers.MaxPooling2D, layers.AveragePooling2D, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D,
    layers.ZeroPadding2D, layers.Cropping2D, layers.CenterCrop, layers.UpSampling2D, layers.Resizing,
    layers.Dropout, layers.SpatialDropout2D, layers.GaussianDropout, layers.GaussianNoise,
    layers.AlphaDropout, layers.ActivityRegularization,
)  # fmt: skip
_MERGING = (
    layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum,
)  # fmt: skip

_RULES: dict[Any, _Rule] = {
    layers.InputLayer: _source,
    **dict.fromkeys(READERS, _reads),
    layers.DepthwiseConv2D: _depthwise,
    **dict.fromkeys(_PASSING, _same),
    layers.Activation: _activation,
    layers.Softmax: _softmax,
    layers.BatchNormalization: _norm,
    layers.LayerNormalization: _mixing_norm,
    layers.GroupNormalization: _mixing_norm,
    layers.UnitNormalization: _mixing_norm,
    layers.Rescaling: _rescaling,
    layers.Normalization: _standardized,
    **dict.fromkeys(_MERGING, _merged),
    layers.Concatenate: _joined,
    layers.Flatten: _reshaped,
    layers.Reshape: _reshaped,
    layers.Permute: _permuted,
}
