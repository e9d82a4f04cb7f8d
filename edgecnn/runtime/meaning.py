"""What a model's numbers mean: from the caller, from its card, else worked out like a stranger's.

The caller's word comes first, then the card inside the file, then what `edgecnn.runtime.stranger` finds in a
file without one. This module checks that the meaning fits the model: size, channels, roles, label count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edgecnn import card as cards
from edgecnn.card import Card
from edgecnn.errors import CardError
from edgecnn.graph import Graph, Tensor
from edgecnn.runtime import labels as label_files
from edgecnn.runtime import stranger
from edgecnn.runtime.given import Given
from edgecnn.runtime.stranger_input import image_size, input_words
from edgecnn.runtime.stranger_yolo import DECODES
from edgecnn.tasks import TASKS
from edgecnn.tasks.detection.settings import settings

_OF_A_CLASSIFIER: Final = ("scores",)


@dataclass(frozen=True)
class Meaning:
    """What a model's numbers mean.

    Attributes:
        card: complete: every label, every role.
        roles: role to the position of the output that plays it.
        assumptions: one sentence for each thing that neither the caller nor the file said.
    """

    card: Card
    roles: Mapping[str, int]
    assumptions: tuple[str, ...]


def understand(graph: Graph, path: Path, given: Given) -> Meaning:
    """Say what the numbers of a model mean.

    Args:
        graph: the model's graph.
        path: its file, for the card and the label files behind the model.
        given: the caller's word.

    Raises:
        CardError: the card does not fit the model, or something must be known that nobody said.
        ModelError: not a model that takes one image, or of a task this version does not know.
        DataError: the label file cannot be read.
    """
    try:
        carded = given.card or cards.read(path)
        card, assumptions = _carded(graph, carded, given) if carded else stranger.card_of(graph, path, given)
        roles = _roles(graph, card)
        check_options(card)
        _check_labels(graph, card, roles)
        return Meaning(card, roles, tuple(assumptions))
    except CardError as error:
        where = "" if str(error).startswith(str(path)) else f"{path}: "
        raise CardError(f"{where}{error}") from None


def check_options(card: Card) -> None:
    """Refuse an option that the task does not know, so that a mistyped one is not without effect.

    Raises:
        CardError: names it, and those that there are.
    """
    if card.task == "detection":
        settings(card)
        return
    unknown = [name for name in card.options if name not in _OF_A_CLASSIFIER]
    if unknown:
        raise CardError(f"{card.task} has no option {unknown[0]!r}; it has {', '.join(_OF_A_CLASSIFIER)}")


def _carded(graph: Graph, carded: Card, given: Given) -> tuple[Card, Sequence[str]]:
    task = given.task or carded.task
    if task not in TASKS:
        raise CardError(f"task {task!r} is unknown; this version knows {', '.join(TASKS)}. Upgrade edgecnn.")
    spec = replace(carded.input, **input_words(given))
    if given.size_wh is not None:
        spec = replace(spec, width=given.size_wh[0], height=given.size_wh[1])
    height, width, channels = image_size(graph, given.size_wh, (spec.width, spec.height))
    if (spec.height, spec.width, spec.channels) != (height, width, channels):
        raise CardError(
            f"the card says {spec.width} x {spec.height} pixels, {spec.color}, but the model takes "
            f"{width} x {height} with {channels} channels. The card belongs to another model: convert again."
        )
    names = carded.labels if given.labels is None else label_files.read(given.labels)
    options = {**carded.options, **(given.options or {})}
    return replace(carded, task=task, input=spec, labels=names, options=options), ()


def _roles(graph: Graph, card: Card) -> dict[str, int]:
    """Which output plays which role: by its tensor's name; a lone output needs none."""
    roles: tuple[str, ...] = TASKS[card.task].roles(card.options)
    names = [graph.tensors[index].name for index in graph.outputs]
    if not card.outputs and len(names) == len(roles) == 1:
        return {roles[0]: 0}
    positions = {}
    for role in roles:
        name = card.outputs.get(role)
        if name not in names:
            known = ", ".join(repr(one) for one in names)
            raise CardError(
                f"the card gives the role {role!r} to the output {name!r}, but the model's outputs are "
                f"{known}. The card belongs to another model: convert again."
            )
        positions[role] = names.index(name)
    return positions


def _check_labels(graph: Graph, card: Card, roles: Mapping[str, int]) -> None:
    """A label for each class, where the shape of an output tells how many classes there are."""
    decode = card.options.get("decode")
    if card.task == "classification":
        classes = stranger.classes_of(_output(graph, roles["scores"]))
    elif decode in ("anchors", "centroids"):
        classes = _output(graph, roles["scores"]).shape[-1]
    elif decode in DECODES:
        sides = _output(graph, roles["predictions"]).shape[1:]
        counts = [side - DECODES[decode] for side in sides]
        classes = len(card.labels) if len(card.labels) in counts else min(counts)
    else:
        return
    labels = len(card.labels)
    if labels != classes:
        raise CardError(f"{classes} scores but {labels} labels. {label_files.count_hint(labels, classes)}")


def _output(graph: Graph, position: int) -> Tensor:
    return graph.tensors[graph.outputs[position]]
