"""How good an epoch is: the network on the validation images; and what the run says of itself."""

import platform
from dataclasses import replace
from typing import Any

import numpy as np

from edgecnn.card import Card
from edgecnn.image import Array
from edgecnn.runs import Run
from edgecnn.training.checkpoint import Position
from edgecnn.training.feed import plain_batches
from edgecnn.training.learner import forward, outputs
from edgecnn.training.lesson import Lesson
from edgecnn.training.recipe import Recipe
from edgecnn.training.start import Subject
from edgecnn.zoo.keras import keras, tf

_BATCH = 256
_JUDGED = 32  # images whose losses are computed at once: those of a detector take memory


class Judge:
    """Judges one network, in float32, as it will be converted."""

    def __init__(self, subject: Subject, lesson: Lesson, recipe: Recipe) -> None:
        self._subject, self._lesson, self._recipe = subject, lesson, recipe
        self._forward = forward(subject.model)
        self._criterion = tf.function(lesson.head.criterion(recipe.input, smoothing=0.0))
        self._options = lesson.head.options(recipe.input)

    def epoch(self) -> tuple[float, float]:
        """Mean loss (without label smoothing) and score in [0, 1] over the validation images."""
        out = self._outputs(self._forward)
        return self._loss(out), float(self._outcome(out)["score"])

    def card(self, position: Position) -> Card:
        """The card of the best epoch so far."""
        lesson, recipe, subject = self._lesson, self._recipe, self._subject
        best = position.history[position.best_epoch]
        return replace(
            self._blank(),
            lineage=(
                *subject.lineage,
                f"{subject.verb} on {lesson.name} ({len(lesson.feed.images)} images), "
                f"epoch {best['epoch']:.0f} of {recipe.epochs}, seed {recipe.seed}",
            ),
            metrics={
                f"val_{lesson.head.SCORE.lower()}": best["val_accuracy"],
                "val_loss": best["val_loss"],
            },
        )

    def _blank(self) -> Card:
        """The card without what depends on the epoch."""
        lesson, recipe, subject = self._lesson, self._recipe, self._subject
        return Card(
            name=subject.name,
            task=lesson.task,
            input=recipe.input,
            labels=lesson.labels,
            outputs=dict(zip(lesson.head.ROLES, subject.model.output_names, strict=True)),
            options=self._options,
        )

    def finish(self, run: Run, position: Position) -> tuple[dict[str, Any], Card]:
        """What training.json says, judged on the saved network, and the card."""
        lesson, recipe = self._lesson, self._recipe
        saved = keras.models.load_model(run.model, compile=False)
        out = self._outputs(forward(saved))
        images = lesson.val
        self._options = dict(lesson.head.fitted_options(out, images.dataset, images.views, self._blank()))
        outcome = self._outcome(out)
        return {
            "epochs": recipe.epochs,
            "best_epoch": position.best_epoch + 1,
            "seconds": sum(record["seconds"] for record in position.history),
            "data": lesson.name,
            "train_images": len(lesson.feed.images),
            "val_images": len(lesson.val),
            "unreadable": lesson.unreadable,
            **{name: value for name, value in outcome.items() if name != "score"},
            "environment": {
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
                "python": platform.python_version(),
                "system": platform.platform(),
            },
        }, self.card(position)

    def _outcome(self, out: list[Array]) -> dict[str, Any]:
        images = self._lesson.val
        return self._lesson.head.outcome(out, images.dataset, images.views, self._blank())

    def _loss(self, out: list[Array]) -> float:
        """In parts of equal size, the last one apart, so that at most two graphs are made."""
        targets, total = self._lesson.val_targets, 0.0
        for start in range(0, len(targets), _JUDGED):
            part = slice(start, start + _JUDGED)
            losses, _ = self._criterion(tf.constant(targets[part]), [tf.constant(one[part]) for one in out])
            total += float(np.sum(losses.numpy(), dtype=np.float64))
        return total / len(targets)

    def _outputs(self, run: Any) -> list[Array]:
        size = max(1, min(_BATCH, 2 * self._recipe.batch))
        return outputs(run, plain_batches(self._lesson.val, size))
