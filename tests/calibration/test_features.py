"""What a float model sees in an image."""

import numpy as np
import pytest

from calibration.features import LENGTH, ModelFeatures
from edgecnn import image as images
from edgecnn.card import InputSpec
from edgecnn.errors import ModelError
from edgecnn.runtime.interpreter import open_interpreter

pytestmark = pytest.mark.tensorflow
SPEC = InputSpec(16, 16, mean=(127.5,), std=(127.5,))


def seen(content, *shown):
    with ModelFeatures(content, SPEC) as features:
        return np.stack([features(image) for image in shown])


@pytest.fixture
def shown():
    return list(np.random.default_rng(0).integers(0, 256, (4, 20, 24, 3), np.uint8))


def network(*last):
    """16x16x3 through a convolution to the last layers."""
    from edgecnn.keras import keras

    keras.utils.set_random_seed(2)
    layers = keras.layers
    return keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(6, 3, 2, activation="relu"), *last])


def converted(model):
    import tensorflow as tf

    function = tf.function(lambda image: model(image, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec((1, 16, 16, 3), tf.float32))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert()


def test_features_are_what_the_last_dense_layer_reads(shown):
    from edgecnn.keras import keras

    layers = keras.layers
    model = network(layers.GlobalAveragePooling2D(), layers.Dense(3), layers.Softmax())
    below = keras.Model(model.inputs, model.layers[1].output)
    table = images.lookup(SPEC, np.float32)
    tensors = np.concatenate([images.prepare(image, table, SPEC)[0] for image in shown])
    np.testing.assert_allclose(seen(converted(model), *shown), below(tensors), rtol=1e-4, atol=1e-5)


def test_without_a_dense_layer_they_are_the_answer_averaged_over_its_places(shown):
    content = converted(network())
    table = images.lookup(SPEC, np.float32)
    interpreter = open_interpreter(content, "model")
    for image, vector in zip(shown, seen(content, *shown), strict=True):
        interpreter.write(0, images.prepare(image, table, SPEC)[0])
        interpreter.invoke()
        np.testing.assert_allclose(vector, interpreter.read(0).mean((0, 1, 2)), rtol=1e-4)


def test_long_vectors_become_short_ones_that_keep_their_distances(float_model, shown):
    from edgecnn.keras import keras

    layers = keras.layers
    content = converted(network(layers.Flatten(), layers.Dense(3)))
    vectors = seen(content, *shown)
    assert vectors.shape == (4, LENGTH)
    model = network(layers.Flatten())
    table = images.lookup(SPEC, np.float32)
    whole = np.asarray(model(np.concatenate([images.prepare(image, table, SPEC)[0] for image in shown])))
    ratios = [
        np.linalg.norm(vectors[one] - vectors[other]) / np.linalg.norm(whole[one] - whole[other])
        for one in range(4)
        for other in range(one)
    ]
    assert max(ratios) / min(ratios) < 1.6  # 64 random directions


def test_the_same_image_has_the_same_features_in_every_run(float_model, shown):
    np.testing.assert_array_equal(seen(float_model, *shown), seen(float_model, *shown))


def test_features_that_were_closed_are_refused(float_model, shown):
    with ModelFeatures(float_model, SPEC, name="float32.tflite") as features:
        pass
    with pytest.raises(ModelError, match=r"float32\.tflite: the model is closed"):
        features(shown[0])
