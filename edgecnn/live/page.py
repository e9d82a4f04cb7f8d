"""A page in the browser that shows what a running camera sees, and how old that is.

The page lives in its own thread with its own loop. The camera's thread only lays down a reference; pictures
are made there, once for all who look, and only while somebody does.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import quote

from edgecnn.errors import CameraError, MissingExtra
from edgecnn.live import address as addresses
from edgecnn.live import messages
from edgecnn.live.desk import Desk, Numbers
from edgecnn.live.door import Door
from edgecnn.runtime.seen import Seen
from edgecnn.runtime.watch.notice import Notice

if TYPE_CHECKING:
    import socket

    from edgecnn.live.server import Server, Settings
    from edgecnn.runtime.tracking.zones import Line, Zone

_START_S = 10.0
_STOP_S = 5.0


class Page:
    """A web page that shows a running camera; a context manager. All methods may be called from any thread.

    Attributes:
        url: what a person opens; it holds the token where there is one.
        address: where the page listens, with the real port.
    """

    def __init__(
        self,
        address: str = "8000",
        *,
        token: str | None = None,
        title: str,
        adjust: Callable[..., None] | None = None,
        threshold: float | None = None,
        zones: "Sequence[Zone]" = (),
        lines: "Sequence[Line]" = (),
        snapshots: Path | None = None,
    ) -> None:
        """Open the page.

        Args:
            address: `PORT` or `HOST:PORT`, an IPv6 host in brackets; port 0 is any free one. Without a host,
                only this machine gets there.
            token: what a viewer must know. Where others than this machine can get there, one is made if none
                is given.
            title: what is watched, such as the model and the source.
            adjust: called with `threshold=` when a viewer moves the slider, in a thread of the page's. An
                EdgecnnError is shown as a line of the log.
            threshold: of the scores, at the start.
            zones: drawn on the picture.
            lines: likewise.
            snapshots: a folder where snapshots are kept, besides the one that the browser gets.

        Raises:
            CameraError: the address makes no sense, or cannot be listened on; or the token is too short.
            MissingExtra: aiohttp is not installed.
        """
        try:
            from edgecnn.live.server import Server, Settings
        except ModuleNotFoundError as error:
            if error.name != "aiohttp":
                raise
            raise MissingExtra("aiohttp", "live") from None
        where = addresses.parse(address)
        listening = addresses.listen(where)
        try:
            port = int(listening.getsockname()[1])
            door = Door.of(where, port, token)
        except CameraError:
            listening.close()
            raise
        self.address = addresses.Address(where.host, port)
        key = "" if door.token is None else f"?token={quote(door.token, safe='')}"
        self.url = addresses.url(where, port) + key
        self._desk = Desk()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._server: Server | None = None
        self._ready = threading.Event()
        settings = Settings(title, threshold, messages.places(zones, lines), adjust, snapshots)
        self._thread = threading.Thread(
            target=self._run, args=(listening, Server, door, settings), name="edgecnn-page", daemon=True
        )
        self._thread.start()
        self._ready.wait(_START_S)

    @property
    def viewers(self) -> int:
        """How many browsers look; one whose window is hidden does not."""
        return 0 if self._server is None else self._server.viewers

    def show(self, seen: Seen, statistics: Numbers) -> None:
        """Show a result from now on. Never waits.

        Args:
            seen: the result.
            statistics: of the camera; or what makes them, such as `eyes.statistics`. That is called in a
                thread of the page's twice a second, and only while somebody looks.
        """
        self._desk.lay(seen, statistics)

    def notice(self, notice: Notice) -> None:
        """Write a line in the page's log. Never waits."""
        self._desk.note(notice)

    def close(self) -> None:
        """Say goodbye to all viewers and stop. Twice does no harm."""
        with self._lock:
            if self._loop is not None and self._stop is not None:
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_S)

    def __enter__(self) -> "Page":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # what follows runs in the page's thread

    def _run(
        self, listening: "socket.socket", server: "type[Server]", door: Door, settings: "Settings"
    ) -> None:
        with listening:
            try:
                asyncio.run(self._serve(listening, server, door, settings))
            finally:
                self._ready.set()

    async def _serve(
        self, listening: "socket.socket", server: "type[Server]", door: Door, settings: "Settings"
    ) -> None:
        stop = asyncio.Event()
        self._server = server(self._desk, door, settings)
        with self._lock:
            self._loop, self._stop = asyncio.get_running_loop(), stop
        try:
            await self._server.serve(listening, stop, self._ready.set)
        finally:
            with self._lock:
                self._loop = None
