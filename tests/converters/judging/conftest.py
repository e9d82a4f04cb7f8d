"""Pictures with coloured rectangles, a small detector that finds them, and the run it lies in."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgecnn.card import Card, InputSpec
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.results import Boxes
from edgecnn.runs import Run, write_card

LABELS = ("red", "green", "blue")
SIZE = 64
STRIDE = 8
SIDE = 16.0
SPEC = InputSpec(height=SIZE, width=SIZE, mean=(127.5,), std=(127.5,))
OPTIONS = {
    "decode": "anchors",
    "scores": "logits",
    "strides": [STRIDE],
    "anchor_px": [SIDE],
    "scale_yxhw": [4, 4, 1, 1],
    "threshold": 0.4,
    "iou": 0.5,
    "most": 300,
}


@dataclass(frozen=True)
class Picture:
    """Rectangles on noise, drawn when asked for."""

    name: str
    seed: int
    xyxy: tuple[tuple[int, int, int, int], ...]
    label_id: tuple[int, ...]

    def read(self):
        random = np.random.default_rng(self.seed)
        pixels = random.integers(60, 100, (SIZE, SIZE, 3)).astype(np.int64)
        for (left, top, right, bottom), label in zip(self.xyxy, self.label_id, strict=True):
            pixels[top:bottom, left:right, 2 - label] += 110
        return pixels.clip(0, 255).astype(np.uint8)


def rectangles(count, *, seed, labels=LABELS, most=3, rare=0.15):
    """`count` pictures of up to `most` rectangles in the quarters of the image; the last label is rare."""
    random = np.random.default_rng(seed)
    samples = []
    for number in range(count):
        quarters = random.permutation(4)[: random.integers(1, most + 1)]
        boxes, names = [], []
        for quarter in quarters.tolist():
            width, height = random.integers(10, 25, 2).tolist()
            left = 32 * (quarter % 2) + int(random.integers(0, 32 - width))
            top = 32 * (quarter // 2) + int(random.integers(0, 32 - height))
            boxes.append((left, top, left + width, top + height))
            names.append(2 if random.random() < rare else int(random.integers(0, 2)))
        picture = Picture(f"rectangles/{seed}/{number}.png", 1000 * seed + number, tuple(boxes), tuple(names))
        truth = Boxes(np.array(boxes), np.ones(len(boxes)), np.array(names), labels)
        samples.append(Sample(picture, truth))
    return Dataset("rectangles", "detection", labels, samples)


@pytest.fixture(scope="session")
def make_rectangles():
    return rectangles


@pytest.fixture(scope="session")
def scenes():
    """Training and validation images."""
    return rectangles(96, seed=1), rectangles(80, seed=2)


@pytest.fixture(scope="session")
def detector(keras):
    """A network of two outputs that has learned to find rectangles; stops when it finds most of them."""
    from edgecnn.image import lookup, prepare
    from edgecnn.keras import tf

    keras.utils.set_random_seed(3)
    layers = keras.layers
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = layers.Conv2D(12, 3, 2, "same", activation="relu")(image)
    x = layers.Conv2D(24, 3, 2, "same", activation="relu")(x)
    x = layers.Conv2D(32, 3, 2, "same", activation="relu")(x)
    x = layers.Conv2D(32, 3, 1, "same", activation="relu")(x)
    cells = (SIZE // STRIDE) ** 2
    boxes = layers.Reshape((cells, 4), name="boxes")(layers.Conv2D(4, 3, 1, "same")(x))
    start = keras.initializers.Constant(-3.0)
    scores = layers.Conv2D(3, 3, 1, "same", bias_initializer=start)(x)
    model = keras.Model(image, [boxes, layers.Reshape((cells, 3), name="scores")(scores)])

    table = lookup(SPEC, np.float32)
    data = rectangles(512, seed=7, rare=0.33)
    images = np.concatenate([prepare(sample.read(), table, SPEC)[0] for sample in data.samples])
    codes, classes = map(np.stack, zip(*(targets(sample.truth) for sample in data.samples), strict=True))
    optimizer = keras.optimizers.Adam(4e-3)

    @tf.function
    def step(shown, code, label):
        with tf.GradientTape() as tape:
            found, logits = model(shown, training=True)
            wrong = tf.nn.sigmoid_cross_entropy_with_logits(label, logits)
            inside = tf.reduce_max(label, -1, keepdims=True)
            off = tf.abs(found - code) * inside
            loss = tf.reduce_sum(wrong) / 32 + 2 * tf.reduce_sum(off) / 32
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
        )

    random = np.random.default_rng(0)
    for number in range(250):
        optimizer.learning_rate.assign(4e-3 * min(1.0, 2 * (1 - number / 250)))
        chosen = random.integers(0, len(images), 32)
        step(images[chosen], codes[chosen], classes[chosen])
    return model


def targets(truth):
    """Codes (cells, 4) and classes (cells, 3) of the cell that a box's centre lies in, and its neighbours."""
    side = SIZE // STRIDE
    codes, classes = np.zeros((side, side, 4), np.float32), np.zeros((side, side, 3), np.float32)
    for (left, top, right, bottom), label in zip(truth.xyxy, truth.label_id, strict=True):
        x, y = (left + right) / 2, (top + bottom) / 2
        row, column = int(y // STRIDE), int(x // STRIDE)
        centre = (column + 0.5) * STRIDE, (row + 0.5) * STRIDE
        codes[row, column] = (
            4 * (y - centre[1]) / SIDE,
            4 * (x - centre[0]) / SIDE,
            np.log((bottom - top) / SIDE),
            np.log((right - left) / SIDE),
        )
        classes[row, column] = 0
        classes[row, column, label] = 1
    return codes.reshape(-1, 4), classes.reshape(-1, 3)


@pytest.fixture(scope="session")
def make_detector_run(tmp_path_factory):
    """A function that makes a run folder of a detector, as training leaves it."""

    def make(model, *, labels=LABELS, options=OPTIONS):
        folder = tmp_path_factory.mktemp("detector")
        model.save(folder / "model.keras", save_format="keras")
        card = Card(
            name="rectangles",
            task="detection",
            input=SPEC,
            labels=labels,
            options=options,
            lineage=("train rectangles",),
        )
        write_card(Run(folder), card)
        return folder

    return make


@pytest.fixture(scope="session")
def float_detector(detector, make_detector_run, scenes):
    from converters.convert import convert

    folder = make_detector_run(detector)
    convert(folder, schemes=["float32"], data=scenes)
    return folder


@pytest.fixture
def detector_run(float_detector, tmp_path) -> Path:
    """A run of the detector, float32.tflite included; the test's own."""
    return Path(shutil.copytree(float_detector, tmp_path / "rectangles"))
