"""Which channels can only stay or go together: a forest of sets that are united (Tarjan 1975).

Knows numbers only; which channels are tied says `passing`, and what became of all of them `groups`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
"""Channels or sets of channels, by number: (n,)."""


class Ties:
    """Channels of a network, who makes them, and which of them are tied to each other or to their place."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._maker: list[str] = []
        self._why: dict[int, str] = {}

    def fresh(self, count: int, maker: str) -> Numbers:
        """New channels, tied to nothing.

        Args:
            count: how many.
            maker: the layer that makes them.
        """
        first = len(self._parent)
        self._parent += range(first, first + count)
        self._maker += [maker] * count
        return np.arange(first, first + count, dtype=np.int64)

    def tie(self, channels: Numbers, others: Numbers) -> None:
        """Tie each channel to the other of the same place."""
        for one, other in zip(channels.tolist(), others.tolist(), strict=True):
            first, second = sorted((self._root(one), self._root(other)))
            self._parent[second] = first

    def fix(self, channels: Numbers, why: str) -> None:
        """These channels, and with them all that are tied to them now or later, cannot go."""
        for channel in channels.tolist():
            self._why.setdefault(channel, why)

    def sets(self) -> tuple[Numbers, list[tuple[str, ...]], dict[int, str]]:
        """What came of it.

        Returns:
            The set of each channel (channels,), numbered from 0 in the order of the sets' first channels; of
            each set the layers that make it, in the order of their channels; of each set that cannot go, why.
        """
        number: dict[int, int] = {}
        of = [number.setdefault(self._root(channel), len(number)) for channel in range(len(self._parent))]
        makers: list[dict[str, Any]] = [{} for _ in number]
        for one, maker in zip(of, self._maker, strict=True):
            makers[one][maker] = None
        fixed: dict[int, str] = {}
        for channel, why in self._why.items():
            fixed.setdefault(of[channel], why)
        return np.array(of, np.int64), [tuple(names) for names in makers], fixed

    def _root(self, channel: int) -> int:
        parent = self._parent
        while parent[channel] != channel:
            parent[channel] = parent[parent[channel]]
            channel = parent[channel]
        return channel
