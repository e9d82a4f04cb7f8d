"""Batches for the training loop: which images, augmented how, normalized as on the device.

A batch is a pure function of (seed, epoch, number, part), so that a resumed run sees exactly the batches that
it would have seen. Threads make batches ahead of the loop and hand them over in order.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from edgecnn import image
from edgecnn.card import InputSpec
from edgecnn.data.augment import Augment
from edgecnn.heads import Head
from edgecnn.image import Array
from edgecnn.training.pixels import Images, Pixels

Order = npt.NDArray[np.int64]
Batch = tuple[Array, Array]
T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True, eq=False)
class Feed:
    """Training batches.

    Attributes:
        images: what is learned from.
        targets: (n, …) what each image's output should be.
        head: knows how images and targets are varied together.
        augment: how images are varied.
        batch: images in a batch of the whole cluster, the same for every step.
        seed: of the run.
        repeats: how often an epoch shows every image.
        calm_from: the epoch, from 0, since which there are no mosaics; None for never.
    """

    images: Images
    targets: Array
    head: Head
    augment: Augment
    batch: int
    seed: int
    repeats: int = 1
    calm_from: int | None = None

    @property
    def steps(self) -> int:
        """Batches in an epoch. The rest, less than one batch, sits this epoch out: other images each time."""
        return len(self.images) * self.repeats // self.batch

    def order(self, epoch: int) -> Order:
        """The images of an epoch in the order they are seen, (steps * batch,) indices."""
        random = np.random.default_rng((self.seed, epoch))
        shuffled = np.concatenate([random.permutation(len(self.images)) for _ in range(self.repeats)])
        return shuffled[: self.steps * self.batch]

    def batches(
        self, epoch: int, *, start: int = 0, part: int = 0, parts: int = 1
    ) -> Generator[Batch, None, None]:
        """The batches of one epoch from number `start` on.

        Args:
            epoch: from 0.
            start: number of the first batch, from 0.
            part: which share of every batch to make, in [0, parts): what one replica computes.
            parts: must divide `batch`.

        Returns:
            (images (batch / parts, height, width, channels) float32, targets), one for each step. Close it
            when you stop early.
        """
        is_calm = self.calm_from is not None and epoch >= self.calm_from
        how = replace(self.augment, mosaic=0.0) if is_calm else self.augment
        order = self.order(epoch).reshape(self.steps, parts, self.batch // parts)[:, part]

        def make(number: int) -> Batch:
            chosen = order[number]
            random = np.random.default_rng((self.seed, epoch, number, part))
            pixels, targets = self.head.vary(self.images.take, self.targets, chosen, how, random)
            return normalized(pixels, self.images.spec), targets

        return ahead(make, range(start, self.steps))


def plain_batches(images: Images, batch: int) -> Iterator[Array]:
    """All images in order, not augmented: (at most batch, height, width, channels) float32."""

    def make(start: int) -> Array:
        chosen = np.arange(start, min(start + batch, len(images)))
        return normalized(images.take(chosen), images.spec)

    return ahead(make, range(0, len(images), batch))


def normalized(pixels: Pixels, spec: InputSpec) -> Array:
    """Through the device's own table: the same float32 numbers as `edgecnn.image.prepare`.

    Args:
        pixels: (n, height, width, channels) uint8, in the model's colour order.
        spec: says mean and std.
    """
    table = image.lookup(spec, np.float32)
    out = np.empty(pixels.shape, np.float32)
    if not len(pixels):
        return out
    if (table == table[:, :1]).all():
        flat = np.ascontiguousarray(pixels).reshape(len(pixels) * spec.height, -1)
        cv2.LUT(flat, table[:, 0], out.reshape(flat.shape))
        return out
    tall = np.ascontiguousarray(pixels).reshape(-1, spec.width, spec.channels)
    cv2.LUT(tall, table.reshape(1, 256, -1), out.reshape(tall.shape))
    return out


def ahead(
    make: Callable[[K], T], keys: Iterable[K], *, threads: int | None = None
) -> Generator[T, None, None]:
    """`map(make, keys)`, computed by threads a little ahead of the reader.

    Args:
        make: called from several threads at once.
        keys: one for each item, in order.
        threads: None for as many as there are processors, at most 16.
    """
    count = threads or min(16, os.cpu_count() or 1)
    waiting = iter(keys)
    with ThreadPoolExecutor(count, thread_name_prefix="edgecnn-feed") as pool:
        running: deque[Future[T]] = deque()
        try:
            for key in waiting:
                running.append(pool.submit(make, key))
                if len(running) > count + 1:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
