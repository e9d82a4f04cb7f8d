"""What size a network's input gets where nobody says, and how images fit into it."""

from dataclasses import replace
from typing import Literal

import numpy as np

from edgecnn import zoo
from edgecnn.card import InputSpec
from edgecnn.data.dataset import Dataset
from edgecnn.errors import DataError, TrainingError

DETECTOR_SIDE = 320
"""Of a detector's input, where nobody says otherwise: the longer side at most, in pixels."""

_LOOKED_AT = 32
_PYRAMID = 32  # the sides of a detector's input are multiples of its coarsest stride


def classifier_input(
    network: zoo.Network, dataset: Dataset, size_wh: tuple[int, int] | None, pretrained: str
) -> InputSpec:
    """Size from the images; colours and normalization from the network."""
    if size_wh is not None:
        width, height = size_wh
    elif pretrained == "imagenet":
        width, height = network.input.width, network.input.height
    else:
        width = height = min(network.input.height, max(network.smallest, _usual_side(dataset)))
    # A pretrained network knows undistorted objects; a fresh one learns from whatever it is shown.
    fit: Literal["crop", "stretch"] = "crop" if pretrained else "stretch"
    return replace(network.input, height=height, width=width, fit=fit)


def detector_input(
    network: zoo.Network, dataset: Dataset, size_wh: tuple[int, int] | None, pretrained: str
) -> InputSpec:
    """The images' own shape, so that nothing is padded or distorted; sides as the pyramid needs them."""
    if size_wh is None:
        width, height = _usual_size(dataset)
        scale = min(1.0, DETECTOR_SIDE / max(width, height))
        width, height = (
            max(2 * _PYRAMID, round(side * scale / _PYRAMID) * _PYRAMID) for side in (width, height)
        )
    else:
        width, height = size_wh
    return replace(network.input, height=height, width=width, fit="letterbox")


def _usual_side(dataset: Dataset) -> int:
    """The shorter side of the middle one of a few images, in pixels, rounded down to a multiple of 8."""
    side = min(_usual_size(dataset))
    return side // 8 * 8 or side


def _usual_size(dataset: Dataset) -> tuple[int, int]:
    """Width and height, in pixels, of the one of a few images whose shorter side is the middle one."""
    if not len(dataset):
        raise TrainingError(f"{dataset.name} has no training image.")
    looked_at = np.unique(np.linspace(0, len(dataset) - 1, _LOOKED_AT).astype(int))
    sizes, broken = list[tuple[int, int]](), None
    for index in looked_at:
        try:
            height, width = dataset.samples[int(index)].read().shape[:2]
            sizes.append((width, height))
        except DataError as error:  # training reads all images and reports the broken ones
            broken = error
    if broken is not None and not sizes:
        raise broken
    return sorted(sizes, key=min)[(len(sizes) - 1) // 2]
