"""A detector with one output of candidates: (1, 4 + c, n) or (1, n, 4 + c), (1, n, 5 + c) with objectness.

Says what shapes, labels and quantization decide; asks for the rest. Sources of the layouts: the exporters of
Ultralytics YOLOv8 and YOLOv5.
"""

from math import prod
from pathlib import Path
from typing import Any, Final

from edgecnn.card import InputSpec
from edgecnn.errors import CardError
from edgecnn.graph import Graph, Tensor
from edgecnn.graph.trace import MAKES_PROBABILITIES, origin
from edgecnn.metadata import Metadata
from edgecnn.runtime import stranger_labels
from edgecnn.runtime.given import Given
from edgecnn.runtime.stranger_input import listed

DECODES: Final = {"yolov8": 4, "yolov5": 5}
"""How a candidate is laid out, and how many of its numbers come before the scores of the classes."""

_PER_CELL: Final = {"yolov8": 1, "yolov5": 3}
_STRIDES: Final = ((8, 16, 32), (8, 16, 32, 64))
_MOST_NORMALIZED: Final = 4.0  # what a quantized output can hold at most, if 1.0 is the image's side
_LEAST_PIXELS: Final = 16.0


def describe(
    graph: Graph, path: Path, spec: InputSpec, said: Metadata | None, given: Given, assumptions: list[str]
) -> tuple[tuple[str, ...], dict[str, str], dict[str, Any]]:
    """Labels, outputs by role and options of such a detector.

    Args:
        graph: the model's graph, with one output.
        path: its file, for what lies behind the model.
        spec: how an image goes in.
        said: its TFLite Metadata.
        given: the caller's word.
        assumptions: what was assumed is added here.

    Raises:
        CardError: something must be known that nobody said: which option says it.
        DataError: the label file cannot be read.
    """
    options = given.options or {}
    output = graph.tensors[graph.outputs[0]]
    numbers, candidates = _sides(output)
    names = stranger_labels.names(
        path, said.outputs[0] if said and said.outputs else None, given, assumptions
    )
    decode = options.get("decode") or _decode(output, numbers, candidates, names, spec, assumptions)
    if decode == "yolov5" and output.shape[1] == numbers:
        raise CardError(
            f"{listed([output])} has its candidates last; yolov5's has them first, (1, n, 5 + classes). "
            "Export it again without a transposition, or give --labels FILE to tell whether it is yolov8's"
        )
    classes = numbers - DECODES[decode]
    if classes < 1:
        raise CardError(f"{listed([output])} leaves no room for a class in {decode}'s layout")
    found: dict[str, Any] = {"decode": decode}
    if "boxes" not in options:
        found["boxes"] = _boxes(output, assumptions)
    if "scores" not in options:
        found["scores"] = "probabilities"
        assumptions.extend(_about_scores(graph))
    labels = stranger_labels.unnamed(classes, assumptions) if names is None else names
    return stranger_labels.told_apart(labels), {"predictions": output.name}, found


def _sides(output: Tensor) -> tuple[int, int]:
    """How many numbers a candidate has, and how many candidates there are: the larger side."""
    shape = output.shape_signature or output.shape
    if len(shape) != 3 or shape[0] not in (1, -1) or -1 in shape[1:] or prod(shape[1:]) == 0:
        raise CardError(
            f"its output is {listed([output])}; as a detector without a card this version reads "
            "(1, 4 + classes, candidates), (1, candidates, 4 or 5 + classes), or the four outputs of "
            "TFLite_Detection_PostProcess"
        )
    if shape[1] == shape[2]:
        raise CardError(f"{listed([output])} has equal sides: nothing says which one counts candidates")
    return min(shape[1:]), max(shape[1:])


def _decode(
    output: Tensor,
    numbers: int,
    candidates: int,
    names: tuple[str, ...] | None,
    spec: InputSpec,
    assumptions: list[str],
) -> str:
    """By the number of labels; without labels, by how many candidates the grids of such a model give."""
    if names is not None:
        fit = [decode for decode, before in DECODES.items() if numbers - before == len(names)]
        evidence = f"{len(names)} labels and {numbers} numbers for each candidate"
    else:
        cells = [sum(-(-spec.height // s) * -(-spec.width // s) for s in strides) for strides in _STRIDES]
        fit = [decode for decode, each in _PER_CELL.items() if candidates in [each * one for one in cells]]
        evidence = f"{candidates} candidates for {spec.width} x {spec.height} pixels"
    if len(fit) == 1:
        assumptions.append(f"the output is laid out as {fit[0]}'s: {evidence} (--option decode=… otherwise)")
        return fit[0]
    if names is not None:
        raise CardError(
            f"{len(names)} labels, but {listed([output])} has room for {numbers - 4} classes as yolov8's "
            f"output, {numbers - 5} as yolov5's. Give the right list: --labels FILE"
        )
    raise CardError(
        f"{listed([output])} may be yolov8's with {numbers - 4} classes or yolov5's with {numbers - 5}. Say "
        "which, --option decode=yolov8 or decode=yolov5, or give --labels FILE"
    )


def _boxes(output: Tensor, assumptions: list[str]) -> str:
    """Whether boxes are in pixels: a quantized output betrays it by the largest number that it holds."""
    if output.dtype in ("int8", "uint8") and len(output.scale) == 1:
        largest = ({"int8": 127, "uint8": 255}[output.dtype] - int(output.zero_point[0])) * float(
            output.scale[0]
        )
        if largest <= _MOST_NORMALIZED or largest >= _LEAST_PIXELS:
            kind = "normalized" if largest <= _MOST_NORMALIZED else "pixels"
            assumptions.append(f"boxes are {kind}: the output holds numbers up to {largest:.3g}")
            return kind
    raise CardError(
        "nothing says what its boxes are measured in. Say --option boxes=normalized where the image's sides "
        "are 1 (as Ultralytics exports them), or --option boxes=pixels where they are the input's pixels"
    )


def _about_scores(graph: Graph) -> list[str]:
    """What to say about taking scores as probabilities; nothing where a sigmoid is seen to make them."""
    joined, _ = origin(graph, graph.outputs[0])
    if joined is not None and joined.kind == "TRANSPOSE":
        joined, _ = origin(graph, joined.inputs[0])
    if joined is not None and joined.kind == "CONCATENATION":
        makers = [origin(graph, index)[0] for index in joined.inputs]
        if any(maker is not None and maker.kind in MAKES_PROBABILITIES for maker in makers):
            return []
    return ["scores are probabilities (--option scores=logits otherwise)"]
