"""What starts on the other machine: unpacks what comes in, runs it, and cleans up whatever happens.

It is sent as text to the Python there (see `edgecnn.remote.host`), so it needs the standard library alone.
Standard input is the tether: first comes the archive, then nothing; where the input ends before the work
does, whoever asked is gone (Ctrl-C, a lost connection), and the work is ended, too. Standard output is JSON
lines, {"edgecnn": EVENT, ...}:

    started   python, executable, machine, scratch
    ended     status (of the work's process; below 0 the signal that ended it), reply (what it left)
    failed    what, and where

Everything else that anyone prints here goes to standard error.
"""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any


def main() -> None:
    """Do the work, say what came of it, leave nothing behind."""
    answers = os.dup(1)
    os.dup2(2, 1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _leave)
    try:
        scratch = Path(tempfile.mkdtemp(prefix="edgecnn-"))
    except OSError as error:
        _say(answers, "failed", what=str(error.strerror or error), where=str(error.filename or "/tmp"))
        return
    try:
        about = {"python": platform.python_version(), "executable": sys.executable}
        _say(answers, "started", **about, machine=platform.machine(), scratch=str(scratch))
        event, found = _done(scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)  # what stays is in the system's own folder for such things
    _say(answers, event, **found)
    _hear_out()  # some ssh servers lose an answer that comes while they still have input to pass on


def _done(scratch: Path) -> tuple[str, dict[str, Any]]:
    """Unpack and run: the event, and what there is to say about it."""
    try:
        _unpack(scratch)
    except OSError as error:
        return "failed", {"what": error.strerror or str(error), "where": str(scratch)}
    except tarfile.TarError:
        raise SystemExit("edgecnn: the archive ended early") from None
    return "ended", _run(scratch)


def _unpack(scratch: Path) -> None:
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        for member in archive:
            source = archive.extractfile(member)
            if source is None:
                raise SystemExit(f"edgecnn: {member.name} is not a file")
            target = scratch / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with source, target.open("wb") as file:
                shutil.copyfileobj(source, file)


def _run(scratch: Path) -> dict[str, Any]:
    search = os.pathsep.join(part for part in (str(scratch), os.environ.get("PYTHONPATH")) if part)
    with subprocess.Popen(
        [sys.executable, "there.py"],
        cwd=scratch,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": search, "PYTHONDONTWRITEBYTECODE": "1"},
        start_new_session=True,  # what it starts ends with it
    ) as work:
        threading.Thread(target=_end_with_input, args=(work,), daemon=True).start()
        try:
            status = work.wait()
        finally:
            _end(work.pid)
    reply = scratch / "reply.json"
    return {"status": status, "reply": json.loads(reply.read_text()) if reply.is_file() else None}


def _end_with_input(work: "subprocess.Popen[bytes]") -> None:
    _hear_out()
    if work.poll() is None:
        _end(work.pid)


def _hear_out() -> None:
    """Wait until the input ends."""
    while os.read(0, 65536):
        continue


def _end(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return  # it has ended by itself


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _say(answers: int, event: str, **facts: Any) -> None:
    try:
        os.write(answers, json.dumps({"edgecnn": event, **facts}).encode() + b"\n")
    except BrokenPipeError:
        return  # nobody is there any more; what is left to do is to clean up


if __name__ == "__main__":
    main()
