"""Where the page is: an address as a person writes it, the socket that listens there, the URL to open."""

import errno
import ipaddress
import os
import socket
from dataclasses import dataclass

from edgecnn.errors import CameraError


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen.

    Attributes:
        host: a name or an address, IPv6 without brackets.
        port: 0 stands for any free one.
    """

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can get there."""
        return is_loopback(self.host)


def parse(text: str) -> Address:
    """Read `PORT` or `HOST:PORT`; without a host, only this machine can get there.

    Raises:
        CameraError: neither of them.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon:
        host = "127.0.0.1"
    elif host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise CameraError(f"{text!r}: an IPv6 address goes in brackets, such as [::1]:8000")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise CameraError(
            f"{text!r} is no address of a page. Give a port, such as 8000 (0: any free one), or HOST:PORT."
        )
    return Address(host, int(port))


def is_loopback(host: str) -> bool:
    """Whether a host, written without port and brackets, is this machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(address: Address) -> socket.socket:
    """A socket that listens there; the caller closes it.

    Raises:
        CameraError: the port is taken or not allowed, or the host is not this machine's.
    """
    where = f"port {address.port} of {address.host}"
    try:
        family, _, _, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(place[:2], family=family, backlog=64)
    except socket.gaierror as error:
        raise CameraError(f"the page's host {address.host!r} is not known ({error.strerror})") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CameraError(
                f"{where} is taken by another program. Choose another port for the page; 0 is any free one."
            ) from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise CameraError(
                f"{address.host} is no address of this machine. Use 0.0.0.0 for all that it has."
            ) from None
        # Python puts the place into the text; the system's own words are enough
        words = os.strerror(error.errno) if error.errno else str(error)
        raise CameraError(f"the page cannot listen on {where}: {words}") from None


def url(address: Address, port: int) -> str:
    """What a person opens to get there; `port` is the real one."""
    host = address.host
    if host in ("0.0.0.0", "::"):
        host = _own(socket.AF_INET6 if host == "::" else socket.AF_INET)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def _own(family: socket.AddressFamily) -> str:
    """This machine's address towards the rest of the world, or its name; nothing is sent."""
    # addresses for documentation (RFC 5737, RFC 3849): a datagram socket that connects only picks a route
    far = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((far, 9))
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])
