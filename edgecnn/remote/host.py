"""The other machine's address, and the command that reaches it.

The system's own ssh does the work: what ~/.ssh/config, known_hosts, keys and the agent say is what counts.
"""

import re
import shlex
import shutil
from dataclasses import dataclass
from typing import Final

from edgecnn.errors import TargetError

_ADDRESS = re.compile(
    r"(?P<scheme>ssh://)?"
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.+-]*)@)?"
    r"(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9_.-]+)?|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)

_OPTIONS: Final = {
    "BatchMode": "yes",  # never asks for a password: a benchmark may run unattended
    "ConnectTimeout": "10",
    "ServerAliveInterval": "5",  # a machine that has gone is noticed within 15 seconds
    "ServerAliveCountMax": "3",
    "RemoteCommand": "none",  # and what else a configuration for working by hand may say
    "RequestTTY": "no",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
}

OLDEST_PYTHON: Final = (3, 11)
"""What the device floor needs."""

TOO_OLD: Final = "edgecnn: too old: Python"
"""What the other machine says on standard error, and its version, where it is older than that."""


@dataclass(frozen=True)
class Host:
    """Another machine, as ssh knows it.

    Attributes:
        address: what ssh is given: `pi`, `pi@10.0.0.7`, `ssh://pi@host:2222`.
        python: path or name of the Python there; a leading `~/` is the home folder.
    """

    address: str
    python: str = "python3"

    def __post_init__(self) -> None:
        found = _ADDRESS.fullmatch(self.address)
        if found is None or (found["port"] and not found["scheme"]):
            raise TargetError(
                f"{self.address!r} is no address for ssh. Give host, user@host or ssh://user@host:port."
            )
        if not self.python or self.python.startswith("-") or not self.python.isprintable():
            raise TargetError(f"{self.python!r} is no Python. Give a name or a path on {self.name}.")

    @property
    def name(self) -> str:
        """The machine alone, without user and port."""
        found = _ADDRESS.fullmatch(self.address)
        return found["name"].strip("[]") if found else self.address

    def command(self, program: bytes) -> list[str]:
        """What runs a program of so many bytes there, which it will read from standard input first.

        Raises:
            TargetError: there is no ssh on this machine.
        """
        ssh = shutil.which("ssh")
        if ssh is None:
            raise TargetError("there is no ssh on this machine. Install it: apt install openssh-client")
        options = [word for key, value in _OPTIONS.items() for word in ("-o", f"{key}={value}")]
        return [ssh, *options, "--", self.address, self._start(len(program))]

    def _start(self, size: int) -> str:
        """One line that any shell there understands the same way."""
        start = (
            f'import sys;sys.version_info>={OLDEST_PYTHON} or sys.exit("{TOO_OLD} "+sys.version.split()[0]);'
            f"exec(sys.stdin.buffer.read({size}))"
        )
        # commands start in the home folder, and a quoted ~ would be a plain letter
        return f"{shlex.quote(self.python.removeprefix('~/') or 'python3')} -c {shlex.quote(start)}"
