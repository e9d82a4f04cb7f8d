"""Custom operators that LiteRT brings along: their settings must be readable, and fit their tensors.

A custom operator of others (an Edge TPU's, a hobbyist's) is unknown to LiteRT too, which then says so.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Final

from edgecnn.flatbuffer import FlatbufferError
from edgecnn.graph.flexbuffer import read_settings
from edgecnn.graph.safety.call import Call, Unsafe, called

_BUILT_IN: Final = frozenset({"TFLite_Detection_PostProcess", "AudioSpectrogram", "Mfcc", "NumericVerify"})
_MOST_BYTES: Final = 65_536
_MOST_DETECTIONS: Final = 100_000


def check_custom(call: Call) -> None:
    """Refuse a custom operator whose settings its kernel would misread."""
    operator = call.operator
    if operator.custom_code not in _BUILT_IN:
        return
    if len(operator.custom_options) > _MOST_BYTES:
        raise Unsafe(f"its settings take {len(operator.custom_options):,} bytes")
    try:
        settings = read_settings(operator.custom_options.tobytes())
    except FlatbufferError as error:
        raise Unsafe(f"its settings cannot be read: {error}") from None
    if operator.custom_code == "TFLite_Detection_PostProcess":
        _check_detection(call, settings)


def _check_detection(call: Call, settings: Mapping[str, int | float | bool | str]) -> None:
    # detection_postprocess.cc; boxes (1, n, 4), class scores (1, n, c), anchors (n, 4)
    if len(call.inputs) != 3 or len(call.outputs) != 4 or None in call.inputs:
        raise Unsafe(f"it has {len(call.inputs)} inputs and {len(call.outputs)} outputs instead of 3 and 4")
    boxes, scores, anchors = (tensor for tensor in call.inputs if tensor is not None)
    if len(boxes.shape) != 3 or len(scores.shape) != 3 or len(anchors.shape) != 2:
        raise Unsafe(f"its inputs have the shapes {boxes.shape}, {scores.shape}, {anchors.shape}")
    if scores.shape[1] != boxes.shape[1] or anchors.shape != (boxes.shape[1], 4) or boxes.shape[2] < 4:
        raise Unsafe(f"its inputs disagree on the boxes: {boxes.shape}, {scores.shape}, {anchors.shape}")
    if len({tensor.dtype for tensor in (boxes, scores, anchors)}) > 1:
        raise Unsafe(f"{called(boxes)}, {called(scores)} and {called(anchors)} have different types")
    classes = scores.shape[2]
    for name, low, high in (
        ("num_classes", max(1, classes - 1), classes),
        ("max_detections", 1, _MOST_DETECTIONS),
        ("max_classes_per_detection", 1, classes),
        ("detections_per_class", 1, _MOST_DETECTIONS),
    ):
        value = settings.get(name, 1 if name == "detections_per_class" else 0)
        if not isinstance(value, int) or not low <= value <= high:
            raise Unsafe(f"its {name} is {value!r}, not in {low} to {high}")
    rows = int(settings["max_detections"]) * int(settings["max_classes_per_detection"])
    if rows > _MOST_DETECTIONS:  # the kernel multiplies without a look, in 32 bits, and reserves as many rows
        raise Unsafe(f"it asks for {rows:,} rows of detections; {_MOST_DETECTIONS:,} is the most")
    for name in ("x_scale", "y_scale", "w_scale", "h_scale"):
        value = settings.get(name, 0.0)
        if isinstance(value, str) or not isfinite(value) or value <= 0:
            raise Unsafe(f"its {name} is {value!r}, not a positive number")
