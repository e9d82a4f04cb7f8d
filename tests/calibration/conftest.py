"""A small float model and pictures in memory."""

import os
from dataclasses import dataclass

import numpy as np
import pytest

from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError
from edgecnn.results import Classes

LABELS = ("red", "green", "blue")


@dataclass(frozen=True)
class Picture:
    name: str
    pixels: "np.ndarray | None"

    def read(self):
        if self.pixels is None:
            raise DataError(f"{self.name}: truncated: ends after 7 bytes. Copy it again or remove it.")
        return self.pixels.copy()


@pytest.fixture(scope="session")
def pictures():
    """A function that makes a data set: (label number or None for unreadable)s -> Dataset."""

    def make(ids, *, labels=LABELS, size=16, name="pictures", unreadable=(), seed=0):
        random = np.random.default_rng(seed)
        samples = []
        for number, label_id in enumerate(ids):
            pixels = random.integers(0, 256, (size, size, 3), np.uint8)
            source = Picture(f"{name}/{number}.png", None if number in unreadable else pixels)
            samples.append(Sample(source, Classes.truth(label_id, labels)))
        return Dataset(name, "classification", labels, samples)

    return make


@pytest.fixture(scope="session")
def float_model():
    """A float32 .tflite, 16x16x3 to 3 scores: convolution, depthwise, residual, pool, dense."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf
    import tf_keras as keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, 2, "same", activation="relu")(image)
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu6")(x)
    y = layers.Conv2D(8, 1)(y)
    x = layers.Add()([x, y])
    x = layers.Dense(3)(layers.Flatten()(layers.MaxPooling2D(2)(x)))
    model = keras.Model(image, x)
    function = tf.function(lambda image: {"scores": model(image, training=False)})
    concrete = function.get_concrete_function(tf.TensorSpec((1, 16, 16, 3), tf.float32, name="image"))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert()
