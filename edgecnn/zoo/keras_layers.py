"""A Keras model as a `Network` for the layer table.

Knows the layers of Keras and what TFLite will make of them: a norm, an activation or a dropout that alone
reads a layer's output is no layer of its own but part of that row, as it will be in the converted file. Its
parameters are counted there, as Keras counts them (a norm has four per channel; folded into the convolution,
none are left).
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from edgecnn.errors import ModelError
from edgecnn.graph.layers import Layer, Network, Pair, Value
from edgecnn.graph.lecture import same_padding
from edgecnn.zoo.keras import keras

_BYTES: Final = 4  # float32
_kinds: Final = keras.layers
_POOLS: Final = (_kinds.AveragePooling2D, _kinds.MaxPooling2D)
_GLOBAL_POOLS: Final = (_kinds.GlobalAveragePooling2D, _kinds.GlobalMaxPooling2D)
_CONVOLUTIONS: Final = (_kinds.Conv2D, _kinds.DepthwiseConv2D, _kinds.Conv2DTranspose)
_WEIGHTED: Final = (*_CONVOLUTIONS, _kinds.Dense, _kinds.BatchNormalization, _kinds.PReLU)
_ABSENT: Final = (_kinds.Dropout, _kinds.SpatialDropout2D, _kinds.GaussianNoise, _kinds.GaussianDropout)
_JOINED: Final = (_kinds.BatchNormalization, _kinds.ReLU, _kinds.Activation, _kinds.LeakyReLU)


def read_layers(path: Path) -> Network:
    """The layers of a saved Keras model.

    Raises:
        ModelError: the file cannot be read as a Keras model, or see `layers_of`.
    """
    try:
        model = keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(f"{path}: cannot be read as a Keras model ({reason}). Copy it again.") from None
    return layers_of(model)


def layers_of(model: Any) -> Network:
    """The layers of a functional or sequential Keras model, for one image, in float32.

    Raises:
        ModelError: the model was written as a subclass, a size is open, or a layer with weights is unknown.
    """
    walk = _Walk()
    walk.through(model)
    return Network(tuple(walk.layers), tuple(walk.number[id(tensor)] for tensor in model.outputs))


class _Walk:
    """What has been seen of a model so far: its layers, and which of their values each Keras tensor is."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.number: dict[int, int] = {}  # id of a Keras tensor: number of its value
        self._maker: dict[int, int] = {}  # number of a value: place of the layer that makes it
        self._counted: set[int] = set()

    def through(self, model: Any) -> None:
        """Take in every call of the model, and of the models it calls."""
        nodes = list(_nodes(model))
        readers = Counter(id(tensor) for node in nodes for tensor in node.keras_inputs)
        readers.update(id(tensor) for tensor in model.outputs)
        for node in nodes:
            outputs = _listed(node.outputs)
            if isinstance(node.layer, keras.Model):
                for inner, outer in zip(node.layer.inputs, node.keras_inputs, strict=True):
                    self.number[id(inner)] = self.number[id(outer)]
                self.through(node.layer)
                for inner, outer in zip(node.layer.outputs, outputs, strict=True):
                    self.number[id(outer)] = self.number[id(inner)]
            elif isinstance(node.layer, _kinds.InputLayer) and id(outputs[0]) in self.number:
                continue  # the input of a model inside another
            elif isinstance(node.layer, _ABSENT):
                self.number[id(outputs[0])] = self.number[id(node.keras_inputs[0])]
            elif isinstance(node.layer, _JOINED) and readers[id(node.keras_inputs[0])] == 1:
                self._join(node.layer, node.keras_inputs[0], outputs[0])
            else:
                self._add(node.layer, node.keras_inputs, outputs)

    def _join(self, layer: Any, given: Any, made: Any) -> None:
        number = self.number[id(given)]
        self.number[id(made)] = number
        place = self._maker[number]
        before = self.layers[place]
        self.layers[place] = replace(
            before,
            kind=f"{before.kind} + {_kind(layer)}",
            parameters=before.parameters + self._parameters(layer),
        )

    def _add(self, layer: Any, given: Sequence[Any], made: Sequence[Any]) -> None:
        if layer.weights and not isinstance(layer, _WEIGHTED):
            raise ModelError(f"layer {layer.name!r} is a {_kind(layer)}, whose cost is not known by formula")
        values = []
        for tensor in made:
            number = len(self.number)
            self.number[id(tensor)] = number
            self._maker[number] = len(self.layers)
            shape = _shape(layer, tensor)
            values.append(Value(number, shape, _BYTES * math.prod(shape)))
        source = _shape(layer, given[0]) if given else ()
        row = Layer(
            name=layer.name,
            kind="input" if isinstance(layer, _kinds.InputLayer) else _kind(layer),
            inputs=tuple(self.number[id(tensor)] for tensor in given),
            outputs=tuple(values),
            parameters=self._parameters(layer),
            quantization="float32",
        )
        self.layers.append(_described(row, layer, source, values[0].shape))

    def _parameters(self, layer: Any) -> int:
        if id(layer) in self._counted:
            return 0
        self._counted.add(id(layer))
        return int(layer.count_params())


