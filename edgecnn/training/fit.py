"""Training: data set and recipe in, run folder out; can be killed at any moment and resumed.

    train(training_splits("photos/"), recipe, out=Path("runs/cats"))

The final weights depend on recipe and data only: a run that was killed and resumed ends with the same bits
as one that was not (same machine, one worker). This module is the loop; what a step, a batch, a checkpoint
and an outcome are, its neighbours know.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from edgecnn.data.dataset import Dataset
from edgecnn.errors import TrainingError
from edgecnn.runs import Run
from edgecnn.training import checkpoint, folder, pixels
from edgecnn.training.checkpoint import Position
from edgecnn.training.distribute import Cluster, cluster
from edgecnn.training.judge import Judge
from edgecnn.training.learner import learner
from edgecnn.training.lesson import Lesson, check, read_lesson
from edgecnn.training.progress import Progress, Watch
from edgecnn.training.recipe import Recipe
from edgecnn.training.schedule import rate_at
from edgecnn.training.start import Subject, own_network
from edgecnn.zoo.keras import tf

CHECKPOINT_SECONDS = 60.0


def train(
    data: tuple[Dataset, Dataset],
    recipe: Recipe | None = None,
    *,
    out: Path | str,
    subject: Callable[[Lesson], Subject] | None = None,
    resume: bool = False,
    force: bool = False,
    skip_unreadable: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    cache_bytes: int = pixels.CACHE_BYTES,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """Learn a network and write its run folder (`edgecnn.runs`).

    Args:
        data: training and validation images, as `edgecnn.data.training_splits` gives them.
        recipe: see `edgecnn.training.recipe.default`. With `resume`, None takes the run's own.
        out: the run folder. In a cluster of several machines all of them must see it.
        subject: what to learn, made of the lesson that was read, and on `resume` made again just so; None
            builds the recipe's own network.
        resume: continue the training that was interrupted there; of a finished one, only return it.
        force: replace the run that is there.
        skip_unreadable: leave broken images out (and list them in training.json) instead of refusing them.
        checkpoint_seconds: a checkpoint is written after every epoch, and within long epochs this often.
        cache_bytes: the most memory that training images may take; more are read again in every epoch.
        progress: called about twice a second, from this thread.

    Returns:
        The run. Its `model.keras` is the epoch that did best on the validation images.

    Raises:
        TrainingError: the recipe, the data and the folder don't go together; images that cannot be read; the
            loss became infinite; the disk is full. Says which.
        KeyboardInterrupt: after Ctrl-C, when the checkpoint is written.
    """
    run = Run(Path(out))
    # Workers look at the folder before they meet in `cluster()`; only after that does the chief write to it.
    recipe = folder.opened(run, recipe, resume=resume, force=force)
    if resume and folder.finished(run):
        return run
    here = cluster()
    check(data, recipe, replicas=here.replicas)
    if subject is not None and here.replicas * here.workers > 1:
        raise TrainingError(
            f"compressing works on one processor only, and this process sees {here.replicas}. Hide the "
            "others: CUDA_VISIBLE_DEVICES=0, and no TF_CONFIG."
        )
    # Resumed bits must be the same bits. On a CPU it costs nothing: ResNet-8, batch 128, 111 ms either way.
    tf.config.experimental.enable_op_determinism()
    tf.random.set_seed(recipe.seed)
    if subject is None:
        own = own_network(recipe, len(data[0].labels))  # refuses before images are read
        subject = lambda lesson: own  # noqa: E731
    lesson = read_lesson(
        data, recipe, skip_unreadable=skip_unreadable, cache_bytes=cache_bytes, progress=progress
    )
    learned = subject(lesson)
    study = _Study(run, recipe, here, lesson, learned, checkpoint_seconds, progress)
    if here.chief:
        folder.started(run, recipe, resume=resume, notes=learned.notes)
    if resume:
        study.resume()
    with _stop_asked() as asked:
        study.learn(asked)
    return run


class _Study:
    """A training under way: the learner, and where it stands."""

    def __init__(
        self,
        run: Run,
        recipe: Recipe,
        here: Cluster,
        lesson: Lesson,
        subject: Subject,
        checkpoint_seconds: float,
        progress: Callable[[Progress], None],
    ) -> None:
        self.run, self.recipe, self.here, self.lesson, self.subject = run, recipe, here, lesson, subject
        steps = lesson.feed.steps
        self.total, self.warmup = recipe.epochs * steps, round(recipe.warmup_epochs * steps)
        self.learner = learner(subject, recipe, lesson.head, here, total_steps=self.total, warmup=self.warmup)
        self.judge = Judge(subject, lesson, recipe)
        self.position = Position()
        head = lesson.head
        self.watch = Watch(progress, recipe, steps, figure=head.FIGURE, score=head.SCORE)
        self.checkpoint_seconds = checkpoint_seconds
        self.fingerprint = lesson.fingerprint()

    def resume(self) -> None:
        """Take up the newest checkpoint; without one, start from the beginning."""
        path = checkpoint.newest(self.run.checkpoints)
        if path is not None:
            self.position, state = checkpoint.read(path, self.fingerprint)
            self.learner.restore(state)

    def learn(self, asked: threading.Event) -> None:
        """All that is left, to the end.

        Args:
            asked: set when the training is to stop at the next step.
        """
        while self.position.epoch < self.recipe.epochs:
            self._epoch(asked)
            self._judged()
        if self.here.chief:
            folder.write_outcome(self.run, *self.judge.finish(self.run, self.position))
        self.watch.done(self.position)

    def _epoch(self, asked: threading.Event) -> None:
        """The steps that the running epoch still lacks."""
        began = self.position
        totals = tf.constant([began.loss_sum, began.correct], tf.float64)
        clock = _Clock(began.epoch_seconds, self.checkpoint_seconds)
        feed, here = self.lesson.feed, self.here
        parts = [
            feed.batches(began.epoch, start=began.step, part=part, parts=here.replicas) for part in here.parts
        ]
        with contextlib.ExitStack() as stack:
            for part in parts:
                stack.enter_context(contextlib.closing(part))
            for step, batches in enumerate(zip(*parts, strict=True), began.step + 1):
                images, targets = zip(*batches, strict=True)
                totals = self.learner.step(here.hand_out(images), here.hand_out(targets), totals)
                stop, save = asked.is_set(), clock.checkpoint_due() and here.workers == 1
                if not (stop or save or step == feed.steps or self.watch.due()):
                    continue
                loss_sum, correct = (float(total) for total in totals.numpy())
                self.position = replace(
                    began, step=step, loss_sum=loss_sum, correct=correct, epoch_seconds=clock.seconds()
                )
                self._refuse_infinite(loss_sum)
                self.watch.show(self.position)
                if stop:
                    self._interrupted()
                if save and step < feed.steps:
                    self._write_checkpoint()
                    clock.checkpoint_written()

    def _judged(self) -> None:
        """End the epoch: judge it, keep it if it is the best, write it down."""
        now, clock = self.position, monotonic()
        state = self.learner.state()  # every worker reads: averages are made together
        self.learner.settle()
        self.watch.judging(now)
        val_loss, val_accuracy = self.judge.epoch()
        self._refuse_infinite(val_loss, *state)
        seen = self.lesson.feed.steps * self.recipe.batch
        seconds = now.epoch_seconds + monotonic() - clock
        record = {
            "epoch": now.epoch + 1,
            "rate": rate_at(
                now.epoch * self.lesson.feed.steps,
                peak=self.recipe.rate,
                warmup=self.warmup,
                total=self.total,
            ),
            "loss": now.loss_sum / seen,
            "accuracy": now.correct / seen,
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
            "seconds": seconds,
        }
        history = (*now.history, record)
        settled = self.subject.settled
        best = max(
            range(len(history)),
            key=lambda e: (e >= settled, history[e]["val_accuracy"], -history[e]["val_loss"]),
        )
        self.position = Position(epoch=now.epoch + 1, best_epoch=best, history=history)
        if self.here.chief:
            if best == now.epoch:
                folder.write_model(self.run, self.subject.export(), self.judge.card(self.position))
            folder.write_history(self.run, history)
            checkpoint.write(self.run.checkpoints, self.position, state, self.fingerprint)
        self.watch.judged(self.position)

    def _write_checkpoint(self) -> None:
        state = self.learner.state()
        self._refuse_infinite(*state)
        checkpoint.write(self.run.checkpoints, self.position, state, self.fingerprint)

    def _refuse_infinite(self, *values: Any) -> None:
        if all(np.isfinite(value).all() for value in values):
            return
        now = self.position
        before = checkpoint.newest(self.run.checkpoints)
        kept = f"the weights before are in {before}" if before else "there is no checkpoint before it"
        raise TrainingError(
            f"the loss became infinite in epoch {now.epoch + 1}, by step {now.step}: the rate "
            f"{self.recipe.rate:g} is too high for {self.recipe.model}. "
            f"Try rate {self.recipe.rate / 3:.2g}; {kept}."
        )

    def _interrupted(self) -> None:
        now = self.position
        where = f"stopped in epoch {now.epoch + 1} of {self.recipe.epochs}"
        if self.here.workers > 1:
            raise KeyboardInterrupt(f"{where}; resume (--resume) continues from the end of the epoch before")
        self._write_checkpoint()
        raise KeyboardInterrupt(f"{where}; resume (--resume) continues from step {now.step}")


class _Clock:
    """Seconds of the running epoch, and whether a checkpoint is due in it."""

    def __init__(self, before: float, checkpoint_seconds: float) -> None:
        self._began, self._before = monotonic(), before
        self._interval, self._last = checkpoint_seconds, monotonic()
        self._asked = monotonic()

    def seconds(self) -> float:
        return self._before + monotonic() - self._began

    def checkpoint_due(self) -> bool:
        self._asked = monotonic()
        return self._asked - self._last >= self._interval

    def checkpoint_written(self) -> None:
        # A large network on a slow disk shall not spend its time writing: at most a tenth of it.
        self._last = monotonic()
        self._interval = max(self._interval, 10 * (self._last - self._asked))


@contextlib.contextmanager
def _stop_asked() -> Iterator[threading.Event]:
    """Ctrl-C inside sets the event, so that no step is cut in two; a second Ctrl-C stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # only the main thread may handle signals
        return
    before = signal.getsignal(signal.SIGINT)

    def first(number: int, frame: Any) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, first)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
