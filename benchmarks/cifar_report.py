"""The example report: five networks and two pruned ones on CIFAR-10, each in four schemes, on four devices.

Every step is a command of `edgecnn`, printed before it runs and kept in commands.txt; a step that was done is
not done again, so the script can be stopped at any moment. The epochs are few: it is an example of a report,
not of what these networks can reach.

    python benchmarks/cifar_report.py cifar10.zip --minutes 60 --out build/cifar10
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NETWORKS = {
    "resnet8": ["--model", "resnet8", "--epochs", "10"],
    "lecture": ["--model", "lecture", "--width", "0.5", "--epochs", "6"],
    "mobilenet_v2": ["--model", "mobilenet_v2", "--width", "0.5", "--size", "64", "--epochs", "5"],
    "mobilenet_v1": ["--model", "mobilenet_v1", "--width", "0.5", "--size", "64", "--epochs", "5"],
    "efficientnet_lite0": ["--model", "efficientnet_lite0", "--pretrained", "--size", "64", "--epochs", "3"],
}
PRUNED = {
    "resnet8-half": ["resnet8", "--macs", "0.5", "--epochs", "4"],
    "mobilenet_v2-half": ["mobilenet_v2", "--macs", "0.5", "--epochs", "2"],
}
SCHEMES = ("float32", "float16", "dynamic", "int8")
TARGETS = ("raspberry_pi_4", "raspberry_pi_5", "coral_usb", "pixel_4")


@dataclass(frozen=True)
class Step:
    """One command, and the file that is there once it is done."""

    command: list[str]
    done: Path
    resumable: bool = False

    @property
    def line(self) -> str:
        """As it is typed."""
        return shlex.join(["edgecnn", *self.command])


def learning(data: str) -> Iterator[Step]:
    """Train five networks, and prune two of them."""
    for name, options in NETWORKS.items():
        command = ["train", data, *options, "--out", f"runs/{name}"]
        yield Step(command, Path("runs", name, "training.json"), resumable=True)
    for name, (run, *options) in PRUNED.items():
        command = ["compress", f"runs/{run}", *options, "--data", data, "--out", f"runs/{name}"]
        yield Step(command, Path("runs", name, "compression.json"), resumable=True)


def converting(data: str) -> Iterator[Step]:
    """Convert each network into every scheme, each on its own: one that is refused stops no other."""
    for name in (*NETWORKS, *PRUNED):
        if Path("runs", name, "model.keras").is_file():
            for scheme in SCHEMES:
                command = ["convert", f"runs/{name}", f"--{scheme}", "--data", data]
                yield Step(command, Path("runs", name, f"{scheme}.tflite"))


def judging(data: str) -> Iterator[Step]:
    """Judge each file on the test images, against its float32 file."""
    for file in _files():
        against = [] if file.stem == "float32" else ["--against", str(file.with_name("float32.tflite"))]
        command = ["evaluate", str(file), "--data", data, "--threads", "2", *against]
        yield Step(command, Path("done", f"{file.parent.name}-{file.stem}"))


def timing(data: str) -> Iterator[Step]:
    """Time all files here in turns, on one test image."""
    with zipfile.ZipFile(data) as archive:
        first = min(name for name in archive.namelist() if name.startswith("test/") and name.endswith(".jpg"))
        Path("one.jpg").write_bytes(archive.read(first))
    command = ["bench", *map(str, _files()), "--image", "one.jpg", "--seconds", "4"]
    yield Step(command, Path("done", "bench"))


def reporting(data: str) -> Iterator[Step]:
    """Put everything together, with estimates for four devices."""
    targets = [word for target in TARGETS for word in ("--target", target)]
    yield Step(["report", "runs", *targets, "--out", "report"], Path("report", "report.html"))


def _files() -> list[Path]:
    found = (Path("runs", name, f"{scheme}.tflite") for name in (*NETWORKS, *PRUNED) for scheme in SCHEMES)
    return [file for file in found if file.is_file()]


def take(step: Step) -> bool:
    """Run one step unless it was done; whether it is done now."""
    if step.done.exists():
        return True
    begun = step.resumable and step.done.with_name("checkpoints").is_dir()
    print(f"$ {step.line}", flush=True)
    command = [sys.executable, "-m", "edgecnn", *step.command, *(["--resume"] if begun else [])]
    code = subprocess.run(command, check=False).returncode
    if code:
        print(f"  exit code {code}", flush=True)
        return False
    if step.done.parent.name == "done":
        step.done.parent.mkdir(exist_ok=True)
        step.done.touch()
    with Path("commands.txt").open("a", encoding="utf-8") as file:
        file.write(step.line + "\n")
    return True


def main() -> None:
    """Take one step after the other; no new training after the deadline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0, help="after these, no further training begins")
    parser.add_argument("--out", type=Path, default=Path("build/cifar10"))
    options = parser.parse_args()
    data = options.data.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    os.chdir(options.out)
    if not Path(data.name).exists():
        Path(data.name).symlink_to(data)
    until = time.monotonic() + 60 * options.minutes
    undone = []
    for step in learning(data.name):
        if (time.monotonic() > until and not step.done.exists()) or not take(step):
            undone.append(step.line)
    for stage in (converting, judging, timing, reporting):
        undone += [step.line for step in stage(data.name) if not take(step)]
    if undone:
        sys.exit("not done:\n" + "\n".join(undone))


if __name__ == "__main__":
    main()
