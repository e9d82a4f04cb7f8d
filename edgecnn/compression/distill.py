"""Distillation: a network learns from a teacher's answers beside the labels.

    train_student(Path("runs/big"), training_splits("photos/"), recipe, out=Path("runs/small"))

The teacher sees the very images that the student sees, varied as they are; how its answers are imitated, the
heads know (`Head.imitation`). Loop, checkpoints and files are those of `edgecnn.training`. (Hinton, Vinyals &
Dean, 2015, arXiv 1503.02531; that the teacher must see the same views, and that long training pays: Beyer et
al., 2022, arXiv 2106.05237.)
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from edgecnn import heads
from edgecnn.compression import attention
from edgecnn.compression.continued import opened, recipe_for
from edgecnn.compression.rewrite import anew
from edgecnn.compression.teacher import Teacher, answers, read_teacher
from edgecnn.data.dataset import Dataset
from edgecnn.errors import TrainingError
from edgecnn.runs import Run
from edgecnn.training import fit, folder, pixels
from edgecnn.training.lesson import Lesson
from edgecnn.training.progress import Progress
from edgecnn.training.recipe import Recipe
from edgecnn.training.start import Subject, own_network

Guide: TypeAlias = Callable[[Any, list[Any], Any], Any]
"""See `edgecnn.training.start.Subject.guide`."""

EPOCHS = 10
RATE_SHARE = 0.25
"""Of the run's own highest learning rate, where a finished network learns on."""


@dataclass(frozen=True)
class Teaching:
    """How much is learned from a teacher.

    Attributes:
        weight: share of the loss that imitates the teacher, in [0, 1]; the labels have the rest. None is the
            head's `IMITATED`.
        temperature: what scores are divided by before they are compared; None is the head's `TEMPERATURE`.
        features: look where the teacher looks, too (`edgecnn.compression.attention`).
    """

    weight: float | None = None
    temperature: float | None = None
    features: bool = False

    def __post_init__(self) -> None:
        if self.weight is not None and not 0 <= self.weight <= 1:
            raise TrainingError(f"weight must be in 0..1, not {self.weight:g}")
        if self.temperature is not None and not 0 < self.temperature <= 100:
            raise TrainingError(
                f"temperature must be greater than 0 and at most 100, not {self.temperature:g}"
            )


