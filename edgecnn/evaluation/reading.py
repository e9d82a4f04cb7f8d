"""Reading a data set's images ahead of the model, in order, with bounded memory."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from types import TracebackType

from edgecnn.data.dataset import Sample
from edgecnn.errors import DataError
from edgecnn.image import Image


class Reading:
    """The images of samples, in order. Threads read a few ahead: decoding does not hold Python's lock.

    May be consumed from any one thread at a time. A context manager; leaving it stops the threads.

    Attributes:
        handed: samples whose image was handed out and whose result has not come yet, oldest first.
        unreadable: one line for each image that was left out.
    """

    def __init__(self, samples: Sequence[Sample], *, skip_unreadable: bool = False) -> None:
        self.handed: deque[Sample] = deque()
        self.unreadable: list[str] = []
        self._skip = skip_unreadable
        self._rest = iter(samples)
        self._waiting: deque[tuple[Sample, Future[Image]]] = deque()
        self._lock = Lock()
        workers = min(4, os.cpu_count() or 1)
        self._ahead = 4 * workers
        self._pool = ThreadPoolExecutor(workers, "edgecnn-reading")

    def __enter__(self) -> "Reading":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[Image]:
        return self

    def __next__(self) -> Image:
        with self._lock:
            while True:
                self._fill()
                if not self._waiting:
                    raise StopIteration
                sample, future = self._waiting.popleft()
                try:
                    image = future.result()
                except DataError as error:
                    if not self._skip:
                        raise
                    self.unreadable.append(str(error))
                    continue
                self.handed.append(sample)
                return image

    def _fill(self) -> None:
        while len(self._waiting) < self._ahead:
            sample = next(self._rest, None)
            if sample is None:
                return
            self._waiting.append((sample, self._pool.submit(sample.read)))
