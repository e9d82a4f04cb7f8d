"""What MediaPipe Tasks does with a classifier's `.tflite`, and whether that is what its card says.

Found out with MediaPipe 1.2 (`benchmarks/mediapipe_agreement.py`). Nothing of MediaPipe is imported.
"""

from typing import Final

from edgecnn.card import Card, InputSpec
from edgecnn.graph import Graph, Tensor

FITS: Final = {
    "stretch": "stretched to this size",
    "letterbox": "scaled to fit and padded with grey",
    "crop": "scaled to fill and cut",
}
"""How an image becomes as large as the input, in words."""


def refused_by_mediapipe(graph: Graph, card: Card) -> tuple[str, ...]:
    """Why MediaPipe Tasks (1.2) would not run a file as it is, or not feed it what its card says.

    Resized otherwise, scores differ, the answer seldom; where nothing is said, they are equal.

    Args:
        graph: the finished file's.
        card: what its numbers mean.

    Returns:
        One sentence each; () where it runs unchanged.
    """
    spec, tensor = card.input, graph.tensors[graph.inputs[0]]
    found = []
    if tensor.dtype not in ("uint8", "float32"):
        found.append(f"MediaPipe takes uint8 and float32 images, not {tensor.dtype} (--io uint8)")
    if spec.color == "bgr":
        found.append("MediaPipe feeds red, green, blue, the network wants blue first")
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
    return tuple(found)


def is_alike(spec: InputSpec) -> bool:
    """Whether all channels are normalized by the same numbers."""
    return len({*spec.mean}) == len({*spec.std}) == 1


def shift(spec: InputSpec, tensor: Tensor) -> float:
    """How far, in steps, a pixel that is fed as it is lies from where the card puts it."""
    scale, zero = (float(tensor.scale[0]), int(tensor.zero_point[0])) if len(tensor.scale) else (1.0, 0)
    return max(abs((pixel - spec.mean[0]) / spec.std[0] / scale + zero - pixel) for pixel in (0, 255))