def train_student(
    teacher: Path | None,
    data: tuple[Dataset, Dataset],
    recipe: Recipe | None = None,
    *,
    out: Path,
    teaching: Teaching | None = None,
    resume: bool = False,
    force: bool = False,
    skip_unreadable: bool = False,
    checkpoint_seconds: float = fit.CHECKPOINT_SECONDS,
    cache_bytes: int = pixels.CACHE_BYTES,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """Train the recipe's own network, from its own start, beside a teacher.

    Can be killed at any moment; with `resume` it ends with the bits of one that was not.

    Args:
        teacher: a finished run of the same task and labels. With `resume`, None takes the one that was.
        data: training and validation images.
        recipe: of the student. With `resume`, None takes the run's own.
        out: the new run's folder.
        teaching: how much is learned from the teacher; None takes what the head says, or, with `resume` and
            no teacher, what was.
        resume: continue the training that was interrupted in `out`.
        force: replace the run that is in `out`.
        skip_unreadable: leave broken images out instead of refusing them.
        checkpoint_seconds: see `edgecnn.training.fit.train`.
        cache_bytes: see `edgecnn.training.fit.train`.
        progress: called about twice a second.

    Returns:
        The new run; its lineage names the teacher, and `teacher.json` says how it taught.

    Raises:
        TrainingError: a teacher that does not fit (says why), or what `edgecnn.training.fit.train` raises.
        DataError, CardError, ModelError: the teacher cannot be read.
    """
    _refuse_itself(teacher, out)
    chosen = folder.opened(Run(out), recipe, resume=resume, force=force)
    if teacher is None:
        teacher, teaching = _own(Run(out))
    how = teaching or Teaching()
    read = _read(teacher, chosen, data[0].labels)
    return fit.train(
        data,
        chosen,
        out=out,
        subject=lambda lesson: taught(own_network(chosen, len(lesson.labels)), read, lesson, chosen, how),
        resume=resume,
        force=force,
        skip_unreadable=skip_unreadable,
        checkpoint_seconds=checkpoint_seconds,
        cache_bytes=cache_bytes,
        progress=progress,
    )


def distill(
    run: Path,
    data: tuple[Dataset, Dataset],
    *,
    teacher: Path,
    out: Path,
    teaching: Teaching | None = None,
    epochs: int | None = None,
    rate: float | None = None,
    batch: int | None = None,
    seed: int = 0,
    resume: bool = False,
    force: bool = False,
    skip_unreadable: bool = False,
    checkpoint_seconds: float = fit.CHECKPOINT_SECONDS,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """Write a new run: the network of `run`, trained on beside a teacher.

    Args:
        run: the run to start from; stays as it is.
        data: training and validation images, of the labels that the run knows.
        teacher: a finished run of the same task and labels.
        out: the new run's folder.
        teaching: how much is learned from the teacher; None takes what the head says.
        epochs: passes over the training images; None is `EPOCHS`.
        rate: highest learning rate; None takes `RATE_SHARE` of the run's own.
        batch: images in a step; None takes the run's own, or one that suits images and their number.
        seed: of order and augmentation.
        resume: continue the training that was interrupted in `out`; with the same arguments.
        force: replace the run that is in `out`.
        skip_unreadable: leave broken images out instead of refusing them.
        checkpoint_seconds: see `edgecnn.training.fit.train`.
        progress: called about twice a second.

    Returns:
        The new run; its card's lineage is the old one and a line more.

    Raises:
        TrainingError: data or a teacher that do not fit, or what `edgecnn.training.fit.train` raises.
        DataError, CardError, ModelError: a run cannot be read.
    """
    _refuse_itself(teacher, out)
    source = opened(run, data, out=out)
    chosen = recipe_for(source, data[0], epochs=epochs or EPOCHS, batch=batch, seed=seed)
    chosen = replace(chosen, rate=rate or RATE_SHARE * chosen.rate)
    read, how = _read(teacher, chosen, source.card.labels), teaching or Teaching()
    learned = Subject(
        source.model,
        export=lambda: source.model,
        name=source.card.name,
        lineage=source.card.lineage,
        verb=f"compress: trained on at rate {chosen.rate:g}",
        anew=lambda: anew(source.model),
    )
    return fit.train(
        data,
        chosen,
        out=out,
        subject=lambda lesson: taught(learned, read, lesson, chosen, how),
        resume=resume,
        force=force,
        skip_unreadable=skip_unreadable,
        checkpoint_seconds=checkpoint_seconds,
        progress=progress,
    )


def taught(
    subject: Subject, teacher: Teacher, lesson: Lesson, recipe: Recipe, teaching: Teaching | None = None
) -> Subject:
    """The same subject with a teacher beside it: guide, features, a word in its lineage, and `teacher.json`.

    Args:
        subject: what learns; has no guide yet.
        teacher: as `edgecnn.compression.teacher.read_teacher` gives it.
        lesson: what is learned.
        recipe: says the student's input and the precision of both.
        teaching: how much is learned from the teacher; None takes what the head says.

    Raises:
        TrainingError: features are to be learned, and no layer of the two is of one size.
    """
    how = teaching or Teaching()
    weight, temperature = _settled(how, lesson)
    paired = attention.pairs(subject.model, teacher.model) if how.features else []
    note = {
        "run": str(teacher.run.path.resolve()),
        "name": teacher.card.name,
        "fingerprint": teacher.fingerprint,
        "lineage": list(teacher.card.lineage),
        "weight": weight,
        "temperature": temperature,
        "features": how.features,
    }
    manner = f"weight {weight:g}, temperature {temperature:g}{', features' if how.features else ''}"
    return replace(
        subject,
        guide=_guide(teacher, lesson, recipe, how, [theirs for _, theirs in paired]),
        features=(*subject.features, *(ours for ours, _ in paired)),
        verb=f"{subject.verb}, distilled from {teacher} ({manner}),",
        notes={
            **subject.notes,
            Run(Path()).teacher.name: json.dumps(note, indent=1, ensure_ascii=False) + "\n",
        },
    )


def _guide(teacher: Teacher, lesson: Lesson, recipe: Recipe, how: Teaching, features: Sequence[str]) -> Guide:
    own = len(lesson.head.ROLES)
    weight, temperature = _settled(how, lesson)
    ask = answers(teacher, lesson.head, recipe.input, computing=recipe.precision, features=features)
    imitation = lesson.head.imitation(recipe.input, temperature=temperature)

    def guided(images: Any, outputs: list[Any], losses: Any) -> Any:
        theirs = ask(images)
        losses = (1 - weight) * losses + weight * imitation(theirs[:own], outputs[:own])
        for one, other in zip(theirs[own:], outputs[own:], strict=True):
            losses += attention.SHARE * attention.distance(one, other)
        return losses

    return guided


def _settled(how: Teaching, lesson: Lesson) -> tuple[float, float]:
    """Weight and temperature."""
    head = lesson.head
    return (
        head.IMITATED if how.weight is None else how.weight,
        head.TEMPERATURE if how.temperature is None else how.temperature,
    )


def _read(teacher: Path, recipe: Recipe, labels: Sequence[str]) -> Teacher:
    head = heads.find(recipe.task, recipe.design)
    return read_teacher(teacher, head, recipe.input, task=recipe.task, labels=labels)


def _refuse_itself(teacher: Path | None, out: Path) -> None:
    if teacher is not None and out.resolve() == teacher.resolve():
        raise TrainingError(f"{out}: is the teacher itself. Choose another folder for the new run.")


def _own(run: Run) -> tuple[Path, Teaching]:
    """The teacher of a run that is resumed, and how it taught."""
    if not run.teacher.is_file():
        raise TrainingError(f"{run.path} has learned from no teacher (no {run.teacher.name}). Name one.")
    try:
        said = json.loads(run.teacher.read_text(encoding="utf-8"))
        return Path(said["run"]), Teaching(said["weight"], said["temperature"], said["features"])
    except (ValueError, TypeError, KeyError) as error:
        raise TrainingError(
            f"{run.teacher}: does not say whom to learn from ({error}). Name the teacher."
        ) from None
