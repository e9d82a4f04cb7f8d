"""A model run in pieces: all images through the first operators, then all through the next.

Between two pieces every image's live activations are kept, so that what is changed in a piece is seen by all
later ones without running the earlier ones again.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy.typing as npt

from calibration.editable import Model
from calibration.pieces import stretch
from edgecnn.graph import Graph
from edgecnn.runtime.interpreter import open_interpreter

Kept: TypeAlias = dict[int, list[npt.NDArray[Any]]]
"""Tensor index to its values for each image."""


class Walk:
    """Where all images are in the model, between two operators."""

    def __init__(self, model: Model, graph: Graph, inputs: list[npt.NDArray[Any]]) -> None:
        """Start at the beginning.

        Args:
            model: what is run; may be changed between two runs, where it has not been passed.
            graph: the same model as it is read; without subgraphs and states, with one input.
            inputs: the input for each image, in the type that the model takes.
        """
        self._model, self._graph = model, graph
        self._place = 0
        self._live: Kept = {graph.inputs[0]: inputs}
        self._last = _last_use(graph)

    def run(self, end: int, name: str, threads: int) -> Kept:
        """Run the operators from here to `end`, which excludes it; stay where we are.

        Returns:
            What the last of them made, and whatever later ones read.

        Raises:
            ModelError: they cannot be run.
        """
        operators = self._graph.ops[self._place : end]
        made = dict.fromkeys(index for operator in operators for index in operator.outputs)
        wanted = [i for i in made if self._last.get(i, -1) >= end or i in operators[-1].outputs]
        used = dict.fromkeys(index for operator in operators for index in operator.inputs)
        entering = [index for index in used if index in self._live]
        chosen = self._model.subgraphs[0].operators[self._place : end]
        part = stretch(self._model, chosen, entering, wanted)
        interpreter = open_interpreter(part, name, threads=threads)
        found: Kept = {index: [] for index in wanted}
        for values in zip(*(self._live[index] for index in entering), strict=True):
            for position, array in enumerate(values):
                interpreter.write(position, array)
            interpreter.invoke()
            for position, gathered in enumerate(found.values()):
                gathered.append(interpreter.read(position))
        interpreter.close()
        return found

    def go(self, end: int, name: str, threads: int) -> None:
        """Run the operators from here to `end`, and be there."""
        live = {**self._live, **self.run(end, name, threads)}
        self._live = {index: values for index, values in live.items() if self._last.get(index, -1) >= end}
        self._place = end


def live_bytes(graph: Graph, ends: Sequence[int]) -> int:
    """The most that a walk keeps for one image.

    Args:
        graph: of the model.
        ends: the places that the walk goes to, ascending.
    """
    return max((sum(graph.tensors[index].bytes for index in one) for one in _kept(graph, ends)), default=0)


def _kept(graph: Graph, ends: Sequence[int]) -> Iterator[list[int]]:
    """The tensors kept while each piece runs: what lives before it, and what it hands out."""
    last = _last_use(graph)
    born = dict.fromkeys(graph.inputs, -1)
    born |= {index: operator.index for operator in graph.ops for index in operator.outputs}
    for begin, end in pairwise([0, *ends]):
        before = [i for i, when in born.items() if when < begin and last.get(i, -1) >= begin]
        behind = [i for i, when in born.items() if begin <= when < end and last.get(i, end) >= end]
        yield [*before, *behind]


def _last_use(graph: Graph) -> dict[int, int]:
    """Tensor index to the number of the last operator that reads it; what none reads is not in it."""
    return {index: operator.index for operator in graph.ops for index in operator.inputs}
