"""Sources whose every frame the test has made, and the tiny golden model."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from edgecnn.runtime.frames import Frame

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


class Given:
    """A source of given pictures: as fast as they are asked for, or so many a second."""

    name = "given"

    def __init__(self, images, *, fps=None, live=False, error=None):
        self.live, self.fps = live, fps
        self.clock = "arrival" if live else "schedule"
        self._images, self._error = iter(images), error
        self._index = 0
        self._start_s = time.monotonic()

    def __iter__(self):
        return self

    def __next__(self):
        image = next(self._images, None)
        if image is None:
            if self._error:
                raise self._error
            raise StopIteration
        if self.live:
            time.sleep(max(0.0, self._start_s + self._index / self.fps - time.monotonic()))
        self._index += 1
        return Frame(image, self._index - 1, time.monotonic(), f"given#{self._index - 1}")

    def close(self):
        self._images = iter(())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture(scope="session")
def given():
    return Given


@pytest.fixture(scope="session")
def colours():
    """n pictures, one after the other red, green and blue, each unlike the one before."""

    def make(n, size_wh=(32, 24)):
        for number in range(n):
            image = np.full((size_wh[1], size_wh[0], 3), 10 + number % 7, np.uint8)
            image[..., 2 - number % 3] = 200 + number % 50
            yield image

    return make


@pytest.fixture
def model(tmp_path) -> Path:
    return Path(shutil.copy(GOLDEN / "colours.tflite", tmp_path / "colours.tflite"))
