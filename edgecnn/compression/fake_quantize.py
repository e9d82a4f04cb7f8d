"""A network that computes in float what int8 will compute: trained with tfmot's wrappers, saved without them.

tensorflow-model-optimization wraps each layer and asks a `QuantizeConfig` what to round. Its own configs know
few layers, give a depthwise convolution one scale for all channels and let ranges start at ±6; these here
follow `edgecnn.compression.rounding`, one scale for each output channel, and ranges measured before.

The saved network needs neither tfmot nor edgecnn: standard layers, kernels on their int8 grid, and between
them `tf.quantization.fake_quant_with_min_max_args`. `converters.quantization_aware` reads it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edgecnn.card import InputSpec
from edgecnn.compression import kept
from edgecnn.compression.folding import WEIGHTED, channel_axes, fold, kernel_name
from edgecnn.compression.grid import bias_on_grid
from edgecnn.compression.kept import Kept
from edgecnn.compression.rewrite import Call, Tensor, applied, calls, copied, rewrite
from edgecnn.compression.rounding import Point, input_range, points, source
from edgecnn.errors import MissingExtra
from edgecnn.image import Array
from edgecnn.zoo.keras import keras, tf

try:
    # Only after edgecnn's own door to TensorFlow, which decides for Keras 2.
    from tensorflow_model_optimization.quantization.keras import QuantizeConfig, QuantizeWrapperV2
    from tensorflow_model_optimization.quantization.keras.quantizers import Quantizer
except ModuleNotFoundError as error:
    raise MissingExtra("tensorflow-model-optimization", "train") from error

MOMENTUM: Final = 0.99
"""Of the moving averages that ranges are: the last hundred batches count."""

_DEAD: Final = 1e-9
"""A range narrower than this is that of a tensor that never moved from zero; see `converters.quantize`."""


@dataclass(frozen=True, eq=False)
class FakeQuantized:
    """A network in quantization-aware training.

    Attributes:
        model: what is stepped: layers in tfmot's wrappers; images to outputs named as in `export`.
        folded: the network that it was made from, in float.
        placed: what is rounded in `folded`, by layer.
        ranges: the moving ones of these ranges.
        kept: what training leaves of kernels that came sparse or clustered, by layer.
    """

    model: Any
    folded: Any
    placed: Mapping[str, Point]
    ranges: Mapping[str, "ActivationRange"]
    kept: Mapping[str, Kept]

    def calibrate(self, batches: Iterable[Array]) -> None:
        """Set every range to the mean of what the float network shows on each batch.

        Args:
            batches: (n, height, width, channels) float32, normalized; at least one.
        """
        names = list(self.ranges)
        outputs = [_output(self.folded, name) for name in names]
        watched = tf.function(keras.Model(self.folded.inputs, outputs), reduce_retracing=True)
        seen = []
        for batch in batches:
            values = tf.nest.flatten(watched(tf.constant(batch), training=False))
            seen.append([(float(tf.reduce_min(v)), float(tf.reduce_max(v))) for v in values])
        for name, (low, high) in zip(names, np.mean(seen, axis=0), strict=True):
            self.ranges[name].set(min(low, 0.0), max(high, 0.0))

    def export(self) -> Any:
        """The network as it stands, of standard layers: weights on their grids, ranges as constants."""

        def make(call: Call, given: Sequence[Tensor]) -> Tensor:
            if isinstance(call.layer, keras.layers.InputLayer):
                made = given[0]
            else:
                layer = copied(call.layer)
                made = applied(layer, given)
                if call.layer.weights:
                    kernel, bias = self.model.get_layer(_wrapped(call.name)).trainable_weights
                    axes = channel_axes(kernel, layer)
                    kernel = self.kept.get(call.name, kept.ALL).rounded(kernel, axes).numpy()
                    low, high = self._range(source(call, self.placed))
                    layer.set_weights([kernel, bias_on_grid(bias.numpy(), kernel, axes, (high - low) / 255)])
            if call.name not in self.placed:
                return made
            low, high = self._range(call.name)
            return tf.quantization.fake_quant_with_min_max_args(made, min=low, max=high)

        return _with_named_outputs(rewrite(self.folded, make), self.folded)

    def _range(self, name: str) -> tuple[float, float]:
        point = self.placed[name]
        if point.low_high is not None:
            return point.low_high
        return self._range(point.like) if point.like else self.ranges[name].get()


def fake_quantized(model: Any, spec: InputSpec) -> FakeQuantized:
    """Make a network ready for quantization-aware training; its ranges are to be calibrated.

    Args:
        model: a functional Keras model of standard layers; stays as it is.
        spec: how an image becomes its input.

    Raises:
        TrainingError: a layer that has no int8 form; says which, and the way out.
    """
    folded = fold(model)
    placed = points(folded, input_range(spec))
    worth = {call.name: found for call in calls(folded) if (found := _kept(call.layer)) is not None}
    ranges = {name: ActivationRange() for name, point in placed.items() if not (point.low_high or point.like)}

    def rounding(name: str) -> Any:
        point = placed.get(name)
        if point is None:
            return None
        if point.low_high:
            return _Fixed(*point.low_high)
        return _Shared(ranges[point.like]) if point.like else ranges[name]

    def make(call: Call, given: Sequence[Tensor]) -> Tensor:
        layer, quantizer = call.layer, rounding(call.name)
        if isinstance(layer, keras.layers.InputLayer):
            layer = keras.layers.Activation("linear", name=f"{call.name}_grid")
        if quantizer is None and not layer.weights:
            return applied(copied(layer), given)
        wrapper = QuantizeWrapperV2(
            copied(layer), _Config(quantizer, worth.get(call.name, kept.ALL)), name=_wrapped(call.name)
        )
        made = applied(wrapper, given)
        for variable, value in zip(wrapper.trainable_weights, layer.get_weights(), strict=True):
            variable.assign(value)
        return made

    trained = _with_named_outputs(rewrite(folded, make), folded)
    return FakeQuantized(trained, folded, placed, ranges, worth)


class ActivationRange(Quantizer):
    """Rounds to a range that follows what it sees in training, as a moving average of each batch's ends."""

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Make the range's variables; tfmot calls it."""
        zero, one = keras.initializers.Constant(0.0), keras.initializers.Constant(1.0)
        self._low = layer.add_weight(f"{name}_low", shape=(), initializer=zero, trainable=False)
        self._high = layer.add_weight(f"{name}_high", shape=(), initializer=one, trainable=False)
        return {}

    def __call__(self, inputs: Any, training: bool, weights: Any, **_: Any) -> Any:
        """The rounded inputs; in training the range moves first."""
        if training:
            for variable, end in (
                (self._low, tf.minimum(tf.reduce_min(inputs), 0.0)),
                (self._high, tf.maximum(tf.reduce_max(inputs), 0.0)),
            ):
                variable.assign(MOMENTUM * variable + (1 - MOMENTUM) * tf.stop_gradient(end))
        return self.rounded(inputs)

    def rounded(self, inputs: Any) -> Any:
        """The inputs rounded to the range as it is."""
        high = tf.where(self._high - self._low < _DEAD, 1.0, self._high)
        return tf.quantization.fake_quant_with_min_max_vars(inputs, self._low, high)

    def set(self, low: float, high: float) -> None:
        """Replace the range; zero must be in it."""
        self._low.assign(low)
        self._high.assign(high)

    def get(self) -> tuple[float, float]:
        """The range as it is; never empty."""
        low, high = float(self._low.numpy()), float(self._high.numpy())
        return (low, 1.0) if high - low < _DEAD else (low, high)

    def get_config(self) -> dict[str, Any]:
        """Nothing: it is never saved."""
        return {}


