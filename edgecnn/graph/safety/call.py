"""One operator with its tensors at hand, and what a rule about it looks like."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from edgecnn.graph.view import Graph, Operator, Tensor


class Unsafe(Exception):  # noqa: N818  (a verdict, never seen outside this package)
    """One reason to refuse a model."""


@dataclass(frozen=True, slots=True)
class Call:
    """One operator with its tensors; None for an input left out. Its arity is right already."""

    graph: Graph
    operator: Operator
    inputs: Sequence[Tensor | None]
    outputs: Sequence[Tensor]

    def constant(self, place: int) -> list[int] | None:
        """The integers of a constant input; None where it is absent, sparse, or only known at run time."""
        tensor = self.inputs[place] if place < len(self.inputs) else None
        if tensor is None or not tensor.is_constant or tensor.is_sparse:
            return None
        values = self.graph.data(tensor)
        return [int(value) for value in values.ravel()] if values.dtype.kind in "iu" else None


# A rule raises Unsafe, or returns and thereby agrees.
Rule: TypeAlias = Callable[[Call], None]


def called(tensor: Tensor) -> str:
    """What to call a tensor in a message."""
    return f"tensor {tensor.index} ({tensor.name})"
