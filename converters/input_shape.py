"""The one image that a converted network takes: its name in the signature, its size.

The size is for networks that are still TensorFlow's; of a `.tflite`, `edgecnn.runtime.stranger.image_size`
says the same.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

from edgecnn.errors import ConversionError

SIGNATURE: Final = "serving_default"
"""The one signature of every file that is made."""

INPUT: Final = "image"
"""The input's name in the signature; outputs have their roles' names."""

ImageShape: TypeAlias = tuple[int, int, int]
"""Height, width, channels."""


def complete(shape: Sequence[int | None], name: str, *, size_wh: tuple[int, int] | None) -> ImageShape:
    """Height, width and channels of one image.

    Args:
        shape: of the network's input, batch first; None where it is open.
        name: what to call the network in errors.
        size_wh: width and height that it must have, or get where it leaves them open.

    Raises:
        ConversionError: it takes something else than one image with its channels last, or leaves its size
            open and nobody said it, or has another size than the one wanted.
    """
    shown = f"({', '.join('any' if size is None else str(size) for size in shape)})"
    if len(shape) != 4:
        raise ConversionError(
            f"{name}: takes {shown}, but edgecnn gives one image (batch, height, width, channels)"
        )
    batch, height, width, channels = shape
    if channels not in (1, 3) and shape[1] in (1, 3):
        raise ConversionError(
            f"{name}: takes {shown}, channels first; edgecnn gives channels last. Build the network with "
            "data_format='channels_last'."
        )
    if channels not in (1, 3):
        raise ConversionError(f"{name}: takes {shown}; edgecnn gives an image of 1 or 3 channels")
    if batch not in (None, 1):
        raise ConversionError(
            f"{name}: takes {batch} images at once; edgecnn gives one. Build the network with an open batch."
        )
    if size_wh is None:
        if height is None or width is None:
            raise ConversionError(
                f"{name}: takes images of any size, {shown}. Say which with size_wh, such as (224, 224) "
                "(--size 224x224)."
            )
        return height, width, channels
    found = (width or size_wh[0], height or size_wh[1])
    if found != tuple(size_wh):
        raise ConversionError(
            f"{name}: takes images of {found[0]} x {found[1]} pixels, not {size_wh[0]} x {size_wh[1]}"
        )
    return found[1], found[0], channels
