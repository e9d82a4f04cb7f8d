"""Some layers of a network inside wrappers for a training, and the same network without them afterwards.

tensorflow-model-optimization wraps a layer to do something to its kernel in every step. Which layers have a
kernel that is worth it, and how they come back out, is the same whatever the wrapper does.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from edgecnn.compression.rewrite import Call, Tensor, anew, applied, calls, copied, rewrite
from edgecnn.errors import TrainingError
from edgecnn.image import Array
from edgecnn.zoo.keras import keras

layers = keras.layers

_KERNELS: Final = {
    layers.Conv2D: "kernel",
    layers.Conv2DTranspose: "kernel",
    layers.Dense: "kernel",
    layers.SeparableConv2D: "pointwise_kernel",
}
"""Depthwise kernels are not among them: a few weights for each channel, and every one of them counts."""


def kernel_names(model: Any) -> dict[str, str]:
    """The layers whose kernels are worth making simpler, and the attribute that holds each kernel.

    Not those that read the image itself: they are the most sensitive, and hold less than a hundredth of the
    weights (in ResNet-8 432 of 77,000).

    Args:
        model: a functional model.

    Raises:
        TrainingError: there is none; or see `rewrite.calls`.
    """
    found = {
        call.name: _KERNELS[type(call.layer)]
        for call in calls(model)
        if type(call.layer) in _KERNELS and not _reads_image(call)
    }
    if not found:
        raise TrainingError(
            f"the model {model.name!r} has no Conv2D, Conv2DTranspose, SeparableConv2D or Dense behind its "
            "first layer, so there are no kernels to make simpler."
        )
    return found


def wrapped(model: Any, wrap: Callable[[Any], Any], names: Mapping[str, str]) -> Any:
    """The same network, weights and names of outputs included, with some layers wrapped.

    Args:
        model: a functional model; stays as it is.
        wrap: (built layer of `names`) -> its wrapper, whose attribute `layer` it is.
        names: see `kernel_names`.
    """

    def make(call: Call, given: Sequence[Tensor]) -> Tensor:
        if isinstance(call.layer, layers.InputLayer):
            return given[0]
        layer = copied(call.layer)
        if call.name not in names:
            made = applied(layer, given)
            layer.set_weights(call.layer.get_weights())
            return made
        layer.build(given[0].shape)
        layer.set_weights(call.layer.get_weights())
        return applied(wrap(layer), given)

    made = rewrite(model, make)
    outputs = [
        # The wrapper's name is another, and a card names outputs by the layers that make them.
        layers.Activation("linear", name=name)(output) if name in names else output
        for name, output in zip(model.output_names, made.outputs, strict=True)
    ]
    return keras.Model(made.inputs, outputs, name=model.name)


def bare(model: Any, trained: Any, wrappers: Mapping[str, Any], kernels: Mapping[str, Array]) -> Any:
    """The network of standard layers with the trained weights.

    Args:
        model: the one that was given to `wrapped`; stays as it is.
        trained: what `wrapped` made of it.
        wrappers: the wrapper of each wrapped layer, by the layer's name.
        kernels: what stands for the kernel of each wrapped layer.
    """
    made = anew(model)
    for layer in made.layers:
        if layer.name not in wrappers:
            layer.set_weights(trained.get_layer(layer.name).get_weights())
            continue
        name, values = _KERNELS[type(layer)], kernels[layer.name]
        wrapper = wrappers[layer.name]
        for variable in layer.weights:
            own = variable is getattr(layer, name)
            variable.assign(values if own else _of(wrapper.layer, layer, variable))
    return made


def _of(trained: Any, layer: Any, variable: Any) -> Any:
    """The weight of a trained layer that stands where `variable` stands in `layer`."""
    name = next(name for name in _WEIGHTS if getattr(layer, name, None) is variable)
    return getattr(trained, name)


_WEIGHTS: Final = ("bias", "depthwise_kernel")
"""What layers of `_KERNELS` have beside their kernels."""


def _reads_image(call: Call) -> bool:
    while not call.before[0].layer.weights:
        call = call.before[0]
        if not call.before:
            return True
        if len(call.before) > 1:
            return False
    return False
