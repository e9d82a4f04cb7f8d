"""A data set's images as the network sees them, before augmentation: fitted, uint8, in RAM where they fit.

Every image is read once before training starts, so that a broken one is found at the door and not in the
fifth epoch. What fits the budget stays in memory; the rest is read again, image by image, when asked for.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from zlib import crc32

import numpy as np
import numpy.typing as npt

from edgecnn import image
from edgecnn.card import InputSpec
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError, TrainingError
from edgecnn.image import View

Pixels = npt.NDArray[np.uint8]

CACHE_BYTES = 2 * 2**30
_CHUNK = 64


@dataclass(frozen=True, eq=False)
class Images:
    """Fitted images by number.

    Attributes:
        dataset: what could be read.
        spec: how the images are fitted.
        cache: (n, height, width, channels) uint8, or None where that is too large.
        unreadable: what was wrong with each image that was left out.
        checksum: of all fitted pixels in order.
        views: where each image lies in its fitted one.
    """

    dataset: Dataset
    spec: InputSpec
    cache: Pixels | None
    unreadable: tuple[str, ...]
    checksum: int
    views: tuple[View, ...]

    def __len__(self) -> int:
        return len(self.dataset)

    def take(self, indices: npt.NDArray[np.int64]) -> Pixels:
        """The images at `indices`, (k, height, width, channels) uint8, new memory.

        Raises:
            TrainingError: an image that could be read before cannot be read any more.
        """
        if self.cache is not None:
            return self.cache[indices]
        taken = np.empty((len(indices), *shape(self.spec)), np.uint8)
        for place, index in enumerate(indices):
            try:
                taken[place], _ = fitted(self.dataset.samples[int(index)], self.spec)
            except DataError as error:
                raise TrainingError(f"{error} It was readable when training began; restore it.") from error
        return taken


def shape(spec: InputSpec) -> tuple[int, int, int]:
    """Height, width, channels."""
    return spec.height, spec.width, spec.channels


def fitted(sample: Sample, spec: InputSpec) -> tuple[Pixels, View]:
    """One image as the device sees it before normalization, (height, width, channels) uint8, and its view."""
    pixels, view = image.fit(sample.read(), spec)
    return pixels.reshape(shape(spec)), view


def read(
    dataset: Dataset,
    spec: InputSpec,
    *,
    cache_bytes: int = CACHE_BYTES,
    skip_unreadable: bool = False,
    progress: Callable[[int, int, float], None] | None = None,
) -> Images:
    """Read every image once, with as many threads as there are processors.

    Args:
        dataset: its samples are read in order.
        spec: how the images are fitted.
        cache_bytes: the most that stays in memory; never more than 40 % of what is free.
        skip_unreadable: leave broken images out instead of refusing them.
        progress: called with images read, images in all, images per second.

    Raises:
        TrainingError: images cannot be read; names the first ones and their number.
    """
    count, samples = len(dataset), dataset.samples
    wanted = count * int(np.prod(shape(spec)))
    keep = wanted <= min(cache_bytes, 0.4 * _free_bytes())
    cache = np.empty((count, *shape(spec)), np.uint8) if keep else None
    begun = monotonic()

    def chunk(start: int) -> tuple[list[int], list[View], list[tuple[int, str]]]:
        sums, seen, broken = [], [], []
        for index in range(start, min(start + _CHUNK, count)):
            try:
                pixels, view = fitted(samples[index], spec)
            except DataError as error:
                broken.append((index, str(error)))
                continue
            sums.append(crc32(pixels.tobytes()))
            seen.append(view)
            if cache is not None:
                cache[index] = pixels
        return sums, seen, broken

    checksum, views, broken = 0, list[View](), list[tuple[int, str]]()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, (sums, seen, failed) in enumerate(pool.map(chunk, range(0, count, _CHUNK)), 1):
            checksum = crc32(np.array(sums, np.uint32).tobytes(), checksum)
            views += seen
            broken += failed
            if progress is not None:
                done = min(number * _CHUNK, count)
                progress(done, count, done / max(1e-9, monotonic() - begun))
    if broken:
        messages = tuple(message for _, message in broken)
        if not skip_unreadable:
            raise TrainingError(_complaint(messages, count))
        kept = np.setdiff1d(np.arange(count), [index for index, _ in broken])
        whole = None if cache is None else cache[kept]
        return Images(dataset.subset(kept), spec, whole, messages, checksum, tuple(views))
    return Images(dataset, spec, cache, (), checksum, tuple(views))


def _complaint(messages: Sequence[str], count: int) -> str:
    shown = "; ".join(message.rstrip(".") for message in messages[:3])
    more = f"; and {len(messages) - 3} more" if len(messages) > 3 else ""
    return (
        f"{len(messages)} of {count} images cannot be read: {shown}{more}. "
        "Repair or remove them, or leave them out with skip_unreadable (--skip-unreadable)."
    )


def _free_bytes() -> int:
    names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    if "SC_AVPHYS_PAGES" in names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return CACHE_BYTES  # a system that does not tell (macOS, Windows)
