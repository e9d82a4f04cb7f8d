"""Detectors of coarse grids: judged by the F1 of centre hits. The grid here needs no training."""

import numpy as np
import pytest

from converters.certificate import Budget
from converters.convert import convert
from converters.judging import detection
from converters.judging.box_drops import drops
from converters.publish import opened
from edgecnn import card as cards
from edgecnn.results import Boxes
from edgecnn.runtime.model import load

pytestmark = pytest.mark.tensorflow

OPTIONS = {"decode": "centroids", "stride": 8, "threshold": 0.4}


@pytest.fixture(scope="module")
def grid(keras, make_detector_run, scenes):
    """A run: how far one colour of a cell lies above the others, (8, 8, 3); float32.tflite included."""
    layers = keras.layers
    image = keras.Input((64, 64, 3), name="image")
    above, logits = layers.Conv2D(3, 1, activation="relu"), layers.Conv2D(3, 1, name="scores")
    model = keras.Model(image, logits(layers.AveragePooling2D(8)(above(image))))
    above.set_weights([(1.5 * np.eye(3) - 0.5).reshape(1, 1, 3, 3), np.zeros(3)])
    logits.set_weights([12 * np.eye(3).reshape(1, 1, 3, 3), np.full(3, -5.0)])
    folder = make_detector_run(model, options=OPTIONS)
    convert(folder, schemes=["float32"], data=scenes)
    return folder


def test_without_any_answer_everything_is_lost():
    labels = ("red", "green")
    truth = Boxes(np.array([[0, 0, 8, 8], [8, 8, 16, 16]]), np.ones(2), np.array([0, 1]), labels)
    nothing = Boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), labels)
    (found,) = drops([nothing] * 3, [truth] * 3, [truth] * 3, "centre")
    assert (found.metric, found.whole.reference, found.whole.model) == ("f1", 1.0, 0.0)
    assert [one.drop for one in found.classes] == [1.0, 1.0]


def test_f1_is_that_of_counted_hits():
    labels = ("red",)
    boxes = np.array([[0, 0, 8, 8], [16, 16, 24, 24], [32, 32, 40, 40]])
    truth = Boxes(boxes, np.ones(3), np.zeros(3, np.int64), labels)
    # two of three are hit, and one answer lies beside all of them
    found = Boxes(
        boxes + np.array([[1], [1], [20]]), np.array([0.9, 0.8, 0.7]), np.zeros(3, np.int64), labels
    )
    (lost,) = drops([found], [truth], [truth], "centre")
    assert lost.whole.reference == 1.0
    assert lost.whole.model == pytest.approx(2 * 2 / (2 + 3))  # at the threshold that leaves the third out


def test_a_healthy_grid_becomes_int8_and_says_its_figure(grid, scenes):
    made = convert(grid, schemes=["int8"], data=scenes, audited=False, force=True)[0]
    assert made.written
    card = cards.read(made.path)
    assert card.certificate["metric"] == "f1"
    assert made.verdict.figures_of_all[0].before > 0.8
    assert {row["figures"][0]["metric"] for row in card.certificate["per_class"]} == {"f1"}
    assert "F1 of centre hits" in made.verdict.header()


def test_a_grid_that_lost_a_class_is_refused_by_name(grid, scenes, keras):
    with load(grid / "float32.tflite") as model:
        known = detection.reference(model, scenes[1], record={}, most=None)
        card = model.card
    from converters.from_keras import fix, to_tflite
    from edgecnn.keras import tf

    network = keras.models.load_model(grid / "model.keras", compile=False)
    blind = fix(
        grid / "model.keras",
        lambda image: network(image) * tf.constant([1.0, 1.0, 0.0]) - tf.constant([0.0, 0.0, 9.0]),
        (1, 64, 64, 3),
        roles=("scores",),
        variables=network.variables,
    )
    with opened(to_tflite(blind), card, name="blind.tflite", threads=1) as made:
        verdict = detection.judge(known, made, Budget(max_class_drop=detection.MAX_CLASS_DROP))
    assert verdict.outcome == "refused"
    assert {row.label for row in verdict.classes if row.state == "refused"} == {"blue"}
