"""Where an MQTT broker is and who asks, as a URL says it; the password may come from the environment."""

import os
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from edgecnn.errors import DataError

PASSWORD: Final = "EDGECNN_MQTT_PASSWORD"
"""The environment variable with the password, so that it need not stand on a command line."""

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is, and who asks.

    Attributes:
        host: its name or number.
        port: of TCP.
        secure: with TLS.
        topic: what all topics begin with.
        user: None where the broker lets everyone in.
        password: of the user; not part of any text made here.
    """

    host: str
    port: int
    secure: bool
    topic: str
    user: str | None
    password: str | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' * self.secure}://{host}:{self.port}/{self.topic}"

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"


def parse(url: str, topic: str | None = None) -> Address:
    """The address in mqtt://[user[:password]@]host[:port][/topic], or mqtts:// for TLS.

    A password that is not there is taken from the environment variable EDGECNN_MQTT_PASSWORD. Signs such as
    / and @ in a user or a password are written as %2F and %40.

    Args:
        url: of the broker.
        topic: what all topics begin with; None takes the URL's, or "edgecnn".

    Raises:
        DataError: not such a URL, or not a topic that one can publish to.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if parts.scheme not in _PORTS or not host or parts.query or parts.fragment:
        raise DataError(
            f"broker {_harmless(parts)!r}: give a URL such as mqtt://user@host:1883/topic, mqtts:// for TLS"
        )
    chosen = topic if topic is not None else unquote(parts.path).strip("/") or "edgecnn"
    if not chosen or any(sign in chosen for sign in "+#\0") or len(chosen.encode()) > 1024:
        raise DataError(f"topic {chosen!r}: give a name of 1 to 1024 bytes without + and #")
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password is not None else os.environ.get(PASSWORD)
    if parts.password is not None and user is None:
        raise DataError(
            f"broker {_harmless(parts)!r}: a password, but no user. Give mqtt://user:password@host"
        )
    secure = parts.scheme == "mqtts"
    return Address(
        host, port or _PORTS[parts.scheme], secure, chosen, user, password if user is not None else None
    )


def _harmless(parts: SplitResult) -> str:
    """A URL as typed, but without its password."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
