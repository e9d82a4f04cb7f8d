"""Judging and timing two runs together, so that their figures may stand beside each other.

Both are judged on the same images, image by image, and all four files are timed in the same turns. Knows the
order of the work; what is found are `edgecnn.comparison.figures`, what it means `edgecnn.comparison.verdict`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgecnn import evaluation, files, runs
from edgecnn.comparison.differences import class_changes, difference_of, figure_of, value_of
from edgecnn.comparison.figures import SCHEMES, Change, Comparison, File, Scheme, Side
from edgecnn.comparison.tflite_files import Converted, certificate_of, files_of, zipped_bytes
from edgecnn.comparison.weights import network_of
from edgecnn.data import split_names, training_splits
from edgecnn.data.dataset import Dataset
from edgecnn.errors import DataError
from edgecnn.graph import read
from edgecnn.graph.summary import summarize
from edgecnn.measure import bench_models, evaluate_model, judged_split
from edgecnn.runs import Measurement, Run
from edgecnn.runtime.benchmark import camera_image
from edgecnn.runtime.environment import environment
from edgecnn.runtime.model import load
from edgecnn.runtime.turns import Times, median, percentile, ratio_interval, time_in_turns

SECONDS = 3.0
"""Of timing for each of the four files."""

_CONDITIONS = (
    "device", "processor", "cores", "machine", "os", "runtime", "runtime_version", "delegate", "threads",
    "clock_mhz", "temperature_c", "throttled", "load_average", "date", "processor_features",
)  # fmt: skip


def compare(
    before: Path | str,
    after: Path | str,
    data: Path | str | Dataset | tuple[Dataset, Dataset],
    *,
    split: str | None = None,
    images: int | None = None,
    training: tuple[Dataset, Dataset] | None = None,
    seconds: float = SECONDS,
    threads: int = 1,
    record: bool = True,
    tell: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Find out what a compression bought and what it cost.

    Files of a run are used as they are where they were made from its present weights; others are made in a
    temporary folder, certified or not, and the comparison says so.

    Args:
        before: the run folder that was compressed.
        after: the new run folder.
        data: a data set's path, of which the test part judges where there is one, else the validation part;
            training and validation images, of which the latter judge; or the images that judge.
        split: which part of a path judges instead.
        images: how many of them, as many of each class as possible; None: all.
        training: training and validation images, where files must be made and `data` is a data set.
        seconds: of timing for each file.
        threads: of the interpreter.
        record: add each measurement to the run that its file lies in.
        tell: told what begins, one line each.
        progress: told how many images are judged, of how many.

    Raises:
        DataError: a folder is no run, the two are of different tasks, or the data do not fit them.
        ConversionError: a file is missing and cannot be made.
        ModelError: a model cannot be read or run.
    """
    sides = Run(Path(before)), Run(Path(after))
    cards = [run.read_card() for run in sides]
    if cards[0].task != cards[1].task:
        raise DataError(
            f"{sides[0].path} is for {cards[0].task}, {sides[1].path} for {cards[1].task}: nothing to compare"
        )
    parts = _parts(data, sides[0], cards[0].task) if training is None else training
    judging = _judging(data, parts, split, cards[0].task)
    if images is not None:
        from calibration.samples import choose  # a report of comparisons does without the shipping wing

        judging = choose(judging, count=images)
    with ExitStack() as stack:
        found = []
        for run in sides:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="edgecnn-")))
            found.append(files_of(run, parts, folder, tell=tell))
        every = [found[side][scheme] for side in (0, 1) for scheme in SCHEMES]
        tell(f"timing {len(every)} files in turns, {seconds:g} s each")
        timed, machine = _timed([one.path for one in every], seconds, threads)
        tell(f"judging {len(every)} files on {len(judging)} images each")
        judged = [
            evaluate_model(
                one.path, judging, threads=threads, record=False, progress=_offset(progress, place, every)
            )
            for place, one in enumerate(every)
        ]
        made = [_file(*each) for each in zip(_schemes(every), every, timed, judged, strict=True)]
        described = [
            Side(
                str(run.path),
                card.name,
                network_of(run.model, macs=_macs(found[place]["float32"].path)),
                {scheme: made[place * len(SCHEMES) + n] for n, scheme in enumerate(SCHEMES)},
                card.lineage,
            )
            for place, (run, card) in enumerate(zip(sides, cards, strict=True))
        ]
        if record:
            _record(every, [quality for _, quality in judged], seconds, threads)
    answers = [each for each, _ in judged]
    pairs = {scheme: (answers[n], answers[n + len(SCHEMES)]) for n, scheme in enumerate(SCHEMES)}
    changes = {
        scheme: Change(
            *difference_of(*pairs[scheme]),
            time_ratio=median(timed[n + len(SCHEMES)]) / median(timed[n]),
            time_interval=ratio_interval(timed[n + len(SCHEMES)], timed[n]),
        )
        for n, scheme in enumerate(SCHEMES)
    }
    return Comparison(
        task=cards[0].task,
        figure=figure_of(answers[1]),
        before=described[0],
        after=described[1],
        changes=changes,
        classes=tuple(class_changes(*pairs["int8"])),
        conditions=_conditions(machine, timed, judged[0][0].data),
        notes=(*_notes(described, found), *_busy(machine)),
    )


