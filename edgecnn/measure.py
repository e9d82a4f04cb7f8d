"""Models by their path, run folders included: how right, how fast; one `Measurement` each.

The one place that knows both wings' models: a run is judged through Keras, a `.tflite` through the runtime,
by the same code (`edgecnn.evaluation`). A file that lies in a run folder gets a line in its measurements.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgecnn import evaluation, runs
from edgecnn.data import open_dataset
from edgecnn.data.dataset import Dataset
from edgecnn.errors import DataError
from edgecnn.evaluation import Evaluation, Predict
from edgecnn.image import Image
from edgecnn.runs import Measurement, Run
from edgecnn.runtime.benchmark import Benchmark, benchmark_many
from edgecnn.runtime.model import load


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
) -> tuple[Evaluation, Measurement]:
    """Judge a model on labelled images.

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
    dataset = data if isinstance(data, Dataset) else judged_split(data, split)
    path, other = Path(model), None if against is None else Path(against)
    with _opened(path, threads, words) as (predict, conditions):
        if other is None:
            found = evaluation.evaluate(predict, dataset, skip_unreadable=skip_unreadable, progress=progress)
        else:
            with _opened(other, threads, {}) as (reference, _):
                found = evaluation.evaluate(
                    predict, dataset, reference=reference, skip_unreadable=skip_unreadable, progress=progress
                )
    file = _file(path)
    measured = evaluation.measurement(
        found,
        file,
        scheme=scheme_of(path),
        reference=None if other is None else _file(other),
        conditions=conditions,
    )
    if record:
        _record(path, measured)
    return found, measured


def bench_models(
    models: Sequence[Path | str],
    *,
    images: Sequence[Image] | None = None,
    runs: int | None = None,
    seconds: float = 5.0,
    warmup: int = 10,
    threads: int = 1,
    backend: str | None = None,
    record: bool = True,
) -> list[tuple[Benchmark, Measurement]]:
    """Time models in turns on this machine; a run folder stands for all `.tflite` files in it.

    Args:
        models: `.tflite` files and run folders.
        images: what they are timed on; None makes one as a camera would give.
        runs: images for each model; None: as many as fit into `seconds`.
        seconds: for each model.
        warmup: images before the first that counts.
        threads: of the interpreter.
        backend: "litert" or "tflite-runtime"; None takes the first that is installed.
        record: add each measurement to the run folder that the model lies in, if it does.

    Raises:
        DataError: a run folder without `.tflite` files, or nothing to time.
        ModelError: a model cannot be read or run.
    """
    files = [file for model in models for file in _tflite_files(Path(model))]
    found = benchmark_many(
        files, images=images, runs=runs, seconds=seconds, warmup=warmup, threads=threads, backend=backend
    )
    both = []
    for file, timed in zip(files, found, strict=True):
        measured = Measurement(
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
        if record:
            _record(file, measured)
        both.append((timed, measured))
    return both


def judged_split(data: Path | str, split: str | None = None) -> Dataset:
    """The part of a data set that judges: `split`, else "test" where there is one, else "val".

    Raises:
        DataError: the data set cannot be read, or has no such part.
    """
    from edgecnn.data import split_names

    if split is None:
        names = split_names(data)
        split = "test" if not names or "test" in names else "val"
    return open_dataset(data, split=split)


def scheme_of(model: Path) -> str:
    """The scheme that the path says: of a run "keras", of a file its stem if that is a scheme, else ""."""
    if model.is_dir():
        return "keras"
    return model.stem if model.stem in runs.SCHEMES else ""


@contextmanager
def _opened(path: Path, threads: int, words: dict[str, Any]) -> Iterator[tuple[Predict, dict[str, Any]]]:
    """The model as a function from images to results, and the conditions under which it computes."""
    if path.is_dir():
        Run(path).read_card()
        from edgecnn.training.predict import predictor

        yield predictor(path), {"runtime": "keras"}
        return
    with load(path, threads=threads, **words) as model:
        yield (
            model.map,
            {
                "runtime": f"{model.backend.name} {model.backend.version}",
                "threads": threads,
                "assumptions": list(model.assumptions),
            },
        )


def _file(path: Path) -> Path:
    return Run(path).model if path.is_dir() else path


def _tflite_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.tflite"), key=lambda file: (file.stem not in runs.SCHEMES, file.stem))
    if not found:
        raise DataError(
            f"{path}: no .tflite file to time. Make one with: edgecnn convert {path} --int8 --data DATA"
        )
    return found


def _record(path: Path, measured: Measurement) -> None:
    folder = path if path.is_dir() else path.parent
    if runs.is_run(folder):
        runs.append(Run(folder).measurements, measured)
