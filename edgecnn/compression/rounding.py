"""Where an int8 network rounds: the tensors that TFLite keeps, and what is known of their ranges before.

TFLite fuses a rectifier into what it rectifies, and a whole hard-swish into one operator; pooling and
reshaping keep the numbers, and with them the scale. A fake quantization anywhere else would be a rounding
that the device does not make, one too few would leave an operator in float.
Source: tensorflow/compiler/mlir/lite (fusing patterns; tfl_ops.td, SameScalesOpInterface and
FixedOutputRangeInterface).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edgecnn import image
from edgecnn.card import InputSpec
from edgecnn.compression.folding import WEIGHTED, hard_sigmoid, rectifier_settings
from edgecnn.compression.rewrite import Call, calls
from edgecnn.errors import TrainingError
from edgecnn.zoo.keras import keras

layers = keras.layers


@dataclass(frozen=True)
class Point:
    """A tensor that is rounded to 256 steps.

    Attributes:
        low_high: its range, where the operator fixes it.
        like: the layer whose range it shares; None where it has its own.
    """

    low_high: tuple[float, float] | None = None
    like: str | None = None


_UNIT: Final = (0.0, 255 / 256)  # scale 1/256, zero point -128
_CURVES: Final = {"sigmoid": _UNIT, "softmax": _UNIT, "tanh": (-1.0, 127 / 128)}
_MERGES: Final = (layers.Add, layers.Subtract, layers.Multiply)
_KEEPING: Final = (
    layers.MaxPooling2D,
    layers.GlobalMaxPooling2D,
    layers.Flatten,
    layers.Reshape,
    layers.Permute,
    layers.ZeroPadding2D,
    layers.Cropping2D,
    layers.Dropout,
    layers.SpatialDropout2D,
    layers.GaussianNoise,
    layers.GaussianDropout,
)
"""Layers that hand on numbers as they are, or that only training knows."""

_OWN: Final = (
    *WEIGHTED,
    *_MERGES,
    layers.ReLU,
    layers.LeakyReLU,
    layers.Maximum,
    layers.Minimum,
    layers.Concatenate,
    layers.GlobalAveragePooling2D,
)
_FUSING: Final = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense, *_MERGES)
"""What TFLite computes together with a rectifier behind it."""


def input_range(spec: InputSpec) -> tuple[float, float]:
    """The range of a network's input: what 256 pixel values can become, and a little more.

    With a mean of 127.5 every pixel value lies halfway between two steps of its own range, where the last bit
    of a float decides; in a range that is 1/512 wider all are rounded towards zero, here and on the device.
    """
    table = image.lookup(spec, np.float32)
    wider = 1 + 1 / 512
    return min(0.0, float(table.min()) * wider), max(0.0, float(table.max()) * wider)


def points(model: Any, given: tuple[float, float]) -> dict[str, Point]:
    """The tensors of a network that int8 rounds, by the name of the layer that makes them.

    Args:
        model: as `edgecnn.compression.folding.fold` gives it.
        given: range of the input.

    Raises:
        TrainingError: a layer of which it isn't known what int8 makes of it; says which, and the way out.
    """
    found = calls(model)
    patterns = _patterns(found)
    made: dict[str, Point] = {}
    for call in found:
        point = patterns[call.name] if call.name in patterns else _point(call, made)
        if isinstance(call.layer, layers.InputLayer):
            point = Point(given)
        if point is not None:
            made[call.name] = point
    return made


def source(call: Call, made: Mapping[str, Point]) -> str:
    """The layer whose range the (first) input of a call has.

    Args:
        call: of a folded model.
        made: `points` of it, up to the call at least.
    """
    before = call.before[0]
    while before.name not in made:
        before = before.before[0]
    return made[before.name].like or before.name


def _point(call: Call, made: Mapping[str, Point]) -> Point | None:
    """The point behind a layer, were it alone."""
    layer, kind = call.layer, type(call.layer)
    if kind is layers.InputLayer:
        return None
    if kind is layers.UpSampling2D and layer.interpolation in ("nearest", "bilinear"):
        return None if layer.interpolation == "nearest" else Point(like=source(call, made))
    if kind is layers.AveragePooling2D:
        return Point(like=source(call, made))
    if kind is layers.Softmax:
        return Point(_UNIT)
    if kind is layers.Activation and layer.activation.__name__ in _CURVES:
        return Point(_CURVES[layer.activation.__name__])
    if kind in _KEEPING:
        return None
    if kind in _OWN and not (kind is layers.ReLU and _rectifier(layer) is None):
        return Point()
    raise TrainingError(
        f"layer {call.name!r} ({kind.__name__}{_settings(layer)}) has no int8 form that training knows of. "
        f"{_WAYS_OUT.get(kind.__name__, _WAY_OUT)}"
    )


def _patterns(found: Sequence[Call]) -> dict[str, Point | None]:
    """Layers that TFLite joins with others: None where the device never sees the output."""
    joined: dict[str, Point | None] = {}
    for call in found:
        if type(call.layer) is layers.ReLU and call.before[0].readers == 1:
            rectified = call.before[0]
            if type(rectified.layer) in _FUSING and _rectifier(call.layer) in ("relu", "relu6"):
                joined[rectified.name] = None
        if chain := hard_sigmoid(call):
            joined |= {chain[0].name: None, chain[1].name: Point((0.0, 6.0)), call.name: Point((0.0, 1.0))}
        if swish := _hard_swish(call):
            joined |= dict.fromkeys(swish)
    return joined


def _hard_swish(call: Call) -> tuple[str, ...]:
    """The names of the layers inside x * hard_sigmoid(x); () where the call is none."""
    if type(call.layer) is not layers.Multiply or len(call.before) != 2:
        return ()
    for gate, x in (call.before, call.before[::-1]):
        chain = hard_sigmoid(gate)
        if chain and gate.readers == 1 and chain[0].before[0] is x:
            return chain[0].name, chain[1].name, gate.name
    return ()


def _rectifier(layer: Any) -> str | None:
    """Which rectifier of TFLite it is: relu, relu6 or leaky; None where there is none."""
    found = rectifier_settings(layer)
    leaky = found[0] is None and found[2] == 0
    return _RECTIFIERS.get(found) or ("leaky" if leaky else None)


def _settings(layer: Any) -> str:
    settings = layer.get_config()
    shown = [f"{name}={settings[name]}" for name in _SHOWN if name in settings]
    return f" with {', '.join(shown)}" if shown else ""


_RECTIFIERS: Final = {(None, 0.0, 0.0): "relu", (6.0, 0.0, 0.0): "relu6"}
_SHOWN: Final = ("interpolation", "max_value", "threshold")
_WAY_OUT: Final = (
    "Build the network of convolutions, Dense, ReLU, Add, Multiply, Concatenate and poolings, or quantize it "
    "after training: edgecnn convert RUN --int8"
)
_WAYS_OUT: Final = {
    "ReLU": "Use ReLU() or ReLU(6).",
    "UpSampling2D": "Use interpolation 'nearest' or 'bilinear'.",
    "Average": "Use Add; the factor belongs into the convolution behind it.",
    "ELU": "Use ReLU or LeakyReLU.",
    "Lambda": "Use standard layers, such as Rescaling, Add or Multiply.",
    "LayerNormalization": "Use BatchNormalization.",
}
