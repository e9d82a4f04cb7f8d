"""The page's web server: files, a web socket for each viewer, snapshots. It lives in one asyncio loop.

Who may come in is `edgecnn.live.door`'s, what is said `edgecnn.live.messages`', how fast each viewer gets it
`edgecnn.live.viewers`'.
"""

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

from aiohttp import WSCloseCode, WSMsgType, web

from edgecnn import files
from edgecnn.errors import EdgecnnError
from edgecnn.live import messages
from edgecnn.live.desk import Desk, Numbers
from edgecnn.live.door import Answer, Door
from edgecnn.live.viewers import Picture, Viewer

_Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
_P = ParamSpec("_P")
_T = TypeVar("_T")

_PICTURE_S: Final = 1 / 32
"""Pictures come no faster than this: a little less than a usual camera's 1/30 s, so that all of its do."""

_LOOK_S: Final = 0.008
"""So often the page's thread looks whether there is something new: see `edgecnn.live.desk`."""

_TICK_S: Final = 0.1
_NUMBERS_TICKS: Final = 5
_MOST_VIEWERS: Final = 32
_HEARTBEAT_S: Final = 10.0
"""A viewer that has vanished without a word, or that never reads, is given up after one and a half of it."""

LOWEST_THRESHOLD: Final = 0.05

_FILES: Final = {"/": ("page.html", "text/html"), "/page.js": ("page.js", "text/javascript")} | {
    "/page.css": ("page.css", "text/css")
}

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_REFUSALS: Final[dict[Answer, str]] = {
    "token": "This page needs its token: open the address that edgecnn printed, up to its last letter.",
    "host": "This page is for this machine only: open it as http://127.0.0.1 or http://localhost.",
    "origin": "This comes from another page, and only this one's own is heard.",
}


@dataclass(frozen=True)
class Settings:
    """What the page is told once.

    Attributes:
        title: its headline.
        threshold: at the start; None where it is not known.
        places: zones and lines, see `messages.places`.
        adjust: called with `threshold=`; None where a threshold changes only what browsers draw.
        snapshots: the folder where snapshots are kept, too.
    """

    title: str
    threshold: float | None
    places: list[dict[str, Any]]
    adjust: Callable[..., None] | None
    snapshots: Path | None


