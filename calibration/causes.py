"""Why a tensor's steps are too coarse, or an operator's weights are: one function for each suspicion.

Each gives a cause with its figures, a remedy, and the gain: by how many decibels the rounding error would
fall without it (6 dB for each halving of the steps).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log10
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from calibration.layer_error import LayerError, short_name
from calibration.wiring import Wiring, constant

Kind: TypeAlias = Literal[
    "concatenation", "addition", "range outlier", "saturation", "range too wide", "fixed range",
    "uneven channels", "swish", "bias saturation", "per-tensor weights", "weights", "coarse", "preparation",
    "not a number",
]  # fmt: skip

MOST_GAIN_DB: Final = 60.0
"""A gain is not told beyond this; removing a clipped range's error altogether would be infinite."""

_FIXED: Final = frozenset({"LOGISTIC", "SOFTMAX", "TANH", "L2_NORMALIZATION"})
"""Operators whose int8 output range is prescribed (TensorFlow Lite 8-bit quantization specification)."""

_OUTPUT_AXIS: Final = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
_BIAS_LIMIT: Final = 2**31 - 1


@dataclass(frozen=True)
class Cause:
    """Why an operator does damage.

    Attributes:
        kind: what sort of cause.
        tensor: name of the tensor, in the converted file, that it is about.
        gain_db: by how much the rounding error would fall without it; 0.0 where nothing stands out.
        text: one clause with the figures.
        remedy: what to do, in one line.
        figures: those of the text, by name.
    """

    kind: Kind
    tensor: str
    gain_db: float
    text: str
    remedy: str
    figures: Mapping[str, Any]


def of_wire(wire: LayerError, wiring: Wiring, *, reader: LayerError | None = None) -> Iterator[Cause]:
    """Why a tensor's steps are too coarse, for itself or for the operator that reads it."""
    if not wire.step:
        return
    joined = list(_concatenation(wire, wiring))
    yield from joined
    yield from _addition(wire, wiring)
    yield from _saturation(wire)
    if not joined:
        yield from _too_wide(wire)
    yield from _outlier(wire)
    yield from _uneven(wire)
    if reader is not None:
        yield from _swish(wire, reader, wiring)


def of_operator(layer: LayerError, wiring: Wiring) -> Iterator[Cause]:
    """Why an operator's weights, bias or arithmetic are too coarse."""
    if not np.isfinite(layer.channels.local.sum()):
        text = "it becomes infinite or not a number"
        yield Cause("not a number", layer.tensor.name, MOST_GAIN_DB, text, "keep this layer in float32", {})
        return
    axis = _OUTPUT_AXIS.get(layer.node.kind)
    origin = wiring.reference_operator(layer)
    if axis is None or origin is None or origin.kind != layer.node.kind:
        return
    operator = wiring.operator(layer)
    right, made = constant(wiring.reference, origin.inputs[1]), constant(wiring.made, operator.inputs[1])
    if right is None or made is None or right.shape != made.shape:
        return
    others = tuple(i for i in range(right.ndim) if i != axis)
    amplitude = np.abs(right).max(axis=others)
    yield from _bias(layer, wiring, amplitude)
    tensor = wiring.made.tensors[operator.inputs[1]]
    middle = float(np.median(amplitude[amplitude > 0])) if amplitude.any() else 0.0
    if len(tensor.scale) == 1 and len(amplitude) > 1 and middle:
        ratio = float(amplitude.max()) / middle
        dead = int((amplitude < 1e-3 * amplitude.max()).sum())
        text = (
            f"one scale for all {len(amplitude)} channels of the weights, whose largest is {ratio:.3g} times "
            f"the median one{_dead(dead)}"
        )
        remedy = "one scale for each channel (edgecnn convert does), or cross-layer equalization"
        figures = {"ratio": ratio, "channels": len(amplitude), "dead": dead}
        yield Cause("per-tensor weights", tensor.name, _gain(ratio), text, remedy, figures)
    power, error = float((right**2).sum()), float(((right - made) ** 2).sum())
    if error > 0 and power > 0 and (found := 10 * log10(power / error)) < 35:
        text = f"its {right.size} weights, in {tensor.dtype}, keep only {found:.1f} dB"
        remedy = "bias correction, more bits for these weights, or keep this layer in float"
        yield Cause("weights", tensor.name, 40 - found, text, remedy, {"weights_db": found})


def of_input(layer: LayerError) -> Iterator[Cause]:
    """Two files that are fed different numbers for the same image."""
    if layer.weights <= layer.grid or not layer.local_sqnr_db < 40:
        return
    text = "the two files are fed different numbers for the same image: their cards disagree"
    remedy = "state the same --mean, --std and --color for both, or convert again from the right float file"
    yield Cause(
        "preparation", layer.tensor.name, MOST_GAIN_DB, text, remedy, {"sqnr_db": layer.local_sqnr_db}
    )


