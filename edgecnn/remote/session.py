"""One connection to another machine: the archive goes out, the answer comes in, and nothing stays behind."""

import json
import os
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final, cast

from edgecnn.remote import failures
from edgecnn.remote.host import Host
from edgecnn.remote.parcel import Parcel

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_KEPT_LINES: Final = 40
_LONGEST_LINE: Final = 1 << 24
_PARTING_S: Final = 10.0

Event = Mapping[str, Any]


def carried_out(host: Host, parcel: Parcel, *, on_start: Callable[[Event], None]) -> tuple[Event, Event]:
    """Send the work, wait, and give what was said at its start and the reply that it left.

    However this ends, by an answer, an error or Ctrl-C: the process there has ended and its folder is gone,
    or the connection is.

    Args:
        host: the other machine.
        parcel: the work.
        on_start: told once the other machine has begun.

    Raises:
        TargetError: no ssh, no connection, no Python there, no room there, or the connection was lost.
        ModelError: the model ended the process there.
    """
    program = _SUPERVISOR.read_bytes()
    with subprocess.Popen(
        host.command(program),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C"},
        start_new_session=True,  # Ctrl-C is ours: ssh must live until the other machine has cleaned up
    ) as ssh:
        said: deque[str] = deque(maxlen=_KEPT_LINES)
        listening = threading.Thread(target=_listen, args=(_pipe(ssh.stderr), said), daemon=True)
        listening.start()
        try:
            _write(_pipe(ssh.stdin), program)
            started, ended = _follow(ssh, parcel, on_start)
        finally:
            _hang_up(ssh)
        listening.join(_PARTING_S)
        return started, _answer(host, started, ended, ssh.returncode, list(said))


def _follow(
    ssh: "subprocess.Popen[bytes]", parcel: Parcel, on_start: Callable[[Event], None]
) -> tuple[Event, Event]:
    """The first event and the last, {} where none came; the archive goes out between them."""
    started: Event = {}
    for event in _events(_pipe(ssh.stdout)):
        if event["edgecnn"] != "started":
            return started, event
        started = event
        on_start(event)
        _write(_pipe(ssh.stdin), parcel)
    return started, {}


def _write(stream: IO[bytes], what: bytes | Parcel) -> None:
    try:
        stream.write(what) if isinstance(what, bytes) else what.write(stream)
        stream.flush()
    except BrokenPipeError:
        return  # why nobody listens is in what comes back


def _events(stream: IO[bytes]) -> Iterator[Event]:
    """The JSON lines that are ours; a shell may greet before."""
    while line := stream.readline(_LONGEST_LINE):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and isinstance(event.get("edgecnn"), str):
            yield event


def _answer(host: Host, started: Event, ended: Event, status: int, said: list[str]) -> Event:
    if ended.get("edgecnn") == "failed":
        raise failures.not_unpacked(host, ended)
    if not started:
        raise failures.not_started(host, status, said)
    if not ended:
        raise failures.lost(host, str(started.get("scratch")), said)
    reply = ended.get("reply")
    if not isinstance(reply, dict):
        ended_with = ended.get("status")
        raise failures.crashed(host, ended_with if isinstance(ended_with, int) else 1, said)
    return reply


def _listen(stream: IO[bytes], said: deque[str]) -> None:
    while line := stream.readline(_LONGEST_LINE):
        if text := " ".join(line.decode("utf-8", "replace").split()):
            said.append(text)


def _hang_up(ssh: "subprocess.Popen[bytes]") -> None:
    """End the input, which ends the work there, and let the other machine clean up."""
    with suppress(BrokenPipeError):  # what was not sent is not wanted any more
        _pipe(ssh.stdin).close()
    try:
        with suppress(subprocess.TimeoutExpired):  # a connection that hangs is cut below
            ssh.wait(_PARTING_S)
    finally:
        if ssh.poll() is None:
            ssh.kill()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """One of the three pipes that ssh was started with."""
    return cast(IO[bytes], stream)
