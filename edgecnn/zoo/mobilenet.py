"""MobileNet V1, V2 and V3-small, each as the table of its paper."""

from edgecnn.zoo.blocks import (
    Activation,
    Tensor,
    convolution,
    depthwise,
    dropout,
    hard_swish,
    inverted_residual,
    layers,
    logits,
    relu,
    relu6,
    scaled,
)

# Howard et al. 2017, table 1. Filters of the pointwise, stride of the depthwise convolution.
V1 = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip

# Sandler et al. 2018, table 2: expansion t, filters c, repeats n, stride s of the first.
V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)

# Howard et al. 2019, table 2: kernel, expanded, filters, squeeze-and-excite, activation, stride.
V3_SMALL: tuple[tuple[int, int, int, bool, Activation, int], ...] = (
    (3, 16, 16, True, relu, 2),
    (3, 72, 24, False, relu, 2),
    (3, 88, 24, False, relu, 1),
    (5, 96, 40, True, hard_swish, 2),
    (5, 240, 40, True, hard_swish, 1),
    (5, 240, 40, True, hard_swish, 1),
    (5, 120, 48, True, hard_swish, 1),
    (5, 144, 48, True, hard_swish, 1),
    (5, 288, 96, True, hard_swish, 2),
    (5, 576, 96, True, hard_swish, 1),
    (5, 576, 96, True, hard_swish, 1),
)

# The same sizes with 3x3 kernels, ReLU, no squeeze-and-excite: "minimalistic", slim/nets/mobilenet/README.md.
V3_SMALL_MINIMALISTIC: tuple[tuple[int, int, int, bool, Activation, int], ...] = tuple(
    (3, expanded, filters, False, relu, stride) for _, expanded, filters, _, _, stride in V3_SMALL
)


def features(name: str, images: Tensor, width: float) -> dict[int, Tensor]:
    """The stem and the rows; what follows belongs to the classifier, as does V2's last, which only widens."""
    return {
        "mobilenet_v1": _v1,
        "mobilenet_v2": _v2,
        "mobilenet_v3_small": _v3_small,
        "mobilenet_v3_small_minimalistic": _v3_small_minimalistic,
    }[name](images, width)


def classifier(name: str, x: Tensor, classes: int, width: float) -> Tensor:
    """The last row (V2), the last convolution (V2, V3), the mean over the image, dropout, logits.

    Widths below 1 leave the last layers at full size, as the papers do: there they cost little.
    """
    if name == "mobilenet_v1":
        return logits(layers.GlobalAveragePooling2D(name="pool")(x), classes)
    if name == "mobilenet_v2":
        expansion, filters, _, _ = V2[-1]
        x = inverted_residual(
            x,
            scaled(filters, width),
            expanded=expansion * x.shape[-1],
            name=f"block{sum(repeats for _, _, repeats, _ in V2)}",
        )
        x = convolution(x, scaled(1280, max(1.0, width)), name="head", activate=relu6)
        x = layers.GlobalAveragePooling2D(name="pool")(x)
    else:
        activate = relu if name.endswith("minimalistic") else hard_swish
        x = convolution(x, scaled(6 * x.shape[-1], 1.0), name="head", activate=activate)
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = activate(layers.Dense(scaled(1024, max(1.0, width)), name="dense")(x), "dense")
    return logits(dropout(x, 0.2), classes)


def _v1(images: Tensor, width: float) -> dict[int, Tensor]:
    x = convolution(images, scaled(32, width), kernel=3, stride=2, name="stem", activate=relu6)
    maps, reached = {2: x}, 2
    for number, (filters, stride) in enumerate(V1, 1):
        x = depthwise(x, stride=stride, name=f"block{number}_depthwise", activate=relu6)
        x = convolution(x, scaled(filters, width), name=f"block{number}_pointwise", activate=relu6)
        reached *= stride
        maps[reached] = x
    return maps


def _v2(images: Tensor, width: float) -> dict[int, Tensor]:
    x = convolution(images, scaled(32, width), kernel=3, stride=2, name="stem", activate=relu6)
    maps, reached, number = {2: x}, 2, 0
    for expansion, filters, repeats, first_stride in V2[:-1]:
        for repeat in range(repeats):
            stride, number = (first_stride if repeat == 0 else 1), number + 1
            x = inverted_residual(
                x,
                scaled(filters, width),
                expanded=expansion * x.shape[-1],
                stride=stride,
                name=f"block{number}",
            )
            reached *= stride
            maps[reached] = x
    return maps


def _v3_small(images: Tensor, width: float) -> dict[int, Tensor]:
    return _v3(images, width, V3_SMALL, hard_swish)


def _v3_small_minimalistic(images: Tensor, width: float) -> dict[int, Tensor]:
    return _v3(images, width, V3_SMALL_MINIMALISTIC, relu)


def _v3(
    images: Tensor,
    width: float,
    rows: tuple[tuple[int, int, int, bool, Activation, int], ...],
    activate: Activation,
) -> dict[int, Tensor]:
    stem = 16  # not scaled, but for the width: slim's and Keras' code agree
    x = convolution(images, stem, kernel=3, stride=2, name="stem", activate=activate)
    maps, reached, before = {2: x}, 2, stem
    for number, (kernel, expanded, filters, squeeze, act, stride) in enumerate(rows, 1):
        x = inverted_residual(
            x,
            scaled(filters, width),
            # The ratio of the table, applied to the channels that are really there.
            expanded=scaled(expanded / before * x.shape[-1], 1.0),
            kernel=kernel,
            stride=stride,
            activate=act,
            squeeze=squeeze,
            name=f"block{number}",
        )
        before, reached = filters, reached * stride
        maps[reached] = x
    return maps
