"""What a killed training continues from: one file for each checkpoint, whole or absent, the last two kept.

A checkpoint is a plain `.npz` of arrays (never a pickle) with a JSON header. It is written beside, flushed to
disk and renamed; a kill, a power cut or a full disk at any moment leaves the one before.
"""

import json
import zipfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn import files
from edgecnn.errors import TrainingError
from edgecnn.image import Array

FORMAT = 1
KEPT = 2


@dataclass(frozen=True)
class Position:
    """Where the training stood, and what it had found out.

    Attributes:
        epoch: running epoch, from 0.
        step: steps done in it.
        loss_sum: over the images of the running epoch.
        correct: images of the running epoch that came out right.
        epoch_seconds: of the running epoch so far, over all sessions.
        best_epoch: the epoch of `model.keras`, from 0; -1 before the first.
        history: one record for each finished epoch.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: float = 0.0
    epoch_seconds: float = 0.0
    best_epoch: int = -1
    history: tuple[dict[str, float], ...] = field(default=())


def write(folder: Path, position: Position, state: list[Array], fingerprint: str) -> Path:
    """Write a checkpoint, then remove all but the last `KEPT`.

    Args:
        folder: made if missing.
        position: where the training stands.
        state: arrays, in an order that does not change.
        fingerprint: of recipe and data: checked on `read`.

    Raises:
        TrainingError: the file cannot be written; the checkpoint before is intact.
    """
    path = folder / f"epoch-{position.epoch:05d}-step-{position.step:07d}.npz"
    header = {"format": FORMAT, "fingerprint": fingerprint, "position": asdict(position)}
    arrays: dict[str, Any] = {f"array-{number:05d}": array for number, array in enumerate(state)}
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    try:
        with files.replacing(path) as beside, beside.open("wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        before = newest(folder)
        kept = f"the checkpoint {before.name} is intact" if before else "there is no checkpoint before it"
        raise TrainingError(
            f"{path}: the checkpoint cannot be written ({error.strerror or error}); {kept}. "
            "Make room, then continue with resume (--resume)."
        ) from error
    for old in _all(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def newest(folder: Path) -> Path | None:
    """The last checkpoint, or None."""
    found = _all(folder)
    return found[-1] if found else None


def read(path: Path, fingerprint: str) -> tuple[Position, list[Array]]:
    """What `write` wrote.

    Raises:
        TrainingError: the file is damaged, of another version, or of another training.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            header = json.loads(archive["header"].tobytes())
            state = [archive[name] for name in sorted(archive.files) if name.startswith("array-")]
        found, version = header["fingerprint"], header["format"]
        known = {f.name for f in fields(Position)}
        raw = {name: value for name, value in header["position"].items() if name in known}
        position = Position(**{**raw, "history": tuple(raw["history"])})
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise TrainingError(
            f"{path}: the checkpoint is damaged ({error}). Delete it to continue from the one before."
        ) from error
    if version != FORMAT:
        raise TrainingError(
            f"{path}: checkpoint format {version!r}, but this edgecnn reads {FORMAT}. Start a new run."
        )
    if found != fingerprint:
        raise TrainingError(
            f"{path}: the checkpoint was made from other images or labels than those given now. "
            "Resume with the same data set, or start a new run."
        )
    return position, state


def clear(folder: Path) -> None:
    """Remove what an interrupted write left beside the checkpoints."""
    for torn in folder.glob(".epoch-*.npz.*"):
        torn.unlink(missing_ok=True)


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.npz"))
