"""Where a training stands, for whoever shows it; and one line that says it."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Literal

from edgecnn.training.checkpoint import Position
from edgecnn.training.recipe import Recipe

SHOW_SECONDS = 0.5


@dataclass(frozen=True)
class Progress:
    """Where a training stands.

    Attributes:
        phase: "reading" images, "training", "judging" an epoch on validation images, "done".
        epoch: the running one, from 1; 0 while reading.
        epochs: of the whole training.
        step: done in this epoch; images while reading.
        steps: in an epoch; images in all while reading.
        loss: mean over the running epoch so far; of the finished epoch when judging.
        accuracy: likewise, the head's figure over training images (its FIGURE), in [0, 1]: the share that
            came out right, or of a detector the overlap of its boxes.
        val_accuracy: the head's score (its SCORE) in the last judged epoch, in [0, 1]; None before the first.
        best: highest `val_accuracy` so far; None before the first.
        images_per_s: of training, over the last seconds; of reading.
        eta_s: seconds until the whole training ends (until all is read); None while unknown.
        figure: what `accuracy` is called.
        score: what `val_accuracy` is called.
    """

    phase: Literal["reading", "training", "judging", "done"]
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float = 0.0
    accuracy: float = 0.0
    val_accuracy: float | None = None
    best: float | None = None
    images_per_s: float = 0.0
    eta_s: float | None = None
    figure: str = "accuracy"
    score: str = "accuracy"


class Watch:
    """Tells `show` about a training as it moves on, and measures its speed."""

    def __init__(
        self,
        show: Callable[[Progress], None],
        recipe: Recipe,
        steps: int,
        *,
        figure: str = "accuracy",
        score: str = "accuracy",
    ) -> None:
        self._show, self._recipe, self._steps = show, recipe, steps
        self._figure, self._score = figure, score
        self._shown = monotonic()
        self._mark: tuple[float, int] | None = None  # when this epoch's clock began, and at which step
        self._first: tuple[float, int] | None = (
            None  # likewise of the whole session: judging counts for the ETA
        )
        self._speed = 0.0

    def due(self) -> bool:
        """Whether the last look is long enough ago."""
        return monotonic() - self._shown >= SHOW_SECONDS

    def show(self, now: Position) -> None:
        """Somewhere within an epoch."""
        moment, done = monotonic(), now.epoch * self._steps + now.step
        if self._first is None:
            self._first = (moment, done)  # the first step compiles the graph: not counted
        if self._mark is not None and done > self._mark[1]:
            speed = (done - self._mark[1]) * self._recipe.batch / max(1e-9, moment - self._mark[0])
            self._speed = speed if not self._speed else 0.8 * self._speed + 0.2 * speed
        self._mark = (moment, done)
        self._shown = moment
        self._tell("training", now)

    def judging(self, now: Position) -> None:
        """An epoch's steps are done."""
        self._tell("judging", now)
        self._mark = None

    def judged(self, now: Position) -> None:
        """An epoch is done; `now` stands at the next one."""
        self._shown = monotonic()
        if now.epoch < self._recipe.epochs:
            self._tell("training", now)

    def done(self, now: Position) -> None:
        """The training is done."""
        self._tell("done", now)

    def _tell(self, phase: Literal["training", "judging", "done"], now: Position) -> None:
        seen = max(1, now.step * self._recipe.batch)
        judged = [record["val_accuracy"] for record in now.history]
        self._show(
            Progress(
                phase,
                min(now.epoch + 1, self._recipe.epochs),
                self._recipe.epochs,
                now.step,
                self._steps,
                loss=now.loss_sum / seen,
                accuracy=now.correct / seen,
                val_accuracy=judged[-1] if judged else None,
                best=max(judged) if judged else None,
                images_per_s=self._speed,
                eta_s=self._left(now),
                figure=self._figure,
                score=self._score,
            )
        )

    def _left(self, now: Position) -> float | None:
        if self._first is None:
            return None
        done = now.epoch * self._steps + now.step
        passed = done - self._first[1]
        if passed <= 0:
            return None
        return (self._recipe.epochs * self._steps - done) * (monotonic() - self._first[0]) / passed


def line(progress: Progress) -> str:
    """One line for a terminal, without line end; at most about 100 characters."""
    left = "" if progress.eta_s is None else f"  {duration(progress.eta_s)} left"
    if progress.phase == "reading":
        return f"reading images {progress.step}/{progress.steps}  {progress.images_per_s:.0f} images/s{left}"
    score = "" if progress.score == progress.figure else f"{progress.score} "
    judged = (
        ""
        if progress.val_accuracy is None
        else f"  validation {score}{progress.val_accuracy:.1%} (best {progress.best:.1%})"
    )
    if progress.phase == "done":
        return f"done: {progress.epochs} epochs{judged}"
    digits = len(str(progress.steps))
    where = (
        f"step {progress.step:{digits}}/{progress.steps}" if progress.phase == "training" else "validating"
    )
    return (
        f"epoch {progress.epoch}/{progress.epochs}  {where}  "
        f"loss {progress.loss:.3f}  {progress.figure} {progress.accuracy:.1%}{judged}  "
        f"{progress.images_per_s:.0f} images/s{left}"
    )


def duration(seconds: float) -> str:
    """Such as "42 s", "3:07 min", "2:05 h"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
