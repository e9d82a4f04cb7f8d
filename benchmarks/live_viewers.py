"""What viewers of the live page cost the thread that shows results, and the model that runs in it.

A camera's thread runs a model on 640 x 480 frames, 30 times a second, and shows each result. Beside it look
0, 1 or 8 viewers that read everything, or 8 that never read, in a process of their own. They take turns in
several rounds, and what is compared was measured in the same round, because other work on the machine comes
and goes. Printed are the time and the processor time of `show()`, the time of the model, and its ratio to the
one without viewers. The viewers' process gives way to the camera's where it can.

    python benchmarks/live_viewers.py --model mobilenet_v1_1.0_224_quant.tflite --seconds 5 --rounds 4
"""

import argparse
import asyncio
import multiprocessing
import os
import socket
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from edgecnn.data.drawn.video import drawn_video
from edgecnn.live.page import Page
from edgecnn.results import Boxes
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.model import Timings, load
from edgecnn.runtime.seen import Seen

FPS = 30
GOAL = 1.05


class Numbers:
    """Statistics that cost nothing."""

    def as_dict(self):
        """As the page reads them."""
        return {"captured": 1, "results": 1, "max_age_ms": None}


@dataclass
class Cost:
    """Of one way to be looked at: microseconds of `show()`, ms of the model, and the page's pictures."""

    wall_us: list = field(default_factory=list)
    cpu_us: list = field(default_factory=list)
    model_ms: list = field(default_factory=list)
    rounds_ms: list = field(default_factory=list)
    process_cpu: list = field(default_factory=list)


def look(port, readers, never, ready, end, pictures):
    """The viewers' process, which gives way to the camera's: real viewers have processors of their own."""
    import aiohttp

    os.nice(19)

    async def read(connection):
        async for message in connection:
            if message.type == aiohttp.WSMsgType.BINARY:
                with pictures.get_lock():
                    pictures.value += 1
                await connection.send_json({"got": True})

    async def all_of_them():
        idle = []
        for _ in range(never):
            one = socket.create_connection(("127.0.0.1", port))
            one.sendall(
                b"GET /live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            idle.append(one)
        async with aiohttp.ClientSession() as http:
            connections = [await http.ws_connect(f"http://127.0.0.1:{port}/live") for _ in range(readers)]
            tasks = [asyncio.create_task(read(one)) for one in connections]
            ready.set()
            await asyncio.to_thread(end.wait)
            for task in tasks:
                task.cancel()
        for one in idle:
            one.close()

    asyncio.run(all_of_them())


def watched(page, model, shots, seconds, cost):
    """Show results for a while."""
    start, cpu = time.monotonic(), time.process_time()
    mine = []
    for number in range(round(seconds * FPS)):
        time.sleep(max(0.0, start + number / FPS - time.monotonic()))
        captured = time.monotonic()
        image, boxes = shots[number % len(shots)]
        begun = time.perf_counter()
        model(image)
        mine.append((time.perf_counter() - begun) * 1e3)
        frame = Frame(image, number, captured, f"drawn#{number}")
        seen = Seen(frame, "detection", boxes, Timings(0.5, mine[-1], 0.1), time.monotonic())
        before, before_cpu = time.perf_counter(), time.thread_time()
        page.show(seen, Numbers())
        cost.cpu_us.append((time.thread_time() - before_cpu) * 1e6)
        cost.wall_us.append((time.perf_counter() - before) * 1e6)
    cost.model_ms += mine
    cost.rounds_ms.append(statistics.median(mine))
    cost.process_cpu.append((time.process_time() - cpu) / (time.monotonic() - start))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="a .tflite; without one, some blurring stands in for it")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=4)
    given = parser.parse_args()

    video = drawn_video(3, size_wh=(640, 480))
    shots = [(shot.image, Boxes(shot.boxes.xyxy, shot.boxes.score, shot.boxes.label_id, shot.boxes.labels))
             for shot, _ in zip(video, range(30), strict=False)]  # fmt: skip
    cv2.setNumThreads(1)
    model = load(given.model) if given.model else lambda image: cv2.GaussianBlur(image, (31, 31), 0)

    ways = {"nobody": (0, 0), "1 viewer": (1, 0), "8 viewers": (8, 0), "8 that never read": (0, 8)}
    costs = {way: Cost() for way in ways}
    rates = {way: [] for way in ways}
    apart = multiprocessing.get_context("spawn")
    for _ in range(given.rounds):
        for way, (readers, never) in ways.items():
            with Page("0", title="benchmark") as page:
                ready, end, pictures = apart.Event(), apart.Event(), apart.Value("l", 0)
                where = (page.address.port, readers, never, ready, end, pictures)
                viewers = apart.Process(target=look, args=where, daemon=True)
                viewers.start()
                ready.wait(60)
                while page.viewers < readers + never:
                    time.sleep(0.01)
                watched(page, model, shots, given.seconds, costs[way])
                rates[way].append(pictures.value / max(1, readers) / given.seconds)
                end.set()
                viewers.join(10)

    alone = costs["nobody"]
    print(
        f"{'':18s} show(): us p50   p99  cpu p50 |  model: ms p50    p99   ratio | process CPU | pictures/s"
    )
    worst = 0.0
    for way, cost in costs.items():
        ratio = statistics.median(
            one / other for one, other in zip(cost.rounds_ms, alone.rounds_ms, strict=True)
        )
        worst = max(worst, ratio)
        print(
            f"{way:18s} {np.percentile(cost.wall_us, 50):14.1f} {np.percentile(cost.wall_us, 99):6.1f} "
            f"{np.percentile(cost.cpu_us, 50):7.1f} | {np.percentile(cost.model_ms, 50):13.2f} "
            f"{np.percentile(cost.model_ms, 99):7.2f} {ratio:6.3f} | {np.mean(cost.process_cpu):11.1%} | "
            f"{np.mean(rates[way]):6.1f}"
        )
    print(f"worst ratio {worst:.3f}, goal {GOAL}")


if __name__ == "__main__":
    main()
