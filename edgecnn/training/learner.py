"""One network being learned: weights, optimizer, and the step that improves them.

Knows nothing of epochs, files or data sets. The loop around it is `edgecnn.training.fit`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.errors import TrainingError
from edgecnn.heads import Head
from edgecnn.image import Array
from edgecnn.training import dropout
from edgecnn.training.distribute import Cluster
from edgecnn.training.recipe import Recipe
from edgecnn.training.schedule import Cosine
from edgecnn.training.start import Subject, freeze
from edgecnn.zoo.keras import keras, tf

Totals = Any
"""(2,) float64 tensor: sum of the losses, number of correct images."""


@dataclass(frozen=True, eq=False)
class Learner:
    """A network in training.

    Attributes:
        model: what is stepped; lives under the cluster's strategy and the recipe's precision.
        plain: the same network in float32 in this process alone, for judging and saving; may be `model`.
        optimizer: with all its slots made.
        step: (images, targets, totals) -> totals, after one step; arguments as `Cluster.hand_out` gives them.
        means: running means of the model's weights, in their order; () where the recipe wants none.
    """

    model: Any
    plain: Any
    optimizer: Any
    step: Callable[[Any, Any, Totals], Totals]
    means: tuple[Any, ...] = ()

    def state(self) -> list[Array]:
        """All that the next step depends on: weights, slots, count of steps. All workers must call it."""
        values: list[Array] = keras.backend.batch_get_value(self._variables())
        return values

    def restore(self, state: list[Array]) -> None:
        """Continue from what `state` gave.

        Raises:
            TrainingError: it is the state of another network or optimizer.
        """
        variables = self._variables()
        wanted = [tuple(v.shape) for v in variables]
        found = [np.shape(value) for value in state]
        if wanted != found:
            raise TrainingError(
                f"the checkpoint's {len(found)} arrays do not fit the {len(wanted)} of this network and its "
                "optimizer; another version wrote it. Start a new run."
            )
        keras.backend.batch_set_value(list(zip(variables, state, strict=True)))

    def settle(self) -> None:
        """Copy the learned weights into `plain`. All workers must call it."""
        if self.means:
            self.plain.set_weights(keras.backend.batch_get_value(list(self.means)))
        elif self.plain is not self.model:
            self.plain.set_weights(self.model.get_weights())

    def _variables(self) -> list[Any]:
        return [*self.model.weights, *self.optimizer.variables, *self.means]


def learner(
    subject: Subject, recipe: Recipe, head: Head, cluster: Cluster, *, total_steps: int, warmup: int
) -> Learner:
    """A learner that has not yet stepped.

    Args:
        subject: what to learn, as `edgecnn.training.start` gives it; its model lives under no strategy.
        recipe: says everything else.
        head: says the loss.
        cluster: where it runs.
        total_steps: of the whole training, for the schedule.
        warmup: steps of warm-up.

    Raises:
        TrainingError: the recipe asks for a precision or for means that this subject does not allow.
    """
    plain = subject.model
    with cluster.strategy.scope():
        alone = cluster.replicas == cluster.workers == 1
        if recipe.precision == "float32" and alone and not (recipe.ema or recipe.frozen):
            model = plain
        else:
            if subject.anew is None:
                raise TrainingError(f"{subject.verb} computes in float32, without ema and frozen layers.")
            with precision(recipe.precision):
                model = subject.anew()
            model.set_weights(plain.get_weights())
            freeze(model, recipe)
        optimizer = _optimizer(recipe, Cosine(peak=recipe.rate, warmup=warmup, total=total_steps))
        variables = model.trainable_variables
        optimizer.exclude_from_weight_decay(var_list=[v for v in variables if len(v.shape) < 2])
        optimizer.build(variables)
        means = _means(model) if recipe.ema else ()
    dropout.follow_steps(model, optimizer.iterations, seed=recipe.seed)
    criterion = head.criterion(recipe.input, smoothing=recipe.label_smoothing)
    step = _step(model, subject, optimizer, criterion, means, recipe, cluster)
    return Learner(model, plain, optimizer, step, means)


def forward(model: Any) -> Callable[[Any], Any]:
    """The network without dropout and with its running statistics: images -> outputs, compiled once."""
    shape = (None, *model.input_shape[1:])
    return tf.function(
        lambda images: listed(model(images, training=False)),
        input_signature=[tf.TensorSpec(shape, tf.float32)],
    )


def listed(outputs: Any) -> list[Any]:
    """What a Keras model gives, as a list: it gives a lone output as it is."""
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def outputs(run: Callable[[Any], Any], batches: Iterator[Array]) -> list[Array]:
    """`forward` over batches, each output joined, (n, …) float32; n must not be 0."""
    found = [[np.asarray(output, np.float32) for output in run(batch)] for batch in batches]
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def _step(
    model: Any,
    subject: Subject,
    optimizer: Any,
    criterion: Callable[[Any, Any], tuple[Any, Any]],
    means: tuple[Any, ...],
    recipe: Recipe,
    cluster: Cluster,
) -> Callable[..., Totals]:
    variables, own = model.trainable_variables, len(model.outputs)
    watched = [model.get_layer(name).output for name in subject.features]
    stepped = keras.Model(model.inputs, [*model.outputs, *watched]) if watched else model

    def replica(images: Any, targets: Any) -> Any:
        if subject.before_step:
            subject.before_step()
        with tf.GradientTape() as tape:
            outputs = listed(stepped(images, training=True))
            losses, figures = criterion(targets, outputs[:own])
            if subject.guide:
                losses = subject.guide(images, outputs, losses)
            # Replicas add up their gradients: divide by the images of all of them.
            share = tf.reduce_sum(losses) / recipe.batch
        optimizer.apply_gradients(zip(tape.gradient(share, variables), variables, strict=True))
        if means:
            # Early means would remember the fresh weights: until there are enough, all steps count alike.
            step = tf.cast(optimizer.iterations, tf.float32)
            kept = tf.minimum(recipe.ema, (1 + step) / (10 + step))
            for mean, weight in zip(means, model.weights, strict=True):
                mean.assign_sub((1 - kept) * (mean - tf.cast(weight, mean.dtype)))
        figure = tf.reduce_sum(tf.cast(figures, tf.float64))
        return tf.stack([tf.reduce_sum(tf.cast(losses, tf.float64)), figure])

    def step(images: Any, targets: Any, totals: Totals) -> Totals:
        if cluster.replicas == 1:
            return totals + replica(images, targets)
        parts = cluster.strategy.run(replica, args=(images, targets))
        return totals + cluster.strategy.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None)

    return tf.function(step)


def _means(model: Any) -> tuple[Any, ...]:
    # All replicas hold the same weights, so that any one's mean will do.
    first = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return tuple(tf.Variable(weight, trainable=False, aggregation=first) for weight in model.weights)


def _optimizer(recipe: Recipe, schedule: Any) -> Any:
    decay = recipe.weight_decay or None
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, weight_decay=decay)
    return keras.optimizers.Adam(schedule, weight_decay=decay)


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Layers made inside compute in `name`; their variables stay float32."""
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16" if name == "bfloat16" else "float32")
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)
