"""A network without some of its channels: really smaller, of the same layers, with the weights that stay.

    smaller = without(model, channels, keep)

Knows which part of each kind of layer belongs to a channel; which channels go together says `groups`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgecnn.compression.groups import Channels, Keep
from edgecnn.compression.passing import is_depthwise
from edgecnn.compression.rewrite import Call, Tensor, applied, calls, copied, rewrite
from edgecnn.compression.ties import Numbers
from edgecnn.errors import TrainingError
from edgecnn.image import Array
from edgecnn.zoo.keras import keras

layers = keras.layers


def without(model: Any, channels: Channels, keep: Keep) -> Any:
    """The network without the channels of the units that do not stay.

    What the removed channels gave to a kernel that read them is gone, and nothing else changes. So the
    outputs are those of `model` with zeros in the kernels of `channels.read` at the places of the removed
    units; and they are the outputs of `model` itself where these weights are zero already, or where what
    arrives there is zero: where, for instance, kernel, bias and norm of everything that makes the channel
    are zero and its activations give zero for zero. A constant that a channel carries (the beta of its norm
    through a ReLU, the half of a sigmoid) goes with it.

    Args:
        model: a functional model; stays as it is.
        channels: its `channels_of`.
        keep: (units,) bool: what stays.

    Returns:
        A keras.Model with the same names of layers, inputs and outputs, and the same settings but for sizes.

    Raises:
        TrainingError: `channels` are of another model; a unit that is fixed, or every unit of a group would
            go; names the layer.
    """
    _check(model, channels, keep)

    def make(call: Call, given: Sequence[Tensor]) -> Tensor:
        if isinstance(call.layer, layers.InputLayer):
            return given[0]
        read = channels.kept(call.before[0].name, keep)
        made = channels.kept(call.name, keep)
        new = copied(call.layer, **_changes(call, read, made))
        output = applied(new, given)
        if call.layer.weights:
            new.set_weights(_weights(call, read, made))
        return output

    return rewrite(model, make)


def _check(model: Any, channels: Channels, keep: Keep) -> None:
    sizes = {call.name: int(call.output.shape[-1]) for call in calls(model)}
    if sizes != {name: len(units) for name, units in channels.made.items()}:
        raise TrainingError(
            f"the channels are not those of the model {model.name!r}. Give channels_of of this very model."
        )
    if keep.shape != (channels.units,) or keep.dtype != np.bool_:
        raise TrainingError(
            f"keep must be {channels.units} bool, one of each unit, not {keep.dtype} of shape {keep.shape}"
        )
    # With a unit of every group no tensor is left without channels: whoever makes one unit of a group makes
    # them all.
    for group in channels.groups:
        if not keep[group.units].any():
            raise TrainingError(
                f"all {len(group.units)} channels of layer {group.name!r} would go. Keep at least one."
            )
    lost = ~keep & ~channels.free
    for name, why in channels.fixed.items():
        if lost[channels.made[name]].any():
            raise TrainingError(f"channels of layer {name!r} cannot go: it {why}. Keep them.")


def _changes(call: Call, read: Numbers, made: Numbers) -> Mapping[str, Any]:
    """What of the layer's settings counts channels."""
    layer, kind = call.layer, type(call.layer)
    if kind is layers.Conv2D and is_depthwise(call):
        return {"filters": len(made), "groups": len(read)}
    if kind in (layers.Conv2D, layers.Conv2DTranspose, layers.SeparableConv2D):
        return {"filters": len(made)}
    if kind is layers.Dense:
        return {"units": len(made)}
    if kind is layers.Reshape and layer.target_shape[-1] != -1:
        return {"target_shape": (*layer.target_shape[:-1], len(made))}
    if kind is layers.Rescaling:
        return {
            name: np.asarray(value)[made].tolist() if np.size(value) > 1 else value
            for name, value in (("scale", layer.scale), ("offset", layer.offset))
        }
    if (shape := getattr(layer, "noise_shape", None)) and shape[-1] not in (None, 1):
        return {"noise_shape": (*shape[:-1], len(made))}
    return {}


def _weights(call: Call, read: Numbers, made: Numbers) -> list[Array]:
    """The weights that stay, in the order of the layer's own."""
    layer, kind, weights = call.layer, type(call.layer), call.layer.get_weights()
    if kind is layers.DepthwiseConv2D:
        return [weights[0][:, :, read], *(bias[made] for bias in weights[1:])]
    if kind is layers.SeparableConv2D:
        spread, gathered, *biases = weights
        many = layer.depth_multiplier
        rows = (read[:, None] * many + np.arange(many)).ravel()
        return [spread[:, :, read], gathered[:, :, rows][..., made], *(bias[made] for bias in biases)]
    if kind is layers.Conv2DTranspose:
        return [weights[0][..., made, :][..., read], *(bias[made] for bias in weights[1:])]
    if kind is layers.Conv2D and layer.groups > 1:
        return [weight[..., made] for weight in weights]
    if kind in (layers.Conv2D, layers.Dense):
        return [weights[0][..., read, :][..., made], *(bias[made] for bias in weights[1:])]
    if kind is layers.Normalization:  # its channels are fixed
        return list(weights)
    # Norms and PReLU have a value for each channel, or one for all.
    return [weight if weight.shape[-1] == 1 else weight[..., made] for weight in weights]
