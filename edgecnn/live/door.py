"""Who may look: the token, and whether a request was really made by this page.

Without a token only this machine gets in, and only under its own name: a page of someone else's that had its
name resolved to 127.0.0.1 (DNS rebinding) says that name in `Host`. A web socket, or anything that changes
something, must not come from another page in the same browser: that one is named in `Origin`.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from edgecnn.errors import CameraError
from edgecnn.live.address import Address, is_loopback

Answer: TypeAlias = Literal["in", "token", "host", "origin"]
"""What the door says: come in, or what is wrong."""

_SHORTEST = 8
"""Characters of a token that someone chose. One that is made has 43."""


@dataclass(frozen=True, slots=True)
class Door:
    """What a request must show.

    Attributes:
        token: the secret; None where nobody but this machine gets here.
        cookie: the cookie's name. Cookies do not tell ports apart, so the port is part of it.
    """

    token: str | None = field(repr=False)
    cookie: str

    @staticmethod
    def of(address: Address, port: int, token: str | None) -> "Door":
        """The door of a page. A token is made where one is needed and none is given.

        Raises:
            CameraError: the given token can be guessed.
        """
        if token is not None and len(token) < _SHORTEST:
            raise CameraError(
                f"the page's token has {len(token)} characters, {_SHORTEST} is the least. "
                "Leave it out to have one made."
            )
        if token is None and not address.is_loopback:
            token = secrets.token_urlsafe()
        return Door(token, f"edgecnn_{port}")

    def badge(self) -> str:
        """What the cookie holds: not the token itself, which may have characters that cookies cannot have."""
        return sha256((self.token or "").encode()).hexdigest()

    def asks(
        self, headers: Mapping[str, str], query: Mapping[str, str], cookies: Mapping[str, str], *, acts: bool
    ) -> Answer:
        """Whether a request may come in.

        Args:
            headers: of the request.
            query: what stands behind the `?`.
            cookies: of the request.
            acts: a web socket, or a request that changes something.
        """
        host = headers.get("Host", "")
        if self.token is None:
            if not is_loopback(_name(host)):
                return "host"
        elif not (
            _same(query.get("token", ""), self.token) or _same(cookies.get(self.cookie, ""), self.badge())
        ):
            return "token"
        # browsers always say where such a request comes from; programs that are none need not
        origin = headers.get("Origin")
        if acts and origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return "origin"
        return "in"


def _name(host: str) -> str:
    """A Host header without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _same(given: str, wanted: str) -> bool:
    """Whether two texts are equal, in a time that does not tell how far they agree."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())
