"""Whether `edgecnn camera` can run for ever: 100,000 drawn frames, and what they leave behind.

python benchmarks/endurance.py MODEL.tflite --frames 100000

A process of its own draws, runs the model on every frame and writes each result as a line; this one reads its
resident memory from the system every second. Growth is the median of the last tenth less the median of the
second one: the first is the warm-up. When the camera has ended, the process compares its threads, files and
sockets with before.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from edgecnn.camera import Outputs, camera
from edgecnn.runtime.environment import environment


def held() -> dict[str, list[str]]:
    """What this process holds: its threads, and what its file descriptors are."""
    descriptors = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            descriptors.append(str(link.readlink()).partition(":[")[0])
        except FileNotFoundError:
            continue  # the one that lists the folder
    return {"threads": sorted(t.name for t in threading.enumerate()), "files": sorted(descriptors)}


def child(wanted: argparse.Namespace) -> None:
    """Run the camera here, twice a few frames for what is made once, then all of them."""

    def run(frames: int, folder: Path, name: str) -> Any:
        outputs = Outputs(json=folder / name)
        return camera(
            wanted.model, wanted.source, outputs=outputs, frames=frames, paced=False, every_frame=True,
            track=wanted.track, threads=1,
        )  # fmt: skip

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run(20, folder, "first.jsonl")
        before = held()
        report = run(wanted.frames, folder, "results.jsonl")
        with (folder / "results.jsonl").open() as lines:
            results = sum('"results"' in line for line in lines)
        after = held()
    left = {
        kind: [one for one in after[kind] if after[kind].count(one) > before[kind].count(one)]
        for kind in after
    }
    print(
        json.dumps({"left_behind": left, "lines": results, "statistics": report.as_dict()["statistics"]}),
        flush=True,
    )


def resident_mib(pid: int) -> float:
    """VmRSS as the system tells it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--source", default="drawn:0?size=160x120")
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--track", action="store_true")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.child:
        child(wanted)
        return
    start = time.monotonic()
    running = subprocess.Popen([sys.executable, *sys.argv, "--child"], stdout=subprocess.PIPE, text=True)
    said: list[str] = []
    threading.Thread(target=lambda: said.extend(running.stdout), daemon=True).start()
    memory: list[float] = []
    while running.poll() is None:
        memory.append(resident_mib(running.pid))
        time.sleep(1)
        if len(memory) % 60 == 0:
            print(f"{len(memory) // 60} min: {memory[-1]:.2f} MiB", file=sys.stderr, flush=True)
    if running.returncode:
        raise SystemExit(running.returncode)
    found = json.loads(said[-1])
    tenth = max(1, len(memory) // 10)
    warm, last = memory[tenth : 2 * tenth], memory[-tenth - 1 : -1]
    growth = statistics.median(last) - statistics.median(warm)
    print(
        json.dumps(
            {"environment": environment(), "memory_mib": memory[:: max(1, len(memory) // 100)], **found}
        )
    )
    nothing = not any(found["left_behind"].values())
    print(
        f"{found['lines']} frames in {time.monotonic() - start:.0f} s: resident memory "
        f"{statistics.median(warm):.2f} MiB after the warm-up, {statistics.median(last):.2f} MiB at the end: "
        f"{growth:+.2f} MiB ({'met' if growth < 2 else 'MISSED'}: below 2); left behind: "
        f"{'nothing' if nothing else found['left_behind']}"
    )


if __name__ == "__main__":
    main()
