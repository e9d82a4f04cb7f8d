"""ResNet-8 as MLPerf Tiny defines it.

He et al. 2015 with three residual pairs, and with biases before the norms, as in the reference
(mlcommons/tiny, benchmark/training/image_classification/keras_model.py).
"""

from edgecnn.zoo.blocks import NORM_EPSILON, Tensor, layers, logits, relu, scaled

STEM = 16
# Filters and stride of each pair of 3x3 convolutions.
PAIRS = ((16, 1), (32, 2), (64, 2))


def features(name: str, x: Tensor, width: float) -> dict[int, Tensor]:
    """Stem and residual pairs."""
    x = relu(_convolution(x, scaled(STEM, width, divisor=1), name="stem"), "stem")
    maps, reached = {1: x}, 1
    for number, (filters, stride) in enumerate(PAIRS, 1):
        pair, wide = f"pair{number}", scaled(filters, width, divisor=1)
        y = relu(_convolution(x, wide, stride=stride, name=f"{pair}_conv1"), f"{pair}_conv1")
        y = _convolution(y, wide, name=f"{pair}_conv2")
        if stride > 1:
            x = layers.Conv2D(wide, 1, stride, padding="same", name=f"{pair}_shortcut")(x)
        x = relu(layers.Add(name=f"{pair}_add")([x, y]), pair)
        reached *= stride
        maps[reached] = x
    return maps


def classifier(name: str, x: Tensor, classes: int, width: float) -> Tensor:
    """Mean over the image (the reference's 8x8 pooling, at 32x32 pixels), logits."""
    return logits(layers.GlobalAveragePooling2D(name="pool")(x), classes)


def _convolution(x: Tensor, filters: int, *, name: str, stride: int = 1) -> Tensor:
    x = layers.Conv2D(filters, 3, stride, padding="same", name=name)(x)
    return layers.BatchNormalization(epsilon=NORM_EPSILON, name=f"{name}_norm")(x)