def _concatenation(wire: LayerError, wiring: Wiring) -> Iterator[Cause]:
    for joined in wiring.concatenations(wire):
        sources = [one for one in wiring.sources(joined) if _width(one) > 0]
        if len(sources) < 2:
            continue
        widest = max(sources, key=_width)
        narrow = wire if wire in sources and wire is not widest else min(sources, key=_width)
        ratio = _width(widest) / _width(narrow)
        if ratio < 4:
            continue
        step = max(joined.step, wire.step)
        text = (
            f"a concatenation ({short_name(joined.tensor)}) puts {_told(widest)} and {_told(narrow)} on one "
            f"scale in steps of {step:.2g}, which leaves {_width(narrow) / step:.1f} steps for the second"
        )
        remedy = "separate the outputs (one tensor for each), or scale them to the same range before joining"
        figures = {"ratio": ratio, "step": step, "inputs": {one.tensor.name: one.used for one in sources}}
        yield Cause("concatenation", joined.tensor.name, _gain(ratio), text, remedy, figures)


def _addition(wire: LayerError, wiring: Wiring) -> Iterator[Cause]:
    sources = [one for one in wiring.sources(wire) if _width(one) > 0]
    if wire.node.kind not in ("ADD", "SUB") or len(sources) != 2:
        return
    wide, narrow = sorted(sources, key=_width, reverse=True)
    ratio = _width(wide) / _width(narrow)
    if ratio < 8:
        return
    what = "an addition" if wire.node.kind == "ADD" else "a subtraction"
    text = (
        f"{what} of {_told(wide)} and {_told(narrow)}: the second is {ratio:.3g} times smaller and gets "
        f"{_width(narrow) / wire.step:.1f} of the sum's steps"
    )
    remedy = "scale both to like ranges before adding, or keep this addition in int16 or float"
    figures = {"ratio": ratio, "step": wire.step, "inputs": {one.tensor.name: one.used for one in sources}}
    yield Cause("addition", wire.tensor.name, _gain(ratio), text, remedy, figures)


def _saturation(wire: LayerError) -> Iterator[Cause]:
    if not wire.clipping > 0.5 * wire.grid or wire.written is None:
        return
    rest = max(wire.grid - wire.clipping, 1e-9 * wire.grid)
    text = (
        f"{short_name(wire.tensor)} is clipped: it reaches {wire.used[0]:.3g} to {wire.used[1]:.3g}, but "
        f"only {wire.written[0]:.3g} to {wire.written[1]:.3g} can be written; {wire.clipped:.2%} of the "
        "values lie beyond"
    )
    remedy = "calibrate with more images like these (--samples), or with --ranges minmax"
    figures = {"used": wire.used, "written": wire.written, "clipped": wire.clipped}
    gain = min(MOST_GAIN_DB, 10 * log10(wire.grid / rest))
    yield Cause("saturation", wire.tensor.name, gain, text, remedy, figures)


def _too_wide(wire: LayerError) -> Iterator[Cause]:
    width = _width(wire)
    if wire.written is None or not width > 0:
        return
    ratio = (wire.written[1] - wire.written[0]) / width
    if ratio < 2:
        return
    text = (
        f"{short_name(wire.tensor)} can be written from {wire.written[0]:.3g} to {wire.written[1]:.3g}, but "
        f"is only {wire.used[0]:.3g} to {wire.used[1]:.3g}: {log10(ratio) / log10(2):.1f} bits are wasted"
    )
    figures = {"ratio": ratio, "used": wire.used, "written": wire.written}
    if wire.node.kind in _FIXED:
        remedy = "the format prescribes this range: keep this layer in int16 or float"
        yield Cause("fixed range", wire.tensor.name, _gain(ratio), text, remedy, figures)
        return
    remedy = "calibrate with images like these, prepared as in training"
    yield Cause("range too wide", wire.tensor.name, _gain(ratio), text, remedy, figures)


def _outlier(wire: LayerError) -> Iterator[Cause]:
    if wire.bulk is None or wire.written is None:
        return
    low, high = max(wire.used[0], wire.written[0]), min(wire.used[1], wire.written[1])
    width = max(wire.bulk[1] - wire.bulk[0], wire.step)
    ratio = (max(high, 0.0) - min(low, 0.0)) / width
    if ratio < 4:
        return
    text = (
        f"a few values stretch the range of {short_name(wire.tensor)}: it reaches {wire.used[0]:.3g} to "
        f"{wire.used[1]:.3g}, but 99.9 % of it lie in {wire.bulk[0]:.3g} to {wire.bulk[1]:.3g}, "
        f"{ratio:.3g} times less"
    )
    remedy = "--ranges percentile (or mse, entropy)"
    figures = {"ratio": ratio, "used": wire.used, "bulk": wire.bulk}
    yield Cause("range outlier", wire.tensor.name, _gain(ratio), text, remedy, figures)


