"""The safe state: a robot must know at once when what it saw last has become too old to act upon."""

from collections.abc import Callable

from edgecnn.runtime.seen import Seen
from edgecnn.runtime.watch.notice import Notice


class SafeState:
    """The state of a robot whose eyes say nothing it may act upon. It begins in that state.

    Attributes:
        limit_ms: the age above which a result is too old.
    """

    def __init__(
        self,
        limit_ms: float,
        *,
        name: str,
        on_stale: Callable[[], object] | None = None,
        on_fresh: Callable[[], object] | None = None,
        on_notice: Callable[[Notice], object] = lambda notice: None,
    ) -> None:
        """Nothing is called yet.

        Args:
            limit_ms: the age above which a result is too old.
            name: of the source.
            on_stale: called when the newest result becomes too old.
            on_fresh: called when there is a young one, also for the first time.
            on_notice: told of both, but not of the first result, which is no news.
        """
        self.limit_ms = limit_ms
        self._name = name
        self._on_stale, self._on_fresh, self._on_notice = on_stale, on_fresh, on_notice
        self._is_fresh = self._was_fresh = False

    def look(self, seen: Seen | None) -> None:
        """Look at the newest result's age, and call what it asks for: first the robot, then the words."""
        is_fresh = seen is not None and seen.age_ms <= self.limit_ms
        if is_fresh == self._is_fresh:
            return
        self._is_fresh = is_fresh
        called = self._on_fresh if is_fresh else self._on_stale
        if called is not None:
            called()
        if not is_fresh:
            self._on_notice(Notice("stale", f"{self._name}: no result younger than {self.limit_ms:g} ms"))
        elif self._was_fresh:
            self._on_notice(Notice("fresh", f"{self._name}: results are young enough again"))
        self._was_fresh = True
