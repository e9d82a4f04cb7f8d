"""Ctrl-C and SIGTERM as a wish to end: what runs may complete its files first. A second one ends at once."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class Interrupts:
    """While it is entered, the first of these signals is only noted. For the main thread."""

    def __init__(self) -> None:
        self._signal: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def reason(self) -> str | None:
        """Either "interrupted" or "terminated"; None as long as nothing came."""
        return None if self._signal is None else _WORDS[self._signal]

    @property
    def exit_code(self) -> int:
        """As shells have it: 130 after Ctrl-C, 143 after SIGTERM, 0 where nothing came."""
        return 0 if self._signal is None else 128 + self._signal

    def __enter__(self) -> Self:
        self._before = {one: signal.signal(one, self._note) for one in _WORDS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signal = signal.Signals(number)
        for one in _WORDS:
            signal.signal(one, signal.SIG_DFL)
