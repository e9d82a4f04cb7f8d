"""What the zoo holds, with sizes: the rows of `edgecnn models`."""

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass

from edgecnn.zoo import ZOO, Network, find, structure
from edgecnn.zoo.count import Counts, count
from edgecnn.zoo.keras import tf


@dataclass(frozen=True)
class Row:
    """One network at one input size.

    Attributes:
        name: key in ZOO.
        summary: one line.
        height: of the input, in pixels.
        width: of the input, in pixels.
        params: as Keras counts them, norms included.
        macs: multiply-accumulates per image.
        float32_bytes_estimated: of the weights in a float `.tflite`, norms folded; its graph adds a few kB.
        int8_bytes_estimated: of the weights in an int8 `.tflite`, likewise.
        pretrained: the package with ImageNet weights, or None.
        paper: where the network comes from.
    """

    name: str
    summary: str
    height: int
    width: int
    params: int
    macs: int
    float32_bytes_estimated: int
    int8_bytes_estimated: int
    pretrained: str | None
    paper: str


def listing(
    height: int,
    width: int,
    *,
    classes: int = 1000,
    channels: int = 3,
    names: Iterable[str] | None = None,
) -> list[Row]:
    """Count every network of the zoo that images of this size fit into.

    Args:
        height: of the images, in pixels.
        width: of the images, in pixels.
        classes: number of logits.
        channels: 3, or 1 for gray.
        names: which networks; None is all.

    Raises:
        TrainingError: an unknown name, or a size that no image has.
    """
    networks = [find(name) for name in (ZOO if names is None else names)]
    fitting = [network for network in networks if min(height, width) >= network.smallest]
    rows = []
    for network in fitting:
        counts = _count(network, (height, width, channels), classes)
        rows.append(
            Row(
                name=network.name,
                summary=network.summary,
                height=height,
                width=width,
                params=counts.params,
                macs=counts.macs,
                float32_bytes_estimated=4 * (counts.kernel_values + counts.kernel_channels),
                int8_bytes_estimated=_int8_bytes(counts),
                pretrained=network.pretrained,
                paper=network.paper,
            )
        )
    return rows


def _count(network: Network, shape: tuple[int, int, int], classes: int) -> Counts:
    # In a graph nothing is allocated, and VGG16 would ask for half a gigabyte; but graphs are slower to build
    # layer by layer, so the networks of many small layers stay out of them.
    few_and_large = network.module == "edgecnn.zoo.vgg"
    with tf.Graph().as_default() if few_and_large else nullcontext():
        return count(structure(network.name, input_shape=shape, classes=classes))


def _int8_bytes(counts: Counts) -> int:
    """Per weight 1 byte; per channel an int32 bias, and twice a float32 scale with an int64 zero point."""
    return counts.kernel_values + counts.kernel_channels * (4 + 2 * (4 + 8))
