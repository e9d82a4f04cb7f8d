"""The learning rate of every step: a pure function of the step, so a resumed run needs no memory of it."""

import math
from typing import Any

from edgecnn.zoo.keras import keras, tf


def rate_at(step: int, *, peak: float, warmup: int, total: int) -> float:
    """Linear warm-up to `peak`, then half a cosine down to 0 (Loshchilov & Hutter, 2017, eq. 5).

    Args:
        step: counted from 0.
        peak: the highest rate.
        warmup: steps that the rate takes to reach `peak`; 0 for none.
        total: steps of the whole training.
    """
    rising = min(1.0, (step + 1) / max(1, warmup))
    return peak * rising * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))


class Cosine(keras.optimizers.schedules.LearningRateSchedule):
    """`rate_at` inside the graph, where the optimizer counts the steps."""

    def __init__(self, *, peak: float, warmup: int, total: int) -> None:
        self.peak, self.warmup, self.total = peak, warmup, total

    def __call__(self, step: Any) -> Any:
        """The rate of `step`, a scalar tensor."""
        step = tf.cast(step, tf.float32)
        rising = tf.minimum(1.0, (step + 1) / max(1, self.warmup))
        return self.peak * rising * 0.5 * (1 + tf.cos(math.pi * tf.minimum(1.0, step / self.total)))

    def get_config(self) -> dict[str, Any]:
        """The arguments, as Keras wants them."""
        return {"peak": self.peak, "warmup": self.warmup, "total": self.total}
