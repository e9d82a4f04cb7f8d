"""Small image folders, drawn on the spot."""

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def folder_of(tmp_path) -> Callable[[Iterable[str]], Path]:
    """Make a folder `photos` with an image, each of another content, at every path."""

    def make(paths: Iterable[str]) -> Path:
        folder = tmp_path / "photos"
        folder.mkdir(exist_ok=True)
        for number, path in enumerate(paths):
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            image = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
            assert cv2.imwrite(str(file.with_suffix(".png")), image)
            file.with_suffix(".png").rename(file)
        return folder

    return make
