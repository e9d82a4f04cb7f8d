"""A network in the form that int8 files have: norms folded into the convolutions, activations on their own.

    folded = fold(model)        # the same function, with fewer and simpler layers

What is quantized later are then the very weights that ship. (Jacob et al. 2018, arXiv 1712.05877, section
3.2, fold while training; here the norm's statistics are those of the finished training and stay.)
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgecnn.compression.rewrite import Call, Tensor, applied, calls, copied, rewrite
from edgecnn.errors import TrainingError
from edgecnn.image import Array
from edgecnn.zoo.keras import keras

layers = keras.layers
CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.Conv2DTranspose)
WEIGHTED = (*CONVOLUTIONS, layers.Dense)
"""Layers with a kernel, by exact type."""


def fold(model: Any) -> Any:
    """The same function without norms and without activations inside layers.

    Args:
        model: a functional model; stays as it is.

    Returns:
        A keras.Model whose layers with weights all are one of `WEIGHTED`, linear, with a bias. A norm without
        a convolution before it, and a Rescaling that is no part of a hard sigmoid, become 1x1 depthwise
        convolutions. Swish becomes sigmoid and Multiply; a separable convolution its two parts.

    Raises:
        TrainingError: a layer that cannot be written so; says which, and the way out.
    """
    return rewrite(model, _Folding(calls(model)).make)


def kernel_name(layer: Any) -> str:
    """The attribute that holds the kernel of a layer of `WEIGHTED`."""
    return "depthwise_kernel" if type(layer) is layers.DepthwiseConv2D else "kernel"


def channel_axes(kernel: Any, layer: Any) -> tuple[int, ...]:
    """The axes of a kernel that make up the output channels."""
    if type(layer) is layers.DepthwiseConv2D:
        return (2, 3)
    return (2,) if type(layer) is layers.Conv2DTranspose else (len(kernel.shape) - 1,)


def hard_sigmoid(call: Call) -> tuple[Call, Call] | None:
    """The two calls before the last one of a hard sigmoid: +3 and ReLU6; None where it is none."""
    if not _rescales(call, 1 / 6, 0.0):
        return None
    clip = call.before[0]
    if (
        type(clip.layer) is not layers.ReLU
        or rectifier_settings(clip.layer) != (6.0, 0.0, 0.0)
        or clip.readers != 1
    ):
        return None
    shift = clip.before[0]
    return (shift, clip) if _rescales(shift, 1.0, 3.0) and shift.readers == 1 else None


def rectifier_settings(layer: Any) -> tuple[float | None, float, float]:
    """Highest value, slope below the threshold, and threshold of a keras ReLU, as plain numbers."""
    settings = layer.get_config()
    highest = settings["max_value"]
    return (
        None if highest is None else float(highest),
        float(settings["negative_slope"] or 0),
        float(settings["threshold"] or 0),
    )


class _Folding:
    """Which norms vanish into which layers, and the layers made so far."""

    def __init__(self, found: Sequence[Call]) -> None:
        self._norm_of: dict[str, Any] = {}  # name of a layer with a kernel: the norm behind it
        self._gone: set[str] = set()
        self._kept: set[str] = set()  # Rescalings of hard sigmoids
        self._names = {call.name for call in found}
        for call in found:
            if type(call.layer) is layers.BatchNormalization and _folds_into(call):
                self._norm_of[call.before[0].name] = call.layer
                self._gone.add(call.name)
            if chain := hard_sigmoid(call):
                self._kept |= {call.name, chain[0].name}

    def make(self, call: Call, given: Sequence[Tensor]) -> Tensor:
        """What stands for the call in the new model."""
        layer, kind = call.layer, type(call.layer)
        if kind is layers.InputLayer or call.name in self._gone:
            return given[0]
        if kind in WEIGHTED:
            return self._activated(self._weighted(call, given[0]), layer.activation, layer)
        if kind is layers.SeparableConv2D:
            return self._activated(self._separable(layer, given[0]), layer.activation, layer)
        if kind is layers.Activation:
            return self._activated(given[0], layer.activation, layer, name=layer.name)
        if kind is layers.BatchNormalization:
            return self._per_channel(call, given[0], *_affine(layer))
        if kind is layers.Rescaling and call.name not in self._kept:
            return self._per_channel(call, given[0], layer.scale, layer.offset)
        if layer.weights:
            raise TrainingError(
                f"layer {layer.name!r} is a {kind.__name__}, whose weights have no int8 form here. Use "
                "Conv2D, DepthwiseConv2D, SeparableConv2D, Conv2DTranspose or Dense instead (and LeakyReLU "
                "instead of PReLU)."
            )
        return applied(copied(layer), given)

    def _weighted(self, call: Call, given: Tensor) -> Tensor:
        layer = call.layer
        kernel = getattr(layer, kernel_name(layer)).numpy()
        axes = channel_axes(kernel, layer)
        bias = layer.bias.numpy() if layer.use_bias else np.zeros(_sizes(kernel, axes), np.float32).ravel()
        if norm := self._norm_of.get(call.name):
            factor, offset = _affine(norm)
            shape = [size if axis in axes else 1 for axis, size in enumerate(kernel.shape)]
            kernel, bias = kernel * factor.reshape(shape), bias * factor + offset
        new = copied(layer, use_bias=True, activation="linear")
        made = new(given)
        new.set_weights([kernel.astype(np.float32), bias.astype(np.float32)])
        return made

    def _separable(self, layer: Any, given: Tensor) -> Tensor:
        shared = {"padding": layer.padding, "strides": layer.strides, "dilation_rate": layer.dilation_rate}
        spread = layers.DepthwiseConv2D(
            layer.kernel_size,
            depth_multiplier=layer.depth_multiplier,
            name=self._named(f"{layer.name}_depthwise"),
            **shared,
        )
        gathered = layers.Conv2D(layer.filters, 1, name=layer.name)
        made = gathered(spread(given))
        kernels = layer.get_weights()
        spread.set_weights([kernels[0], np.zeros(spread.bias.shape, np.float32)])
        bias = kernels[2] if layer.use_bias else np.zeros(layer.filters, np.float32)
        gathered.set_weights([kernels[1], bias])
        return made

    def _per_channel(self, call: Call, given: Tensor, factor: Any, offset: Any) -> Tensor:
        """`given * factor + offset` as a depthwise convolution of one pixel."""
        channels, layer = given.shape[-1], call.layer
        if len(given.shape) != 4 or max(np.ndim(factor), np.ndim(offset)) > 1:
            raise TrainingError(
                f"layer {layer.name!r} ({type(layer).__name__}) has no convolution before it and its input "
                f"is no image but {tuple(given.shape[1:])}, so it has no int8 form. Put it behind a Conv2D "
                "or Dense without activation."
            )
        new = layers.DepthwiseConv2D(1, name=layer.name)
        made = new(given)
        kernel = np.broadcast_to(np.asarray(factor, np.float32), (channels,)).reshape(1, 1, channels, 1)
        new.set_weights([kernel, np.broadcast_to(np.asarray(offset, np.float32), (channels,))])
        return made

    def _activated(self, given: Tensor, function: Any, layer: Any, *, name: str | None = None) -> Tensor:
        kind = getattr(function, "__name__", type(function).__name__)
        if kind == "linear":
            return given
        if kind not in _ACTIVATIONS:
            raise TrainingError(
                f"layer {layer.name!r} has the activation {kind!r}, which has no int8 form here. Use one of "
                f"{', '.join(_ACTIVATIONS)}; for hard-swish see edgecnn.zoo.blocks."
            )
        return _ACTIVATIONS[kind](given, name or self._named(f"{layer.name}_{kind}"), self._named)

    def _named(self, name: str) -> str:
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name


_Named = Callable[[str], str]


def _swish(given: Tensor, name: str, named: _Named) -> Tensor:
    gate = layers.Activation("sigmoid", name=named(f"{name}_gate"))(given)
    return layers.Multiply(name=name)([given, gate])


def _curve(kind: str) -> Callable[[Tensor, str, _Named], Tensor]:
    return lambda given, name, _: layers.Activation(kind, name=name)(given)


_ACTIVATIONS: dict[str, Callable[[Tensor, str, _Named], Tensor]] = {
    "relu": lambda given, name, _: layers.ReLU(name=name)(given),
    "relu6": lambda given, name, _: layers.ReLU(6.0, name=name)(given),
    "swish": _swish,
    "silu": _swish,
    "sigmoid": _curve("sigmoid"),
    "tanh": _curve("tanh"),
    "softmax": _curve("softmax"),
}


def _folds_into(norm: Call) -> bool:
    """Whether a norm scales the output channels of a linear layer that nobody else reads."""
    source = norm.before[0]
    if type(source.layer) not in WEIGHTED or source.readers != 1:
        return False
    axis = norm.layer.axis[0] if isinstance(norm.layer.axis, list | tuple) else norm.layer.axis
    linear = getattr(source.layer.activation, "__name__", "") == "linear"
    return linear and axis in (-1, len(source.output.shape) - 1)


def _affine(norm: Any) -> tuple[Array, Array]:
    """A norm in use as (factor, offset) for each channel."""
    factor = 1 / np.sqrt(norm.moving_variance.numpy().astype(np.float64) + norm.epsilon)
    if norm.scale:
        factor = factor * norm.gamma.numpy()
    offset = -norm.moving_mean.numpy() * factor
    return factor, offset + (norm.beta.numpy() if norm.center else 0.0)


def _rescales(call: Call, scale: float, offset: float) -> bool:
    if type(call.layer) is not layers.Rescaling:
        return False
    values = np.ndim(call.layer.scale), np.ndim(call.layer.offset)
    return values == (0, 0) and bool(
        np.isclose(call.layer.scale, scale) and np.isclose(call.layer.offset, offset)
    )


def _sizes(kernel: Array, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(kernel.shape[axis] for axis in axes)
