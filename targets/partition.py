"""In how many pieces a delegate gets its operators; between two pieces, tensors travel.

The order is that of PartitionGraphIntoIndependentNodeSubsets, the choice among pieces that of
GraphPartitionHelper::GetFirstNLargestPartitions:
https://github.com/google-ai-edge/LiteRT, tflite/graph_info.cc and tflite/delegates/utils.cc.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from edgecnn.graph import Graph, Operator
from targets.verdict import CPU, Verdict

_WHOLE: Final = "Lift what splits the model: the other operators that stay on the processor."


def partitions(graph: Graph, verdicts: Sequence[Verdict], unit: str) -> tuple[int, ...]:
    """How many operators each piece has that the unit gets, in the order they run."""
    return tuple(len(piece) for piece in pieces(graph, verdicts, unit))


def pieces(
    graph: Graph, verdicts: Sequence[Verdict], unit: str, *, most: int | None = None, least: int = 1
) -> tuple[tuple[int, ...], ...]:
    """Places of the operators in each piece that the unit gets, in the order they run.

    Args:
        graph: a model whose operators come after what they read, as a file's do.
        verdicts: one for each operator of the main subgraph.
        unit: whose pieces; any other verdict stays with the processor.
        most: the delegate takes at most so many pieces, the largest; None: all of them.
        least: it leaves pieces of fewer operators alone.
    """
    taken = {verdict.operator for verdict in verdicts if verdict.unit == unit}
    found = _pieces(graph, taken)
    if (most is None or len(found) <= most) and all(len(piece) >= least for piece in found):
        return found
    largest = sorted(found, key=len, reverse=True)[:most]
    return _pieces(graph, {index for piece in largest if len(piece) >= least for index in piece})


def limited(
    graph: Graph, verdicts: Sequence[Verdict], unit: str, *, most: int | None = None, least: int = 1
) -> tuple[Verdict, ...]:
    """The verdicts of a delegate that takes only some of its pieces: the others stay on the processor."""
    kept = {index for piece in pieces(graph, verdicts, unit, most=most, least=least) for index in piece}
    source = "https://github.com/google-ai-edge/LiteRT, tflite/delegates/utils.cc"
    rest = _too_many(most) if least == 1 else f"in a piece of fewer than {least} operators"
    return tuple(
        replace(one, unit=CPU, reason=rest, remedy=_WHOLE, source=source)
        if one.unit == unit and one.operator not in kept
        else one
        for one in verdicts
    )


def _too_many(most: int | None) -> str:
    largest = "largest" if most in (None, 1) else f"{most} largest"
    return f"in a smaller piece, and the delegate takes only the {largest}"


def _pieces(graph: Graph, taken: Collection[int]) -> tuple[tuple[int, ...], ...]:
    """Walk the graph in epochs: each takes every operator it can reach, of one kind, delegated or not."""
    left = list(graph.ops)
    waiting = {index for op in left for index in op.outputs}
    before = _kept_order(graph)
    found: list[tuple[int, ...]] = []
    while left:
        ready = next(op for op in left if _is_ready(op, waiting, before))
        delegated = ready.index in taken
        piece = _epoch(left, waiting, before, taken, delegated)
        if delegated:
            found.append(tuple(op.index for op in piece))
        done = {op.index for op in piece}
        left = [op for op in left if op.index not in done]
    return tuple(found)


def _epoch(
    left: Sequence[Operator],
    waiting: set[int],
    before: dict[int, int],
    taken: Collection[int],
    delegated: bool,
) -> list[Operator]:
    piece: list[Operator] = []
    done: set[int] = set()
    while True:
        moved = False
        for op in left:
            if op.index in done or (op.index in taken) is not delegated:
                continue
            if _is_ready(op, waiting, before):
                piece.append(op)
                done.add(op.index)
                waiting.difference_update(op.outputs)
                for later in [later for later, earlier in before.items() if earlier == op.index]:
                    del before[later]
                moved = True
        if not moved:
            return piece


def _is_ready(op: Operator, waiting: Collection[int], before: dict[int, int]) -> bool:
    return op.index not in before and not any(index in waiting for index in op.inputs)


def _kept_order(graph: Graph) -> dict[int, int]:
    """Operators with side effects, each to the one before it: they keep their order."""
    effects = [op.index for op in graph.ops if _has_effects(graph, op)]
    return dict(zip(effects[1:], effects[:-1], strict=True))


def _has_effects(graph: Graph, op: Operator) -> bool:
    if op.kind in ("IF", "WHILE", "CALL_ONCE"):
        return True
    touched = (index for index in (*op.inputs, *op.outputs) if index >= 0)
    return any(graph.tensors[index].dtype in ("resource", "variant") for index in touched)
