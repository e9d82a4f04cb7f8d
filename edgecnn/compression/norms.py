"""Batch norms measured again: after channels went, means and variances are no longer what training found.

    settle_norms(model, images_in_batches)

Without any learning this brings back most of what a network lost that had channels removed. (Wu & Johnson
2021, "Rethinking Batch in BatchNorm", arXiv 2105.07576, section 3: PreciseBN.)
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from edgecnn.compression.rewrite import Call, applied, calls
from edgecnn.errors import TrainingError
from edgecnn.image import Array
from edgecnn.zoo.keras import keras, tf


def settle_norms(model: Any, batches: Iterable[Array]) -> None:
    """Measure mean and variance of every BatchNormalization anew; all other weights stay.

    Each batch passes through the network as in training, normalized by its own statistics. What counts in the
    end are mean and variance over all images: every image weighs the same, and no batch is forgotten, as it
    would be by a moving average. Dropout rests. Memory does not grow with the number of batches.

    Args:
        model: a functional model in float32; changed in place.
        batches: images (n, height, width, channels) float32, normalized as in training, n >= 1.

    Raises:
        TrainingError: there is no batch, or a layer is called in a way that cannot be followed (see
            `edgecnn.compression.rewrite.calls`).
    """
    settling(model)(batches)


def settling(model: Any) -> Callable[[Iterable[Array]], None]:
    """`settle_norms` of one model, compiled once for any number of uses.

    Args:
        model: its weights may change between the uses.

    Returns:
        A function of the batches.

    Raises:
        TrainingError: see `settle_norms`.
    """
    run = calls(model)
    norms = [call for call in run if isinstance(call.layer, keras.layers.BatchNormalization)]
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)]
    measured = tf.function(lambda images: _moments(run, images), input_signature=signature)

    def settle(batches: Iterable[Array]) -> None:
        if not norms:
            return
        images = 0
        means = [np.zeros(call.layer.moving_mean.shape) for call in norms]
        squares = [np.zeros(call.layer.moving_mean.shape) for call in norms]
        for batch in batches:
            images += len(batch)
            for at, (mean, variance) in enumerate(measured(batch)):
                mean = mean.numpy().astype(np.float64)
                means[at] += len(batch) * mean
                squares[at] += len(batch) * (variance.numpy() + mean**2)
        if not images:
            raise TrainingError("there is no image to measure the norms on. Give at least one batch.")
        for call, mean, square in zip(norms, means, squares, strict=True):
            call.layer.moving_mean.assign(mean / images)
            call.layer.moving_variance.assign(np.maximum(square / images - (mean / images) ** 2, 0.0))

    return settle


def _moments(run: list[Call], images: Any) -> list[tuple[Any, Any]]:
    """Mean and variance of what each norm is given, in the order of the calls."""
    made: dict[int, Any] = {}
    found = []
    for call in run:
        if isinstance(call.layer, keras.layers.InputLayer):
            made[id(call.output)] = images
            continue
        given = [made[id(tensor)] for tensor in call.inputs]
        if isinstance(call.layer, keras.layers.BatchNormalization):
            made[id(call.output)], mean, variance = _normalized(call.layer, given[0])
            found.append((mean, variance))
        else:
            made[id(call.output)] = applied(call.layer, given)
    return found


def _normalized(layer: Any, given: Any) -> tuple[Any, Any, Any]:
    """What the norm makes of a batch by the batch's own statistics, and these, each (channels,)."""
    axis = layer.axis[0] if isinstance(layer.axis, list | tuple) else layer.axis
    rank = len(given.shape)
    others = [other for other in range(rank) if other != axis % rank]
    mean, variance = tf.nn.moments(given, others)
    shape = [1] * rank
    shape[axis % rank] = -1

    def along(values: Any) -> Any:
        return None if values is None else tf.reshape(values, shape)

    offset = layer.beta if layer.center else None
    factor = layer.gamma if layer.scale else None
    made = tf.nn.batch_normalization(
        given, along(mean), along(variance), along(offset), along(factor), layer.epsilon
    )
    return made, mean, variance
