"""Does edgecnn say on a Raspberry Pi what it says here? The same commands in an emulated one, compared.

`make pi` sets the Pi up (Raspberry Pi OS's Debian for arm64, its Python, LiteRT under qemu) and runs this:

    python tests/emulated/raspberry_pi.py build/pi/pipython --models ../shared/models

Not part of the test suite: it needs the emulator and a minute. No time taken in an emulator says anything
about a Pi, so none is shown.

What may differ, and why, alike.py says.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from alike import compare

from converters.golden import checks
from edgecnn import card as cards
from edgecnn import image_file
from edgecnn.runtime.model import load
from edgecnn.runtime.selftest import LEVELS

ROOT = Path(__file__).resolve().parents[2]
DEVICE = Path(__file__).with_name("device.py")
COLOURS = ROOT / "tests" / "golden" / "colours.tflite"


@dataclass(frozen=True)
class Subject:
    """A model that both machines run.

    Attributes:
        name: of its file, without ending.
        path: its file, with a card and golden checks that were computed here.
        rounded: whether its kernels round to 8 bits.
    """

    name: str
    path: Path
    rounded: bool


class CommandError(Exception):
    """A command did."""


class Machine:
    """One of the two: a Python and the commands it is given."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python, self.folder = python, folder

    def run(self, *arguments: object) -> str:
        """What a command prints to stdout.

        Raises:
            CommandError: it ends with another status than 0.
        """
        ended = subprocess.run(
            [str(self.python), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=600,
            cwd=self.folder,  # not the checkout: what is imported is found by PYTHONPATH, as when installed
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        )
        if ended.returncode:
            what = " ".join(str(one) for one in arguments if "\n" not in str(one))
            raise CommandError(
                f"{self.python.name} {what[:200]} ended with {ended.returncode}\n{ended.stderr[-2000:]}"
            )
        return ended.stdout

    def edgecnn(self, *arguments: object) -> list[Any]:
        """The JSON lines of an `edgecnn` command."""
        return [json.loads(line) for line in self.run("-m", "edgecnn", *arguments).splitlines()]


class Findings:
    """What was looked at, and whether it is as it should be."""

    def __init__(self) -> None:
        self.failed = 0

    def say(self, good: bool, what: str) -> None:
        """Print one line."""
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {what}", flush=True)  # noqa: T201


def subjects(models: Path, photographs: Sequence[Path], folder: Path) -> Iterator[Subject]:
    """Copies of real models, each given a card, and golden checks of what it computes on this machine."""
    for place, rounded in (
        (models / "tasks" / "mobilenet_v1_0.25_224_1_metadata_1.tflite", False),
        (models / "coral" / "tf2_mobilenet_v2_1.0_224_ptq.tflite", True),
        (models / "tasks" / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite", True),
        (COLOURS, False),
    ):
        copy = folder / place.name
        copy.write_bytes(place.read_bytes())
        with load(copy) as model:
            cards.attach(copy, model.card)
        with load(copy) as model:
            found = checks(model, map(image_file.read, photographs), count=2)
            cards.attach(copy, replace(model.card, checks=found))
        yield Subject(place.stem, copy, rounded)


def floor(pi: Machine, found: Findings) -> None:
    """Every module of the device floor can be imported with nothing but NumPy, OpenCV and LiteRT."""
    sys.path.insert(0, str(ROOT / "tests" / "edgecnn"))
    from test_device_floor import DOOR, modules

    names = modules()
    code = DOOR + "import importlib\nfor name in sys.argv[2:]: importlib.import_module(name)"
    pi.run("-c", code, "numpy,cv2,ai_edge_litert,tflite_runtime", *names)
    found.say(True, f"device floor: {len(names)} modules imported, nothing else needed")


def doctor(pi: Machine, found: Findings) -> None:
    said = {check["name"]: check for check in pi.edgecnn("doctor", "--json")}
    problems = [name for name, check in said.items() if check["status"] == "problem"]
    system = said["system"]["found"]
    found.say("aarch64" in system and not problems, f"doctor: {system}; problems: {problems or 'none'}")


def kernels(
    pi: Machine, here: Machine, subject: Subject, photographs: Sequence[Path], found: Findings
) -> None:
    """XNNPACK computes there what it computes here, and is given the same pixels."""
    answers, tensors = [], []
    for name, machine in (("pi", pi), ("here", here)):
        out = machine.folder / f"{subject.name}_{name}.npz"
        answers.append(json.loads(machine.run(DEVICE, out, subject.path, *photographs)))
        with np.load(out) as stored:
            tensors.append({one: stored[one] for one in stored.files})
    there, ours = (answer["delegation"] for answer in answers)
    found.say(
        # LiteRT in an emulator may silently run without it: all else would compare something else
        there["delegate"] == "xnnpack" and there == ours and answers[0]["machine"] == "aarch64",
        f"{subject.name}: {answers[0]['runtime']} on {answers[0]['machine']}, {there['delegate']} computes "
        f"{there['delegated']} of {there['operators']} operators, as here",
    )
    with load(subject.path) as model:
        level = model.card.checks[0]["tensor"]["level"]
    apart = [np.abs(tensors[0][one] - tensors[1][one].astype(np.float64)).max() / level for one in tensors[1]]
    found.say(
        max(apart) <= LEVELS + 1e-3,
        f"{subject.name}: inputs of {len(apart)} photographs differ by at most {max(apart):.1f} grey levels "
        f"({sum(one == 0 for one in apart)} not at all)",
    )


def photographs_alike(
    pi: Machine, here: Machine, subject: Subject, photographs: Sequence[Path], found: Findings
) -> None:
    """`edgecnn run` on photographs."""
    asked = ("run", subject.path, *photographs, "--json")
    found.say(
        *compare(f"{subject.name}: run", pi.edgecnn(*asked), here.edgecnn(*asked), rounded=subject.rounded)
    )


def camera_alike(pi: Machine, here: Machine, subject: Subject, frames: int, found: Findings) -> None:
    """`edgecnn camera` on drawn scenes, one after the other, so that both machines see the same."""
    asked = ["camera", subject.path, "--source", "drawn:5", "--every-frame", "--as-fast-as-possible"]
    asked += ["--frames", frames, "--json", "-"]
    (*said, last), (*ours, _) = pi.edgecnn(*asked), here.edgecnn(*asked)
    # an emulator may be so slow that the watchdog says so
    there = [line for line in said if "index" in line]
    notices = [line for line in said if "index" not in line]
    in_order = [line["index"] for line in there] == [line["index"] for line in ours] == list(range(frames))
    delegate = last["report"]["delegation"]["delegate"]
    found.say(
        in_order and all(line["age_ms"] > 0 for line in there) and delegate == "xnnpack",
        f"{subject.name}: camera, {len(there)} frames in order, each with its age, by {delegate}"
        + "".join(f"; {notice}" for notice in notices),
    )
    found.say(*compare(f"{subject.name}: camera", there, ours, rounded=subject.rounded))


def selftest(pi: Machine, subject: Subject, found: Findings) -> None:
    """The card's golden checks were computed here; the Pi is held to them."""
    (said,) = pi.edgecnn("selftest", subject.path, "--json")
    good = said["passed"] and "x86_64" in said["computed_by"]
    found.say(good, f"{subject.name}: selftest passed; computed at home by {said['computed_by']}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pipython", type=Path, help="the emulated Pi's Python")
    parser.add_argument("--models", type=Path, default=ROOT.parent / "shared" / "models")
    parser.add_argument("--frames", type=int, default=4, help="of the camera, for each model (default 4)")
    given = parser.parse_args()
    photographs = sorted((given.models / "images").resolve().glob("*.*g"))
    if not photographs:
        raise SystemExit(
            f"{given.models}: no photographs in images/; give the folder of models with --models"
        )

    found = Findings()
    with tempfile.TemporaryDirectory() as scratch:
        pi = Machine(given.pipython.resolve(), Path(scratch))
        here = Machine(Path(sys.executable), Path(scratch))
        looks: list[Callable[[], None]] = [lambda: floor(pi, found), lambda: doctor(pi, found)]
        for subject in subjects(given.models, photographs[:1], Path(scratch)):
            looks += _looks(pi, here, subject, photographs, given.frames, found)
        _all_done(looks, found)
    print("the Pi says what this machine says" if not found.failed else f"{found.failed} differ")  # noqa: T201
    raise SystemExit(bool(found.failed))


def _looks(
    pi: Machine, here: Machine, subject: Subject, photographs: Sequence[Path], frames: int, found: Findings
) -> Iterable[Callable[[], None]]:
    return (
        lambda: kernels(pi, here, subject, photographs, found),
        lambda: photographs_alike(pi, here, subject, photographs, found),
        lambda: selftest(pi, subject, found),
        lambda: camera_alike(pi, here, subject, frames, found),
    )


def _all_done(looks: Iterable[Callable[[], None]], found: Findings) -> None:
    """Two at a time: an emulated process takes one core."""
    with ThreadPoolExecutor(2) as pool:
        for waiting in [pool.submit(look) for look in looks]:
            try:
                waiting.result()
            except CommandError as error:
                found.say(False, str(error))


if __name__ == "__main__":
    main()
