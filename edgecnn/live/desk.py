"""What the camera's threads lay down and the page's thread picks up.

Laying down is a few assignments. Nobody is woken by it: the system call that this takes lets go of Python's
lock, and whoever shows a result would then wait for the page's thread, up to milliseconds. The page's thread
looks by itself, and only while somebody looks at the page.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from edgecnn.live import messages
from edgecnn.live.ages import Ages
from edgecnn.live.messages import Line
from edgecnn.runtime.seen import Seen
from edgecnn.runtime.watch.notice import Notice

_LINES = 60
"""Of the log, the newest."""


class HasNumbers(Protocol):
    """Statistics, as far as the page asks for them."""

    def as_dict(self) -> Mapping[str, Any]:
        """JSON-ready."""


Numbers: TypeAlias = HasNumbers | Callable[[], HasNumbers]


class Desk:
    """The newest of everything; older results are forgotten, of the log the last lines are kept.

    Attributes:
        newest: what was seen last.
        numbers: the statistics that came with it.
        ages: of the last minute.
        written: counts the lines of the log.
    """

    def __init__(self) -> None:
        self.newest: Seen | None = None
        self.numbers: Numbers | None = None
        self.ages = Ages()
        self.written = 0
        self._lines: deque[Line] = deque(maxlen=_LINES)

    def lay(self, seen: Seen, numbers: Numbers) -> None:
        """A new result."""
        self.ages.add(seen.done_s, seen.delay_ms)
        self.numbers = numbers
        self.newest = seen
        for event in seen.events:
            self._append(Line(event.kind, messages.happening(event), event.time_s))

    def note(self, notice: Notice) -> None:
        """What happened to the camera, for the log."""
        self._append(Line(notice.kind, notice.text, notice.time_s))

    def write(self, kind: str, text: str) -> None:
        """Another line of the log, of now."""
        self._append(Line(kind, text, time.monotonic()))

    def lines(self) -> list[Line]:
        """The log, oldest first."""
        return list(self._lines.copy())  # a copy of a deque is made in one step: others may write meanwhile

    def _append(self, line: Line) -> None:
        self._lines.append(line)
        self.written += 1
