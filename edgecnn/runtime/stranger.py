"""A card for a model that has none: from TFLite Metadata, from the graph, from the caller.

Takes the few defaults that are not a guess and puts each into words, because a wrong one still looks
plausible. How the image goes in is worked out in `stranger_input`, a detector's outputs in
`stranger_detector`; here, which task it is, and what a classifier's output means.
"""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Final

from edgecnn import metadata
from edgecnn.card import Card
from edgecnn.errors import ModelError
from edgecnn.graph import Graph, Tensor
from edgecnn.graph.trace import MAKES_PROBABILITIES, origin
from edgecnn.runtime import stranger_labels
from edgecnn.runtime.given import Given
from edgecnn.runtime.stranger_detector import detector, is_detector
from edgecnn.runtime.stranger_input import image_size, input_spec, input_words, listed

__all__ = ["Given", "card_of", "classes_of", "image_size", "input_words"]

_SCORE_TYPES: Final = frozenset({"float32", "float16", "int8", "uint8", "int16"})


def card_of(graph: Graph, path: Path, given: Given) -> tuple[Card, Sequence[str]]:
    """The card of a file without one, and what was assumed, one sentence each.

    Raises:
        CardError: something must be known that nobody said: which option says it.
        ModelError: not a model that takes one image, or of a task this version does not know.
        DataError: the label file cannot be read.
    """
    task = given.task or ("detection" if is_detector(graph, given) else "classification")
    if task not in ("classification", "detection"):
        raise ModelError(
            f"{path}: without a card this version reads classification and detection, not {task!r}; give the "
            "card"
        )
    scores = _scores(graph) if task == "classification" else None
    said = metadata.read(graph)
    assumptions: list[str] = []
    spec = input_spec(graph, said.inputs[0] if said and said.inputs else None, given, assumptions)
    if scores is None:
        return detector(graph, path, spec, said, given, assumptions), assumptions
    about_scores = said.outputs[0] if said and said.outputs else None
    labels = stranger_labels.names(path, about_scores, given, assumptions)
    if labels is None:
        labels = stranger_labels.unnamed(classes_of(scores), assumptions)
    kind = _kind_of_scores(graph, scores.index, assumptions)
    options = {"scores": kind, **(given.options or {})}
    return Card(path.stem, task, spec, labels, {"scores": scores.name}, options), assumptions


def classes_of(output: Tensor) -> int:
    """How many scores an output holds."""
    return prod(output.shape[1:])


def _scores(graph: Graph) -> Tensor:
    """The one output that holds a score for each class."""
    outputs = [graph.tensors[index] for index in graph.outputs]
    vectors = [
        tensor
        for tensor in outputs
        if len(tensor.shape) >= 2
        and classes_of(tensor) == tensor.shape[-1] > 1
        and tensor.dtype in _SCORE_TYPES
    ]
    if len(vectors) == 1 == len(outputs):
        return vectors[0]
    raise ModelError(
        f"{graph.name}: its outputs are {listed(outputs)}, and it has no card that says what they mean. "
        "Without a card this version reads one output with one score for each class, (1, n); of a detector "
        "say so: --task detection."
    )


def _kind_of_scores(graph: Graph, output: int, assumptions: list[str]) -> str:
    """What a classifier's scores are, from the operator that makes them."""
    operator, _ = origin(graph, output)
    if operator is not None and operator.kind in MAKES_PROBABILITIES:
        return "probabilities"
    made = operator.label if operator is not None else "the input"
    assumptions.append(f"scores are logits, since they come from {made}: softmax is applied")
    return "logits"
