"""What MediaPipe Tasks does with a `.tflite`, and whether that is what its card says.

Found out with MediaPipe 1.2 (`benchmarks/mediapipe_agreement.py`, `benchmarks/mediapipe_detection.py`).
Nothing of MediaPipe is imported.
"""

from typing import Final

from edgecnn.card import Card, InputSpec
from edgecnn.graph import Graph, Tensor
from edgecnn.tasks.detection.settings import IOU, THRESHOLD

FITS: Final = {
    "stretch": "stretched to this size",
    "letterbox": "scaled to fit and padded with grey",
    "crop": "scaled to fill and cut",
}
"""How an image becomes as large as the input, in words."""

OVERLAP: Final = 0.3
"""Of two boxes that overlap by more, MediaPipe's ObjectDetector drops the weaker; Python cannot change it."""

_DECODED: Final = ("anchors", "postprocess")  # what its ObjectDetector knows of the card's `decode`


def refused_by_mediapipe(graph: Graph, card: Card) -> tuple[str, ...]:
    """Why MediaPipe Tasks (1.2) would not run a file as it is, or would not do with it what its card says.

    Resized otherwise, scores differ, the answer seldom; where nothing is said, they are equal. A detector's
    boxes and scores are equal too, but MediaPipe has its own way of choosing among them, which is said.

    Args:
        graph: the finished file's.
        card: what its numbers mean.

    Returns:
        One sentence each; () where it runs unchanged.
    """
    found = _of_detection(graph, card) if card.task == "detection" else []
    return (*_of_images(graph, card.input), *found)


def _of_images(graph: Graph, spec: InputSpec) -> list[str]:
    tensor = graph.tensors[graph.inputs[0]]
    found = []
    if tensor.dtype not in ("uint8", "float32"):
        found.append(f"MediaPipe takes uint8 and float32 images, not {tensor.dtype} (--io uint8)")
    if spec.color == "bgr":
        found.append("MediaPipe feeds red, green, blue, the network wants blue first")
    if spec.color == "gray":
        found.append("MediaPipe feeds red, green, blue, the network wants grey")
    if not is_alike(spec):
        found.append("MediaPipe has one mean and one std for all channels, the network one for each")
    elif tensor.dtype == "uint8" and shift(spec, tensor) > 1:
        found.append("MediaPipe feeds uint8 pixels as they are, the network's scale wants them changed")
    if spec.resize != "corner":
        found.append(
            f"MediaPipe samples images at pixel corners, the card says {spec.resize} (--resize corner)"
        )
    if spec.fit != "stretch":
        found.append(f"MediaPipe stretches images, the network expects them {FITS[spec.fit]}")
    return found


def _of_detection(graph: Graph, card: Card) -> list[str]:
    decode = card.options.get("decode")
    if decode not in _DECODED:
        return [f"MediaPipe's ObjectDetector cannot decode {decode}: it knows anchors and boxes ready-made"]
    types = {graph.tensors[index].dtype for index in graph.outputs}
    found = []
    if len(types) > 1 or not types <= {"uint8", "float32"}:
        names = " and ".join(sorted(types))
        found.append(f"MediaPipe takes outputs of uint8 or of float32, not {names} (--io uint8)")
    if decode == "anchors":
        found.append(
            f"MediaPipe drops the weaker of two boxes that overlap by more than {OVERLAP}, of any label; the "
            f"card keeps those of one label up to {card.options.get('iou', IOU):g}, and all of different ones"
        )
    threshold = card.options.get("threshold", THRESHOLD)
    found.append(f"MediaPipe does not know the card's threshold: ask it for score_threshold={threshold:.2g}")
    return found


def is_alike(spec: InputSpec) -> bool:
    """Whether all channels are normalized by the same numbers."""
    return len({*spec.mean}) == len({*spec.std}) == 1


def shift(spec: InputSpec, tensor: Tensor) -> float:
    """How far, in steps, a pixel that is fed as it is lies from where the card puts it."""
    scale, zero = (float(tensor.scale[0]), int(tensor.zero_point[0])) if len(tensor.scale) else (1.0, 0)
    return max(abs((pixel - spec.mean[0]) / spec.std[0] / scale + zero - pixel) for pixel in (0, 255))
