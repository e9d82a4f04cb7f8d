"""How near outputs are to the float model's, in decibels, counted as the task uses them.

A classifier's scores all count. Of a detector, only what may become an answer does: nearly all of its cells
show background, where the box is arbitrary and the logit somewhere far below zero. So scores are compared as
probabilities, and boxes where the float model sees something, weighed by how surely. Boxes and scores are
never summed into one signal; the worse of the two is what a file is worth.
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf, isfinite, log10, nan
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.card import Card
from edgecnn.graph import Graph

Outputs: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""Role to values in real numbers, with or without a batch axis."""

Nearness: TypeAlias = Callable[[Sequence[npt.NDArray[Any]], Sequence[npt.NDArray[Any]]], float]
"""From the expected and the found outputs, (images, values) each, in the file's order, to decibels."""

LEAST_SCORE: Final = 0.01
"""Of a cell whose box counts: what mAP is judged with."""

_PARTS: Final = {"yolov8": 4, "yolov5": 5}
"""Columns before the scores of classes, where boxes and scores are one tensor."""


class SignalToNoise:
    """Adds up, image after image, the power of the expected outputs and that of the difference.

    Args:
        card: of the model: task, labels and options say what counts.
    """

    def __init__(self, card: Card) -> None:
        self._card = card
        self._powers: dict[str, npt.NDArray[np.float64]] = {}

    def watch(self, expected: Outputs, found: Outputs) -> None:
        """Count one image, or several with their batch axis."""
        for role, powers in powers_of(expected, found, self._card).items():
            self._powers[role] = self._powers.get(role, np.zeros(2)) + powers

    @property
    def by_role(self) -> dict[str, float]:
        """Decibels for each role; inf where nothing differs, NaN where the found ones are not numbers."""
        return {role: decibels(signal, noise) for role, (signal, noise) in self._powers.items()}

    @property
    def snr_db(self) -> float:
        """Of the worst role; inf before the first image."""
        ratios = list(self.by_role.values())
        return nan if any(ratio != ratio for ratio in ratios) else min(ratios, default=inf)


def powers_of(expected: Outputs, found: Outputs, card: Card) -> dict[str, npt.NDArray[np.float64]]:
    """Power of what is expected and of the difference, (2,), for each role that the task tells apart."""
    if card.task != "detection":
        return {role: _powers(expected[role], found[role]) for role in expected}
    ours, theirs = parts_of(expected, card), parts_of(found, card)
    powers = {role: _powers(ours[role], theirs[role]) for role in ours}
    if {"boxes", "scores"} <= ours.keys() and card.options.get("decode") != "postprocess":
        surest = ours["scores"].max(-1, keepdims=True)
        weights = np.where(surest >= LEAST_SCORE, surest, 0.0)
        powers["boxes"] = _powers(ours["boxes"], theirs["boxes"], weights)
    return powers


def parts_of(outputs: Outputs, card: Card) -> dict[str, npt.NDArray[np.float64]]:
    """A detector's outputs as it uses them: boxes (..., n, 4), scores (..., n, c) as probabilities.

    One tensor of boxes and scores is taken apart.
    """
    options, first = card.options, _PARTS.get(str(card.options.get("decode")))
    wide = {role: np.asarray(values, np.float64) for role, values in outputs.items()}
    if first is not None and len(wide) == 1:
        (joined,) = wide.values()
        columns = first + len(card.labels)
        if joined.shape[-1] != columns and joined.ndim > 1 and joined.shape[-2] == columns:
            joined = np.swapaxes(joined, -1, -2)
        scores = _probabilities(joined[..., 4:], options)
        if first == 5:
            scores = scores[..., 1:] * scores[..., :1]
        return {"boxes": joined[..., :4], "scores": scores}
    if "scores" in wide:
        wide["scores"] = _probabilities(wide["scores"], options)
    return wide


def nearness(card: Card, graph: Graph) -> Nearness:
    """What compares stacks of outputs of files that were made from one float model.

    Args:
        card: of the model.
        graph: of the float file.
    """
    roles = roles_of(card, graph)
    shapes = [graph.tensors[index].shape[1:] for index in graph.outputs]

    def by_role(stacks: Sequence[npt.NDArray[Any]]) -> Outputs:
        return {
            role: stack.reshape(len(stack), *shape)
            for role, stack, shape in zip(roles, stacks, shapes, strict=True)
        }

    def near(expected: Sequence[npt.NDArray[Any]], found: Sequence[npt.NDArray[Any]]) -> float:
        counted = SignalToNoise(card)
        counted.watch(by_role(expected), by_role(found))
        return counted.snr_db

    return near


def roles_of(card: Card, graph: Graph) -> tuple[str, ...]:
    """The role of each output in the file's order, by its signature, else by the card's names for them."""
    if graph.signatures:
        names = {index: role for role, index in graph.signatures[0].outputs.items()}
    else:
        named = {name: role for role, name in card.outputs.items()}
        names = {index: named.get(graph.tensors[index].name, "") for index in graph.outputs}
    return tuple(names.get(index) or f"output {place}" for place, index in enumerate(graph.outputs))


def decibels(signal: float, noise: float) -> float:
    """The ratio of two powers; inf without noise, NaN where one of them is no number."""
    if not (isfinite(signal) and isfinite(noise)):
        return nan
    if noise == 0:
        return inf
    return 10 * log10(signal / noise) if signal else -inf


def _powers(
    expected: npt.NDArray[Any], found: npt.NDArray[Any], weights: npt.NDArray[Any] | float = 1.0
) -> npt.NDArray[np.float64]:
    wide = np.asarray(expected, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):  # what is no number shows in the sums
        return np.array([(weights * wide * wide).sum(), (weights * (found - wide) ** 2).sum()])


def _probabilities(scores: npt.NDArray[np.float64], options: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    if options.get("scores", "logits" if options.get("decode") in _LOGITS else "probabilities") != "logits":
        return scores
    return np.asarray(0.5 * (1 + np.tanh(0.5 * scores)))  # the sigmoid, which never overflows so


_LOGITS: Final = ("anchors", "centroids", None)
