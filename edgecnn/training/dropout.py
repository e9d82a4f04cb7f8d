"""Dropout that is a pure function of (seed, layer, step, replica), so a resumed run drops the same units.

Keras' own dropout draws from a generator hidden in the running process: it cannot be saved, so a run that
was killed would continue with other masks.
"""

from typing import Any

from edgecnn.errors import TrainingError
from edgecnn.zoo.keras import keras, tf


def follow_steps(model: Any, steps: Any, *, seed: int) -> None:
    """Make every dropout of `model` draw from `steps`.

    Args:
        model: a built keras.Model; changed in place; weights and outputs outside of training stay the same.
        steps: scalar integer variable, the optimizer's count of steps.
        seed: of the run.

    Raises:
        TrainingError: a layer draws random numbers in another way than dropout.
    """
    for number, layer in enumerate(_layers(model)):
        if isinstance(layer, keras.layers.Dropout):
            layer._random_generator = _Steps(steps, seed, number)  # Keras 2 has no public place for it
        elif hasattr(layer, "_random_generator"):
            raise TrainingError(
                f"layer {layer.name} ({type(layer).__name__}) draws random numbers that cannot be resumed. "
                "Use Dropout, or augment the data instead."
            )


def _layers(model: Any) -> list[Any]:
    return list(model._flatten_layers(include_self=False))


class _Steps:
    """Stands where Keras keeps a layer's `RandomGenerator`, and offers the one method that dropout calls."""

    _rng_type = "legacy_stateful"  # what Dropout.get_config() expects of the default generator

    def __init__(self, steps: Any, seed: int, number: int) -> None:
        self._steps, self._seed, self._number = steps, seed, number

    def dropout(self, inputs: Any, rate: float, noise_shape: Any = None) -> Any:
        context = tf.distribute.get_replica_context()
        replica = tf.cast(0 if context is None else context.replica_id_in_sync_group, tf.int64)
        step_of_replica = tf.cast(self._steps, tf.int64) + replica * 2**48
        layer_of_seed = tf.constant(self._seed + self._number * 2**32, tf.int64)
        seed = tf.stack([step_of_replica, layer_of_seed])
        return tf.nn.experimental.stateless_dropout(inputs, rate, seed, noise_shape=noise_shape)
