"""What may be clipped: names against a walk over all paths, limits against all cells of all images."""

import os
from math import inf

import numpy as np
import pytest

from calibration.background import LEAST_LOGIT, LEAST_SCORE_LOGIT, limits, names_of
from calibration.ranges import Ranges, within
from edgecnn.graph import read
from edgecnn.runtime.interpreter import open_interpreter

pytestmark = pytest.mark.tensorflow

OPTIONS = {"decode": "anchors", "scores": "logits"}


@pytest.fixture(scope="module")
def detector():
    """A float32 .tflite of two levels, (1, 16, 16, 3) to boxes (1, 20, 4) and scores (1, 20, 2)."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    import tensorflow as tf
    import tf_keras as keras

    keras.utils.set_random_seed(2)
    layers = keras.layers
    image = keras.Input((16, 16, 3))
    fine = layers.Conv2D(6, 3, 4, "same", activation="relu")(image)
    coarse = layers.Conv2D(6, 3, 2, "same", activation="relu")(fine)
    wide = keras.initializers.RandomNormal(stddev=3.0)
    found = []
    for count, start in ((4, 0.0), (2, -9.0)):
        words = {"kernel_initializer": wide, "bias_initializer": keras.initializers.Constant(start)}
        parts = [
            layers.Reshape((-1, count))(layers.Conv2D(count, 1, **words)(level)) for level in (fine, coarse)
        ]
        found.append(layers.Concatenate(axis=1)(parts))
    model = keras.Model(image, found)
    function = tf.function(
        lambda image: dict(zip(("boxes", "scores"), model(image, training=False), strict=True))
    )
    concrete = function.get_concrete_function(tf.TensorSpec((1, 16, 16, 3), tf.float32, name="image"))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert()


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    return [random.normal(0, 1, (1, 16, 16, 3)).astype(np.float32) for _ in range(6)]


def outputs_of(content, image):
    """Boxes and scores, by role."""
    graph = read(content, "made")
    interpreter = open_interpreter(content, "made")
    interpreter.write(0, image)
    interpreter.invoke()
    roles = graph.signatures[0].outputs
    made = {role: interpreter.read(graph.outputs.index(index)).copy() for role, index in roles.items()}
    interpreter.close()
    return made


def test_without_images_only_scores_are_limited(detector):
    found = limits(detector, [], OPTIONS)
    graph = read(detector, "made")
    assert set(found) == set(names_of(graph, graph.signatures[0].outputs["scores"]))
    assert set(found.values()) == {(LEAST_LOGIT, inf)}


@pytest.mark.parametrize(
    "options",
    [
        {"decode": "anchors", "scores": "probabilities"},
        {"decode": "yolov8", "boxes": "pixels"},
        {"decode": "postprocess"},
    ],
)
def test_where_scores_are_no_logits_nothing_is_limited(detector, images, options):
    assert limits(detector, images, options) == {}


def test_a_model_that_gives_no_boxes_has_limits_for_its_scores_alone(float_model, images):
    found = limits(float_model, images, {"decode": "centroids"})
    assert set(found.values()) == {(LEAST_LOGIT, inf)}


@pytest.mark.parametrize("role", ["boxes", "scores"])
def test_names_are_those_of_every_tensor_whose_values_are_moved_into_the_output(detector, role):
    graph = read(detector, "made")
    output = graph.signatures[0].outputs[role]
    moves = {"RESHAPE", "CONCATENATION"}
    expected = {output}
    for _ in graph.ops:  # as often as a path can be long
        for operator in graph.ops:
            if operator.kind in moves and expected & set(operator.outputs):
                expected |= {i for i in operator.inputs if graph.tensors[i].dtype == "float32"}
    found = names_of(graph, output)
    assert sorted(found) == sorted(graph.tensors[index].name for index in expected)
    assert len(found) == 5  # the output, two levels, and the convolution of each


def test_boxes_are_limited_to_what_cells_that_may_be_an_answer_hold(detector, images):
    low, high = inf, -inf
    for image in images:
        made = outputs_of(detector, image)
        for code, logits in zip(made["boxes"][0], made["scores"][0], strict=True):
            if max(logits) >= LEAST_SCORE_LOGIT:
                low, high = min(low, *code), max(high, *code)
    everything = np.concatenate([outputs_of(detector, image)["boxes"] for image in images])
    assert low > everything.min() or high < everything.max()  # else this says nothing
    graph = read(detector, "made")
    found = limits(detector, images, OPTIONS)
    for name in names_of(graph, graph.signatures[0].outputs["boxes"]):
        assert found[name] == (pytest.approx(low), pytest.approx(high))


def test_limits_only_ever_narrow_a_range():
    ranges = Ranges({"a": (-20.0, 5.0), "b": (-1.0, 1.0), "c": (2.0, 3.0)}, "minmax", 1, "0")
    found = within(ranges, {"a": (-8.0, inf), "b": (-8.0, inf), "c": (-1.0, 1.0), "unknown": (0.0, 1.0)})
    assert found.low_high == {"a": (-8.0, 5.0), "b": (-1.0, 1.0), "c": (2.0, 3.0)}