def _nodes(model: Any) -> Iterator[Any]:
    """The calls of this model only, in the order they run: a layer may serve other models too."""
    depths = getattr(model, "_nodes_by_depth", None)
    if not depths:
        raise ModelError(f"model {model.name!r} is neither functional nor sequential: its layers are hidden")
    for depth in sorted(depths, reverse=True):
        yield from depths[depth]


def _described(row: Layer, layer: Any, source: tuple[int, ...], made: tuple[int, ...]) -> Layer:
    """The row with what its kind of layer adds: window, stride, padding, filters, multiplications."""
    if isinstance(layer, _CONVOLUTIONS):
        is_transposed = isinstance(layer, _kinds.Conv2DTranspose)
        is_depthwise = isinstance(layer, _kinds.DepthwiseConv2D)
        weights = layer.depthwise_kernel if is_depthwise else layer.kernel
        row = _windowed(row, layer, tuple(layer.kernel_size), source, pads=not is_transposed)
        return replace(
            row,
            dilation=tuple(layer.dilation_rate),
            filters=made[-1],
            zoom=_reals(layer.strides) if is_transposed else (1.0, 1.0),
            macs=math.prod(weights.shape) * math.prod((source if is_transposed else made)[1:-1]),
        )
    if isinstance(layer, _kinds.Dense):
        macs = math.prod(layer.kernel.shape) * math.prod(made[1:-1])
        return replace(row, filters=made[-1], sees_all=True, macs=macs)
    if isinstance(layer, _POOLS):
        return _windowed(row, layer, tuple(layer.pool_size), source)
    if isinstance(layer, _GLOBAL_POOLS):
        return replace(row, kernel=(source[1], source[2]))
    if isinstance(layer, _kinds.UpSampling2D):
        return replace(row, zoom=_reals(layer.size))
    if isinstance(layer, _kinds.ZeroPadding2D):
        (top, bottom), (left, right) = layer.padding
        return replace(row, padding=((top, bottom), (left, right)))
    return row


def _reals(sizes: Sequence[int]) -> tuple[float, float]:
    return float(sizes[0]), float(sizes[1])


def _windowed(row: Layer, layer: Any, kernel: Pair, source: tuple[int, ...], *, pads: bool = True) -> Layer:
    stride = tuple(layer.strides)
    dilation = tuple(getattr(layer, "dilation_rate", (1, 1)))
    padding = ((0, 0), (0, 0))
    if pads and layer.padding == "same":
        reach = [(kernel[axis] - 1) * dilation[axis] + 1 for axis in (0, 1)]
        padding = (
            same_padding(source[1], reach[0], s=stride[0]),
            same_padding(source[2], reach[1], s=stride[1]),
        )
    return replace(row, kernel=kernel, stride=stride, padding=padding)


def _shape(layer: Any, tensor: Any) -> tuple[int, ...]:
    """A tensor's shape for one image."""
    sizes = tuple(tensor.shape)
    if None in sizes[1:]:
        raise ModelError(f"layer {layer.name!r} has the open size {sizes}: fix the model's input size")
    return (1, *(int(size) for size in sizes[1:]))


def _kind(layer: Any) -> str:
    if isinstance(layer, _kinds.Activation):
        return str(keras.activations.serialize(layer.activation))
    return type(layer).__name__


def _listed(tensors: Any) -> list[Any]:
    return tensors if isinstance(tensors, list) else [tensors]
