"""Which channels matter: what would be lost without each, guessed without removing any.

    worth = scores(model, channels, "taylor", batches, loss)

A unit (`edgecnn.compression.groups`) is gone when no layer reads it any more: as if a gate on that input of
every reader had gone from 1 to 0. Every criterion here guesses what that does, by scores that can be added
up and compared between layers. How many go where is `edgecnn.compression.plan`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.compression.groups import Channels
from edgecnn.compression.readers import kernel_of, other_axes, squares
from edgecnn.compression.rewrite import Call, calls
from edgecnn.errors import TrainingError
from edgecnn.image import Array
from edgecnn.training.learner import listed
from edgecnn.zoo.keras import keras, tf

layers = keras.layers

Scores: TypeAlias = npt.NDArray[np.float64]
Batches: TypeAlias = Iterable[tuple[Array, Array]]
"""(images (n, height, width, channels) float32, targets), as `edgecnn.training.feed` gives them."""

Loss: TypeAlias = Callable[[Any, Any], tuple[Any, Any]]
"""A head's criterion: (targets, list of outputs) -> (losses (n,), figures (n,))."""

USUAL: Final = "energy"
"""What is taken where none is asked for. With half the MACs gone and the norms measured again it kept most
of ResNet-8 and was even with "taylor" on MobileNet V2; networks that it thinned were within a point of the
original after learning on."""

_PART: Final = 8
"""Images whose gradients are taken at once, see `_taylor`."""


def scores(model: Any, channels: Channels, criterion: str, batches: Batches, loss: Loss) -> Scores:
    """What each unit is worth.

    The model is used as it would be on the device: without dropout, norms with their running statistics. The
    same weights and batches give the same scores; gradients bit for bit where TensorFlow's op determinism is
    on, as in training. Memory does not grow with the number of images.

    Args:
        model: a functional model in float32; stays as it is.
        channels: of this model.
        criterion: a key of `CRITERIA`.
        batches: a few hundred training images or more; "magnitude" and "random" take none.
        loss: of the model's task.

    Returns:
        (units,) float64, >= 0; infinite for those in no group, which cannot go.

    Raises:
        TrainingError: there is no such criterion, no batch, or a layer that cannot be followed.
    """
    if criterion not in CRITERIA:
        raise TrainingError(f"no criterion is called {criterion!r}; there is: {', '.join(CRITERIA)}.")
    found = CRITERIA[criterion](model, channels, batches, loss)
    worth = np.full(channels.units, np.inf)
    for group in channels.groups:
        worth[group.units] = found[group.units]
    return worth


def _magnitude(model: Any, channels: Channels, batches: Batches, loss: Loss) -> Scores:
    """The L2 norm of the filters that make the unit, as they are in use: norms behind them folded in.

    Between layers norms mean nothing: the next norm or kernel undoes any factor. So they count as a share of
    their group's L2 norm (Molchanov et al. 2017, arXiv 1611.06440, section 2.2).
    """
    worth = np.zeros(channels.units)
    factors = _norm_factors(model)
    for name in dict.fromkeys(maker for group in channels.groups for maker in group.makers):
        filters = _filter_squares(model.get_layer(name)) * factors.get(name, 1.0) ** 2
        np.add.at(worth, channels.made[name], filters)
    for group in channels.groups:
        worth[group.units] /= max(worth[group.units].sum(), np.finfo(np.float64).tiny)
    return np.sqrt(worth)


def _energy(model: Any, channels: Channels, batches: Batches, loss: Loss) -> Scores:
    """How much of what its readers compute comes from the unit: mean square of the unit times its kernels.

    Of a reader that sums x_c * k_c over its input channels, channel c adds E[x_c^2] * sum(k_c^2) to the mean
    square, as far as inputs are not correlated. It counts as a share of all that the reader takes in, which
    no factor between layers changes; a unit with several readers has the sum of its shares.
    """
    readers = [call for call in calls(model) if call.name in channels.read]
    inputs = list({id(call.inputs[0]): call.inputs[0] for call in readers}.values())
    seen = keras.Model(model.inputs, inputs)
    shape = (None, *model.input_shape[1:])

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])  # type: ignore[untyped-decorator]
    def sums(images: Any) -> list[Any]:
        return [
            tf.reduce_mean(tf.square(x), axis=list(range(len(x.shape) - 1)))
            for x in listed(seen(images, training=False))
        ]

    totals, images = [np.zeros(tensor.shape[-1]) for tensor in inputs], 0
    for batch, _ in batches:
        images += len(batch)
        for total, found in zip(totals, sums(batch), strict=True):
            total += len(batch) * found.numpy()
    _refuse_none(images)
    by_input = {id(tensor): total / images for tensor, total in zip(inputs, totals, strict=True)}
    worth = np.zeros(channels.units)
    for call in readers:
        taken = by_input[id(call.inputs[0])] * squares(call.layer)
        np.add.at(worth, channels.read[call.name], taken / max(taken.sum(), np.finfo(np.float64).tiny))
    return worth