class _Shared(Quantizer):
    """Rounds to the range of another tensor."""

    def __init__(self, source: ActivationRange) -> None:
        self._source = source

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        return {}

    def __call__(self, inputs: Any, training: bool, weights: Any, **_: Any) -> Any:
        return self._source.rounded(inputs)

    def get_config(self) -> dict[str, Any]:
        return {}


class _Fixed(Quantizer):
    """Rounds to a range that is known."""

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        return {}

    def __call__(self, inputs: Any, training: bool, weights: Any, **_: Any) -> Any:
        return tf.quantization.fake_quant_with_min_max_args(inputs, min=self._low, max=self._high)

    def get_config(self) -> dict[str, Any]:
        return {}


class _Kernel(Quantizer):
    """Rounds a kernel to its own grid, or to what of it is to be kept."""

    def __init__(self, axes: tuple[int, ...], worth: Kept) -> None:
        self._axes, self._kept = axes, worth

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        return {}

    def __call__(self, inputs: Any, training: bool, weights: Any, **_: Any) -> Any:
        return self._kept.rounded(inputs, self._axes)

    def get_config(self) -> dict[str, Any]:
        return {}


class _Config(QuantizeConfig):
    """What tfmot rounds of one layer: its kernel if it has one, and its output if a quantizer is given."""

    def __init__(self, output: Any, worth: Kept) -> None:
        self._output, self._kept = output, worth

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        if type(layer) not in WEIGHTED:
            return []
        kernel = getattr(layer, kernel_name(layer))
        return [(kernel, _Kernel(channel_axes(kernel, layer), self._kept))]

    def set_quantize_weights(self, layer: Any, quantize_weights: Sequence[Any]) -> None:
        for kernel in quantize_weights:
            setattr(layer, kernel_name(layer), kernel)

    def get_activations_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: Sequence[Any]) -> None:
        return None

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        return [] if self._output is None else [self._output]

    def get_config(self) -> dict[str, Any]:
        return {}


def _with_named_outputs(model: Any, source: Any) -> Any:
    """The same model with outputs named after those of `source`: the saved and the trained one agree."""
    named = [
        keras.layers.Activation("linear", name=f"{name}_rounded")(output)
        for name, output in zip(source.output_names, model.outputs, strict=True)
    ]
    return keras.Model(model.inputs, named, name=model.name)


def _kept(layer: Any) -> Kept | None:
    """What of a layer's kernel is to stay; a depthwise one is never made sparse or clustered."""
    if type(layer) not in WEIGHTED or type(layer) is keras.layers.DepthwiseConv2D:
        return None
    kernel = layer.kernel.numpy()
    return kept.found(kernel, channel_axes(kernel, layer))


def _wrapped(name: str) -> str:
    return f"quantized_{name}"


def _output(model: Any, name: str) -> Tensor:
    return model.get_layer(name).output
