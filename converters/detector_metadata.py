"""How a detector's codes become boxes, said so that MediaPipe's ObjectDetector can do it.

A model whose boxes are not decoded in the graph has two outputs, and MediaPipe decodes them by anchors that
lie in the metadata, under the name DETECTOR_METADATA. The codes of edgecnn's `decode: anchors` are the ones
it knows: y first, one anchor for each code, exponential sizes, a sigmoid for each class.

It lies among the custom metadata of the subgraph; `edgecnn.detector_metadata` is the reader.

Source: object_detector_metadata_schema.fbs 1.0.0 and tensors_to_detections_calculator.cc,
https://github.com/google-ai-edge/mediapipe
"""

from collections.abc import Mapping
from typing import Final

from converters.flatbuffer_tables import Scalar, Table, table, written
from edgecnn.card import Card
from edgecnn.detector_metadata import IDENTIFIER
from edgecnn.graph import Tensor
from edgecnn.tasks import detection
from edgecnn.tasks.detection.settings import settings

_VERSION: Final = "1.0.0"
_COORDINATES: Final = 4  # of a code
_VALUES_OF_A_KEYPOINT: Final = 2  # MediaPipe checks it, even of a model without keypoints


def is_decodable(card: Card, outputs: Mapping[str, Tensor]) -> bool:
    """Whether MediaPipe's ObjectDetector has a decoder for a detector's outputs.

    Args:
        card: what they mean.
        outputs: the output of each role.
    """
    shapes = [outputs[role].shape for role in ("boxes", "scores") if role in outputs]
    return (
        card.options.get("decode") == "anchors" and len(outputs) == 2 and [len(s) for s in shapes] == [3, 3]
    )


def described(card: Card, outputs: Mapping[str, Tensor]) -> bytes:
    """The anchors, and how codes and scores are read, as a FlatBuffer.

    24 bytes for each anchor: 40 kB at 320 x 256 pixels.

    Args:
        card: of a detector with `decode: anchors`.
        outputs: the output of each role; `boxes` (1, n, 4) and `scores` (1, n, c).

    Raises:
        CardError: an option of the card is missing, unknown, or has a value that it cannot have.
    """
    spec = card.input
    anchors = [_anchor(x / spec.width, y / spec.height, side / spec.width, side / spec.height)
               for x, y, side in detection.anchors(card).tolist()]  # fmt: skip
    said = settings(card)
    y_scale, x_scale, h_scale, w_scale = said.scale_yxhw
    decoding = table(
        s0=Scalar("int32", outputs["scores"].shape[-1]),
        s1=Scalar("int32", len(anchors)),
        s2=Scalar("int32", _COORDINATES),
        s5=Scalar("int32", _VALUES_OF_A_KEYPOINT),
        s6=Scalar("float32", x_scale),
        s7=Scalar("float32", y_scale),
        s8=Scalar("float32", w_scale),
        s9=Scalar("float32", h_scale),
        s10=Scalar("bool", 1),  # exponential sizes
        s11=Scalar("bool", said.scores == "logits"),  # a sigmoid is still to be taken
    )
    fixed = table(s0=anchors)
    return written(table(s0=_VERSION, s1=table(s0=fixed), s2=decoding), IDENTIFIER)


def _anchor(x: float, y: float, width: float, height: float) -> Table:
    """Centre and size, in parts of the image."""
    return table(**{f"s{slot}": Scalar("float32", value) for slot, value in enumerate((x, y, width, height))})