def _taylor(model: Any, channels: Channels, batches: Batches, loss: Loss) -> Scores:
    """What the loss of an image changes without the unit: the mean square of its first-order guess.

    (Molchanov et al. 2019, "Importance Estimation for Neural Network Pruning", arXiv 1906.10771, equation 8.)

    A gate g on input channel c of a reader multiplies x_c by g. The reader is linear in both x and its kernel
    k, so that this is the same as multiplying the slice k_c by g, and by the chain rule at g = 1

        dL/dg = sum(k_c * dL/dk_c)

    which needs nothing but the gradient of the reader's kernel, whatever lies between maker and reader. One
    gate for all readers of the unit has the sum over the readers. 1 - g = 1 removes it, and the loss changes
    by -dL/dg to first order. In a trained network the mean of that over all images is near 0 for every unit;
    what tells units apart is its square image by image, which is also (twice) the second-order guess with
    Fisher's information in place of the Hessian (Theis et al. 2018, arXiv 1801.05787). Gradients of a few
    images at once are summed before they are squared: for independent images the mean stays the same.
    """
    readers = [model.get_layer(name) for name in channels.read]
    kernels = [kernel_of(layer) for layer in readers]

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def gates(images: Any, targets: Any) -> list[Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(kernels)
            losses, _ = loss(targets, listed(model(images, training=False)))
            total = tf.reduce_sum(losses)
        slopes = tape.gradient(total, kernels, unconnected_gradients="zero")
        return [
            tf.reduce_sum(kernel * slope, axis=other_axes(layer))
            for layer, kernel, slope in zip(readers, kernels, slopes, strict=True)
        ]

    worth, images = np.zeros(channels.units), 0
    for batch, targets in batches:
        images += len(batch)
        for start in range(0, len(batch), _PART):
            part = slice(start, start + _PART)
            slope = np.zeros(channels.units)
            found = gates(tf.constant(batch[part]), tf.constant(targets[part]))
            for name, by_channel in zip(channels.read, found, strict=True):
                np.add.at(slope, channels.read[name], by_channel.numpy().astype(np.float64))
            worth += slope**2
    _refuse_none(images)
    return worth / images


def _random(model: Any, channels: Channels, batches: Batches, loss: Loss) -> Scores:
    """Chance, to compare with: always the same numbers."""
    return np.random.default_rng(0).random(channels.units)


CRITERIA: Final[Mapping[str, Callable[[Any, Channels, Batches, Loss], Scores]]] = {
    "magnitude": _magnitude,
    "energy": _energy,
    "taylor": _taylor,
    "random": _random,
}
"""What can be asked of a channel; see `scores`."""


def _norm_factors(model: Any) -> dict[str, Array]:
    """Of every layer with a norm behind it: what the norm multiplies each channel with."""
    return {
        call.before[0].name: _factor(call)
        for call in calls(model)
        if isinstance(call.layer, layers.BatchNormalization)
    }


def _factor(norm: Call) -> Array:
    layer = norm.layer
    factor: Array = 1 / np.sqrt(layer.moving_variance.numpy().astype(np.float64) + layer.epsilon)
    return factor * layer.gamma.numpy() if layer.scale else factor


def _filter_squares(layer: Any) -> Array:
    """Sum of squares of each output channel's filter."""
    if isinstance(layer, layers.DepthwiseConv2D):
        kernel = layer.depthwise_kernel  # its last two axes make up the channels
    else:
        kernel = layer.pointwise_kernel if isinstance(layer, layers.SeparableConv2D) else layer.kernel
    squared = np.square(kernel.numpy().astype(np.float64))
    if isinstance(layer, layers.Conv2DTranspose):
        squared = np.swapaxes(squared, 2, 3)
    kept = 2 if isinstance(layer, layers.DepthwiseConv2D) else 1
    return np.asarray(squared.sum(tuple(range(squared.ndim - kept))).ravel())


def _refuse_none(images: int) -> None:
    if not images:
        raise TrainingError("there is no image to look at. Give at least one batch.")
