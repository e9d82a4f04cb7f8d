"""Photographs that nobody may read, and outputs that say what a test wants."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from edgecnn.card import Card
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.image import Array
from edgecnn.results import Boxes

LABELS = ("cat", "dog", "owl")
Row = Sequence[float]  # label, x1, y1, x2, y2; an ignored box has the label -2 - its own


@dataclass(frozen=True)
class Unread:
    name: str

    def read(self):
        raise AssertionError("targets must not read images")


def _photographs(*truths: Sequence[Row], labels: tuple[str, ...] = LABELS) -> Dataset:
    samples = []
    for number, rows in enumerate(truths):
        table = np.array(rows, np.float64).reshape(-1, 5)
        label = table[:, 0].astype(np.int64)
        ignored = label < 0
        boxes = Boxes(
            table[:, 1:], np.ones(len(table)), np.where(ignored, -2 - label, label), labels, ignored=ignored
        )
        samples.append(Sample(Unread(f"{number}.jpg"), boxes))
    return Dataset("pets", "detection", labels, samples)


def _cells(card: Card) -> list[tuple[float, float, float]]:
    """x, y, side of every cell: the order of the contract, spelled out."""
    found = []
    for stride, side in zip(card.options["strides"], card.options["anchor_px"], strict=True):
        for row in range(math.ceil(card.input.height / stride)):
            for column in range(math.ceil(card.input.width / stride)):
                found.append(((column + 0.5) * stride, (row + 0.5) * stride, float(side)))
    return found


def _coded(card: Card, box_xyxy: Row, cell: tuple[float, float, float]) -> list[float]:
    """ty, tx, th, tw with which a cell says a box of the prepared image."""
    (x1, y1, x2, y2), (x, y, side) = box_xyxy, cell
    code = [((y1 + y2) / 2 - y) / side, ((x1 + x2) / 2 - x) / side]
    code += [math.log((y2 - y1) / side), math.log((x2 - x1) / side)]
    return [value * scale for value, scale in zip(code, card.options["scale_yxhw"], strict=True)]


def _said(card: Card, images: Sequence[Sequence[Row]]) -> list[Array]:
    """Outputs of a network that says these boxes of the prepared images: label, x1, y1, x2, y2, score."""
    if card.options["decode"] == "centroids":
        return [np.stack([_grid(card, rows) for rows in images])]
    cells = _cells(card)
    codes = np.zeros((len(images), len(cells), 4), np.float32)
    logits = np.full((len(images), len(cells), len(card.labels)), -30, np.float32)
    for image, rows in enumerate(images):
        free = set(range(len(cells)))
        for label, *box, score in rows:
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            nearest = min(free, key=lambda k, x=x, y=y: abs(cells[k][0] - x) + abs(cells[k][1] - y))
            free.remove(nearest)
            codes[image, nearest] = _coded(card, box, cells[nearest])
            logits[image, nearest, int(label)] = math.log(score / (1 - score))
    return [codes, logits]


def _grid(card: Card, rows: Sequence[Row]) -> Array:
    stride = card.options["stride"]
    shape = (card.input.height // stride, card.input.width // stride, len(card.labels))
    grid = np.full(shape, -30, np.float32)
    for label, x1, y1, x2, y2, score in rows:
        grid[int((y1 + y2) / 2 // stride), int((x1 + x2) / 2 // stride), int(label)] = math.log(
            score / (1 - score)
        )
    return grid


@pytest.fixture(scope="session")
def photographs() -> Callable[..., Dataset]:
    """`photographs(rows, rows, …)`: a data set of boxes, one list of rows for each image."""
    return _photographs


@pytest.fixture(scope="session")
def said() -> Callable[..., list[Array]]:
    """`said(card, images)`: outputs that say so, written from the contract and not from the code."""
    return _said


@pytest.fixture(scope="session")
def cells_of() -> Callable[[Card], list[tuple[float, float, float]]]:
    """`cells_of(card)`: x, y, side of every cell, in the contract's order."""
    return _cells


@pytest.fixture(scope="session")
def coded() -> Callable[..., list[float]]:
    """`coded(card, box_xyxy, cell)`: the code with which a cell says a box."""
    return _coded
