"""Frames on which the model was of two minds, kept for a person to label.

Which frames those are is said here, for each task; how many are kept is bounded, the ones that earlier runs
left in the folder included. A frame is a JPEG with a JSON file beside it: what the model said, and why the
frame was kept. A folder of them is a folder of images for whatever reads one.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from edgecnn import files
from edgecnn.errors import DataError
from edgecnn.results import Boxes, Classes, Result
from edgecnn.runtime.loop import write_picture
from edgecnn.runtime.outputs.jsonl import record
from edgecnn.runtime.seen import Seen

TASKS_WITH_SCORES: Final = ("classification", "detection")


@dataclass(frozen=True)
class Doubt:
    """When a result is in doubt.

    Attributes:
        class_below: a best class with less than this.
        class_lead: a best class that is ahead of the second by less than this.
        box_above_threshold: a box whose score is above the threshold by less than this.
    """

    class_below: float = 0.6
    class_lead: float = 0.2
    box_above_threshold: float = 0.15

    def about(self, result: Result, threshold: float) -> str | None:
        """Why a result is in doubt; None where it is not.

        Args:
            result: of a classifier or a detector.
            threshold: the least score that a box of this result has.
        """
        if isinstance(result, Classes):
            return self._about_classes(result)
        if isinstance(result, Boxes):
            return self._about_boxes(result, threshold)
        return None

    def _about_classes(self, classes: Classes) -> str | None:
        best, *others = classes.top(2)
        if best[1] < self.class_below:
            return f"{best[0]} {best[1]:.2f}, below {self.class_below:.2f}"
        if others and best[1] - others[0][1] < self.class_lead:
            return f"{best[0]} {best[1]:.2f}, but {others[0][0]} {others[0][1]:.2f}"
        return None

    def _about_boxes(self, boxes: Boxes, threshold: float) -> str | None:
        limit = threshold + self.box_above_threshold
        doubted = np.flatnonzero(boxes.score < limit)
        if not len(doubted):
            return None
        best = doubted[boxes.score[doubted].argmax()]
        label = boxes.labels[int(boxes.label_id[best])]
        return f"{label} {boxes.score[best]:.2f}, not far above the threshold {threshold:.2f}"


class HardCases:
    """Keeps hard frames in a folder.

    Attributes:
        kept: how many frames were kept by this one.
        full: nothing more is kept, since the folder holds as much as it may.
    """

    def __init__(
        self,
        folder: Path,
        *,
        task: str,
        doubt: Doubt | None = None,
        pause_s: float = 1.0,
        most: int = 1000,
        most_bytes: int = 1_000_000_000,
    ) -> None:
        """Look at what the folder holds; it is made if missing.

        Args:
            folder: for the frames.
            task: of the model.
            doubt: when a frame is kept; None takes the defaults.
            pause_s: at least so long from one kept frame to the next: neighbours are much alike.
            most: frames that the folder may hold.
            most_bytes: bytes that the folder may hold.

        Raises:
            DataError: the task has no scores to doubt, or the folder cannot be made or read.
        """
        if task not in TASKS_WITH_SCORES:
            raise DataError(f"{folder}: what a {task} model says has no confidence, so that none can be low")
        self._folder, self._doubt = folder, doubt or Doubt()
        self._pause_s, self._most, self._most_bytes = pause_s, most, most_bytes
        self._newest_s = -np.inf
        self.kept = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            there = [path for path in folder.iterdir() if path.suffix in (".jpg", ".json")]
            self._bytes = sum(path.stat().st_size for path in there)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot be used as a folder for hard cases ({error.strerror})"
            ) from None
        self._count = sum(path.suffix == ".jpg" for path in there)

    @property
    def full(self) -> bool:
        """Whether the folder holds as much as it may."""
        return self._count >= self._most or self._bytes >= self._most_bytes

    def look(self, seen: Seen, threshold: float = 0.0) -> Path | None:
        """Keep a frame if it is a hard case.

        Args:
            seen: a result and its frame.
            threshold: the least score that a box of this result has.

        Returns:
            The picture that was written; None where nothing was.

        Raises:
            OSError: it could not be written; no half of it is left.
        """
        if seen.frame.time_s - self._newest_s < self._pause_s or self.full:
            return None
        why = self._doubt.about(seen.result, threshold)
        if why is None:
            return None
        # the day and hour for whoever labels it; nothing is measured by this clock
        taken = (datetime.now(UTC) - timedelta(milliseconds=seen.age_ms)).isoformat(timespec="milliseconds")
        path = self._free_path(taken.replace("+00:00", "Z").replace(":", "-"))
        said = json.dumps({"why": why, "taken": taken, **record(seen)}, ensure_ascii=False)
        write_picture(path, seen.frame.image)
        beside = path.with_suffix(".json")
        try:
            files.write_text(beside, said + "\n")
        except OSError:
            path.unlink()
            raise
        self._newest_s = seen.frame.time_s
        self._bytes += path.stat().st_size + beside.stat().st_size
        self._count += 1
        self.kept += 1
        return path

    def _free_path(self, stem: str) -> Path:
        """A name that no file has: the clock of a small board may well go backwards."""
        path, number = self._folder / f"{stem}.jpg", 1
        while path.exists() or path.with_suffix(".json").exists():
            number += 1
            path = self._folder / f"{stem}-{number}.jpg"
        return path
