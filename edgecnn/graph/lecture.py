"""The formulas of a first lecture on convolutional networks, one function each.

N is the size of the input along one side, F of the filter, S the stride, P the padding on each side, M the
number of input channels, K the number of filters.
"""

from collections.abc import Sequence
from typing import TypeAlias

from edgecnn.errors import DataError

Padding: TypeAlias = int | tuple[int, int]


def output_size(n: int, f: int, *, s: int = 1, p: Padding = 0) -> int:
    """(N + 2P - F) / S + 1: how many places a filter has along one side.

    Args:
        n: size of the input.
        f: size of the filter; with dilation d its reach, (F - 1) · d + 1.
        s: stride.
        p: padding on each side, or (before, after) where the sides differ.

    Raises:
        DataError: a size is no size, or the filter does not fit: the last step would leave a rest.
    """
    before, after = (p, p) if isinstance(p, int) else p
    if n < 1 or f < 1 or s < 1 or before < 0 or after < 0:
        raise DataError(f"N = {n}, F = {f}, S = {s}, P = {p}: sizes start at 1 and padding at 0")
    way = n + before + after - f
    padding = f"2·{p}" if isinstance(p, int) else f"{before} + {after}"
    if way < 0:
        raise DataError(
            f"N = {n}, F = {f}, P = {p}: a filter of {f} is larger than the {n + before + after} positions."
            f" Pad {-way} more in all, or take a smaller filter."
        )
    if way % s:
        fitting = [stride for stride in range(1, way + 1) if way % stride == 0]
        raise DataError(
            f"({n} + {padding} - {f}) / {s} + 1 = {way / s + 1:.2f}: a filter of {f} at stride {s} does not"
            f" fit. Take a stride that divides {way} ({', '.join(map(str, fitting))}), or pad {s - way % s}"
            f" more in all."
        )
    return way // s + 1


def places(n: int, f: int, *, s: int = 1, p: Padding = 0) -> int:
    """`output_size` as frameworks compute it: a last step that does not fit is dropped; 0 if none fits."""
    before, after = (p, p) if isinstance(p, int) else p
    way = n + before + after - f
    return way // s + 1 if way >= 0 else 0


def conv_parameters(f: int, m: int, k: int) -> int:
    """(F · F · M + 1) · K: the weights of K filters over M channels, and a bias for each."""
    return (f * f * m + 1) * k


def same_padding(n: int, f: int, *, s: int = 1) -> tuple[int, int]:
    """What TensorFlow's "SAME" adds before and after: enough for ceil(N / S) places; an odd one comes after.

    Source: https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """
    total = max((-(-n // s) - 1) * s + f - n, 0)
    return total // 2, total - total // 2


def receptive_field(layers: Sequence[tuple[int, int]]) -> int:
    """How many input positions one value sees after a chain of layers.

    Each layer (F, S) adds F - 1 steps, each as long as the strides before it multiply to.
    """
    size, jump = 1, 1
    for f, s in layers:
        size += (f - 1) * jump
        jump *= s
    return size
