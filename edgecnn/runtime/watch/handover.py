"""How one thread hands things to another: the newest only, or each of them through a short queue."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

_WAITING: Final = 2
"""Things that wait where each of them counts: one more than the receiver has in work."""

_T = TypeVar("_T")


class Handover(Generic[_T]):
    """Between one giver and one taker, in bounded memory.

    Attributes:
        finished: nothing more will come; what waits can still be taken.
    """

    def __init__(self, *, every: bool, joined: Callable[[_T, _T], _T] | None = None) -> None:
        """Hand over `every` thing, so that the giver waits for the taker; or only ever the newest.

        `joined`, of a thing that is dropped and the newer one, is handed over instead of the newer one.
        """
        self.finished = False
        self._every = every
        self._joined = joined
        self._news = threading.Condition()
        self._waiting: deque[_T] = deque()
        self._given = 0

    @property
    def is_full(self) -> bool:
        """Whether the giver has to wait for the taker."""
        return self._every and len(self._waiting) >= _WAITING

    def give(self, thing: _T) -> bool:
        """Hand a thing over; where each counts, wait until there is room. After the finish it goes nowhere.

        Returns:
            Whether an older one, that nobody took, was dropped for it.
        """
        with self._news:
            if self._every:
                self._news.wait_for(lambda: not self.is_full or self.finished)
            dropped = not self._every and bool(self._waiting)
            if dropped:
                older = self._waiting.pop()
                thing = thing if self._joined is None else self._joined(older, thing)
            if not self.finished:
                self._waiting.append(thing)
                self._given += 1
                self._news.notify_all()
            return dropped

    def take(self, timeout_s: float | None) -> _T | None:
        """The next thing; None when none has come after `timeout_s` (None: however long it takes)."""
        with self._news:
            self._news.wait_for(lambda: bool(self._waiting) or self.finished, timeout_s)
            if not self._waiting:
                return None
            thing = self._waiting.popleft()
            self._news.notify_all()
            return thing

    def wait_for_newer(self, timeout_s: float) -> None:
        """Wait until another thing is given, at most `timeout_s`; what waits stays."""
        with self._news:
            given = self._given
            self._news.wait_for(lambda: self._given != given or self.finished, timeout_s)

    def finish(self, *, forget: bool = False) -> None:
        """Nothing more will come; `forget` what waits."""
        with self._news:
            self.finished = True
            if forget:
                self._waiting.clear()
            self._news.notify_all()
