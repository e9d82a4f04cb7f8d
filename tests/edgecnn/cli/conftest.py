"""A run of a small detector and the images it has learned from, on disk: where `edgecnn convert` starts."""

from pathlib import Path

import cv2
import numpy as np
import pytest


def squares(count, seed):
    """`count` pictures (64, 64, 3) uint8, each with its squares of 16 px: (row, column, label)s."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        picture = random.integers(60, 100, (64, 64, 3)).astype(np.uint8)
        places = []
        for cell in random.permutation(16)[: random.integers(2, 6)].tolist():
            row, column, label = cell // 4, cell % 4, int(random.integers(3))
            picture[16 * row : 16 * row + 16, 16 * column : 16 * column + 16, 2 - label] += 120
            places.append((row, column, label))
        yield picture, places


@pytest.fixture(scope="session")
def squares_data(tmp_path_factory) -> Path:
    """A data set in YOLO's format: coloured squares, 24 pictures to train with, 32 to validate on."""
    folder = tmp_path_factory.mktemp("data") / "squares"
    for split, count, seed in (("train", 24, 1), ("val", 32, 2)):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for number, (picture, places) in enumerate(squares(count, seed)):
            cv2.imwrite(str(folder / "images" / split / f"{number}.png"), picture)
            lines = [
                f"{label} {column / 4 + 0.125} {row / 4 + 0.125} 0.25 0.25" for row, column, label in places
            ]
            (folder / "labels" / split / f"{number}.txt").write_text("\n".join(lines) + "\n")
    places = "train: images/train\nval: images/val\nnames: [red, green, blue]\n"
    (folder / "data.yaml").write_text(places)
    return folder


@pytest.fixture(scope="session")
def squares_network():
    """A detector that needs no training: how far one colour of a cell lies above the others."""
    from edgecnn.keras import keras

    layers = keras.layers
    image = keras.Input((64, 64, 3), name="image")
    above = layers.Conv2D(3, 1, activation="relu", name="above")
    mean = layers.AveragePooling2D(16)
    logits = layers.Conv2D(3, 1, name="logits")
    codes = layers.Conv2D(4, 1, name="codes")
    x = mean(above(image))
    boxes = layers.Reshape((16, 4), name="boxes")(codes(x))
    model = keras.Model(image, [boxes, layers.Reshape((16, 3), name="scores")(logits(x))])
    above.set_weights([(1.5 * np.eye(3) - 0.5).reshape(1, 1, 3, 3), np.zeros(3)])
    logits.set_weights([10 * np.eye(3).reshape(1, 1, 3, 3), np.full(3, -4.0)])
    codes.set_weights([np.random.default_rng(0).normal(0, 0.02, (1, 1, 3, 4)), np.zeros(4)])
    return model


@pytest.fixture
def squares_run(squares_network, tmp_path) -> Path:
    """A run folder of that detector, the test's own."""
    from edgecnn.card import Card, InputSpec
    from edgecnn.runs import Run, write_card

    run = Run(tmp_path / "squares")
    run.path.mkdir()
    squares_network.save(run.model, save_format="keras")
    options = {"decode": "anchors", "strides": [16], "anchor_px": [16], "threshold": 0.4}
    spec = InputSpec(64, 64, mean=(127.5,), std=(127.5,))
    write_card(
        run, Card("squares", "detection", spec, ("red", "green", "blue"), {}, options, ("train squares",))
    )
    return run.path


@pytest.fixture
def yolo_file(squares_network, tmp_path) -> Path:
    """The same detector as a stranger exports it: a float `.tflite`, (1, 7, 16), nothing behind it."""
    from converters.from_keras import fix, to_tflite
    from edgecnn.keras import tf

    place = (np.arange(4, dtype=np.float32) + 0.5) / 4
    y, x = np.meshgrid(place, place, indexing="ij")
    centres = np.stack([x.ravel(), y.ravel()], 1)[None]

    def call(image):
        boxes, scores = squares_network(image)
        predictions = tf.concat(
            [centres + boxes[..., :2] / 16, 0.25 + boxes[..., 2:] / 16, tf.sigmoid(scores)], -1
        )
        return tf.transpose(predictions, [0, 2, 1])

    network = fix(Path("yolo"), call, (1, 64, 64, 3), roles=("output0",), variables=squares_network.variables)
    path = tmp_path / "yolo.tflite"
    path.write_bytes(to_tflite(network))
    return path
