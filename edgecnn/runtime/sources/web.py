"""An answer of a web server that need not end: asked for, bounded in size and time, and closed by any thread.

On `http.client`, which bounds a header's lines and their number. What it leaves open is added here: a
deadline for all that is awaited, however slowly it drips in; which redirects are followed; and that a thread
that waits can be woken by closing.
"""

import http.client
import io
import socket
import ssl
import time
from base64 import b64encode
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

from edgecnn.errors import CameraError

_MOST_REDIRECTS = 3

_SECRETS = ("pass", "pwd", "token", "auth", "key", "secret", "user", "login")
"""A part of an address whose name holds one of these is nothing for a screen or a log."""


class Incoming(io.RawIOBase):
    """What a socket receives, until a deadline.

    Attributes:
        deadline_s: `time.monotonic()` after which reading raises TimeoutError.
    """

    def __init__(self, connection: socket.socket, deadline_s: float) -> None:
        super().__init__()
        self._connection = connection
        self.deadline_s = deadline_s

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase.readinto`."""
        remaining_s = self.deadline_s - time.monotonic()
        if remaining_s <= 0:
            raise TimeoutError("timed out")
        self._connection.settimeout(remaining_s)
        return self._connection.recv_into(buffer)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Itself, buffered: what `http.client` asks a socket for."""
        return io.BufferedReader(self, 1 << 16)


@dataclass(frozen=True, eq=False)
class Answer:
    """A server's answer whose header was read and was not an error.

    Attributes:
        name: its address as `shown` gives it.
        kind: the content type without parameters, lower case.
        boundary: of a multipart content; empty where none is named.
        body: `readline`, `read` and `peek` of what follows.
        incoming: its deadline.
    """

    name: str
    kind: str
    boundary: bytes
    body: http.client.HTTPResponse
    incoming: Incoming
    _connection: socket.socket

    def interrupt(self) -> None:
        """End the connection: a thread that reads gets its end, now. Any thread may."""
        try:
            # not TLS's own goodbye, which waits for the other side and takes what the reader is using
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
        except OSError:
            return  # it had ended already

    def close(self) -> None:
        """Give the connection back; not while a thread reads."""
        self.body.close()
        self._connection.close()


def get(url: str, *, timeout_s: float) -> Answer:
    """Ask for an address.

    Args:
        url: http:// or https://, with or without user:password@.
        timeout_s: for connecting and for the header, together; redirects have it anew.

    Raises:
        CameraError: no answer in time, a refusal, or what is no HTTP.
    """
    authorization = None
    asked = url
    for _ in range(_MOST_REDIRECTS + 1):
        parts = split(asked)
        if parts.username is not None:
            account = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = parts.hostname, f"Basic {b64encode(account.encode()).decode()}"
        header = authorization[1] if authorization and authorization[0] == parts.hostname else None
        try:
            answer = _asked(parts, header, timeout_s)
        except (OSError, http.client.HTTPException) as error:
            raise CameraError(f"{shown(asked)}: {reason(error, timeout_s)}") from None
        if isinstance(answer, Answer):
            return answer
        asked = urljoin(asked, answer)
    raise CameraError(f"{shown(url)}: sends one from address to address, more than {_MOST_REDIRECTS} times.")


def _asked(parts: SplitResult, authorization: str | None, timeout_s: float) -> Answer | str:
    """The answer, or the address it sends one to."""
    deadline_s = time.monotonic() + timeout_s
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    kept = False
    try:
        headers = {"Accept": "multipart/x-mixed-replace, */*", "User-Agent": "edgecnn", "Connection": "close"}
        if authorization is not None:
            headers["Authorization"] = authorization
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        connection.request("GET", path, headers=headers)
        wire: socket.socket = connection.sock
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        incoming = Incoming(wire, deadline_s)
        response = http.client.HTTPResponse(incoming, method="GET")  # type: ignore[arg-type]  # all it uses is makefile
        response.begin()
        name = shown(urlunsplit(parts))
        location = response.getheader("Location")
        if response.status in (301, 302, 303, 307, 308) and location:
            return location
        if response.status != 200:
            raise CameraError(f"{name}: {_refusal(response)}")
        boundary = str(response.msg.get_param("boundary") or "").strip().encode("latin-1", "replace")
        kept = True
        return Answer(name, response.msg.get_content_type(), boundary, response, incoming, wire)
    finally:
        if not kept:
            connection.close()


def split(url: str) -> SplitResult:
    """The parts of an address that leads somewhere.

    Raises:
        CameraError: it has no host, a wrong port, another scheme than streams have, or control characters.
    """
    try:
        parts = urlsplit(url)
        port_is_possible = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_possible = urlsplit(""), False
    plain = all(character.isprintable() and not character.isspace() for character in url)
    if not (parts.hostname and port_is_possible and plain) or parts.scheme not in PORTS:
        raise CameraError(
            f"{shown(url)}: not the address of a stream. Write it like http://192.168.1.20:8080/stream.mjpg "
            "or rtsp://user:password@192.168.1.20/stream"
        )
    return parts


PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443}
"""The schemes of streams, and where they are served when the address does not say."""


def shown(url: str) -> str:
    """The address without what is secret in it."""
    try:
        parts = urlsplit(url)
        place = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an address that cannot be read"
    fields = [
        f"{key}=***" if value and any(word in key.lower() for word in _SECRETS) else field
        for field in parts.query.split("&")
        for key, _, value in [field.partition("=")]
    ]
    return urlunsplit((parts.scheme, place, parts.path, "&".join(fields), ""))


def reason(error: Exception, timeout_s: float) -> str:
    """What an error of a connection means, in half a line."""
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s. Check that the camera is on, and its address and port."
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({error.verify_message}). Name a file with the right one in the "
            "environment variable SSL_CERT_FILE, or use http:// in a network of your own."
        )
    if isinstance(error, ssl.SSLError):
        return "does not speak TLS as it should. Try http:// instead of https://."
    if isinstance(error, socket.gaierror):
        return "there is no such host. Check the name, or use the camera's number (192.168...)."
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there (connection refused). Check the port, and that the camera is on."
    if isinstance(error, http.client.HTTPException):
        return f"does not answer as a web server does ({type(error).__name__}). Check port and path."
    return f"the connection failed ({getattr(error, 'strerror', None) or type(error).__name__})."


def _refusal(response: http.client.HTTPResponse) -> str:
    said = f"the server answers {response.status} {response.reason[:60]}".strip()
    if response.status == 401 and "digest" in (response.getheader("WWW-Authenticate") or "").lower():
        return (
            f"{said} and wants a digest login. Allow basic logins in the camera, or use its rtsp:// address."
        )
    if response.status in (401, 403):
        return f"{said}. Give user and password: http://user:password@host/..."
    if response.status == 404:
        return f"{said}. Check the path; the camera's manual names it."
    return f"{said}."
