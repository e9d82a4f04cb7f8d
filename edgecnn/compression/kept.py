"""What makes a kernel small on disk, and has to survive further training: its zeros, or its few values.

Found in the weights themselves, whoever made them: nothing has to be remembered about a run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edgecnn.compression.grid import on_codes, on_grid
from edgecnn.image import Array

SPARSE: Final = 0.3
"""Share of exact zeros from which a kernel counts as sparse: no training leaves them by chance."""

MOST_CODES: Final = 64
"""Different values, in int8, up to which a kernel counts as clustered."""

_FEWEST_WEIGHTS: Final = 4
"""For each of the values: fewer weights than that may agree by chance."""

_OFF_GRID: Final = 0.01
"""Of an int8 step: as far as float32 moves a weight that a norm was folded into."""


@dataclass(frozen=True, eq=False)
class Kept:
    """What of one kernel stays.

    Attributes:
        mask: the kernel's shape, float32: 0 where a weight stays zero, else 1; None of a dense kernel.
        codes: the values it may have, in steps of its output channel's int8 scale, ascending, with ±127; None
            where every step is allowed.
    """

    mask: Array | None
    codes: tuple[int, ...] | None

    def rounded(self, kernel: Any, axes: tuple[int, ...]) -> Any:
        """The kernel as int8 holds it, and no zero or cluster lost; gradients pass as in `grid.on_grid`."""
        if self.mask is not None:
            kernel = kernel * self.mask
        return on_grid(kernel, axes) if self.codes is None else self._clustered(kernel, axes)

    def _clustered(self, kernel: Any, axes: tuple[int, ...]) -> Any:
        made = on_codes(kernel, axes, self.codes or ())
        return made if self.mask is None else made * self.mask  # a set of values may lack the zero


ALL: Final = Kept(None, None)
"""Of a kernel that came neither sparse nor clustered, every weight may become anything."""


def found(kernel: Array, axes: tuple[int, ...]) -> Kept | None:
    """What of a kernel is to stay; None where it is neither sparse nor clustered.

    Args:
        kernel: float32, of a folded network, so that its channels have the scales that they ship with.
        axes: those of the output channels.
    """
    kept = Kept(zeros(kernel), _codes(kernel, axes))
    return None if kept.mask is None and kept.codes is None else kept


def zeros(kernel: Array) -> Array | None:
    """0 where a sparse kernel is zero and 1 elsewhere, float32; None of a dense kernel."""
    return (kernel != 0).astype(np.float32) if np.mean(kernel == 0) >= SPARSE else None


def told(kept: Mapping[str, Kept]) -> str:
    """What is kept of a network, as a line of the lineage says it; "" for nothing."""
    sparse = sum(one.mask is not None for one in kept.values())
    clustered = sum(one.codes is not None for one in kept.values())
    parts = [
        f"the {what} of {count} kernel{'s' if count > 1 else ''}"
        for what, count in (("zeros", sparse), ("clusters", clustered))
        if count
    ]
    return f"keeping {' and '.join(parts)}" if parts else ""


def _codes(kernel: Array, axes: tuple[int, ...]) -> tuple[int, ...] | None:
    others = tuple(axis for axis in range(kernel.ndim) if axis not in axes)
    values = kernel.astype(np.float64)
    widest = np.abs(values).max(axis=others, keepdims=True)
    steps = 127 * values / np.where(widest > 0, widest, 1.0)
    codes = np.unique(np.round(steps))
    few = len(codes) <= MOST_CODES and len(codes) * _FEWEST_WEIGHTS <= kernel.size
    if not few or np.abs(steps - np.round(steps)).max() > _OFF_GRID:
        return None
    return tuple(int(code) for code in np.union1d(codes, (-127, 127)))
