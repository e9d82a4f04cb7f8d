"""TFLite Metadata, so that MediaPipe Tasks and Android's libraries understand a file as it is.

Says in their words what the card says: how a pixel becomes a number, what the scores are, what the classes
are called. The card stays the authority; edgecnn reads this only where there is no card. What the format
cannot say (blue before red, letterbox) is put into the description. `edgecnn.metadata` is the reader.

Source: metadata_schema.fbs 1.1.0, https://github.com/tensorflow/tflite-support
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from calibration import editable
from converters import detector_metadata
from converters.flatbuffer_tables import Scalar, Table, table, written
from converters.mediapipe import FITS, is_alike, shift
from edgecnn.card import Card, InputSpec
from edgecnn.detector_metadata import NAME
from edgecnn.errors import ConversionError
from edgecnn.graph import Graph, Tensor, read
from edgecnn.metadata import BUFFER

LABELS: Final = "labels.txt"
"""The label file's name in the archive behind the model: one label a line, class 0 first."""

_IDENTIFIER: Final = b"M001"
_PARSER: Final = "1.0.0"
"""The first version of the format that has everything used here."""

_PARSER_OF_CUSTOM_METADATA: Final = "1.5.0"
"""The first that has what a detector's decoder needs."""

_NORMALIZATION: Final = 1  # its number among the process units
_FEATURE, _IMAGE, _BOUNDING_BOX = 1, 2, 3  # their numbers among the contents
_BOUNDARIES: Final = 1  # its number among the types of boxes
_COLOR_SPACES: Final = {"rgb": 1, "gray": 2, "bgr": 0}  # the format has no third
_AXIS_LABELS: Final = 2  # its number among the kinds of files

_HALF_A_STEP: Final = 0.51  # and what float32 makes of it


def with_metadata(content: bytes, card: Card) -> tuple[bytes, dict[str, bytes]]:
    """Write the card's meaning into a model once more, as TFLite Metadata.

    Metadata that is there already is replaced. The network does not change.

    Args:
        content: a `.tflite` file without an archive behind it, one image in.
        card: what its numbers mean.

    Returns:
        The new file, and the entries that belong into the archive behind it, beside the card.

    Raises:
        ConversionError: the model has more outputs than the card has roles, or none.
        CardError: a detector's card has an option that cannot be.
        ModelError: this is no `.tflite` file.
    """
    graph = read(content, card.name)
    roles = {graph.tensors[index].name: index for index in graph.outputs}
    said = {name: role for role, name in card.outputs.items()}
    if len(graph.outputs) == 1 and not said:
        said = dict.fromkeys(roles, "scores")
    if missing := [name for name in roles if name not in said]:
        raise ConversionError(f"{card.name}: the card does not say what the output {missing[0]!r} is")
    described = _described(card, {said[name]: graph.tensors[index] for name, index in roles.items()})
    model = editable.read(content)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(described, np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = BUFFER, len(model.buffers)
    model.buffers.append(buffer)
    kept = [other for other in model.metadata or () if other.name not in (BUFFER, BUFFER.encode())]
    model.metadata = [*kept, entry]
    entries = {LABELS: "".join(f"{label}\n" for label in card.labels).encode("utf-8")} if card.labels else {}
    return editable.write(model), entries


def with_raw_pixels(graph: Graph, card: Card) -> Card:
    """The card of a uint8 file under which pixels go in as they are, where that is what they nearly do.

    A mean of 127.5 lies between two zero points, so either way every pixel is half a step off. MediaPipe and
    Android feed the pixel itself; with this card edgecnn does too, and all three compute the same (and
    nothing has to be looked up). Any other card comes back unchanged.

    Args:
        graph: the finished file's.
        card: what its numbers mean.
    """
    spec, tensor = card.input, graph.tensors[graph.inputs[0]]
    if tensor.dtype != "uint8" or len(tensor.scale) != 1 or not is_alike(spec):
        return card
    if shift(spec, tensor) > _HALF_A_STEP:
        return card
    mean, std = float(tensor.zero_point[0]), 1.0 / float(tensor.scale[0])
    return replace(card, input=replace(spec, mean=(mean,), std=(std,)))


def _described(card: Card, outputs: Mapping[str, Tensor]) -> bytes:
    decodable = detector_metadata.is_decodable(card, outputs)
    codes = detector_metadata.described(card, outputs) if decodable else b""
    subgraph = table(
        s2=[_input(card.input)],
        s3=[_output(card, role, decodable) for role in outputs],
        s9=[table(s0=NAME, s1=codes)] if codes else None,
    )
    model = table(
        s0=card.name,
        s1=f"{card.task} of {len(card.labels)} classes" if card.labels else card.task,
        s3=[subgraph],
        s7=_PARSER_OF_CUSTOM_METADATA if codes else _PARSER,
    )
    return written(model, _IDENTIFIER)


def _input(spec: InputSpec) -> Table:
    channels = spec.channels
    mean, std = (list(values) * (channels if len(values) == 1 else 1) for values in (spec.mean, spec.std))
    ends = [
        sorted(((0 - m) / s, (255 - m) / s)) for m, s in zip(mean, std, strict=True)
    ]  # a negative std turns them round
    order = "" if spec.color != "bgr" else "; channels in the order blue, green, red"
    options = table(s0=list(spec.mean), s1=list(spec.std))
    return table(
        s0="image",
        s1=f"image of {spec.width} x {spec.height} pixels, {FITS[spec.fit]}{order}",
        s3=table(s0=Scalar("uint8", _IMAGE), s1=table(s0=Scalar("uint8", _COLOR_SPACES[spec.color]))),
        s4=[table(s0=Scalar("uint8", _NORMALIZATION), s1=options)],
        s5=table(s0=[high for _, high in ends], s1=[low for low, _ in ends]),
    )


def _output(card: Card, role: str, decodable: bool) -> Table:
    """One output; MediaPipe finds those that it can decode by the names `location` and `score`."""
    if decodable and role == "boxes":
        corners = table(s1=Scalar("uint8", _BOUNDARIES))  # what MediaPipe makes of the codes, in [0, 1]
        return table(
            s0="location",
            s1="code of each box, to be decoded with the anchors",
            s3=table(s0=Scalar("uint8", _BOUNDING_BOX), s1=corners),
        )
    if role != "scores":
        return table(s0=role, s3=_FEATURES)
    probabilities = card.options.get("scores") == "probabilities"
    name, description = _SCORES[card.task == "detection", probabilities]
    labels = table(s0=LABELS, s1="one label a line, class 0 first", s2=Scalar("uint8", _AXIS_LABELS))
    return table(
        s0="score" if decodable else name,
        s1=description,
        s3=_FEATURES,
        s5=table(s0=[1.0], s1=[0.0]) if probabilities else None,
        s6=[labels] if card.labels else None,
    )


_FEATURES: Final = table(s0=Scalar("uint8", _FEATURE), s1=table())
_SCORES: Final = {  # of a detector? probabilities?
    (False, False): ("logit", "score of each class, before softmax"),
    (False, True): ("probability", "probability of each class"),
    (True, False): ("logit", "score of each class, before the sigmoid"),
    (True, True): ("probability", "probability of each class"),
}
