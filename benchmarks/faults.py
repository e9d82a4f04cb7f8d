"""What happens when things go wrong: each fault is injected for real into a running `edgecnn camera`.

python benchmarks/faults.py MODEL.tflite

The camera on the network is a server here, which can be told to misbehave; the interpreter hangs in a
delegate (`delegate.c`); the full disk is a small file system in memory (needs root). Every case starts a
process, lets it work, breaks something for some seconds, and looks whether results come again, what was said,
and whether the process ends cleanly when it is told to. One table.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

FPS = 30
BROKEN_S = 3.0
"""How long a fault lasts."""


class Camera:
    """A motion JPEG camera that does what it is told.

    Modes: "well"; "cut", breaks off in the middle of a picture; "still", the same picture again and again;
    "silent", keeps the line and sends nothing; "larger", pictures of another size; "garbage", bytes that are
    no picture; "gone", nobody answers.
    """

    def __init__(self) -> None:
        self.mode = "well"
        random = np.random.default_rng(0)
        self._small = [self._jpeg(random, (480, 640)) for _ in range(8)]
        self._large = [self._jpeg(random, (720, 1280)) for _ in range(8)]
        self._garbage = [bytes(random.integers(0, 256, 20_000, np.uint8)) for _ in range(8)]
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}/stream.mjpg"
        threading.Thread(target=self._answer, daemon=True).start()

    @staticmethod
    def _jpeg(random: np.random.Generator, size_hw: tuple[int, int]) -> bytes:
        small = random.integers(0, 256, (size_hw[0] // 16, size_hw[1] // 16, 3), np.uint8)
        return cv2.imencode(".jpg", cv2.resize(small, size_hw[::-1]))[1].tobytes()

    def behave(self, mode: str) -> None:
        """Misbehave from now on, or no more."""
        self.mode = mode

    def _answer(self) -> None:
        while True:
            line, _ = self._door.accept()
            threading.Thread(target=self._stream, args=(line,), daemon=True).start()

    def _stream(self, line: socket.socket) -> None:
        with line, contextlib.suppress(OSError):
            if self.mode == "gone":
                return
            line.recv(65536)
            line.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
            )
            number = 0
            while True:
                time.sleep(1 / FPS)
                mode = self.mode
                if mode == "gone":
                    return
                if mode == "silent":
                    continue
                number += mode != "still"
                views = {"larger": self._large, "garbage": self._garbage}.get(mode, self._small)
                jpeg = views[number % len(views)]
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                if mode == "cut":
                    line.sendall(head + jpeg[: len(jpeg) // 2])
                    return
                line.sendall(head + jpeg + b"\r\n")


@dataclass
class Watched:
    """An `edgecnn camera` that runs, and what it said, with the time at which it did."""

    process: "subprocess.Popen[str]"
    said: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def results(self, since_s: float = 0.0) -> list[float]:
        """When results came."""
        return [at for at, one in list(self.said) if "results" in one and at >= since_s]

    def notices(self, since_s: float = 0.0) -> list[str]:
        """What happened, each kind once."""
        kinds = [str(one["notice"]) for at, one in list(self.said) if "notice" in one and at >= since_s]
        return list(dict.fromkeys(kinds))

    def address(self) -> str:
        """Where the live page is; "" as long as it was not told."""
        words = [word.rstrip(".,)") for line in list(self.told) for word in line.split()]
        return next((word for word in words if word.startswith("http://127.0.0.1")), "")

    def wait(self, true: Callable[[], object], seconds: float) -> bool:
        """Whether it came true in time, with the process alive."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            if true():
                return True
            time.sleep(0.01)
        return bool(true()) and self.process.poll() is None


