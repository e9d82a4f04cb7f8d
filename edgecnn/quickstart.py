"""All of it in a few minutes, on drawn scenes: train, convert, judge, time, report.

It does what a user does with the other verbs, in the same order and with the same functions. Everything lands
in one folder: `run/` (see `edgecnn.runs`), report.html with its twins, and picture-1.jpg.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any

from edgecnn.data import open_dataset, training_splits
from edgecnn.data.augment import Augment
from edgecnn.data.dataset import Dataset
from edgecnn.errors import DataError, TrainingError
from edgecnn.image import Image
from edgecnn.report import Picture, write_report
from edgecnn.report.sheet import contact_sheet
from edgecnn.runs import Run
from edgecnn.runtime.model import load

SHOWN = "drawn?size=320x240"
"""The test scenes again, in a size that is good to look at."""


@dataclass(frozen=True)
class Plan:
    """What a quickstart learns.

    Attributes:
        title: of the report.
        scenes: name of a drawn data set: see `edgecnn.data.drawn`.
        model: a key of `edgecnn.zoo.ZOO`.
        size_wh: width and height of its input.
        epochs: passes over the training scenes.
        settings: other fields of the recipe.
    """

    title: str
    scenes: str
    model: str
    size_wh: tuple[int, int]
    epochs: int
    settings: Mapping[str, Any]


PLANS: dict[str, Plan] = {
    "classification": Plan(
        title="What lies in front of the robot?",
        scenes="drawn",
        model="resnet8",
        size_wh=(80, 60),
        epochs=12,
        # many small steps: with so few epochs they learn more than the default's large ones
        settings={"batch": 32, "rate": 0.05},
    ),
    "detection": Plan(
        title="Where do things lie in front of the robot?",
        scenes="drawn?train=2600&val=300&test=500",
        model="efficientnet_lite0",
        size_wh=(320, 256),  # larger than the scenes: a quarter of the boxes has a side below 13 pixels
        epochs=4,
        # From fresh weights a detector learns next to nothing in the few thousand steps of ten minutes.
        # Of scenes there are as many as anyone wants: mirroring is all they need.
        settings={
            "pretrained": "imagenet",
            "batch": 8,
            "rate": 2e-3,
            "augment": Augment(flip=True),
            "calm": 0.0,
        },
    ),
}
"""What is learned for each task."""

_SHOWN = 12
_BENCH_SECONDS = 4.0


@dataclass(frozen=True)
class Quickstart:
    """What a quickstart left.

    Attributes:
        report: path of report.html.
        picture: path of the annotated picture.
        run: the run folder, with float32.tflite and int8.tflite.
        seconds: how long it took.
    """

    report: Path
    picture: Path
    run: Path
    seconds: float


def quickstart(
    out: Path,
    *,
    task: str = "classification",
    force: bool = False,
    scenes: str | None = None,
    epochs: int | None = None,
    bench_seconds: float = _BENCH_SECONDS,
    progress: Callable[[str], None] = lambda line: None,
) -> Quickstart:
    """Train a small network on drawn scenes, make it int8, and say how good and how fast both are.

    Args:
        out: folder for everything. Other files in it are left alone.
        task: a key of PLANS.
        force: start again where an earlier quickstart has left its run: that run is deleted, the report
            replaced.
        scenes: name of a drawn data set; None takes the plan's.
        epochs: passes over the training scenes; None takes the plan's.
        bench_seconds: for each of the two files.
        progress: told what goes on, one line each; several a second while the network learns.

    Raises:
        TrainingError: there is no plan for the task.
        DataError: `out` is a file, or an earlier quickstart left its run there and `force` is not set.
        MissingExtra: packages for training, converting or reporting are not installed.
    """
    began = monotonic()
    run = Run(out / "run")
    if task not in PLANS:
        raise TrainingError(f"there is no quickstart for {task!r}. Use {' or '.join(PLANS)}.")
    plan = PLANS[task]
    scenes = scenes or plan.scenes
    _refuse(out, run, force)
    data = training_splits(scenes, task=task)
    _train(run, data, plan, epochs or plan.epochs, force, progress)
    _convert(run, data, progress)
    files = [run.tflite("float32"), run.tflite("int8")]
    _measure(files, open_dataset(scenes, task=task, split="test"), bench_seconds, progress)
    progress("writing the report")
    picture = Picture(
        f"The first {_SHOWN} test scenes and what int8.tflite says of them, how sure it is, and in red where "
        "it is wrong.",
        _seen(files[1], open_dataset(SHOWN, task=task, split="test")),
    )
    report = write_report([run.path], out=out, pictures=[picture], title=plan.title)
    seconds = monotonic() - began
    progress(f"done in {seconds / 60:.1f} minutes")
    return Quickstart(report, out / "picture-1.jpg", run.path, seconds)


def _refuse(out: Path, run: Run, force: bool) -> None:
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file, not a folder. Choose another place with --out.")
    if run.path.is_dir() and any(run.path.iterdir()) and not force:
        raise DataError(
            f"{run.path} is there from an earlier quickstart. Start again with --force, or choose "
            "another --out."
        )


def _train(
    run: Run,
    data: tuple[Dataset, Dataset],
    plan: Plan,
    epochs: int,
    force: bool,
    progress: Callable[[str], None],
) -> None:
    progress("loading TensorFlow")
    from edgecnn.training.fit import train
    from edgecnn.training.progress import line
    from edgecnn.training.recipe import default

    progress(f"drawing {len(data[0]) + len(data[1]):,} scenes")
    recipe = default(plan.model, data[0], size_wh=plan.size_wh, epochs=epochs, **plan.settings)
    train(data, recipe, out=run.path, force=force, progress=lambda now: progress(line(now)))


def _convert(run: Run, data: tuple[Dataset, Dataset], progress: Callable[[str], None]) -> None:
    from converters.convert import convert

    convert(run.path, schemes=("float32", "int8"), data=data, progress=progress)


def _measure(
    files: Sequence[Path], test: Dataset, bench_seconds: float, progress: Callable[[str], None]
) -> None:
    from edgecnn.measure import bench_models, evaluate_model

    for file in files:
        against = None if file == files[0] else files[0]
        evaluate_model(file, test, against=against, progress=_counted(f"judging {file.name}", progress))
    progress(f"timing {' and '.join(file.name for file in files)} in turns")
    images = [sample.read() for sample in islice(test.samples, 32)]
    bench_models(files, images=images, seconds=bench_seconds)


def _counted(what: str, progress: Callable[[str], None]) -> Callable[[int, int], None]:
    """Tells of every hundredth image."""

    def tell(done: int, of: int) -> None:
        if done % 100 == 0 or done == of:
            progress(f"{what}  {done:,}/{of:,} images")

    return tell


def _seen(file: Path, test: Dataset) -> Image:
    """The first test scenes with what a model says of them."""
    samples = test.samples[:_SHOWN]
    images = [sample.read() for sample in samples]
    with load(file) as model:
        results = list(model.map(images))
    return contact_sheet(images, results, [sample.truth for sample in samples if sample.truth is not None])