class Server:
    """All that happens in the page's loop."""

    def __init__(self, desk: Desk, door: Door, settings: Settings) -> None:
        self._desk, self._door, self._settings = desk, door, settings
        self._viewers: set[Viewer] = set()
        self._sockets: set[web.WebSocketResponse] = set()
        self._threshold = settings.threshold
        self._adjusted = asyncio.Event()
        self._looked_at = asyncio.Event()
        self._picture: Picture | None = None
        self._limit_ms: float | None = None
        self._workers = ThreadPoolExecutor(2, thread_name_prefix="edgecnn-page-work")
        self._contents = {
            path: (package_files("edgecnn.live") / name).read_bytes() for path, (name, _) in _FILES.items()
        }

    @property
    def viewers(self) -> int:
        """How many look."""
        return sum(viewer.is_looking for viewer in list(self._viewers))

    async def serve(self, listening: socket.socket, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Serve until `stop` is set; then nothing is left behind."""
        runner = web.AppRunner(
            self._application(), handle_signals=False, access_log=None, shutdown_timeout=1.0
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listening).start()
            ready()
            work: list[Coroutine[Any, Any, object]] = [
                stop.wait(), self._send_pictures(), self._send_numbers(), self._adjust()
            ]  # fmt: skip
            tasks = [asyncio.create_task(one) for one in work]
            ended, going = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in going:
                task.cancel()
            await asyncio.wait(going)
            for task in ended:
                task.result()  # a bug in one of them ends the page and shows where it came from
        finally:
            for one in [one for one in self._sockets if one.prepared]:
                await one.close(code=WSCloseCode.GOING_AWAY, message=b"the camera has ended")
            await runner.cleanup()
            self._workers.shutdown(cancel_futures=True)

    # what follows answers requests

    def _application(self) -> web.Application:
        @web.middleware
        async def at_the_door(request: web.Request, handler: _Handler) -> web.StreamResponse:
            acts = request.method != "GET" or request.path == "/live"
            answer = self._door.asks(request.headers, request.query, request.cookies, acts=acts)
            if answer != "in":
                return web.Response(status=403, text=_REFUSALS[answer] + "\n")
            return await handler(request)

        application = web.Application(middlewares=[at_the_door], client_max_size=4096)
        application.on_response_prepare.append(_add_headers)
        for path in _FILES:
            application.router.add_get(path, self._file)
        application.router.add_get("/live", self._live)
        application.router.add_post("/snapshot", self._snapshot)
        return application

    async def _file(self, request: web.Request) -> web.Response:
        _, kind = _FILES[request.path]
        response = web.Response(body=self._contents[request.path], content_type=kind, charset="utf-8")
        if request.path == "/" and self._door.token is not None and "token" in request.query:
            # no redirect: it would come from where the link was, and a strict cookie is not sent from there
            response.set_cookie(self._door.cookie, self._door.badge(), httponly=True, samesite="Strict")
        return response

    async def _snapshot(self, request: web.Request) -> web.Response:
        seen = self._desk.newest
        if seen is None:
            return web.Response(status=409, text="Nothing was seen yet.\n")
        name = f"snapshot-{datetime.now().astimezone():%Y%m%d-%H%M%S-%f}.jpg"
        content = await self._aside(messages.snapshot, seen)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        folder = self._settings.snapshots
        if folder is not None:
            try:
                await self._aside(files.write_bytes, folder / name, content)
                self._desk.write("saved", f"the snapshot is kept as {folder / name}")
                headers["Edgecnn-Saved"] = "yes"
            except OSError as error:
                self._desk.write("unsaved", f"{folder / name}: {error.strerror}. The browser has its copy.")
                headers["Edgecnn-Saved"] = "no"
        return web.Response(body=content, content_type="image/jpeg", headers=headers)

    async def _live(self, request: web.Request) -> web.StreamResponse:
        if len(self._sockets) >= _MOST_VIEWERS:
            return web.Response(status=503, text=f"{_MOST_VIEWERS} browsers look already: the most.\n")
        # a JPEG does not get smaller by compressing it again
        connection = web.WebSocketResponse(heartbeat=_HEARTBEAT_S, compress=False, max_msg_size=1024)
        self._sockets.add(connection)
        try:
            await connection.prepare(request)
            await self._converse(connection)
        finally:
            self._sockets.discard(connection)
        return connection

    async def _converse(self, connection: web.WebSocketResponse) -> None:
        """Tell a viewer everything, and hear it, until it goes."""
        viewer = Viewer(connection)
        sending = asyncio.create_task(viewer.send())
        self._viewers.add(viewer)
        try:
            viewer.tell("hello", self._hello())
            viewer.tell("log", messages.log(self._desk.lines(), time.monotonic()))
            self._look()
            async for message in connection:
                if message.type != WSMsgType.TEXT or not self._hear(viewer, message.data):
                    await connection.close(code=WSCloseCode.POLICY_VIOLATION, message=b"not understood")
        finally:
            self._viewers.discard(viewer)
            self._look()
            sending.cancel()
            await asyncio.wait([sending])

    def _hello(self) -> str:
        return messages.as_json(
            {
                "kind": "hello",
                "title": self._settings.title,
                "places": self._settings.places,
                "lowest_threshold": LOWEST_THRESHOLD,
                "threshold": self._threshold,
                "saves": self._settings.snapshots is not None,
            }
        )

    def _hear(self, viewer: Viewer, text: str) -> bool:
        """Do what a viewer says; False where it makes no sense."""
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            return False
        match said:
            case {"got": True}:
                viewer.acknowledge()
            case {"looking": bool(is_looking)}:
                viewer.is_looking = is_looking
                self._look()
            case {"threshold": bool()}:  # which is an int, too
                return False
            case {"threshold": float(value) | int(value)} if LOWEST_THRESHOLD <= value <= 1:
                self._threshold = float(value)
                self._adjusted.set()
            case _:
                return False
        return True

    def _look(self) -> None:
        """Someone came, went, or looks away."""
        if any(viewer.is_looking for viewer in self._viewers):
            self._looked_at.set()
        else:
            self._looked_at.clear()

    # what follows goes on all the time

    async def _send_pictures(self) -> None:
        """The newest picture to all who are ready for it; made once, and only if there is one who is."""
        written = 0
        while True:
            await self._looked_at.wait()
            next_s = time.monotonic() + _PICTURE_S
            if written != self._desk.written:
                written = self._desk.written
                self._tell("log", messages.log(self._desk.lines(), time.monotonic()))
            seen = self._desk.newest
            if seen is None or not any(viewer.wants(seen) for viewer in self._viewers):
                await asyncio.sleep(_LOOK_S)
                continue
            if self._picture is None or self._picture.seen is not seen:
                self._picture = Picture(seen, await self._aside(messages.picture, seen))
            for viewer in self._viewers:
                if viewer.wants(seen):
                    viewer.show(self._picture)
            await asyncio.sleep(max(_LOOK_S, next_s - time.monotonic()))

    async def _send_numbers(self) -> None:
        """Rates and ages twice a second, and at once when the result becomes stale or fresh."""
        was_stale = False
        tick = 0
        while True:
            await self._looked_at.wait()
            now_stale = self._is_stale()
            if now_stale != was_stale or tick % _NUMBERS_TICKS == 0:
                was_stale = now_stale
                await self._tell_numbers()
            tick += 1
            await asyncio.sleep(_TICK_S)

    async def _tell_numbers(self) -> None:
        numbers = self._desk.numbers
        told: Mapping[str, Any] = {}
        if numbers is not None:
            told = await self._aside(_read, numbers)
            self._limit_ms = told.get("max_age_ms")
        seen = self._desk.newest
        minute = self._desk.ages.minute(time.monotonic())
        age_ms = None if seen is None else seen.age_ms
        self._tell("numbers", messages.numbers(told, minute, age_ms, self._stale_ms()))

    async def _adjust(self) -> None:
        """Hand on the newest threshold, one at a time, and tell all viewers."""
        known = self._threshold
        while True:
            await self._adjusted.wait()
            self._adjusted.clear()
            value, adjust = self._threshold, self._settings.adjust
            if adjust is not None:
                try:
                    await self._aside(adjust, threshold=value)
                except EdgecnnError as error:
                    self._desk.write("failed", f"the threshold stays as it was: {error}")
                    value = self._threshold = known
            known = value
            self._tell("threshold", messages.as_json({"kind": "threshold", "threshold": value}))

    def _stale_ms(self) -> float:
        return self._desk.ages.stale_ms() if self._limit_ms is None else self._limit_ms

    def _is_stale(self) -> bool:
        seen = self._desk.newest
        return seen is not None and seen.age_ms > self._stale_ms()

    def _tell(self, kind: str, text: str) -> None:
        for viewer in self._viewers:
            viewer.tell(kind, text)

    async def _aside(self, function: Callable[_P, _T], *given: _P.args, **named: _P.kwargs) -> _T:
        """Have something done that takes a while, while the loop goes on."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, partial(function, *given, **named))


def _read(numbers: Numbers) -> Mapping[str, Any]:
    return (numbers() if callable(numbers) else numbers).as_dict()


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
