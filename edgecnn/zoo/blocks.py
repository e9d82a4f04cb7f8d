"""The few motifs all tables of rows are made of: convolution, norm, activation; and the inverted residual.

Everything is a standard Keras layer with an explicit name, so that two builds agree name by name and a saved
model opens without edgecnn. Padding is "same" everywhere: explicit padding would be one more TFLite operator.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from edgecnn.zoo.keras import keras

Tensor: TypeAlias = Any  # a Keras tensor (batch, height, width, channels); Keras ships no types
Activation: TypeAlias = Callable[[Tensor, str], Tensor]

layers = keras.layers

# One value for all: MobileNet V1-V3 and EfficientNet-Lite were published with it, and it is Keras' default.
NORM_EPSILON = 1e-3


def scaled(filters: float, width: float, divisor: int = 8) -> int:
    """`filters` times `width`, rounded to a multiple of `divisor`, but never more than 10 % down.

    The rule of the MobileNet and EfficientNet reference code (`_make_divisible`, `round_filters`).
    """
    wanted = filters * width
    rounded = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * wanted else rounded


def relu(x: Tensor, name: str) -> Tensor:
    """max(x, 0)."""
    return layers.ReLU(name=f"{name}_relu")(x)


def relu6(x: Tensor, name: str) -> Tensor:
    """Clip x to [0, 6]: a fixed range, so int8 has a fixed step."""
    return layers.ReLU(6.0, name=f"{name}_relu6")(x)


def linear(x: Tensor, name: str) -> Tensor:
    """The x it was given."""
    return x


def hard_sigmoid(x: Tensor, name: str) -> Tensor:
    """relu6(x + 3) / 6, Howard et al. 2019, equation 6.

    Keras 2's own "hard_sigmoid" has slope 0.2 instead of 1/6, so it is spelled out.
    """
    x = layers.Rescaling(1.0, offset=3.0, name=f"{name}_plus3")(x)
    x = layers.ReLU(6.0, name=f"{name}_relu6")(x)
    return layers.Rescaling(1 / 6, name=f"{name}_sixth")(x)


def hard_swish(x: Tensor, name: str) -> Tensor:
    """Give x * relu6(x + 3) / 6; the TFLite converter fuses these layers into one HARD_SWISH."""
    return layers.Multiply(name=f"{name}_swish")([x, hard_sigmoid(x, name)])


def convolution(
    x: Tensor, filters: int, *, name: str, kernel: int = 1, stride: int = 1, activate: Activation = linear
) -> Tensor:
    """Convolution without bias, batch norm, activation."""
    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(epsilon=NORM_EPSILON, name=f"{name}_norm")(x)
    return activate(x, name)


def depthwise(
    x: Tensor, *, name: str, kernel: int = 3, stride: int = 1, activate: Activation = linear
) -> Tensor:
    """Depthwise convolution without bias, batch norm, activation."""
    x = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(epsilon=NORM_EPSILON, name=f"{name}_norm")(x)
    return activate(x, name)


def squeeze_and_excite(x: Tensor, *, name: str) -> Tensor:
    """Scale each channel by what a glance at all of them says; a quarter of the channels in the middle."""
    channels = x.shape[-1]
    s = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
    s = layers.Conv2D(scaled(channels, 0.25), 1, name=f"{name}_reduce")(s)
    s = layers.Conv2D(channels, 1, name=f"{name}_expand")(relu(s, f"{name}_reduce"))
    return layers.Multiply(name=f"{name}_scale")([x, hard_sigmoid(s, f"{name}_gate")])


def inverted_residual(
    x: Tensor,
    filters: int,
    *,
    name: str,
    expanded: int,
    kernel: int = 3,
    stride: int = 1,
    activate: Activation = relu6,
    squeeze: bool = False,
) -> Tensor:
    """Widen to `expanded` channels, filter each, narrow to `filters` without activation; add the input.

    Sandler et al. 2018, figure 3; with squeeze-and-excite Howard et al. 2019, figure 4. The widening is left
    out where there is nothing to widen, the sum where the shapes differ.
    """
    channels = x.shape[-1]
    y = x if expanded == channels else convolution(x, expanded, name=f"{name}_expand", activate=activate)
    y = depthwise(y, name=f"{name}_depthwise", kernel=kernel, stride=stride, activate=activate)
    if squeeze:
        y = squeeze_and_excite(y, name=f"{name}_squeeze")
    y = convolution(y, filters, name=f"{name}_project")
    return layers.Add(name=f"{name}_add")([x, y]) if stride == 1 and filters == channels else y


def dropout(x: Tensor, rate: float, *, name: str = "dropout") -> Tensor:
    """Zeroes a share of the values while training.

    The seed is never drawn from: training replaces the generator by one that follows its steps. It is there
    because TensorFlow refuses dropout without a seed once its operators are deterministic, which training
    switches on for the whole process.
    """
    return layers.Dropout(rate, seed=0, name=name)(x)


def logits(x: Tensor, classes: int) -> Tensor:
    """The last layer of every classifier; no softmax."""
    return layers.Dense(classes, name="logits")(x)
