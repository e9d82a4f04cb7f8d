"""Cost constants of a device: how fast it computes, reads memory and goes from operator to operator."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cost:
    """Constants of the cost model, fitted to published measurements or on the device itself.

    Attributes:
        basis: what they were fitted to, in words.
    """

    basis: str


def read_cost(table: Mapping[str, Any]) -> Cost:
    """The constants from a profile's `cost` table.

    Raises:
        ValueError: a key is unknown or missing.
    """
    if set(table) != {"basis"}:
        raise ValueError("cost: only basis is known.")
    return Cost(str(table["basis"]))
