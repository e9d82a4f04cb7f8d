import numpy as np
import pytest

from edgecnn.errors import TrainingError
from edgecnn.training import dropout
from edgecnn.zoo.keras import keras, tf

pytestmark = pytest.mark.tensorflow
layers = keras.layers


def model() -> keras.Model:
    images = keras.Input((64,))
    return keras.Model(images, layers.Dropout(0.5)(layers.Dropout(0.5)(images)))


def masks(network: keras.Model) -> np.ndarray:
    return network(tf.ones((4, 64)), training=True).numpy()


def test_a_mask_follows_from_the_step_alone() -> None:
    steps = tf.Variable(0, dtype=tf.int64)
    one, other = model(), model()
    dropout.follow_steps(one, steps, seed=3)
    dropout.follow_steps(other, steps, seed=3)
    first = masks(one)
    masks(one)  # drawing more changes nothing
    np.testing.assert_array_equal(masks(other), first)
    steps.assign(1)
    assert not np.array_equal(masks(other), first)
    steps.assign(0)
    np.testing.assert_array_equal(masks(other), first)


def test_seeds_and_layers_differ() -> None:
    steps = tf.Variable(5, dtype=tf.int64)
    one, other = model(), model()
    dropout.follow_steps(one, steps, seed=3)
    dropout.follow_steps(other, steps, seed=4)
    assert not np.array_equal(masks(one), masks(other))
    values = masks(one)
    assert 0.15 < (values > 0).mean() < 0.35  # independent halves leave a quarter
    assert set(np.unique(values)) == {0.0, 4.0}


def test_nothing_drops_outside_of_training() -> None:
    network = model()
    dropout.follow_steps(network, tf.Variable(0, dtype=tf.int64), seed=0)
    np.testing.assert_array_equal(network(tf.ones((2, 64)), training=False), np.ones((2, 64)))


def test_the_saved_model_opens_anywhere(tmp_path) -> None:
    network = model()
    dropout.follow_steps(network, tf.Variable(0, dtype=tf.int64), seed=0)
    network.save(tmp_path / "m.keras", save_format="keras")
    opened = keras.models.load_model(tmp_path / "m.keras", compile=False)
    assert [layer.rate for layer in opened.layers[1:]] == [0.5, 0.5]


def test_other_random_layers_are_refused() -> None:
    images = keras.Input((4,))
    network = keras.Model(images, layers.GaussianNoise(1.0, name="fog")(images))
    with pytest.raises(TrainingError, match="fog"):
        dropout.follow_steps(network, tf.Variable(0, dtype=tf.int64), seed=0)
