"""Whether boxes are found under another colour order or scale; by a detector that needs no training."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from calibration.box_alternatives import BOXES, IMAGES, better
from edgecnn import card as cards
from edgecnn.card import Card, InputSpec
from edgecnn.data.dataset import Sample
from edgecnn.errors import DataError
from edgecnn.results import Boxes, Classes
from edgecnn.runtime.model import load

LABELS = ("red", "green", "blue")
SPEC = InputSpec(32, 32, mean=(127.5,), std=(127.5,))

pytestmark = pytest.mark.tensorflow


@dataclass(frozen=True)
class Squares:
    """Coloured squares of 8 pixels on grey noise: one in each cell of 8 that has a label."""

    name: str
    seed: int
    cells: tuple[int | None, ...]
    asked: list[str]

    def read(self):
        self.asked.append(self.name)
        pixels = np.random.default_rng(self.seed).integers(60, 100, (32, 32, 3)).astype(np.uint8)
        for cell, label in enumerate(self.cells):
            if label is not None:
                row, column = 8 * (cell // 4), 8 * (cell % 4)
                pixels[row : row + 8, column : column + 8, 2 - label] += 100
        return pixels


def scenes(count, *, boxes=3, labels=range(3), asked=None):
    """`count` samples, each of `boxes` squares."""
    random = np.random.default_rng(4)
    asked = [] if asked is None else asked
    samples = []
    for number in range(count):
        cells: list[int | None] = [None] * 16
        for cell in random.permutation(16)[:boxes].tolist():
            cells[cell] = int(random.choice(list(labels)))
        shown = [
            (8 * (cell % 4), 8 * (cell // 4), label) for cell, label in enumerate(cells) if label is not None
        ]
        truth = Boxes(
            np.array([(x, y, x + 8, y + 8) for x, y, _ in shown], np.float32).reshape(-1, 4),
            np.ones(len(shown)),
            np.array([label for *_, label in shown], np.int64),
            LABELS,
        )
        samples.append(Sample(Squares(f"{number}.png", number, tuple(cells), asked), truth))
    return samples


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A float detector: how far one colour of a cell lies above the others; boxes are the cells."""
    import tensorflow as tf

    from edgecnn.keras import keras

    layers = keras.layers
    image = keras.Input((32, 32, 3))
    above = layers.Conv2D(3, 1, activation="relu")
    logits, codes = layers.Conv2D(3, 1), layers.Conv2D(4, 1)
    x = layers.AveragePooling2D(8)(above(image))
    model = keras.Model(image, [layers.Reshape((16, 4))(codes(x)), layers.Reshape((16, 3))(logits(x))])
    above.set_weights([(1.5 * np.eye(3) - 0.5).reshape(1, 1, 3, 3), np.zeros(3)])
    logits.set_weights([10 * np.eye(3).reshape(1, 1, 3, 3), np.full(3, -4.0)])
    codes.set_weights([np.zeros((1, 1, 3, 4)), np.zeros(4)])
    function = tf.function(
        lambda image: dict(zip(("boxes", "scores"), model(image, training=False), strict=True))
    )
    concrete = function.get_concrete_function(tf.TensorSpec((1, 32, 32, 3), tf.float32, name="image"))
    made = tmp_path_factory.mktemp("squares") / "float32.tflite"
    made.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert())
    from edgecnn.graph import read

    graph = read(made.read_bytes(), "made")
    names = {role: graph.tensors[index].name for role, index in graph.signatures[0].outputs.items()}
    options = {"decode": "anchors", "strides": [8], "anchor_px": [8], "threshold": 0.4}
    cards.attach(made, Card("squares", "detection", SPEC, LABELS, names, options, ("made",)))
    return made


def found(path, samples, **changes):
    """The better ways, where the card says this of the input."""
    card = cards.read(path)
    with load(path, card=replace(card, input=replace(card.input, **changes))) as model:
        return better(model, samples)


def test_without_images_or_boxes_no_way_is_better(path):
    assert found(path, []) == []
    assert found(path, scenes(3, boxes=0)) == []


def test_where_all_boxes_are_found_no_way_is_better(path):
    assert found(path, scenes(12)) == []


def test_boxes_that_are_found_in_another_colour_order_are_counted_one_by_one(path):
    best = found(path, scenes(12), color="bgr")[0]
    assert "rgb for bgr" in best.words
    assert best.spec.color == "rgb"
    # red and blue change places; green is found either way
    green = sum(int((sample.truth.label_id == 1).sum()) for sample in scenes(12))
    assert (best.images, best.right, best.lost) == (36, green, 0)
    assert best.gained == 36 - green


def test_boxes_that_are_found_under_another_scale_are_too(path):
    ways = found(path, scenes(12), mean=(400.0, 0.0, 0.0), std=(127.5,))
    assert any("mean 127.5" in way.words for way in ways)
    assert all(way.gained > way.lost for way in ways)


def test_a_way_that_sees_boxes_everywhere_wins_nothing(path):
    # without a bound, every cell is an answer: only as many are looked at as there are boxes
    assert found(path, scenes(12, labels=[1]), color="bgr") == []


def test_no_more_images_are_read_than_show_enough_boxes(path):
    asked: list[str] = []
    samples = scenes(60, boxes=16, asked=asked)
    found(path, samples)
    assert len(set(asked)) == BOXES // 16 < IMAGES
    asked.clear()
    found(path, scenes(IMAGES + 5, boxes=1, asked=asked))
    assert len(set(asked)) == IMAGES


def test_a_truth_that_is_not_boxes_is_refused(path):
    wrong = [replace(sample, truth=Classes.truth(0, LABELS)) for sample in scenes(2)]
    with pytest.raises(DataError, match="Classes, not Boxes"):
        found(path, wrong)
