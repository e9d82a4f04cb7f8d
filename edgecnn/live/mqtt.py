"""Events and results to an MQTT broker, whether it is there or not.

Three topics below the one that is given: `/events` has a JSON object for each event, each delivered at least
once; `/results` one for each frame, as it comes or not at all, since a late one is of no use; `/status` says
"online" or "offline" to whoever asks, also when this process was killed. Nothing here ever waits for the
network but `close`. Connecting, and coming back after growing pauses, is paho's thread's.
"""

import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from edgecnn.errors import DataError, MissingExtra
from edgecnn.live.mqtt_address import parse
from edgecnn.runtime.seen import Seen
from edgecnn.runtime.tracking.zones import Event
from edgecnn.runtime.watch.notice import Notice

_KEEPALIVE_S: Final = 10
"""A broker that is silent for half as long again is gone; until then results pile up in memory."""

_MOST: Final = 50_000
"""MQTT numbers the messages that are not confirmed with 16 bits."""

_CONNECT_S: Final = 3.0
_FLUSH_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of the messages so far.

    Attributes:
        delivered: events that the broker has confirmed.
        waiting: events that it has not confirmed yet.
        dropped: events that were too many to wait, and results while the broker was away.
    """

    delivered: int
    waiting: int
    dropped: int

    def as_dict(self) -> dict[str, int]:
        """JSON-ready."""
        return {"delivered": self.delivered, "waiting": self.waiting, "dropped": self.dropped}


class Broker:
    """Publishes what it is given to an MQTT broker (3.1.1). Any thread may call it.

    A broker that is not there, or that does not let us in, is told as a Notice and tried again after growing
    pauses; events wait meanwhile, `waiting` of them, and then new ones are dropped and counted.

    Args:
        url: see `edgecnn.live.mqtt_address.parse`.
        topic: what all topics begin with; None takes the URL's, or "edgecnn".
        qos: of events: 1, at least once; 2, exactly once; 0, now or never.
        waiting: how many events may wait.
        retry_s: the first pause and the longest, in whole seconds.
        ca_file: whose signature a server must have, PEM; None takes what this system trusts.
        on_notice: called when the broker goes (kind "unsaved") and when it is there again ("back"), in paho's
            thread; must neither wait nor raise.

    Raises:
        DataError: not a URL, a topic or an option; or the CA file cannot be read.
        MissingExtra: paho-mqtt is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        topic: str | None = None,
        qos: Literal[0, 1, 2] = 1,
        waiting: int = 1000,
        retry_s: tuple[int, int] = (1, 30),
        ca_file: Path | None = None,
        on_notice: Callable[[Notice], object] | None = None,
    ) -> None:
        self.address = parse(url, topic)
        if qos not in (0, 1, 2) or not 1 <= waiting <= _MOST or not 1 <= retry_s[0] <= retry_s[1]:
            raise DataError(
                f"broker: qos {qos} must be 0, 1 or 2, waiting {waiting} 1 to {_MOST}, "
                f"retry_s {retry_s} 1 or more"
            )
        self._qos, self._waiting, self._on_notice = qos, waiting, on_notice
        self._mutex = threading.Lock()
        self._open: set[int] = set()
        # paho confirms while it holds a lock of its own that publishing wants, too: never wait there
        self._confirmed: deque[int] = deque()
        self._delivered = self._dropped = 0
        self._told_away = self._closed = False
        self._client = self._connecting(ca_file, retry_s)

    @property
    def connected(self) -> bool:
        """Whether the broker is there and has let us in."""
        return bool(self._client.is_connected())

    def publish(self, what: Event | Seen) -> bool:
        """Send an event to `/events`, or a frame's results to `/results`. Never waits for the network.

        `at` is added to both: the time of the frame in UTC. The events of a `Seen` are not sent with it.

        Returns:
            Whether it was sent, or waits to be; False: dropped and counted.
        """
        if isinstance(what, Seen):
            words, topic, qos = {**what.as_dict(), "at": _clock(what.frame.time_s)}, "results", 0
        else:
            words, topic, qos = {**what.as_dict(), "at": _clock(what.time_s)}, "events", self._qos
        payload = json.dumps(words, allow_nan=False, separators=(",", ":"))
        with self._mutex:
            if self._closed:
                raise DataError(f"{self.address}: was closed; nothing more can be published")
            self._reconcile()
            if len(self._open) >= self._waiting if qos else not self._client.is_connected():
                self._dropped += 1
                return False
            sent = self._client.publish(f"{self.address.topic}/{topic}", payload, qos)
            if qos:
                self._open.add(sent.mid)
            return True

    def delivery(self) -> Delivery:
        """What became of the messages so far."""
        with self._mutex:
            self._reconcile()
            return Delivery(self._delivered, len(self._open), self._dropped)

    def close(self) -> None:
        """Give what waits a second to be delivered, say "offline", and let go. Twice does no harm."""
        with self._mutex:
            if self._closed:
                return
            self._closed = True
        until = time.monotonic() + _FLUSH_S
        while self._client.is_connected() and self.delivery().waiting and time.monotonic() < until:
            time.sleep(0.005)
        if self._client.is_connected():
            self._client.publish(self._status, "offline", 0, retain=True)
        self._client.disconnect()
        # paho's thread may be looking for the broker's name, which nothing can cut short
        ending = threading.Thread(target=self._client.loop_stop, name="edgecnn-mqtt-end", daemon=True)
        ending.start()
        ending.join(max(0.1, until - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _status(self) -> str:
        return f"{self.address.topic}/status"

    def _connecting(self, ca_file: Path | None, retry_s: tuple[int, int]) -> Any:
        """A client of paho's whose thread has begun to connect."""
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "paho":
                raise
            raise MissingExtra("paho-mqtt", "mqtt") from None
        address = self.address
        client = Client(CallbackAPIVersion.VERSION2, f"edgecnn-{secrets.token_hex(6)}")
        client.connect_timeout = _CONNECT_S
        client.max_queued_messages_set(0)  # what may wait is counted here
        client.reconnect_delay_set(*retry_s)
        client.will_set(self._status, "offline", qos=1, retain=True)
        if address.user is not None:
            client.username_pw_set(address.user, address.password)
        if address.secure:
            try:
                client.tls_set(None if ca_file is None else str(ca_file))
            except OSError as error:  # SSLError is one
                raise DataError(
                    f"{ca_file}: is no CA file in PEM ({error.strerror or error.args[-1]})"
                ) from None
        client.on_connect = self._answered
        client.on_connect_fail = self._not_reached
        client.on_disconnect = self._parted
        client.on_publish = self._confirm
        client.connect_async(address.host, address.port, _KEEPALIVE_S)
        client.loop_start()
        return client

    def _reconcile(self) -> None:
        while self._confirmed:
            number = self._confirmed.popleft()
            if number in self._open:  # results are confirmed, too, but not waited for
                self._open.remove(number)
                self._delivered += 1

    # paho's thread calls these

    def _confirm(self, client: Any, data: Any, number: int, reason: Any, properties: Any) -> None:
        self._confirmed.append(number)

    def _answered(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._away(f"does not let us in ({reason})")
            return
        client.publish(self._status, "online", 1, retain=True)
        if self._told_away:
            self._told_away = False
            self._tell(Notice("back", f"{self.address}: the broker is there again; what waited is sent"))

    def _not_reached(self, client: Any, data: Any) -> None:
        self._away("cannot be reached")

    def _parted(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if not self._closed:
            self._away(f"is gone ({reason})")

    def _away(self, what: str) -> None:
        if self._told_away or self._closed:
            return
        self._told_away = True
        self._tell(
            Notice(
                "unsaved",
                f"{self.address}: the broker {what}; it is tried again, up to {self._waiting} events wait",
            )
        )

    def _tell(self, notice: Notice) -> None:
        if self._on_notice is not None:
            self._on_notice(notice)


def _clock(time_s: float) -> str:
    """A monotonic time as UTC, since nobody else knows when this machine started."""
    at = datetime.now(UTC) - timedelta(seconds=time.monotonic() - time_s)
    return at.isoformat(timespec="milliseconds")
