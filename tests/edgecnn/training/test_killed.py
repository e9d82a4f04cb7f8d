"""`kill -9` of a real process, at moments that nobody chose and in the middle of writing a checkpoint."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgecnn.card import InputSpec
from edgecnn.data import training_splits
from edgecnn.data.augment import Augment
from edgecnn.training import checkpoint
from edgecnn.training.fit import train
from edgecnn.training.recipe import Recipe, to_json
from edgecnn.zoo.keras import keras

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

RECIPE = Recipe(
    "resnet8",
    InputSpec(8, 8),
    width=0.25,
    epochs=3,
    batch=8,
    rate=0.05,
    augment=Augment(flip=True, shift=0.1),
)

# A checkpoint after every step, on a disk so slow that a kill meets training as well as writing.
SESSION = """
import os, signal, sys, time
from pathlib import Path
from edgecnn.data import training_splits
from edgecnn.training import fit
from edgecnn.training.recipe import from_json

data, recipe, out, kill_in_write = sys.argv[1:]
out, fsyncs, fsync = Path(out), 0, os.fsync

def slow_fsync(descriptor):
    global fsyncs
    time.sleep(0.1)
    if "/.epoch-" in os.readlink(f"/proc/self/fd/{descriptor}"):
        fsyncs += 1
    if fsyncs == int(kill_in_write):
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)

os.fsync = slow_fsync
fit._Clock.checkpoint_due = lambda self: True
fit.train(training_splits(data), from_json(recipe, "test"), out=out, resume=(out / "recipe.json").exists())
"""


def session(data: str, out: Path, kill_in_write: int = -1) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [data, to_json(RECIPE), str(out), str(kill_in_write)]
    return subprocess.Popen([sys.executable, "-c", SESSION, *arguments], env=environment)


def kill_soon(process: "subprocess.Popen[bytes]", out: Path, seconds: float) -> None:
    before, limit = checkpoint.newest(out / "checkpoints"), time.monotonic() + 120
    while checkpoint.newest(out / "checkpoints") == before and time.monotonic() < limit:
        assert process.poll() is None, "the session ended by itself"
        time.sleep(0.01)
    time.sleep(seconds)
    process.kill()
    assert process.wait() == -signal.SIGKILL


def outcome(out: Path) -> list[bytes]:
    model = keras.models.load_model(out / "model.keras", compile=False)
    newest = checkpoint.newest(out / "checkpoints")
    assert newest is not None
    with np.load(newest) as last:
        state = [last[name].tobytes() for name in last.files if name != "header"]
    table = [line.rsplit(",", 1)[0].encode() for line in (out / "history.csv").read_text().splitlines()]
    return [w.tobytes() for w in model.get_weights()] + state + table


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into /proc")
def test_a_training_killed_at_any_moment_ends_with_the_bits_of_one_that_was_not(
    pictures: str, tmp_path: Path
) -> None:
    whole, cut, moments = tmp_path / "whole", tmp_path / "cut", random.Random(os.urandom(8))
    for _ in range(2):
        kill_soon(session(pictures, cut), cut, moments.uniform(0, 0.4))
    assert session(pictures, cut, kill_in_write=3).wait() == -signal.SIGKILL
    torn = list((cut / "checkpoints").glob(".epoch-*"))
    assert len(torn) == 1
    train(training_splits(pictures), RECIPE, out=whole)
    train(training_splits(pictures), RECIPE, out=cut, resume=True)
    assert outcome(cut) == outcome(whole)
    assert not torn[0].exists()
