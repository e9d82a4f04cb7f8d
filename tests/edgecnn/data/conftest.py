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


@pytest.fixture
def files(tmp_path) -> Callable[[dict[str, str | bytes | tuple[int, int]]], Path]:
    """Make a folder `cells` of files by path: text, bytes, or (width, height) of an image, each another one."""  # noqa: E501

    def make(contents: dict[str, str | bytes | tuple[int, int]]) -> Path:
        folder = tmp_path / "cells"
        for number, (path, content) in enumerate(contents.items()):
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, tuple):
                width, height = content
                pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
                content = cv2.imencode(".png", pixels)[1].tobytes()
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return make
