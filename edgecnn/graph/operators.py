"""What one operator costs: multiply-accumulates from shapes.

One multiply-accumulate is one multiplication with its addition; additions of the bias do not count. Operators
outside the table cost 0: additions, pooling, activations, reshaping; recurrent operators too, whose count
depends on how a kernel unrolls them.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias

Shape: TypeAlias = tuple[int, ...]


def macs(kind: str, inputs: Sequence[Shape], output: Shape, options: Mapping[str, Any]) -> int:
    """Multiply-accumulates of one operator.

    Args:
        kind: operator name of the schema.
        inputs: shapes of its inputs, () for one left out.
        output: shape of its first output.
        options: its settings; only a matrix product looks at them.

    Returns:
        The count; 0 for an operator outside the table, or with ranks its kernel refuses.
    """
    formula = _FORMULAS.get(kind)
    if formula is None or len(inputs) <= max(formula.ranks):
        return 0
    if any(len(inputs[place]) != rank for place, rank in formula.ranks.items() if rank):
        return 0
    return formula.product(inputs, output, options)


def _convolution(inputs: Sequence[Shape], output: Shape, _: Mapping[str, Any]) -> int:
    # weights (K, F_h, F_w, M), M per group: every output value is a sum over F_h · F_w · M products
    return prod(output) * prod(inputs[1][1:])


def _depthwise(inputs: Sequence[Shape], output: Shape, _: Mapping[str, Any]) -> int:
    # weights (1, F_h, F_w, K)
    return prod(output) * prod(inputs[1][1:3])


def _dense(inputs: Sequence[Shape], output: Shape, _: Mapping[str, Any]) -> int:
    # weights (K, M)
    return prod(output) * inputs[1][1]


def _transposed(inputs: Sequence[Shape], output: Shape, _: Mapping[str, Any]) -> int:
    # (output shape, weights (K, F_h, F_w, M), image): every input value meets F_h · F_w · K weights
    return prod(inputs[2]) * prod(inputs[1][:3])


def _volume(inputs: Sequence[Shape], output: Shape, _: Mapping[str, Any]) -> int:
    # weights (F_d, F_h, F_w, M, K)
    return prod(output) * prod(inputs[1][:4])


def _matrices(inputs: Sequence[Shape], output: Shape, options: Mapping[str, Any]) -> int:
    if len(inputs[0]) < 2:
        return 0
    return prod(output) * inputs[0][-2 if options.get("adjoint_x") else -1]


class _Formula(NamedTuple):
    """Which inputs (place: rank, 0 for any) a count looks at, and the count."""

    ranks: Mapping[int, int]
    product: Callable[[Sequence[Shape], Shape, Mapping[str, Any]], int]


_FORMULAS: Final = {
    "CONV_2D": _Formula({1: 4}, _convolution),
    "DEPTHWISE_CONV_2D": _Formula({1: 4}, _depthwise),
    "TRANSPOSE_CONV": _Formula({1: 4, 2: 4}, _transposed),
    "FULLY_CONNECTED": _Formula({1: 2}, _dense),
    "BATCH_MATMUL": _Formula({0: 0, 1: 0}, _matrices),
    "CONV_3D": _Formula({1: 5}, _volume),
}
