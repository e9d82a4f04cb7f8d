"""Data that a network learns in seconds: noise tinted blue, green or red."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn.data.dataset import Dataset, Image, Sample
from edgecnn.errors import DataError
from edgecnn.results import Classes

LABELS = ("blue", "green", "red")


@dataclass(frozen=True, eq=False)
class Painted:
    name: str
    pixels: Image | None

    def read(self) -> Image:
        if self.pixels is None:
            raise DataError(f"{self.name}: not an image.")
        return self.pixels.copy()


@pytest.fixture(scope="session")
def colours() -> Callable[..., Dataset]:
    """Makes data sets of `count` images, every third one of a kind; those numbered in `broken` don't read."""

    def make(
        count: int,
        *,
        seed: int = 0,
        side: int = 32,
        labels: tuple[str, ...] = LABELS,
        broken: tuple[int, ...] = (),
    ) -> Dataset:
        random = np.random.default_rng(seed)
        samples = []
        for index in range(count):
            pixels = random.integers(0, 160, (side, side, 3)).astype(np.uint8)
            kind = index % len(labels)
            pixels[..., kind % 3] += 80
            source = Painted(f"{seed}/{index}", None if index in broken else pixels)
            samples.append(Sample(source, Classes.truth(kind, labels)))
        return Dataset("colours", "classification", labels, samples)

    return make


@pytest.fixture
def pictures(tmp_path_factory: pytest.TempPathFactory, colours: Callable[..., Dataset]) -> str:
    """The same as a folder of files, for other processes."""
    folder = tmp_path_factory.mktemp("pictures")
    for split, count in (("train", 48), ("val", 12)):
        for index, sample in enumerate(colours(count, seed=len(split)).samples):
            path = folder / split / LABELS[index % 3] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), sample.read())
    return str(folder)


@pytest.fixture(scope="session")
def tiny() -> Iterator[str]:
    """The name of a network with everything that must be resumed (norm, dropout), traced in a moment."""
    from edgecnn.card import InputSpec
    from edgecnn.zoo import ZOO, Network

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tiny_network", tiny_network())
        network = Network("tiny", "tiny_network", "for tests", InputSpec(16, 16), "none", smallest=4)
        patch.setitem(ZOO, "tiny", network)
        yield "tiny"


def tiny_network() -> ModuleType:
    from edgecnn.zoo.keras import keras

    layers = keras.layers
    module = ModuleType("tiny_network")

    def features(name: str, images: Any, width: float) -> dict[int, Any]:
        x = layers.Conv2D(round(8 * width), 3, strides=2, use_bias=False, name="stem")(images)
        return {2: layers.ReLU(name="relu")(layers.BatchNormalization(momentum=0.8, name="norm")(x))}

    def classifier(name: str, x: Any, classes: int, width: float) -> Any:
        x = layers.Dropout(0.1, name="dropout")(layers.GlobalAveragePooling2D(name="pool")(x))
        return layers.Dense(classes, name="logits")(x)

    module.features, module.classifier = features, classifier  # type: ignore[attr-defined]
    return module
