"""Which layers an int8 model must keep in a wider type: measured, little first.

Two things can be sick. A layer's own weights or rounding: then it helps to keep it alone
(`converters.sensitivity`). Or a tensor between layers, whose values no 256 steps can hold: then nothing is
gained until the layer that makes it and all that read it are kept together, because between a kept layer and
one that is not the tensor is rounded all the same. The first is tried before the second, because it keeps
less.

Gains do not add up: what two tensors bring together is measured, not reckoned.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from converters.schemes import Precision
from converters.sensitivity import EXACT, Sensitivity, keep_plan
from edgecnn.graph import Graph, Operator

Look = Callable[[Mapping[str, Precision]], float]
"""Signal-to-noise ratio, in decibels, of the file that keeps these."""

Tell = Callable[[str], None]

LEAST_GAIN_DB: Final = 0.5
"""What another tensor must bring to be kept as well."""

_LOOKED_AT_AGAIN: Final = 6
"""Tensors measured beside those kept already: the best when each was measured alone."""


def layer_plans(
    found: Sequence[Sensitivity], graph: Graph, precision: Precision, *, most: int
) -> Iterator[Mapping[str, Precision]]:
    """The worst layer, the worst 2, 4, … of those that gain anything.

    Args:
        found: what `converters.sensitivity.sensitivities` found.
        graph: the float model.
        precision: what they are kept in.
        most: layers, at most, what lies between not counted.
    """
    plans: list[Mapping[str, Precision]] = []
    count = 1
    while count <= min(most, len(found)):
        plan = keep_plan(found, count, source=graph, precision=precision)
        if plan and plan not in plans:
            plans.append(plan)
            yield plan
        count *= 2


def tensor_plans(
    graph: Graph, precision: Precision, look: Look, *, most: int, progress: Tell = lambda line: None
) -> Iterator[Mapping[str, Precision]]:
    """All that touches the worst tensor, then the tensor besides that gains the most, and so on.

    Args:
        graph: the float model.
        precision: what layers are kept in.
        look: measures a plan.
        most: layers, at most.
        progress: told what begins.
    """
    around = _around_tensors(graph)
    progress(f"measuring which of {len(around)} tensors between layers cost the most")
    kept: frozenset[str] = frozenset()
    reached = look({})
    alone = {names: look(_plan(graph, names, precision)) for names in around if len(names) <= most}
    ranked = sorted(alone, key=lambda names: -alone[names])
    while ranked:
        if kept:
            again = ranked[:_LOOKED_AT_AGAIN]
            measured = {names: look(_plan(graph, kept | names, precision)) for names in again}
        else:
            measured = {ranked[0]: alone[ranked[0]]}
        best = max(measured, key=lambda names: measured[names])
        if not measured[best] >= reached + LEAST_GAIN_DB:
            return
        kept, reached = kept | best, measured[best]
        yield _plan(graph, kept, precision)
        ranked = [names for names in ranked if not names <= kept and len(kept | names) <= most]


def _around_tensors(graph: Graph) -> tuple[frozenset[str], ...]:
    """For each tensor that layers pass on: the names of the layers that make or read it.

    Operators that only move values pass the same values on, so those behind them are readers as well.
    """
    readers: dict[int, list[Operator]] = {}
    for operator in graph.ops:
        for index in operator.inputs:
            readers.setdefault(index, []).append(operator)

    def behind(index: int) -> set[str]:
        found = set()
        for operator in readers.get(index, []):
            if _is_float(graph, operator):
                found.add(_name(graph, operator))
                if operator.kind in EXACT:
                    found |= behind(operator.outputs[0])
        return found

    found = [
        frozenset({_name(graph, operator), *behind(operator.outputs[0])})
        for operator in graph.ops
        if operator.kind not in EXACT and _is_float(graph, operator)
    ]
    return tuple(dict.fromkeys(names for names in found if len(names) > 1))


def _plan(graph: Graph, names: frozenset[str], precision: Precision) -> dict[str, Precision]:
    """In the order in which they run."""
    return {name: precision for operator in graph.ops if (name := _name(graph, operator)) in names}


def _is_float(graph: Graph, operator: Operator) -> bool:
    return bool(operator.outputs) and graph.tensors[operator.outputs[0]].dtype == "float32"


def _name(graph: Graph, operator: Operator) -> str:
    return graph.tensors[operator.outputs[0]].name
