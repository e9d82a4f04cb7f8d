"""Where a tensor's numbers come from: back through the operators that pass them on."""

from typing import Final

from edgecnn.graph.view import Graph, Operator

PASSES_ON: Final = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "QUANTIZE", "DEQUANTIZE", "CAST"})
"""Operators that keep the numbers and their order, rounding apart."""

MAKES_PROBABILITIES: Final = frozenset({"SOFTMAX", "LOGISTIC"})


def origin(graph: Graph, tensor: int) -> tuple[Operator | None, int]:
    """The operator that made the numbers of a tensor of the main subgraph.

    Returns:
        The operator, None for an input or a constant; and the tensor as it left the operator.
    """
    producer = {output: operator for operator in graph.ops for output in operator.outputs}
    operator = producer.get(tensor)
    for _ in graph.ops:  # as many steps as there are operators, so that no cycle holds us
        if operator is None or operator.kind not in PASSES_ON:
            break
        tensor = operator.inputs[0]
        operator = producer.get(tensor)
    return operator, tensor