@contextlib.contextmanager
def watching(model: Path, source: str, *words: str) -> Iterator[Watched]:
    """Start the command, let it give a few results; end it afterwards if it has not ended."""
    command = [sys.executable, "-m", "edgecnn", "camera", str(model), "--source", source]
    command += ["--json", "-", "--max-age", "500", "--threads", "1", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watched = Watched(process)

    def listen() -> None:
        for line in process.stdout:
            watched.said.append((time.monotonic(), json.loads(line)))

    threads = [
        threading.Thread(target=listen, daemon=True),
        threading.Thread(target=lambda: watched.told.extend(process.stderr), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        if not watched.wait(lambda: len(watched.results()) > 15, 30):
            raise SystemExit(f"the camera never began: {''.join(watched.told)}")
        yield watched
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        for thread in threads:
            thread.join(5)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    fault: str
    survived: bool
    said: str
    again_s: float | None = None
    note: str = ""


def broken_for_a_while(
    watched: Watched, fault: str, start: Callable[[], object], end: Callable[[], object]
) -> Row:
    """Break something, mend it, and see whether results come again."""
    begun_s = time.monotonic()
    start()
    time.sleep(BROKEN_S)
    notices = watched.notices(begun_s)
    end()
    mended_s = time.monotonic()
    came = watched.wait(lambda: len(watched.results(mended_s)) > 10, 25)
    first = watched.results(mended_s)[0] - mended_s if came else None
    time.sleep(0.5)
    said = ", ".join(dict.fromkeys([*notices, *watched.notices(begun_s)]))
    return Row(fault, came, said, first)


def of_the_source(model: Path) -> Iterator[Row]:
    """The source misbehaves."""
    for mode, fault in (
        ("cut", "source dies in the middle of a frame"),
        ("still", "source freezes: the same picture again and again"),
        ("silent", "source freezes: the line is open, nothing comes"),
        ("larger", "source changes its resolution"),
        ("garbage", "source delivers garbage instead of JPEG"),
        ("gone", "HTTP stream drops, the server is away"),
    ):
        camera = Camera()
        with watching(model, camera.url) as watched:
            yield broken_for_a_while(
                watched, fault, partial(camera.behave, mode), partial(camera.behave, "well")
            )


def of_the_interpreter(model: Path, folder: Path) -> Iterator[Row]:
    """An inference does not come back."""
    from stand_in_delegate import build_delegate

    camera = Camera()
    hang = folder / "hang"
    library = build_delegate(folder)
    with watching(model, camera.url, "--delegate", f"{library}:claim=first;hang={hang}") as watched:
        begun_s = time.monotonic()
        hang.touch()
        replaced = watched.wait(lambda: "hung" in watched.notices(begun_s), 20)
        hang.unlink()
        mended_s = time.monotonic()
        came = watched.wait(lambda: len(watched.results(mended_s)) > 10, 25)
        first = watched.results(mended_s)[0] - mended_s if came else None
        yield Row(
            "interpreter hangs", replaced and came, ", ".join(watched.notices(begun_s)), first,
            f"replaced after {mended_s - begun_s:.1f} s",
        )  # fmt: skip


def of_the_disk(model: Path, folder: Path) -> Iterator[Row]:
    """Everything that is written goes to a disk that becomes full."""
    camera = Camera()
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", str(disk)], check=False)
    if mounted.returncode:
        yield Row("disk full while recording", False, "", note="not tried: mounting needs root")
        return
    try:
        words = ("--save", str(disk / "seen.mp4"), "--record-low-confidence", str(disk / "hard"))
        with watching(model, camera.url, *words) as watched:
            full = watched.wait(lambda: "unsaved" in watched.notices(), 60)
            full_s = time.monotonic()
            came = watched.wait(lambda: len(watched.results(full_s)) > 60, 20)
        kept = [path.name for path in sorted(disk.rglob("*")) if path.is_file()]
        videos = [path for path in disk.glob("seen*") if cv2.VideoCapture(str(path)).read()[0]]
        ended = watched.process.returncode
        yield Row(
            "disk full while recording", full and came, ", ".join(watched.notices()),
            note=f"{len(videos)} playable recording(s) of {len(kept)} files; exit code {ended}",
        )  # fmt: skip
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def of_the_viewers(model: Path) -> Iterator[Row]:
    """Those who look at the live page vanish, or stop reading."""
    camera = Camera()
    with watching(model, camera.url, "--live", "0") as watched:
        watched.wait(watched.address, 10)
        host, port = watched.address().removeprefix("http://").split("/")[0].split(":")
        urllib.request.urlopen(watched.address(), timeout=5).read()
        begun_s = time.monotonic()
        for _ in range(10):
            viewer = socket.create_connection((host, int(port)))
            viewer.sendall(
                f"GET /live HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                f"Origin: http://{host}:{port}\r\n\r\n".encode()
            )
            answer = viewer.recv(4096).split(b"\r\n")[0]
            time.sleep(0.2)
            viewer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            viewer.close()  # by a reset, in the middle of whatever is being sent
        came = watched.wait(lambda: len(watched.results(begun_s)) > 45, 10)
        pauses = np.diff(watched.results(begun_s))
        yield Row(
            "viewers of the live page disconnect", came, ", ".join(watched.notices(begun_s)) or "nothing",
            note=f"10 connections reset ({answer.decode()}); longest pause of results {pauses.max():.2f} s",
        )  # fmt: skip


def of_signals(model: Path, folder: Path) -> Iterator[Row]:
    """The process is told to end."""
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        camera = Camera()
        film = folder / f"{number.name}.mp4"
        with watching(model, camera.url, "--save", str(film)) as watched:
            time.sleep(2)
            asked_s = time.monotonic()
            watched.process.send_signal(number)
            ended = watched.process.wait(10)
            took_s = time.monotonic() - asked_s
        plays = any(cv2.VideoCapture(str(path)).read()[0] for path in folder.glob(f"{number.name}*"))
        report = any("stages_ms" in json.dumps(one) for _, one in watched.said)
        yield Row(
            number.name, ended == code and plays and report, "report",
            note=f"exit code {ended} after {took_s:.2f} s; recording {'plays' if plays else 'is BROKEN'}",
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--only", help="one of: source, interpreter, disk, viewers, signals")
    wanted = parser.parse_args()
    os.environ["PYTHONUNBUFFERED"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cases: dict[str, Callable[[], Iterator[Row]]] = {
            "source": lambda: of_the_source(wanted.model),
            "interpreter": lambda: of_the_interpreter(wanted.model, folder),
            "disk": lambda: of_the_disk(wanted.model, folder),
            "viewers": lambda: of_the_viewers(wanted.model),
            "signals": lambda: of_signals(wanted.model, folder),
        }
        print("| fault | survived | what was said | results again after | |\n|---|---|---|---|---|")
        for name, rows in cases.items():
            if wanted.only not in (None, name):
                continue
            for row in rows():
                again = "-" if row.again_s is None else f"{row.again_s:.2f} s"
                survived = "yes" if row.survived else "NO"
                print(f"| {row.fault} | {survived} | {row.said} | {again} | {row.note} |", flush=True)


if __name__ == "__main__":
    main()