def _uneven(wire: LayerError) -> Iterator[Cause]:
    channels = wire.channels
    if len(channels.signal) < 2 or not channels.values:
        return
    size = np.sqrt(channels.signal / channels.values)
    alive = size > 1e-6 * size.max()
    dead = int(len(size) - np.count_nonzero(alive & (channels.high > channels.low)))
    middle = float(np.median(size[alive])) if alive.any() else 0.0
    ratio = float(size.max()) / middle if middle else 1.0
    if ratio < 4:
        return
    text = (
        f"the channels of {short_name(wire.tensor)} differ in size: the loudest of {len(size)} is "
        f"{ratio:.3g} times the median one{_dead(dead)}, and one scale serves all"
    )
    remedy = "cross-layer equalization (edgecnn convert --max-drop climbs to it), or keep this layer in float"
    figures = {"ratio": ratio, "channels": len(size), "dead": dead, "loudest": int(size.argmax())}
    yield Cause("uneven channels", wire.tensor.name, _gain(ratio), text, remedy, figures)


def _swish(wire: LayerError, reader: LayerError, wiring: Wiring) -> Iterator[Cause]:
    """SiLU, x * sigmoid(x), and its like are flat far below zero: a range that goes there is wasted."""
    if reader.node.kind == "HARD_SWISH":
        name, flat = "HardSwish", -3.0
    elif reader.node.kind in ("LOGISTIC", "MUL") and _is_swish(wire, wiring):
        name, flat = "SiLU", -6.0
    else:
        return
    low, high = min(wire.used[0], 0.0), max(wire.used[1], 0.0)
    ratio = (high - low) / (high - max(low, flat))
    if ratio < 2:
        return
    text = (
        f"{name} reads {short_name(wire.tensor)} from {low:.3g} to {high:.3g} but makes zeros of all below "
        f"{flat:g}: {1 - 1 / ratio:.0%} of the steps are spent there"
    )
    remedy = f"--ranges mse, keep this layer in int16 or float, or train with ReLU6 in place of {name}"
    figures = {"ratio": ratio, "used": wire.used, "flat_below": flat}
    yield Cause("swish", wire.tensor.name, _gain(ratio), text, remedy, figures)


def _is_swish(wire: LayerError, wiring: Wiring) -> bool:
    """Read by a LOGISTIC and by a MUL that also reads that LOGISTIC."""
    readers = wiring.readers(wire)
    gates = {node.tensor for node in readers if node.kind == "LOGISTIC"}
    return any(node.kind == "MUL" and gates & set(node.sources) for node in readers)


def _bias(layer: LayerError, wiring: Wiring, amplitude: Any) -> Iterator[Cause]:
    position = 3 if layer.node.kind == "TRANSPOSE_CONV" else 2
    operator = wiring.operator(layer)
    if len(operator.inputs) <= position or operator.inputs[position] < 0:
        return
    tensor = wiring.made.tensors[operator.inputs[position]]
    if not tensor.is_constant or tensor.dtype != "int32":
        return
    full = np.abs(wiring.made.data(tensor).astype(np.int64).ravel()) >= _BIAS_LIMIT
    if not full.any():
        return
    local = layer.channels.local
    rest = max(float(local[~full].sum()), 1e-6 * float(local.sum())) if len(local) == len(full) else 1.0
    gain = 10 * log10(max(float(local.sum()), 1e-30) / rest) if len(local) == len(full) else 0.0
    dead = int((amplitude[full] < 1e-3 * amplitude.max()).sum())
    text = (
        f"the bias of {int(full.sum())} of {len(full)} channels does not fit 32 bits and is cut "
        f"off{_dead(dead)}: where weights are nearly zero, the bias's steps are too"
    )
    remedy = "edgecnn convert widens the weights' scale of such channels; or prune the dead channels"
    figures = {"saturated": int(full.sum()), "channels": len(full), "dead": dead}
    yield Cause("bias saturation", tensor.name, min(MOST_GAIN_DB, gain), text, remedy, figures)


def _width(layer: LayerError) -> float:
    """What int8 has to cover: zero included."""
    return max(layer.used[1], 0.0) - min(layer.used[0], 0.0)


def _told(layer: LayerError) -> str:
    return f"{short_name(layer.tensor)} ({layer.used[0]:.3g} to {layer.used[1]:.3g})"


def _gain(ratio: float) -> float:
    return min(MOST_GAIN_DB, 20 * log10(ratio))


def _dead(count: int) -> str:
    return f" ({count} dead)" if count else ""
