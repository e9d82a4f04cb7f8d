"""The numbers that weights can be in an int8 file: 255 steps for each output channel; int32 for biases."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from edgecnn.image import Array
from edgecnn.zoo.keras import tf


def on_grid(kernel: Any, axes: tuple[int, ...]) -> Any:
    """A kernel rounded to 255 steps for each output channel; its gradient passes straight through.

    The widest weight of a channel stays exactly where it is, at ±127 steps: so the same scale is found again
    in the rounded kernel. (Jacob et al. 2018, section 3.1; Bengio et al. 2013, arXiv 1308.3432.)

    Args:
        kernel: float32 tensor or variable.
        axes: those of the output channels.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def rounded(values: Any) -> Any:
        scale = _scale(values, axes)
        return tf.round(values / scale) * scale, lambda gradient: gradient

    return rounded(tf.convert_to_tensor(kernel))


def on_codes(kernel: Any, axes: tuple[int, ...], codes: Sequence[int]) -> Any:
    """A kernel of few values: each weight at the nearest of some of the steps that `on_grid` allows.

    Its gradient passes straight through. All channels share the values in steps of their own scales, and the
    widest weight of a channel stays where it is, so an int8 file holds exactly these codes.

    Args:
        kernel: float32 tensor or variable.
        axes: those of the output channels.
        codes: ascending, from -127 to 127, both included.
    """
    between = [(low + high) / 2 for low, high in pairwise(codes)]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def rounded(values: Any) -> Any:
        scale = _scale(values, axes)
        nearest = tf.raw_ops.Bucketize(input=values / scale, boundaries=between)
        return tf.gather(tf.constant(codes, tf.float32), nearest) * scale, lambda gradient: gradient

    return rounded(tf.convert_to_tensor(kernel))


def bias_on_grid(bias: Array, kernel: Array, axes: tuple[int, ...], scale: float) -> Array:
    """A bias rounded as int32 holds it: to steps of the input's scale times the kernel's.

    Without it the roundings behind would differ from the device's now and then, and in a deep network one
    different rounding leads to others.

    Args:
        bias: (channels,) float32.
        kernel: as `on_grid` gives it.
        axes: those of its output channels.
        scale: of the layer's input.
    """
    others = tuple(axis for axis in range(kernel.ndim) if axis not in axes)
    widest = np.abs(kernel).max(axis=others).ravel().astype(np.float64)
    step = scale * np.where(widest > 0, widest / 127, 1.0)
    return (np.round(bias / step) * step).astype(np.float32)


def _scale(values: Any, axes: tuple[int, ...]) -> Any:
    others = [axis for axis in range(len(values.shape)) if axis not in axes]
    scale = tf.reduce_max(tf.abs(values), axis=others, keepdims=True) / 127.0
    return tf.where(scale > 0, scale, 1.0)
