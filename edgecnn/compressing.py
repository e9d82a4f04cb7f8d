"""Compression from end to end: make the network smaller, then say what that bought and what it cost.

    made = compress("runs/cats", "photos/", out="runs/cats-half", macs=0.5)
    print(made.comparison.verdict)

Each way is a stage, run in and run out, and several are taken in the order that works: channels go first,
then weights become sparse or clustered, and rounding to int8 is learned last, because it must see what ships.
The learning wing makes the networks, the shipping wing converts and times them; only here do both meet.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from edgecnn.data import training_splits
from edgecnn.data.dataset import Dataset
from edgecnn.errors import TrainingError
from edgecnn.runs import Run
from edgecnn.training.lesson import Lesson
from edgecnn.training.progress import Progress

if TYPE_CHECKING:
    from edgecnn.comparison import Comparison
    from edgecnn.compression.sensitivity import Sensitivity

Pattern: TypeAlias = Literal["any", "2:4", "block"]
"""Which weights become zero: whatever is smallest, two of every four, or whole blocks."""

Data = Path | str | tuple[Dataset, Dataset]
"""Training and validation images, or the path of a data set that has both."""


@dataclass(frozen=True)
class Compressed:
    """What compression made.

    Attributes:
        run: the new run.
        between: runs of the stages before the last, in order; they can be converted like any other.
        comparison: before and after, measured; None where it was not wanted.
    """

    run: Run
    between: tuple[Run, ...]
    comparison: "Comparison | None"


@dataclass(frozen=True)
class _Stage:
    """One way of compression.

    Attributes:
        name: what a run between is called after.
        make: (run, out, resume) -> the new run.
    """

    name: str
    make: Callable[[Path, Path, bool], Run]


def compress(
    run: Path | str,
    data: Data,
    *,
    out: Path | str,
    channels: float | None = None,
    macs: float | None = None,
    latency_ms: float | None = None,
    criterion: str | None = None,
    multiple: int | None = None,
    steps: int = 1,
    sparsity: float | None = None,
    pattern: Pattern = "any",
    clusters: int | None = None,
    qat: bool = False,
    teacher: Path | str | None = None,
    alone: bool = False,
    epochs: int | None = None,
    rate: float | None = None,
    batch: int | None = None,
    seed: int | None = None,
    resume: bool = False,
    force: bool = False,
    skip_unreadable: bool = False,
    compared: bool = True,
    progress: Callable[[Progress], None] = lambda progress: None,
    tell: Callable[[str], None] = lambda line: None,
) -> Compressed:
    """Make a smaller network of a trained one, and judge both.

    Args:
        run: the run to start from; stays as it is.
        data: the images it was trained on; with a path, their test part judges where there is one.
        out: the new run's folder. Of several ways, the runs between lie beside it, such as `OUT-channels`.
        channels: share of the channels that stays; whole channels go, the least important first.
        macs: likewise, of the multiply-accumulates.
        latency_ms: likewise, until one int8 inference on one thread of this machine takes no longer.
        criterion: which channels matter; see `edgecnn.compression.criteria`.
        multiple: sizes of layers become multiples of it.
        steps: how often channels go and the rest learns on.
        sparsity: share of the weights that becomes zero; smaller when zipped, not faster.
        pattern: which weights: "any", "2:4" (two of every four) or "block".
        clusters: number of different weights each layer may have; smaller when zipped, not faster.
        qat: learn to compute in int8.
        teacher: a run whose answers are learned from, beside the labels; whatever removes channels, weights
            or values learns from the network it was anyway.
        alone: learn from the labels only.
        epochs: passes over the training images for each way; None is each way's own.
        rate: highest learning rate; None is each way's own.
        batch: images in a step; None takes the run's own.
        seed: of order and augmentation; None is the run's own. Says the split, too, where the data have none.
        resume: continue what was interrupted.
        force: replace the run that is in `out`.
        skip_unreadable: leave broken images out instead of refusing them.
        compared: judge and time both runs when done.
        progress: told how the training goes, twice a second.
        tell: told what begins, one line each.

    Raises:
        TrainingError: no way is asked for, or two that exclude each other; or what the ways raise.
        EdgecnnError: see `edgecnn.compression` and `edgecnn.comparison`.
    """
    source, target = Path(run), Path(out)
    card = Run(source).read_card()
    used = _seed(source) if seed is None else seed
    splits = data if isinstance(data, tuple) else training_splits(data, task=card.task, seed=_seed(source))
    words: dict[str, Any] = {
        "epochs": epochs, "rate": rate, "batch": batch, "seed": used, "force": force,
        "skip_unreadable": skip_unreadable, "progress": progress,
    }  # fmt: skip
    with ExitStack() as stack:
        stages = _stages(
            splits, words, stack, card,
            goal={"channels": channels, "macs": macs, "latency_ms": latency_ms},
            pruning={"criterion": criterion, "multiple": multiple, "steps": steps}, alone=alone,
            sparse=(sparsity, pattern), clusters=clusters, qat=qat,
            teacher=None if teacher is None else Path(teacher),
        )  # fmt: skip
        made = [Run(source)]
        for place, stage in enumerate(stages, 1):
            last = place == len(stages)
            here = target if last else target.with_name(f"{target.name}-{stage.name}")
            tell(f"{stage.name}: {made[-1].path} to {here}")
            # Of several ways the later ones may not have begun when the command was interrupted.
            again = resume and (len(stages) == 1 or Run(here).recipe.is_file())
            made.append(stage.make(made[-1].path, here, again))
    found = None
    if compared:
        from edgecnn.comparison import compare, write_comparison

        tell("before and after: converting, judging and timing both")
        found = compare(source, target, data)
        write_comparison(target, found)
    return Compressed(made[-1], tuple(made[1:-1]), found)


def find_sensitivity(
    run: Path | str,
    data: Data,
    *,
    criterion: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> "Sensitivity":
    """Which layers of a run hold its accuracy; see `edgecnn.compression.sensitivity`."""
    from edgecnn.compression.sensitivity import sensitivity

    source = Path(run)
    task = Run(source).read_card().task
    splits = data if isinstance(data, tuple) else training_splits(data, task=task, seed=_seed(source))
    words: dict[str, Any] = {"criterion": criterion, "progress": progress}
    return sensitivity(source, splits, **_given(words))


def _stages(
    data: tuple[Dataset, Dataset],
    words: dict[str, Any],
    stack: ExitStack,
    card: Any,
    *,
    goal: dict[str, float | None],
    pruning: dict[str, Any],
    alone: bool,
    sparse: tuple[float | None, Pattern],
    clusters: int | None,
    qat: bool,
    teacher: Path | None,
) -> Sequence[_Stage]:
    """The ways that are asked for, in the order that works.

    Raises:
        TrainingError: there is none, or two exclude each other.
    """
    from edgecnn.compression.channels import Goal, prune
    from edgecnn.compression.cluster import train_clustered
    from edgecnn.compression.distill import distill
    from edgecnn.compression.quantize import train_quantized
    from edgecnn.compression.sparsify import train_sparse

    sparsity, pattern = sparse
    said = {name: value for name, value in words.items() if value is not None}
    taught: dict[str, Any] = {"teacher": teacher, "alone": alone, **said}

    def pruned(run: Path, out: Path, resume: bool) -> Run:
        from edgecnn.int8_latency import int8_latency

        def timer(lesson: Lesson) -> Any:
            batches = (images for images, _ in lesson.feed.batches(0))
            return stack.enter_context(int8_latency(batches, card=card))

        chosen = {name: value for name, value in pruning.items() if value is not None}
        return prune(run, data, Goal(**goal), out=out, latency=timer, resume=resume, **chosen, **taught)

    def distilled(run: Path, out: Path, resume: bool) -> Run:
        if teacher is None:
            raise TrainingError("distilling needs a teacher.")
        return distill(run, data, teacher=teacher, out=out, resume=resume, **said)

    def made_sparse(run: Path, out: Path, resume: bool) -> Run:
        return train_sparse(
            run, data, out=out, sparsity=sparsity or 0.0, pattern=pattern, resume=resume, **taught
        )

    def clustered(run: Path, out: Path, resume: bool) -> Run:
        return train_clustered(run, data, out=out, clusters=clusters or 0, resume=resume, **taught)

    def quantized(run: Path, out: Path, resume: bool) -> Run:
        return train_quantized(run, data, out=out, resume=resume, **said)

    prunes = any(value is not None for value in goal.values())
    if prunes:
        Goal(**goal)  # refuses two goals before anything begins
    if sparsity is not None and clusters is not None:
        raise TrainingError("sparsity and clusters both decide what a weight may be: choose one.")
    simpler = sparsity is not None or clusters is not None
    asked = (
        ("channels", pruned, prunes),
        ("distilled", distilled, teacher is not None and not prunes and not simpler),
        ("sparse", made_sparse, sparsity is not None),
        ("clustered", clustered, clusters is not None),
        ("qat", quantized, qat),
    )
    stages = [_Stage(name, make) for name, make, wanted in asked if wanted]
    if not stages:
        raise TrainingError(
            "say how to compress: channels, macs or latency, sparsity, clusters, qat, or a teacher."
        )
    return stages


def _given(words: dict[str, Any]) -> dict[str, Any]:
    """The words that were said: the others keep each way's own defaults."""
    return {name: value for name, value in words.items() if value is not None}


def _seed(run: Path) -> int:
    """The seed that the run was trained with: it says how data without parts are split; 0 where unknown."""
    from edgecnn.training.recipe import from_json

    path = Run(run).recipe
    return from_json(path.read_text(encoding="utf-8"), str(path)).seed if path.is_file() else 0
