"""Pictures of four colours, a small network that tells them apart, and the run it lies in."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgecnn.card import Card, InputSpec
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError
from edgecnn.results import Classes
from edgecnn.runs import Run, write_card

LABELS = ("red", "green", "blue", "grey")
SPEC = InputSpec(height=24, width=24, mean=(127.5,), std=(127.5,))


@dataclass(frozen=True)
class Picture:
    """A tinted square on noise; readable or not."""

    name: str
    label_id: int
    seed: int
    is_readable: bool = True

    def read(self):
        if not self.is_readable:
            raise DataError(f"{self.name}: truncated: ends after 7 bytes. Copy it again or remove it.")
        random = np.random.default_rng((self.seed, self.label_id))
        pixels = random.integers(0, 256, (28, 30, 3)).astype(np.int64)
        if self.label_id < 3:
            top, left = random.integers(0, 10, 2)
            square = pixels[top : top + 16, left : left + 18]
            square[..., 2 - self.label_id] += 120
            square //= [2 if channel != 2 - self.label_id else 1 for channel in range(3)]
        return pixels.clip(0, 255).astype(np.uint8)


def squares(count, *, seed, labels=LABELS, unreadable=()):
    """`count` pictures of each label."""
    samples = [
        Sample(
            Picture(f"squares/{label}/{i}.png", label_id, 1000 * seed + i, (label, i) not in unreadable),
            Classes.truth(label_id, labels),
        )
        for i in range(count)
        for label_id, label in enumerate(labels)
    ]
    return Dataset("squares", "classification", labels, samples)


@pytest.fixture(scope="session")
def make_squares():
    return squares


@pytest.fixture(scope="session")
def data():
    """Training and validation images."""
    return squares(40, seed=1), squares(25, seed=2)


@pytest.fixture(scope="session")
def keras():
    """Keras 2, through the door of the shipping wing."""
    from edgecnn.keras import keras

    return keras


@pytest.fixture(scope="session")
def trained(data, keras):
    """A network of all usual layers that has learned the four colours; gives logits."""
    from edgecnn.image import lookup, prepare

    keras.utils.set_random_seed(7)
    layers = keras.layers
    image = keras.Input((24, 24, 3), name="image")

    def block(x, filters, *, stride=1, activation=6.0):
        x = layers.DepthwiseConv2D(3, stride, "same", use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.8)(x))
        x = layers.Conv2D(filters, 1, use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.8)(x)
        return layers.ReLU(activation)(x) if activation else x

    x = layers.Conv2D(8, 3, 2, "same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))
    x = layers.Add()([x, block(x, 8, activation=None)])
    x = block(layers.MaxPooling2D(2)(x), 16)
    x = layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, x)
    table = lookup(SPEC, np.float32)
    train, _ = data
    images = np.concatenate([prepare(sample.read(), table, SPEC)[0] for sample in train.samples])
    truths = np.array([sample.truth.label_id for sample in train.samples])
    model.compile(keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, truths, batch_size=32, epochs=12, verbose=0)
    return model


@pytest.fixture(scope="session")
def make_run(tmp_path_factory):
    """A function that makes a run folder of a Keras model, as training leaves it."""

    def make(model, *, labels=LABELS, spec=SPEC, scores="logits", folder=None):
        folder = folder or tmp_path_factory.mktemp("run")
        model.save(folder / "model.keras", save_format="keras")
        card = Card(
            name="squares",
            task="classification",
            input=spec,
            labels=labels,
            options={"scores": scores},
            lineage=("train squares",),
            metrics={"top1": 1.0},
        )
        write_card(Run(folder), card)
        return folder

    return make


@pytest.fixture(scope="session")
def _converted(trained, make_run, data):
    from converters.convert import convert

    folder = make_run(trained)
    convert(folder, schemes=["float32"], data=data)
    return folder


@pytest.fixture
def run(_converted, tmp_path) -> Path:
    """A run of the trained network, float32.tflite included; the test's own."""
    return Path(shutil.copytree(_converted, tmp_path / "squares"))


@pytest.fixture
def bare_run(run) -> Path:
    """The same without any .tflite file."""
    (run / "float32.tflite").unlink()
    return run
