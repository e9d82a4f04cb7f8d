"""Scenes of boxes, drawn by a seed: truths, and what a detector of middling quality says about them."""

from collections.abc import Callable

import numpy as np
import pytest

from edgecnn.results import Array, Boxes

LABELS = ("red", "white", "platelet")


def boxes(*rows: tuple[float, ...], labels: tuple[str, ...] = LABELS, ignored=None) -> Boxes:
    """Each row: label number, score, left, top, right, bottom."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    crowd = np.zeros(len(table), bool) if ignored is None else np.array(ignored, bool)
    return Boxes(table[:, 2:], table[:, 1], table[:, 0].astype(np.int64), labels, crowd)


def _scenes(
    images: int = 12,
    *,
    seed: int = 0,
    answers: int = 40,
    steps: int = 1000,
    most: int = 12,
    ignored: float = 0.1,
) -> tuple[list[Boxes], list[Boxes]]:
    generator = np.random.default_rng(seed)
    results, truths = [], []
    for _ in range(images):
        count = int(generator.integers(0, most))
        corner, sides = generator.uniform(0, 250, (count, 2)), generator.uniform(5, 150, (count, 2))
        true = np.concatenate([corner, corner + sides], 1).astype(np.float32)
        label = generator.choice(len(LABELS), count, p=[0.7, 0.2, 0.1])
        truths.append(Boxes(true, np.ones(count), label, LABELS, generator.random(count) < ignored))
        source = generator.integers(0, count, answers) if count else np.zeros(0, np.int64)
        near = true[source] + generator.normal(0, 6, (len(source), 4))
        said = np.where(generator.random(len(source)) < 0.9, label[source], 0) if count else source
        far = generator.uniform(0, 300, (5, 4))
        xyxy = _ordered(np.concatenate([near, far]))
        score = np.round(generator.random(len(xyxy)) * steps) / steps
        order = np.argsort(-score, kind="stable")
        said = np.concatenate([said, generator.integers(0, len(LABELS), 5)])
        results.append(Boxes(xyxy[order], score[order], said[order], LABELS))
    return results, truths


def _ordered(corners: Array) -> Array:
    low, high = np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])
    return np.concatenate([low, high], 1)


@pytest.fixture
def scenes() -> Callable[..., tuple[list[Boxes], list[Boxes]]]:
    return _scenes


@pytest.fixture
def given() -> Callable[..., Boxes]:
    return boxes


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals of boxes from fewer draws: what is tested is where they go, and tests stay quick."""
    monkeypatch.setattr("edgecnn.evaluation.boxes.RESAMPLES", 50)
