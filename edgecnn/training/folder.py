"""The run folder while it is being trained: opened, started, written epoch by epoch, finished.

What the files mean says `edgecnn.runs`; checkpoints are `edgecnn.training.checkpoint`.
"""

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn import files, runs
from edgecnn.card import Card
from edgecnn.errors import TrainingError
from edgecnn.runs import Run
from edgecnn.training import checkpoint
from edgecnn.training import recipe as recipes
from edgecnn.training.recipe import Recipe

COLUMNS = ("epoch", "rate", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")


def opened(run: Run, recipe: Recipe | None, *, resume: bool, force: bool) -> Recipe:
    """Check that this training may use the folder; nothing is written.

    Args:
        run: the folder.
        recipe: None only with `resume`.
        resume: there must be a run to continue, with the same recipe.
        force: a run may be there; `started` will replace it.

    Returns:
        The recipe: the run's own where `recipe` is None.

    Raises:
        TrainingError: the folder is taken, there is nothing to resume, or the recipes differ.
    """
    if resume and force:
        raise TrainingError("resume continues a run and force replaces it: choose one.")
    if run.path.exists() and not run.path.is_dir():
        raise TrainingError(f"{run.path} is a file, not a folder. Choose another name for the run.")
    if resume:
        return _resumed(run, recipe)
    if recipe is None:
        raise TrainingError(f"{run.path}: a new run needs a recipe.")
    if run.recipe.exists() or run.card.exists():
        if not force:
            raise TrainingError(
                f"{run.path} already holds a run. Continue it (--resume), replace it (--force), "
                "or choose another folder."
            )
    elif run.path.is_dir() and any(run.path.iterdir()):
        raise TrainingError(f"{run.path} is not empty and is not a run. Choose another folder.")
    return recipe


def started(run: Run, recipe: Recipe, *, resume: bool, notes: Mapping[str, str]) -> None:
    """Write recipe and notes (name to text); of a run that is replaced, remove all a run can hold first.

    Raises:
        TrainingError: the folder cannot be written, or what is resumed learned from another teacher.
    """
    try:
        if resume:
            _refuse_another_teacher(run, notes)
        else:
            told = (run.history, run.training, run.teacher, run.pruning, run.comparison, run.measurements)
            for old in (run.card, run.model, *told, *_converted(run)):
                old.unlink(missing_ok=True)
            if run.checkpoints.is_dir():
                shutil.rmtree(run.checkpoints)
        checkpoint.clear(run.checkpoints)
        for torn in run.path.glob(".*.*") if run.path.is_dir() else ():
            if torn.name.startswith(
                tuple(f".{p.name}." for p in (run.card, run.model, run.history, run.training))
            ):
                torn.unlink(missing_ok=True)
        for name, text in notes.items():
            files.write_text(run.path / name, text)
        files.write_text(run.recipe, recipes.to_json(recipe))
    except OSError as error:
        raise TrainingError(
            f"{run.path} cannot be written ({error.strerror or error}). Make room or choose another folder."
        ) from error


def finished(run: Run) -> bool:
    """Whether the training there ran to its end."""
    return run.training.is_file() and run.model.is_file() and run.card.is_file()


def write_history(run: Run, history: Sequence[dict[str, float]]) -> None:
    """One CSV line for each finished epoch; the whole file anew, so that a resumed run repeats none.

    Raises:
        TrainingError: the disk is full or the folder has gone.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for record in history:
        writer.writerow({name: _number(record[name]) for name in COLUMNS})
    try:
        files.write_text(run.history, text.getvalue())
    except OSError as error:
        raise _unwritable(run.history, error) from error


def write_model(run: Run, model: Any, card: Card) -> None:
    """The network and its card: from now on the folder is a run that can be converted.

    Raises:
        TrainingError: the disk is full or the folder has gone.
    """
    try:
        with files.replacing(run.model) as beside:
            model.save(beside, save_format="keras")
        runs.write_card(run, card)
    except OSError as error:
        raise _unwritable(run.model, error) from error


def write_outcome(run: Run, outcome: dict[str, Any], card: Card) -> None:
    """The finished training: the card with its metrics, then training.json, which marks the end.

    Raises:
        TrainingError: the disk is full or the folder has gone.
    """
    try:
        runs.write_card(run, card)
        files.write_text(run.training, json.dumps(outcome, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise _unwritable(run.training, error) from error


def _resumed(run: Run, recipe: Recipe | None) -> Recipe:
    if not run.recipe.is_file():
        raise TrainingError(
            f"{run.path} holds no training to resume (no {run.recipe.name}). Start one first."
        )
    own = recipes.from_json(run.recipe.read_text(encoding="utf-8"), str(run.recipe))
    if recipe is not None and recipe != own:
        raise TrainingError(
            f"{run.path} was trained with another recipe: {', '.join(recipes.differences(own, recipe))}. "
            "Resume with the same settings, or start a new run."
        )
    return own


def _refuse_another_teacher(run: Run, notes: Mapping[str, str]) -> None:
    before = run.teacher.read_text(encoding="utf-8") if run.teacher.is_file() else None
    if before != notes.get(run.teacher.name):
        told = "from no teacher" if before is None else f"as {run.teacher} says"
        raise TrainingError(
            f"{run.path} learned {told}, and is now resumed otherwise. Resume with the same teacher, weight, "
            "temperature and features, or start a new run."
        )


def _converted(run: Run) -> list[Path]:
    return [run.tflite(scheme) for scheme in runs.SCHEMES]


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def _unwritable(path: Path, error: OSError) -> TrainingError:
    return TrainingError(
        f"{path} cannot be written ({error.strerror or error}). Make room or choose another folder; "
        "what was trained so far is in the last checkpoint (--resume)."
    )
