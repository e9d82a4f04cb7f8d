"""Is a training that was killed and resumed the same as one that was not? Bit by bit.

Trains once without interruption, then again with `kill -9` from outside at random moments, the last of them
while a checkpoint is being written; resumes each time, and compares all weights of `model.keras` and of the
last checkpoint, and history.csv without its column of seconds.

    python benchmarks/resume.py cifar10.zip --model resnet8 --images 8000 --epochs 3
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def child(options: argparse.Namespace) -> None:
    from edgecnn.data import training_splits
    from edgecnn.training.fit import train
    from edgecnn.training.recipe import default

    learned, judged = training_splits(options.data)
    learned = learned.subset(np.linspace(0, len(learned) - 1, min(options.images, len(learned))).astype(int))
    judged = judged.subset(np.linspace(0, len(judged) - 1, min(500, len(judged))).astype(int))
    recipe = default(options.model, learned, epochs=options.epochs, width=options.width)
    out = Path(options.child)
    train((learned, judged), recipe, out=out, resume=(out / "recipe.json").exists(), checkpoint_seconds=1)


def start(options: argparse.Namespace, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, __file__, *sys.argv[1:], "--child", str(out)])


def killed(process: subprocess.Popen[bytes], out: Path, wait_s: float, *, writing: bool) -> str:
    """Kill the process `wait_s` after its first checkpoint, or when a checkpoint is next being written."""
    folder = out / "checkpoints"
    before = newest(folder)
    while newest(folder) == before:
        if process.poll() is not None:
            return "had finished"
        time.sleep(0.01)
    time.sleep(wait_s)
    while writing and process.poll() is None and not list(folder.glob(".epoch-*")):
        pass
    process.kill()
    process.wait()
    torn = [f"{path.name} ({path.stat().st_size} bytes)" for path in folder.glob(".epoch-*")]
    return f"killed after {newest(folder)}" + (f", torn: {', '.join(torn)}" if torn else "")


def newest(folder: Path) -> str:
    return max((path.name for path in folder.glob("epoch-*.npz")), default="no checkpoint")


def weights(out: Path) -> dict[str, bytes]:
    """Everything that must be the same, by name."""
    from edgecnn.zoo.keras import keras

    model = keras.models.load_model(out / "model.keras", compile=False)
    found = {f"model.keras {w.name}": w.numpy().tobytes() for w in model.weights}
    with np.load(max((out / "checkpoints").glob("epoch-*.npz")), allow_pickle=False) as last:
        found |= {f"checkpoint {name}": last[name].tobytes() for name in last.files if name != "header"}
    lines = (out / "history.csv").read_text().splitlines()
    found["history.csv"] = "\n".join(line.rsplit(",", 1)[0] for line in lines).encode()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("--model", default="resnet8")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, cut = Path(folder, "whole"), Path(folder, "cut")
        begun = time.monotonic()
        if start(options, whole).wait():
            sys.exit("the uninterrupted training failed")
        print(f"uninterrupted: {time.monotonic() - begun:.0f} s")
        for number in range(options.kills):
            last = number == options.kills - 1
            print(killed(start(options, cut), cut, moments.uniform(0, 4), writing=last))
        if start(options, cut).wait():
            sys.exit("the resumed training failed")
        one, other = weights(whole), weights(cut)
        different = [name for name in one if one[name] != other.get(name)]
        print(f"{len(one)} arrays compared, {len(different)} differ {different[:5]}")
        sys.exit(bool(different or one.keys() != other.keys()))


if __name__ == "__main__":
    main()
