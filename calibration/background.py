"""What of a detector's outputs may be clipped: what its background says.

Nearly all cells of a detector show background. There the logits go down to -15 and the boxes are arbitrary,
and neither ever becomes an answer; but a range that holds them all leaves fewer of the 256 steps to what
does. So the logits' range ends where a score is next to nothing, and the range of the boxes is that of the
cells that might be an answer.

It helps where training pushes background far down. Where it does not, nothing is clipped: the logits of the
detector of BCCD that varifocal loss trains lie between -5.7 and 2.2, and its file is the same with and
without these limits.
"""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any, Final

import numpy.typing as npt

from calibration.histogram import Values
from edgecnn.graph import Graph, read
from edgecnn.runtime.interpreter import open_interpreter

LEAST_LOGIT: Final = -8.0
"""Its score is 0.0003; mAP is judged with scores from 0.01 on, which is -4.6."""

LEAST_SCORE_LOGIT: Final = -4.6
"""Of a cell whose box counts."""

_MOVERS: Final = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "CONCATENATION"})
"""Operators whose results are their inputs' values, and share their scale."""


def limits(
    content: bytes,
    tensors: Iterable[Values],
    options: Mapping[str, Any],
    *,
    name: str = "the model",
    threads: int = 1,
) -> dict[str, tuple[float, float]]:
    """What the ranges of a detector's answer need not go beyond; looks at each image once.

    Args:
        content: a float `.tflite` whose signature names the roles.
        tensors: the input for each image.
        options: of its card.
        name: what to call the model in errors.
        threads: how many the interpreter may use.

    Returns:
        Tensor name to (low, high), for `calibration.ranges.within`; {} where nothing may be clipped: the
        scores are no logits, or boxes and scores are not two outputs.

    Raises:
        ModelError: the model cannot be run.
        DataError: an image cannot be read.
    """
    graph = read(content, name)
    roles = dict(graph.signatures[0].outputs) if graph.signatures else {}
    if "scores" not in roles or not _gives_logits(options):
        return {}
    found = dict.fromkeys(names_of(graph, roles["scores"]), (LEAST_LOGIT, inf))
    if "boxes" in roles:
        places = (graph.outputs.index(roles["scores"]), graph.outputs.index(roles["boxes"]))
        low, high = _of_boxes(content, tensors, places, name, threads)
        if low < high:
            found |= dict.fromkeys(names_of(graph, roles["boxes"]), (low, high))
    return found


def names_of(graph: Graph, output: int) -> list[str]:
    """The names of an output tensor and of those whose values are moved into it."""
    makers = {index: operator for operator in graph.ops for index in operator.outputs}
    found: dict[int, None] = {}
    ahead = [output]
    while ahead:
        index = ahead.pop()
        if index in found or index < 0 or graph.tensors[index].is_constant:
            continue
        found[index] = None
        if (maker := makers.get(index)) and maker.kind in _MOVERS:
            ahead.extend(one for one in maker.inputs if one >= 0 and graph.tensors[one].dtype == "float32")
    return [graph.tensors[index].name for index in found]


def _gives_logits(options: Mapping[str, Any]) -> bool:
    return options.get("decode", "anchors") in ("anchors", "centroids") and (
        options.get("scores", "logits") == "logits"
    )


def _of_boxes(
    content: bytes, tensors: Iterable[Values], places: tuple[int, int], name: str, threads: int
) -> tuple[float, float]:
    """The lowest and highest number of the boxes of cells that may be an answer; (inf, -inf) without any."""
    interpreter = open_interpreter(content, name, threads=threads)
    low, high = inf, -inf
    for values in tensors:
        interpreter.write(0, values)
        interpreter.invoke()
        scores, boxes = (interpreter.read(place) for place in places)
        counted = _rows(boxes)[_rows(scores).max(1) >= LEAST_SCORE_LOGIT]
        if counted.size:
            low, high = min(low, float(counted.min())), max(high, float(counted.max()))
    interpreter.close()
    return low, high


def _rows(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.reshape(-1, values.shape[-1])
