"""The layer table: what every layer of a network does to sizes, and what it costs.

`layer_table` works on a light description, `Network`, that a .tflite gives (`edgecnn.graph.network`) and a
Keras model too (`edgecnn.zoo.keras_layers`). The formulas are those of `edgecnn.graph.lecture`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, TypeAlias

from edgecnn.graph.lecture import places

Pair: TypeAlias = tuple[int, int]
Reals: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Value:
    """One tensor that flows between layers: a number that tells it from the others, its shape, its size."""

    number: int
    shape: tuple[int, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, as light as the table needs it. Pairs are (height, width); shapes begin with the batch.

    Attributes:
        name: for people.
        kind: what it does, in the words of its source: "CONV_2D", "Conv2D + ReLU"; "input" for an input.
        inputs: numbers of the values it reads.
        outputs: the values it makes; the first decides its row.
        kernel: F; None where there is no window.
        stride: S.
        padding: P, ((top, bottom), (left, right)).
        dilation: how far apart the kernel's weights lie.
        filters: K; None where nothing is filtered.
        zoom: by how much it enlarges (a transposed convolution by its stride, a resize).
        sees_all: every output depends on every input (a dense layer).
        parameters: numbers learned; what several layers share counts where it is first used.
        macs: multiply-accumulates.
        quantization: of values and weights, in words.
    """

    name: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[Value, ...]
    kernel: Pair | None = None
    stride: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)
    filters: int | None = None
    zoom: Reals = (1.0, 1.0)
    sees_all: bool = False
    parameters: int = 0
    macs: int = 0
    quantization: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """Layers in the order they run, inputs first.

    Attributes:
        layers: the inputs as layers of kind "input", then the others.
        outputs: numbers of the values that leave the network.
        state_bytes: what is kept from one run to the next.
    """

    layers: tuple[Layer, ...]
    outputs: tuple[int, ...]
    state_bytes: int = 0


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One row of the table.

    Attributes:
        number: place in the order of execution; the network's inputs come first.
        layer: what is described.
        in_shape: shape of the first value it reads; () for an input.
        out_shape: shape of the first value it makes.
        rest: positions at the far edges (bottom, right) that no window reaches, because (N + 2P - F) / S is
            no whole number there.
        receptive_field: how far apart (height, width) the input pixels lie that one output value depends on,
            both ends counted; through branches the largest. It may exceed the image.
        jump: distance in input pixels between neighbouring output values.
        activation_bytes: of the values it makes.
        live_bytes: of all values that are kept while it runs.
    """

    number: int
    layer: Layer
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    rest: Pair
    receptive_field: Reals
    jump: Reals
    activation_bytes: int
    live_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """The row as JSON values."""
        layer = self.layer
        return {
            "number": self.number,
            "name": layer.name,
            "kind": layer.kind,
            "kernel": list(layer.kernel) if layer.kernel else None,
            "filters": layer.filters,
            "stride": list(layer.stride),
            "padding": [list(side) for side in layer.padding],
            "dilation": list(layer.dilation),
            "in_shape": list(self.in_shape),
            "out_shape": list(self.out_shape),
            "rest": list(self.rest),
            "parameters": layer.parameters,
            "macs": layer.macs,
            "receptive_field": list(self.receptive_field),
            "jump": list(self.jump),
            "activation_bytes": self.activation_bytes,
            "live_bytes": self.live_bytes,
            "quantization": layer.quantization,
        }


@dataclass(frozen=True, slots=True)
class LayerTable:
    """All rows and their totals.

    Attributes:
        rows: in the order of execution.
        parameters: sum over the rows.
        macs: sum over the rows.
        peak_bytes: the most that is kept at once, the largest `live_bytes`. A value lives from the layer that
            makes it to the last that reads it, one that leaves the network to the end. Weights, scratch
            memory and alignment come on top.
        peak_row: number of the first row where that happens.
    """

    rows: tuple[LayerRow, ...]
    parameters: int
    macs: int
    peak_bytes: int
    peak_row: int

    def as_dict(self) -> dict[str, Any]:
        """The table as JSON values."""
        return {
            "rows": [row.as_dict() for row in self.rows],
            "parameters": self.parameters,
            "macs": self.macs,
            "peak_bytes": self.peak_bytes,
            "peak_row": self.peak_row,
        }


def layer_table(network: Network) -> LayerTable:
    """Follow sizes, receptive fields and memory through the network."""
    live = live_bytes(network)
    shapes = {value.number: value.shape for layer in network.layers for value in layer.outputs}
    views: dict[int, _View] = {}
    rows = []
    for number, layer in enumerate(network.layers):
        view = _view(layer, [views[value] for value in layer.inputs if value in views], shapes)
        views.update((value.number, view) for value in layer.outputs)
        in_shape = next((shapes[value] for value in layer.inputs if value in shapes), ())
        rows.append(
            LayerRow(
                number=number,
                layer=layer,
                in_shape=in_shape,
                out_shape=layer.outputs[0].shape if layer.outputs else (),
                rest=_rest(layer, in_shape),
                receptive_field=view.field,
                jump=view.jump,
                activation_bytes=sum(value.bytes for value in layer.outputs),
                live_bytes=live[number],
            )
        )
    peak = max(live, default=0)
    return LayerTable(
        rows=tuple(rows),
        parameters=sum(layer.parameters for layer in network.layers),
        macs=sum(layer.macs for layer in network.layers),
        peak_bytes=peak,
        peak_row=live.index(peak) if live else 0,
    )


def live_bytes(network: Network) -> list[int]:
    """How many bytes of values are kept while each layer runs."""
    layers = network.layers
    last_read = {value: number for number, layer in enumerate(layers) for value in layer.inputs}
    last_read.update(dict.fromkeys(network.outputs, len(layers) - 1))
    change = [0] * (len(layers) + 1)
    for number, layer in enumerate(layers):
        # inputs are filled before the first layer runs
        born = 0 if layer.kind == "input" else number
        for value in layer.outputs:
            change[born] += value.bytes
            change[max(last_read.get(value.number, number), number) + 1] -= value.bytes
    live, now = [], network.state_bytes
    for step in change[:-1]:
        now += step
        live.append(now)
    return live


@dataclass(frozen=True, slots=True)
class _View:
    """What one value sees of the input; `extent` is how many places it has, even when flattened."""

    field: Reals
    jump: Reals
    extent: Pair


_PIXEL: Final = _View((1.0, 1.0), (1.0, 1.0), (1, 1))


def _view(layer: Layer, seen: Sequence[_View], shapes: Mapping[int, tuple[int, ...]]) -> _View:
    """The receptive field after a layer: r + (F - 1) · jump, jump · S (Araujo et al., Distill 2019)."""
    shape = layer.outputs[0].shape if layer.outputs else ()
    image = (shape[1], shape[2]) if len(shape) == 4 else None
    if not seen:
        return _View(_PIXEL.field, _PIXEL.jump, image or _PIXEL.extent)
    axes = [_along(layer, axis, seen) for axis in (0, 1)]
    extent = image or (axes[0][2], axes[1][2])
    return _View((axes[0][0], axes[1][0]), (axes[0][1], axes[1][1]), (1, 1) if layer.sees_all else extent)


def _along(layer: Layer, axis: int, seen: Sequence[_View]) -> tuple[float, float, int]:
    """Field, jump and extent along one axis."""
    field = max(view.field[axis] for view in seen)
    jump = max(view.jump[axis] for view in seen)
    extent = max(view.extent[axis] for view in seen)
    if layer.sees_all:
        return field + (extent - 1) * jump, jump, 1
    zoom = layer.zoom[axis]
    if layer.kernel:
        reach = _reach(layer, axis)
        field += (ceil(reach / zoom) - 1) * jump
        extent = places(extent, reach, s=layer.stride[axis], p=layer.padding[axis])
    return field, jump / zoom if zoom != 1.0 else jump * layer.stride[axis], extent


def _reach(layer: Layer, axis: int) -> int:
    return ((layer.kernel or (1, 1))[axis] - 1) * layer.dilation[axis] + 1


def _rest(layer: Layer, in_shape: tuple[int, ...]) -> Pair:
    if layer.kernel is None or len(in_shape) != 4 or layer.zoom != (1.0, 1.0):
        return (0, 0)
    rest = []
    for axis in (0, 1):
        way = in_shape[1 + axis] + sum(layer.padding[axis]) - _reach(layer, axis)
        rest.append(way % layer.stride[axis] if way >= 0 else 0)
    return (rest[0], rest[1])
