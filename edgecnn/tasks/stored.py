"""Outputs of 8 bits as a model stores them: of 256 values, whatever is made of each can be made once.

A model hands such outputs over unread, and says what their bytes stand for. A task that has no tables of its
own makes them real numbers with `real`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from edgecnn.image import Array


class Steps(NamedTuple):
    """What the values of an 8-bit output stand for.

    Attributes:
        dtype: int8 or uint8.
        real: (256,) float32, by the value's byte; ascends with the value.
    """

    dtype: np.dtype[Any]
    real: Array

    def least(self, good: Array) -> int:
        """The least stored value from which on all are good: (256,) bool by byte. 256 where none is."""
        values = np.arange(256, dtype=np.uint8).view(self.dtype)
        return min(values[good].tolist(), default=256)


def real(outputs: Mapping[str, Array], steps: Mapping[str, Steps]) -> dict[str, Array]:
    """Outputs by role in real numbers. Those that `steps` names are stored values; others already real."""
    return {
        role: steps[role].real.take(found.view(np.uint8)) if role in steps else found
        for role, found in outputs.items()
    }
