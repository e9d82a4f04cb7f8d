"""Operators that run other subgraphs: IF, WHILE and their like.

The kernels copy tensors between the caller and the called by place; here the places have to match.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from edgecnn.graph.safety.call import Call, Unsafe, called
from edgecnn.graph.view import Graph, Operator, Subgraph, Tensor

_DEEPEST: Final = 64  # calls within calls
# which options name a subgraph
_TARGETS: Final = (
    "subgraph",
    "then_subgraph",
    "else_subgraph",
    "condition_subgraph",
    "body_subgraph",
    "init_subgraph",
    "decomposition_subgraph",
    "comparator_subgraph",
    "update_computation_subgraph",
)


def check_calls(call: Call) -> None:
    """Refuse an operator that runs a subgraph that does not exist or takes and gives other tensors."""
    operator = call.operator
    for number in _targets(operator):
        if not 0 < number < len(call.graph.subgraphs):
            raise Unsafe(f"it runs subgraph {number}, but there are only {len(call.graph.subgraphs)}")
    if operator.kind in ("IF", "WHILE", "CALL_ONCE") and operator.options_kind is None:
        raise Unsafe("it does not say which subgraph it runs")
    if operator.kind == "IF":
        if not call.inputs:
            raise Unsafe("it has no condition")
        _check_condition(call.inputs[0])
        for side in ("then_subgraph", "else_subgraph"):
            _check_match(call.graph.subgraphs[operator.options[side]], call.inputs[1:], call.outputs)
    elif operator.kind == "WHILE":
        condition = call.graph.subgraphs[operator.options["condition_subgraph"]]
        _check_match(condition, call.inputs, None)
        if len(condition.outputs) != 1:
            raise Unsafe(f"its condition gives {len(condition.outputs)} tensors instead of 1")
        _check_condition(condition.tensors[condition.outputs[0]])
        _check_match(call.graph.subgraphs[operator.options["body_subgraph"]], call.inputs, call.outputs)
    elif operator.kind == "CALL_ONCE":
        _check_match(call.graph.subgraphs[operator.options["init_subgraph"]], (), ())
    elif operator.kind == "STABLEHLO_COMPOSITE":
        _check_match(
            call.graph.subgraphs[operator.options.get("decomposition_subgraph", 0)], call.inputs, call.outputs
        )


def check_depth(graph: Graph) -> None:
    """Refuse subgraphs that run themselves, or call deeper than any stack likes."""
    calls = {
        subgraph.index: {number for operator in subgraph.ops for number in _targets(operator)}
        for subgraph in graph.subgraphs
    }
    reached = set(calls)
    for _ in range(_DEEPEST):
        reached = {number for caller in reached for number in calls[caller]}
        if not reached:
            return
    raise Unsafe(f"subgraphs run each other without end, or deeper than {_DEEPEST}: {sorted(reached)[:8]}")


def _targets(operator: Operator) -> Iterator[int]:
    for name in _TARGETS:
        if name in operator.options:
            yield int(operator.options[name])
    for number in operator.options.get("branch_subgraphs", ()):
        yield int(number)


def _check_condition(tensor: Tensor | None) -> None:
    if tensor is None or tensor.dtype != "bool" or tensor.elements != 1:
        raise Unsafe("its condition is not one truth value")


def _check_match(
    subgraph: Subgraph, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor] | None
) -> None:
    for given, indices, what in ((inputs, subgraph.inputs, "takes"), (outputs, subgraph.outputs, "gives")):
        if given is None:
            continue
        if len(given) != len(indices):
            raise Unsafe(
                f"subgraph {subgraph.index} {what} {len(indices)} tensors, but there are {len(given)}"
            )
        for outside, index in zip(given, indices, strict=True):
            inside = subgraph.tensors[index]
            if outside is None or outside.dtype != inside.dtype:
                raise Unsafe(
                    f"{called(inside)} of subgraph {subgraph.index} is {inside.dtype},"
                    f" but outside it is {outside.dtype if outside else 'left out'}"
                )
