"""How old results are: edgecnn and the naive loop on the same camera, with a model slowed to 100 ms.

python benchmarks/age.py MODEL.tflite --seconds 300

The camera (`mjpeg_camera.py`, a process of its own) writes each frame's number into the picture; the age is
taken from there, so that nobody's own clock is believed. The naive loop is what everyone writes first:
`VideoCapture.read()`, then the model, again and again. Both run at once, each in its own process, on the same
model, whose every inference sleeps until its 100 ms are over.

The bar: p99 of the age when the result is in the user's hands <= inference + one frame period + 5 ms.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mjpeg_camera import number_in

import edgecnn
from edgecnn.runtime.environment import environment

HERE = Path(__file__).parent


class Slowed:
    """An interpreter whose inference takes its time."""

    def __init__(self, inner: Any, seconds: float) -> None:
        self._inner, self._seconds = inner, seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def invoke(self) -> None:
        """Compute, then sleep until the time is over."""
        start = time.monotonic()
        self._inner.invoke()
        time.sleep(max(0.0, start + self._seconds - time.monotonic()))


def slowed(path: Path, seconds: float) -> edgecnn.Model:
    model = edgecnn.load(path)
    model._interpreter = Slowed(model._interpreter, seconds)
    return model


def percentiles(values: list[float]) -> dict[str, float]:
    found = np.percentile(values, [50, 90, 99, 100], method="inverted_cdf")
    return dict(zip(("p50", "p90", "p99", "max"), (round(float(v), 2) for v in found), strict=True))


def ours(path: Path, url: str, start_s: float, fps: float, seconds: float, slow_s: float) -> dict[str, Any]:
    ages, claimed_off = [], []
    with slowed(path, slow_s) as model, edgecnn.watch(model, url) as eyes:
        end = time.monotonic() + seconds
        for seen in eyes:
            now = time.monotonic()
            true_s = start_s + number_in(seen.frame.image) / fps
            ages.append((now - true_s) * 1e3)
            claimed_off.append((seen.frame.time_s - true_s) * 1e3)
            if now > end:
                break
        told = eyes.statistics().as_dict()
    stages = told["stages_ms"]
    return {
        "age_ms": percentiles(ages[3:]),
        "claimed_too_young_ms": percentiles(claimed_off[3:]),
        "inference_ms": {key: stages["invoke"][key] for key in ("p50", "p99")},
        "prepare_ms": stages["prepare"],
        "results": told["results"],
        "captured": told["captured"],
        "dropped": told["dropped"],
    }


def naive(path: Path, url: str, start_s: float, fps: float, seconds: float, slow_s: float) -> dict[str, Any]:
    ages = []
    capture = cv2.VideoCapture(url)
    with slowed(path, slow_s) as model:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            there, image = capture.read()
            if not there:
                raise SystemExit("the naive loop got no frame")
            model(image)
            ages.append((time.monotonic() - start_s - number_in(image) / fps) * 1e3)
    return {
        "age_ms": percentiles(ages[3:]),
        "age_at_the_end_ms": round(ages[-1], 1),
        "results": len(ages),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--fps", type=float, default=30)
    parser.add_argument("--inference-ms", type=float, default=100)
    parser.add_argument("--role", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--start", type=float, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.role:
        role = {"ours": ours, "naive": naive}[wanted.role]
        slow_s = wanted.inference_ms / 1e3
        print(json.dumps(role(wanted.model, wanted.url, wanted.start, wanted.fps, wanted.seconds, slow_s)))
        return
    camera = subprocess.Popen(
        [sys.executable, str(HERE / "mjpeg_camera.py"), "--port", "0", "--fps", str(wanted.fps)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        words = camera.stdout.readline().split()
        again = [sys.executable, *sys.argv, "--url", f"http://127.0.0.1:{words[3]}/", "--start", words[1]]
        running = {
            role: subprocess.Popen([*again, "--role", role], stdout=subprocess.PIPE, text=True)
            for role in ("ours", "naive")
        }
        found = {role: json.loads(process.communicate()[0]) for role, process in running.items()}
    finally:
        camera.kill()
        camera.wait()
    bar = found["ours"]["inference_ms"]["p50"] + 1000 / wanted.fps + 5
    print(json.dumps({"environment": environment(), **found, "bar_ms": round(bar, 2)}, indent=1))
    age = found["ours"]["age_ms"]["p99"]
    print(
        f"age of a result over {wanted.seconds:g} s: edgecnn p99 {age:.1f} ms (bar {bar:.1f}: "
        f"{'met' if age <= bar else 'MISSED'}); naive loop p50 {found['naive']['age_ms']['p50']:.0f} ms, "
        f"at the end {found['naive']['age_at_the_end_ms']:.0f} ms"
    )


if __name__ == "__main__":
    main()
