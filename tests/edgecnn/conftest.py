"""A tiny model that says which colour an image is mostly, and images for it."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
COLOURS = {"red": (0, 0, 200), "green": (0, 200, 0), "blue": (200, 0, 0)}


@pytest.fixture
def colours_model(tmp_path) -> Path:
    """A copy of the golden model with its card."""
    return Path(shutil.copy(GOLDEN / "colours.tflite", tmp_path / "colours.tflite"))


@pytest.fixture
def colours_data(tmp_path) -> Path:
    """A data set for it: test/<colour>/<number>.png, four images each, one of the blue ones wrong."""
    random = np.random.default_rng(1)
    for label, bgr in COLOURS.items():
        folder = tmp_path / "data" / "test" / label
        folder.mkdir(parents=True)
        for number in range(4):
            shown = COLOURS["red"] if (label, number) == ("blue", 3) else bgr
            image = np.clip(np.array(shown) + random.integers(0, 40, (20, 24, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"{number}.png"), image)
    return tmp_path / "data"
