"""How long a certified int8 file takes, beside a bare TFLiteConverter int8 conversion of the same network.

The bare script is what one writes without edgecnn: it loads the Keras model, gives TFLiteConverter as many
images, and writes the file; its images lie ready in a folder, chosen, and nothing is audited, judged or
checked. It stands here twice: as everybody writes it (from_keras_model), and as fast as it can be made
(from_concrete_functions). edgecnn starts from a run without float32.tflite, so it loads TensorFlow and makes
that file too; a second row starts beside the float32.tflite that is there after the first conversion.

Every conversion is a fresh process; the ways take turns, and medians are told. The limit is a ratio of 1.5,
of wall and of processor time; peak memory, without TensorFlow, must not grow with --samples.

    python benchmarks/convert_time.py runs/resnet8 --data cifar10.zip
    python benchmarks/convert_time.py runs/lite0 --data photographs/ --unlabelled --memory 32 64 128
"""

import argparse
import os
import shutil
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

# Heavy imports stay in `lay_out`: a child's peak memory counts from its parent's.

LIMIT = 1.5
GROWTH = 1.1
"""Peak memory of the most samples over that of the fewest: decoding threads and the allocator wobble."""

KEPT = ("card.json", "model.keras", "training.json", "recipe.json")
EDGECNN = "import sys; from edgecnn.cli.app import main; sys.exit(main())"

BARE = """
import json, os, sys
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import cv2, numpy as np, tensorflow as tf, tf_keras
model_file, folder, spec, made, concrete = sys.argv[1:]
spec = json.loads(spec)
model = tf_keras.models.load_model(model_file, compile=False)
def images():
    for name in sorted(os.listdir(folder)):
        image = cv2.imread(os.path.join(folder, name))
        image = cv2.resize(image, (spec["width"], spec["height"]), interpolation=cv2.INTER_AREA)
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.float32)
        yield [((image - spec["mean"]) / spec["std"]).astype(np.float32)[None]]
if concrete == "yes":
    shape = (1, spec["height"], spec["width"], 3)
    function = tf.function(lambda image: model(image, training=False))
    owner = tf.Module()
    owner.variables_of_it = model.variables
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function(tf.TensorSpec(shape, tf.float32))], owner)
else:
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = images
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.inference_input_type = converter.inference_output_type = tf.int8
open(made, "wb").write(converter.convert())
"""


class Cost(NamedTuple):
    """What one process took."""

    wall_s: float
    processor_s: float
    peak_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--unlabelled", action="store_true")
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, nargs="*", default=[64, 256, 1024], help="numbers of samples")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        failed = times(given, Path(folder))
        failed |= memory(given, Path(folder))
    raise SystemExit(failed)


def times(given: argparse.Namespace, folder: Path) -> bool:
    """Print the table; whether a ratio is above the limit."""
    images = folder / "images"
    images.mkdir()
    asking, telling = get_context("fork").Pipe(duplex=False)
    child = get_context("fork").Process(target=lay_out, args=(given, images, telling))
    child.start()
    spec = asking.recv()
    child.join()
    bare = [sys.executable, "-c", BARE, str(given.run / "model.keras"), str(images), spec]
    ready = fresh(given.run, folder / "ready")
    spent(ours(given, ready, given.samples))
    ways = {
        "bare, from_keras_model": lambda: spent([*bare, str(folder / "bare.tflite"), "no"]),
        "bare, from_concrete_functions": lambda: spent([*bare, str(folder / "bare.tflite"), "yes"]),
        "edgecnn": lambda: spent(ours(given, fresh(given.run, folder / "new"), given.samples)),
        "edgecnn --judged 200": lambda: spent(
            [*ours(given, fresh(given.run, folder / "new"), given.samples), "--judged", "200"]
        ),
        "edgecnn, float32.tflite there": lambda: spent(ours(given, ready, given.samples)),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for _ in range(given.rounds):
        for name, run in ways.items():
            costs[name].append(run())
    print(
        f"{given.run.name}, {len(list(images.iterdir()))} images of {Path(given.data).name}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, medians of {given.rounds}"
    )
    print(
        "| conversion | wall s | processor s | peak MB | wall ratio | processor ratio | to the fastest bare |"
    )
    print("|---|---|---|---|---|---|---|")
    usual, fastest = list(costs)[:2]
    failed = False
    for name, rows in costs.items():
        middle = Cost(*(median(column) for column in zip(*rows, strict=True)))
        wall, processor = ratios(rows, costs[usual])
        _, nearest = ratios(rows, costs[fastest])
        failed |= name == "edgecnn" and max(wall, processor) > LIMIT
        print(
            f"| {name} | {middle.wall_s:.1f} | {middle.processor_s:.1f} | {middle.peak_mb:.0f} | "
            f"{wall:.2f} | {processor:.2f} | {nearest:.2f} |"
        )
    return failed


def memory(given: argparse.Namespace, folder: Path) -> bool:
    """Print peak memory by number of samples; whether it grows."""
    ready = folder / "ready"
    peaks = {count: spent(ours(given, ready, count)).peak_mb for count in given.memory}
    for count, peak in peaks.items():
        print(f"{count:5d} samples: peak {peak:.0f} MB, without TensorFlow")
    return len(peaks) > 1 and peaks[max(peaks)] > GROWTH * peaks[min(peaks)]


def lay_out(given: argparse.Namespace, folder: Path, telling: object) -> None:
    """Write the images that the bare script calibrates with, as they are stored; tell the input's card."""
    import json

    from calibration.samples import choose
    from edgecnn.data import training_splits
    from edgecnn.data.folder import StoredImage
    from edgecnn.data.unlabelled import open_images
    from edgecnn.runs import Run

    spec = Run(given.run).read_card().input
    training = (open_images(given.data) if given.unlabelled else training_splits(given.data))[0]
    for number, sample in enumerate(choose(training, count=given.samples).samples):
        if not isinstance(sample.image, StoredImage):
            raise SystemExit(f"{given.data}: holds no image files")
        suffix = Path(sample.image.path).suffix
        (folder / f"{number:05d}{suffix}").write_bytes(sample.image.read_bytes())
    words = {"height": spec.height, "width": spec.width, "mean": list(spec.mean), "std": list(spec.std)}
    telling.send(json.dumps(words))  # type: ignore[attr-defined]


def ours(given: argparse.Namespace, run: Path, samples: int) -> list[str]:
    """The command that converts."""
    words = ["convert", str(run), "--int8", "--data", given.data, "--samples", str(samples), "--force"]
    return [sys.executable, "-c", EDGECNN, *words, *(["--unlabelled"] if given.unlabelled else [])]


def fresh(run: Path, place: Path) -> Path:
    """A copy of a run as training leaves it."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name in KEPT:
        if (run / name).is_file():
            shutil.copy(run / name, place)
    return place


def spent(command: list[str]) -> Cost:
    """Run a command in a process of its own."""
    begin = perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert child.stderr is not None
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)[:200]}: {said.decode(errors='replace')[-2000:]}")
    seconds = perf_counter() - begin
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def ratios(rows: list[Cost], others: list[Cost]) -> tuple[float, float]:
    """Of wall and of processor time, the medians over the rounds."""
    pairs = list(zip(rows, others, strict=True))
    return (
        median(one.wall_s / other.wall_s for one, other in pairs),
        median(one.processor_s / other.processor_s for one, other in pairs),
    )


if __name__ == "__main__":
    main()
