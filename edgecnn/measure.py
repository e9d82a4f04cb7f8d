"""Models by their path, run folders included: how right, how fast; one `Measurement` each.

The one place that knows both wings' models: a run is judged through Keras, a `.tflite` through the runtime,
by the same code (`edgecnn.evaluation`). A file that lies in a run folder gets a line in its measurements.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from edgecnn import evaluation, runs
from edgecnn.card import Card
from edgecnn.data import open_dataset
from edgecnn.data.dataset import Dataset
from edgecnn.errors import DataError
from edgecnn.evaluation import BoxEvaluation, Evaluation, Predict
from edgecnn.image import Image
from edgecnn.runs import Measurement, Run
from edgecnn.runtime.benchmark import Benchmark, benchmark_many
from edgecnn.runtime.model import load
from edgecnn.tasks import TASKS


def evaluate_model(
    model: Path | str,
    data: Path | str | Dataset,
    *,
    split: str | None = None,
    against: Path | str | None = None,
    threads: int = 1,
    skip_unreadable: bool = False,
    record: bool = True,
    progress: Callable[[int, int], None] | None = None,
    **words: Any,
) -> tuple[Evaluation | BoxEvaluation, Measurement]:
    """Judge a model on labelled images.

    Average precision looks at a detector's unlikely boxes, too: its answers are taken under the task's
    `JUDGING` options, whatever its card says; precision and recall are of those over the card's threshold.

    Args:
        model: a `.tflite` file, or a run folder (its Keras model; needs TensorFlow).
        data: a data set or its path.
        split: which part; None takes "test" where there is one, else "val". With a `Dataset`, its own.
        against: another model, to count on how many images both decide alike.
        threads: of the interpreter.
        skip_unreadable: leave broken images out, and list them, instead of refusing the data set.
        record: add the measurement to the run folder that the model lies in, if it does.
        progress: told how many images are done, of how many.
        words: how to read a stranger's `.tflite`; see `edgecnn.runtime.model.load`.

    Raises:
        DataError: the data cannot be read or does not fit the model.
        ModelError: the model cannot be read or run.
        MissingExtra: a run folder is judged without TensorFlow.
    """
    path, other = Path(model), None if against is None else Path(against)
    with ExitStack() as stack:
        opened = stack.enter_context(_opened(path, threads, words))
        reference = None if other is None else stack.enter_context(_opened(other, threads, {}))
        dataset = data if isinstance(data, Dataset) else judged_split(data, split, task=opened.card.task)
        found = evaluation.evaluate(
            opened.predict,
            dataset,
            reference=None if reference is None else reference.predict,
            options=opened.card.options,
            reference_options=None if reference is None else reference.card.options,
            skip_unreadable=skip_unreadable,
            progress=progress,
        )
    file = _file(path)
    measured = evaluation.measurement(
        found,
        file,
        scheme=scheme_of(path),
        reference=None if other is None else _file(other),
        conditions=opened.conditions,
    )
    if record:
        record_beside(path, measured)
    return found, measured


def bench_models(
    models: Sequence[Path | str],
    *,
    images: Sequence[Image] | None = None,
    runs: int | None = None,
    seconds: float = 5.0,
    warmup: int = 10,
    threads: int | Literal["auto"] = 1,
    backend: str | None = None,
    delegate: str | None = None,
    require_delegate: float | None = None,
    record: bool = True,
) -> list[tuple[Benchmark, Measurement]]:
    """Time models in turns on this machine; a run folder stands for all `.tflite` files in it.

    Args:
        models: `.tflite` files and run folders.
        images: what they are timed on; None makes one as a camera would give.
        runs: images for each model; None: as many as fit into `seconds`.
        seconds: for each model.
        warmup: images before the first that counts.
        threads: of the interpreter; "auto" chooses before anything is timed.
        backend: "litert" or "tflite-runtime"; None takes the first that is installed.
        delegate: what computes; see `edgecnn.runtime.model.load`.
        require_delegate: the share of operators that must run on it.
        record: add each measurement to the run folder that the model lies in, if it does.

    Raises:
        DataError: a run folder without `.tflite` files, or nothing to time.
        ModelError: a model cannot be read or run.
    """
    files = [file for model in models for file in tflite_files(Path(model))]
    found = benchmark_many(
        files, images=images, runs=runs, seconds=seconds, warmup=warmup, threads=threads, backend=backend,
        delegate=delegate, require_delegate=require_delegate,
    )  # fmt: skip
    both = []
    for file, timed in zip(files, found, strict=True):
        measured = measurement_of(timed, file)
        if record:
            record_beside(file, measured)
        both.append((timed, measured))
    return both


def measurement_of(timed: Benchmark, file: Path) -> Measurement:
    """The line for the run about a file that was timed."""
    return Measurement(
        model=str(file),
        scheme=scheme_of(file),
        device=str(timed.environment["device"]),
        latency_ms={stage: asdict(latency) for stage, latency in timed.latency_ms.items()},
        size_bytes=timed.size_bytes,
        environment={
            **timed.environment,
            "threads": timed.threads,
            "warmup": timed.warmup,
            "runs": timed.runs,
            "memory_mib": dict(timed.memory_mib),
        },
        sha256=timed.sha256,
    )


def tflite_files(path: Path) -> list[Path]:
    """The file, or those of a folder in the order of their schemes.

    Raises:
        DataError: the folder holds none.
    """
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.tflite"), key=lambda file: (file.stem not in runs.SCHEMES, file.stem))
    if not found:
        raise DataError(
            f"{path}: no .tflite file to time. Make one with: edgecnn convert {path} --int8 --data DATA"
        )
    return found


def record_beside(path: Path, measured: Measurement) -> None:
    """Add the line to the run that the model lies in or is, if there is one."""
    folder = path if path.is_dir() else path.parent
    if runs.is_run(folder):
        runs.append(Run(folder).measurements, measured)


def judged_split(data: Path | str, split: str | None = None, *, task: str = "classification") -> Dataset:
    """The part of a data set that judges: `split`, else "test" where there is one, else "val".

    Args:
        data: its path.
        split: which part; None chooses.
        task: what the truth is wanted for.

    Raises:
        DataError: the data set cannot be read, or has no such part.
    """
    from edgecnn.data import split_names

    if split is None:
        names = split_names(data)
        split = "test" if not names or "test" in names else "val"
    return open_dataset(data, split=split, task=task)


def scheme_of(model: Path) -> str:
    """The scheme that the path says: of a run "keras", of a file its stem if that is a scheme, else ""."""
    if model.is_dir():
        return "keras"
    return model.stem if model.stem in runs.SCHEMES else ""


@dataclass(frozen=True)
class _Opened:
    """A model as a function from images to results under its task's `JUDGING` options.

    Attributes:
        predict: the function.
        card: with its own options.
        conditions: how it computes.
    """

    predict: Predict
    card: Card
    conditions: dict[str, Any]


@contextmanager
def _opened(path: Path, threads: int, words: dict[str, Any]) -> Iterator[_Opened]:
    if path.is_dir():
        card = Run(path).read_card()
        from edgecnn.training.predict import predictor

        judging = TASKS[card.task].JUDGING if card.task in TASKS else {}  # the predictor refuses the task
        yield _Opened(predictor(path, options=judging), card, {"runtime": "keras"})
        return
    with ExitStack() as stack:
        model = stack.enter_context(load(path, threads=threads, **words))
        card = model.card
        if judging := TASKS[card.task].JUDGING:
            given = {**words, "options": {**(words.get("options") or {}), **judging}}
            model = stack.enter_context(load(path, threads=threads, **given))
        conditions = {
            "runtime": f"{model.backend.name} {model.backend.version}",
            "threads": threads,
            "assumptions": list(model.assumptions),
        }
        yield _Opened(model.map, card, conditions)


def _file(path: Path) -> Path:
    return Run(path).model if path.is_dir() else path
