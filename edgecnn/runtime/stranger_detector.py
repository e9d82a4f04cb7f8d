"""What a detector without a card gives: recognised by its operators, its shapes, or by what the caller says.

Two kinds are known. One ends in TFLite_Detection_PostProcess or gives what that gives
(`stranger_postprocess`); the other gives one tensor of candidates, as the YOLO family does (`stranger_yolo`).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgecnn.card import Card, InputSpec
from edgecnn.errors import CardError
from edgecnn.graph import Graph
from edgecnn.metadata import Metadata
from edgecnn.runtime import stranger_postprocess, stranger_yolo
from edgecnn.runtime.given import Given
from edgecnn.runtime.stranger_input import listed

_ROLES_BY_ORDER = "outputs"
"""Not an option of the task: how a caller says which output is which, and gone from the card."""


def is_detector(graph: Graph, given: Given) -> bool:
    """Whether a model without a card is one, where the caller does not say its task."""
    return "decode" in (given.options or {}) or stranger_postprocess.is_like(graph)


def detector(
    graph: Graph, path: Path, spec: InputSpec, said: Metadata | None, given: Given, assumptions: list[str]
) -> Card:
    """The card of a detector without one.

    Args:
        graph: the model's graph.
        path: its file, for what lies behind the model.
        spec: how an image goes in.
        said: its TFLite Metadata.
        given: the caller's word.
        assumptions: what was assumed is added here.

    Raises:
        CardError: something must be known that nobody said: which option says it.
        DataError: the label file cannot be read.
    """
    options = dict(given.options or {})
    order = options.pop(_ROLES_BY_ORDER, None)
    decode = options.get("decode")
    if decode not in (None, *stranger_yolo.DECODES, "postprocess"):
        raise CardError(
            f"decode {decode!r} needs a card: without one, a detector is read as postprocess, "
            f"{' or '.join(stranger_yolo.DECODES)}. Convert the model with edgecnn convert, which writes one."
        )
    if decode == "postprocess" or order is not None or stranger_postprocess.is_like(graph):
        found = stranger_postprocess.describe(graph, path, said, given, order, assumptions)
    elif len(graph.outputs) == 1:
        found = stranger_yolo.describe(graph, path, spec, said, given, assumptions)
    else:
        outputs = [graph.tensors[index] for index in graph.outputs]
        raise CardError(
            f"its outputs are {listed(outputs)}, of which nobody says which is which. If they are boxes, "
            "classes, scores and their count, say in which order: --option outputs=boxes,classes,scores,count"
        )
    labels, outputs_by_role, worked_out = found
    merged: dict[str, Any] = {**worked_out, **options}
    if given.resize is None and stranger_postprocess.has_operator(graph):
        spec = replace(spec, resize="corner")
        assumptions.append(
            "pixels are sampled at their corners, as TensorFlow's Object Detection API trains and MediaPipe "
            "feeds it (--resize bilinear otherwise)"
        )
    return Card(path.stem, "detection", spec, labels, outputs_by_role, merged)
