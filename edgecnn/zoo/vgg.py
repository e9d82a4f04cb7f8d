"""Plain stacks of 3x3 convolutions: the lecture's network and VGG16."""

from edgecnn.zoo.blocks import Tensor, dropout, layers, logits, scaled

# Filters of the convolutions of each block; every block ends in 2x2 max pooling.
BLOCKS: dict[str, tuple[tuple[int, ...], ...]] = {
    "lecture": ((32, 32), (64, 64), (128, 128), (256, 256)),
    # Simonyan and Zisserman 2014, table 1, configuration D.
    "vgg16": ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
}

# Neurons of the dense layers before the logits, and the share dropped out after each while training.
DENSE: dict[str, tuple[tuple[int, float], ...]] = {
    "lecture": ((1024, 0.0), (512, 0.0)),
    "vgg16": ((4096, 0.5), (4096, 0.5)),
}


def features(name: str, x: Tensor, width: float) -> dict[int, Tensor]:
    """The convolutional blocks; at the deepest stride stands the last pooling."""
    maps: dict[int, Tensor] = {}
    for block, convolutions in enumerate(BLOCKS[name], 1):
        for number, filters in enumerate(convolutions, 1):
            x = layers.Conv2D(
                scaled(filters, width, divisor=1),
                3,
                padding="same",
                activation="relu",
                name=f"block{block}_conv{number}",
            )(x)
        maps[2 ** (block - 1)] = x
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
        maps[2**block] = x
    return maps


def classifier(name: str, x: Tensor, classes: int, width: float) -> Tensor:
    """Flatten, the dense layers (scaled by `width` too), logits."""
    x = layers.Flatten(name="flatten")(x)
    for number, (neurons, dropped) in enumerate(DENSE[name], 1):
        x = layers.Dense(scaled(neurons, width, divisor=1), activation="relu", name=f"dense{number}")(x)
        if dropped:
            x = dropout(x, dropped, name=f"dense{number}_dropout")
    return logits(x, classes)
