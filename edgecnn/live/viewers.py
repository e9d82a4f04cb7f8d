"""Those who look: each gets the newest of every kind and nothing old, however slow it is.

Nothing queues up: what waits for a viewer is replaced by what is newer. A picture is only sent while at most
one other is on its way, which the viewer acknowledges when it has drawn it; so neither this program nor the
network's buffers fill with pictures of the past, and the time on the way is known.
"""

import asyncio
import struct
import time
from collections import deque
from typing import Final

from aiohttp import web

from edgecnn.runtime.seen import Seen

_ON_THE_WAY: Final = 2
"""Pictures that are sent and not yet acknowledged: one travels while the other one is drawn."""


class Picture:
    """A frame as all viewers get it."""

    def __init__(self, seen: Seen, content: bytes) -> None:
        self.seen = seen
        self.content = content

    def now(self, trip_ms: float) -> bytes:
        """Its age and the usual time on the way, and the content.

        Both are in ms: 8 bytes each, IEEE 754, big-endian.
        """
        return struct.pack(">dd", self.seen.age_ms, trip_ms) + self.content


class Viewer:
    """One browser.

    Attributes:
        is_looking: its window can be seen; otherwise it gets no pictures.
        trip_ms: from sending the last picture until it was acknowledged: more than it took to get there.
    """

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.is_looking = True
        self.trip_ms = 0.0
        self._socket = socket
        self._texts: dict[str, str] = {}
        self._picture: Picture | None = None
        self._last: Picture | None = None
        self._sent_s: deque[float] = deque()
        self._work = asyncio.Event()

    def wants(self, seen: Seen) -> bool:
        """Whether a picture of this would be new to it, and would be sent at once."""
        is_free = self.is_looking and self._picture is None and len(self._sent_s) < _ON_THE_WAY
        return is_free and (self._last is None or self._last.seen is not seen)

    def tell(self, kind: str, text: str) -> None:
        """Have a text sent; one of the same kind that still waits is forgotten."""
        self._texts[kind] = text
        self._work.set()

    def show(self, picture: Picture) -> None:
        """Have a picture sent."""
        self._picture = self._last = picture
        self._work.set()

    def acknowledge(self) -> None:
        """The oldest picture on its way is drawn."""
        if self._sent_s:
            self.trip_ms = (time.monotonic() - self._sent_s.popleft()) * 1e3
            self._work.set()

    async def send(self) -> None:
        """Send what waits, until the connection ends."""
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                while self._texts:
                    await self._socket.send_str(self._texts.pop(next(iter(self._texts))))
                if self._picture is not None and self.is_looking and len(self._sent_s) < _ON_THE_WAY:
                    picture, self._picture = self._picture, None
                    self._sent_s.append(time.monotonic())
                    await self._socket.send_bytes(picture.now(self.trip_ms))
        except ConnectionResetError:
            return  # it is gone: whoever reads from it sees the same and tidies up
