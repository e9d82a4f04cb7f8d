import numpy as np
import pytest

from edgecnn.errors import TrainingError
from edgecnn.zoo import build
from edgecnn.zoo.initialize import initialize
from edgecnn.zoo.keras import keras

pytestmark = pytest.mark.tensorflow
layers = keras.layers


def test_a_model_without_weights_is_left_alone():
    image = keras.Input((4, 4, 1))
    initialize(keras.Model(image, layers.Flatten()(image)), 0)


def test_the_spread_of_each_kernel_is_that_of_he_for_its_fan_in():
    image = keras.Input((8, 8, 32))
    x = layers.Conv2D(64, 3, name="conv")(image)
    x = layers.DepthwiseConv2D(5, depth_multiplier=4, name="depthwise")(x)
    x = layers.Conv2DTranspose(48, 3, name="transposed")(x)
    x = layers.Dense(512, name="dense")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, layers.Dense(100, name="logits")(x))
    initialize(model, 1)
    expected = {
        "conv": 2 / (9 * 32),
        "depthwise": 2 / 25,
        "transposed": 2 / (9 * 256),
        "dense": 2 / 48,
        "logits": 1 / 512,
    }
    for name, variance in expected.items():
        kernel, bias = model.get_layer(name).get_weights()
        assert kernel.var() == pytest.approx(variance, rel=0.05)
        assert abs(kernel.mean()) < 0.05 * np.sqrt(variance)
        assert not bias.any()


def test_activations_neither_vanish_nor_explode_in_sixteen_layers_without_norms():
    model = build("vgg16", input_shape=(32, 32, 3), classes=50, width=0.25, seed=3)
    logits = model(np.random.default_rng(0).normal(size=(16, 32, 32, 3)).astype(np.float32)).numpy()
    assert 0.02 < logits.std() < 5


def test_a_layer_whose_weights_nobody_knows_how_to_draw_is_refused():
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, layers.SeparableConv2D(4, 3, name="odd")(image))
    with pytest.raises(TrainingError, match="'odd' is a SeparableConv2D"):
        initialize(model, 0)