def write_comparison(run: Path | str, comparison: Comparison) -> Path:
    """Leave a comparison in the new run as compression.json; replaces one that is there.

    Returns:
        The path of the file.
    """
    path = Run(Path(run)).comparison
    files.write_text(path, json.dumps(comparison.as_dict(), indent=1, ensure_ascii=False) + "\n")
    return path


def _parts(
    data: Path | str | Dataset | tuple[Dataset, Dataset], run: Run, task: str
) -> tuple[Dataset, Dataset] | None:
    """What to calibrate with, divided as it was for training; None where only judging images are given."""
    if isinstance(data, Path | str):
        return training_splits(data, task=task, seed=_seed(run))
    return data if isinstance(data, tuple) else None


def _judging(
    data: Path | str | Dataset | tuple[Dataset, Dataset],
    parts: tuple[Dataset, Dataset] | None,
    split: str | None,
    task: str,
) -> Dataset:
    """The images that judge: never some that the run was trained on, unless they are asked for."""
    if isinstance(data, Dataset):
        return data
    if isinstance(data, tuple):
        return data[1]
    names = split_names(data)
    wanted = split or ("test" if not names or "test" in names else "val")
    if wanted == "val" and parts is not None:  # as they were divided with the run's own seed
        return parts[1]
    return judged_split(data, wanted, task=task)


def _seed(run: Run) -> int:
    """What the run's training images were told from its validation images by; 0 where nobody says."""
    from edgecnn.training.recipe import from_json

    return (
        from_json(run.recipe.read_text(encoding="utf-8"), str(run.recipe)).seed if run.recipe.is_file() else 0
    )


def _schemes(every: Sequence[Converted]) -> list[Scheme]:
    return [scheme for _ in range(len(every) // len(SCHEMES)) for scheme in SCHEMES]


def _macs(path: Path) -> int:
    return summarize(read(path)).macs


def _file(
    scheme: Scheme,
    one: Converted,
    timed: Times,
    judged: tuple[evaluation.Evaluation | evaluation.BoxEvaluation, Measurement],
) -> File:
    value, interval, others = value_of(judged[0])
    return File(
        scheme=scheme,
        bytes=one.path.stat().st_size,
        zipped_bytes=zipped_bytes(one.path),
        peak_bytes=summarize(read(one.path)).peak_activation_bytes,
        latency_ms={f"p{percent}": round(percentile(timed, percent), 4) for percent in (50, 90, 99)},
        value=value,
        interval=interval,
        others=others,
        certificate=certificate_of(one.path),
        is_own=one.is_own,
        sha256=runs.fingerprint(one.path),
    )


def _timed(paths: Sequence[Path], seconds: float, threads: int) -> tuple[list[Times], dict[str, Any]]:
    """The interpreter alone, file by file in turns, and the machine that it ran on."""
    machine = environment()  # before: the load that it tells is not ours
    with ExitStack() as stack:
        models = [stack.enter_context(load(path, threads=threads)) for path in paths]
        for model in models:
            model(camera_image())  # fills the input
        delegations = sorted({model.delegation().delegate for model in models})
        machine |= {
            "runtime": models[0].backend.name,
            "runtime_version": models[0].backend.version,
            "delegate": " and ".join(delegations),
            "threads": threads,
        }
        return time_in_turns(models, seconds), machine


def _record(every: Sequence[Converted], judged: Sequence[Measurement], seconds: float, threads: int) -> None:
    """Add what was found to the runs whose files were judged, as evaluate and bench do."""
    for one, line in zip(every, judged, strict=True):
        if one.is_own:
            runs.append(Run(one.path.parent).measurements, line)
    if own := [one.path for one in every if one.is_own]:
        bench_models(own, seconds=seconds, threads=threads)


def _conditions(machine: Mapping[str, Any], timed: Sequence[Times], data: Any) -> dict[str, Any]:
    found = {name: machine[name] for name in _CONDITIONS if name in machine}
    return {
        **found,
        "turns": len(timed[0]),
        "images": data.images,
        "data": data.name,
        "split": data.split,
        "data_sha256": data.sha256,
    }


def _notes(sides: Sequence[Side], found: Sequence[Mapping[Scheme, Converted]]) -> list[str]:
    notes = []
    for side, converted in zip(sides, found, strict=True):
        made = [scheme for scheme in SCHEMES if not converted[scheme].is_own]
        if made:
            notes.append(
                f"{' and '.join(made)} of {side.run} were made for this comparison, as edgecnn convert makes "
                "them, and not kept"
            )
        said = side.files["int8"].certificate
        if said in ("unproven", "refused"):
            notes.append(f"the int8 file of {side.run} is {said}: edgecnn convert would say why")
    return notes


def _busy(environment: Mapping[str, Any]) -> list[str]:
    """A word of warning where other work wanted the processor, too."""
    load, cores = environment["load_average"][0], environment.get("cores")
    if cores is None or load <= cores:
        return []
    return [
        f"the machine was busy, at a load of {load:g} on {cores} cores: ratios of p50 hold, p90 and p99 are "
        "those of a busy machine"
    ]


def _offset(
    progress: Callable[[int, int], None] | None, place: int, every: Sequence[Converted]
) -> Callable[[int, int], None] | None:
    """The progress of one of several judgements, as that of all together."""
    if progress is None:
        return None
    return lambda done, total: progress(place * total + done, len(every) * total)
