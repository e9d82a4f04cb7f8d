"""How a detector's codes become boxes, in MediaPipe's words: DETECTOR_METADATA inside the TFLite Metadata.

A detector whose boxes are not decoded in its graph has two outputs, `location` and `score`, and the anchors
lie in a FlatBuffer of their own. This module reports what it says and refuses what cannot be.

Source: object_detector_metadata_schema.fbs 1.0.0 and tensors_to_detections_calculator.cc,
https://github.com/google-ai-edge/mediapipe
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edgecnn import metadata
from edgecnn.errors import CardError
from edgecnn.flatbuffer import Flatbuffer, FlatbufferError, layout
from edgecnn.graph.view import Graph

NAME: Final = "DETECTOR_METADATA"
"""Of it among the custom metadata."""

IDENTIFIER: Final = b"V001"

_OPTIONS: Final = layout("version:s scheme:t decoding:t")
_SCHEME: Final = layout("fixed:t")
_FIXED: Final = layout("anchors:[t")
_ANCHOR: Final = layout("x:f y:f width:f height:f")
_DECODING: Final = layout(
    "classes:i boxes:i coordinates:i offset:i keypoints:i of_a_keypoint:i "
    "x_scale:f y_scale:f w_scale:f h_scale:f is_exponential:? is_logit:?"
)


@dataclass(frozen=True, eq=False)
class Decoder:
    """How a code (y, x, height, width) becomes a box.

    Centre y = anchor y + code[0] / scale[0] * anchor height, x likewise; height = anchor height *
    exp(code[2] / scale[2]), or without the exponential; width likewise.

    Attributes:
        anchors: (n, 4) float32: centre x, centre y, width, height, in parts of the image.
        classes: how many scores a box has.
        scale_yxhw: what the four numbers of a code are divided by.
        is_exponential: of the sizes.
        is_logit: of the scores: a sigmoid is still to be taken.
    """

    anchors: npt.NDArray[np.float32]
    classes: int
    scale_yxhw: tuple[float, float, float, float]
    is_exponential: bool
    is_logit: bool


def read(graph: Graph) -> Decoder | None:
    """How MediaPipe's ObjectDetector decodes the model's boxes; None of any other model.

    Raises:
        CardError: it is damaged, does not fit the model, or states an impossible number.
    """
    content = metadata.custom(graph, NAME)
    if content is None:
        return None
    try:
        found = _decoder(content)
    except (FlatbufferError, ValueError) as error:
        raise CardError(f"{graph.name}: its {NAME} cannot be read: {error}. {_REMEDY}") from None
    boxes = {graph.tensors[index].shape[1:2] for index in graph.outputs}
    if boxes != {(len(found.anchors),)}:
        raise CardError(
            f"{graph.name}: its {NAME} has {len(found.anchors)} anchors, not one a box. {_REMEDY}"
        )
    return found


_REMEDY: Final = "Attach a card to say what it means."


def _decoder(content: bytes) -> Decoder:
    options = Flatbuffer(content, IDENTIFIER).root().read(_OPTIONS)
    fixed = options["scheme"] and options["scheme"].read(_SCHEME)["fixed"]
    if not fixed or not options["decoding"]:
        raise ValueError("it has no anchors, or does not say how to use them")
    tables = fixed.read(_FIXED)["anchors"]
    anchors = np.array([tuple(one.read(_ANCHOR).values()) for one in tables], np.float32).reshape(-1, 4)
    said = options["decoding"].read(_DECODING)
    y, x, h, w = (float(said[f"{axis}_scale"]) for axis in "yxhw")
    if not np.isfinite(anchors).all() or not np.isfinite((y, x, h, w)).all() or 0 in (y, x, h, w):
        raise ValueError("an anchor or a scale is no usable number")
    return Decoder(anchors, said["classes"], (y, x, h, w), said["is_exponential"], said["is_logit"])
