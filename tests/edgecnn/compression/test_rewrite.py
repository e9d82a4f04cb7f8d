import numpy as np
import pytest

from edgecnn.errors import TrainingError

pytestmark = pytest.mark.tensorflow


def test_a_model_made_anew_of_its_own_layers_computes_the_same(keras, network):
    from edgecnn.compression.rewrite import applied, rewrite

    layers = keras.layers

    def build(image):
        x = layers.Conv2D(4, 3, padding="same")(image)
        return layers.Dense(2)(layers.Flatten()(layers.Add()([x, image])))

    model = network(build)

    def same(call, given):
        return given[0] if isinstance(call.layer, layers.InputLayer) else applied(call.layer, given)

    images = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype(np.float32)
    assert np.array_equal(rewrite(model, same)(images), model(images))


def nested(keras, image):
    inner = keras.Sequential([keras.layers.Dense(3)], name="inner")
    return inner(image)


def twice(keras, image):
    layer = keras.layers.Conv2D(4, 3, padding="same", name="shared")
    return layer(layer(image))


def arithmetic(keras, image):
    return keras.layers.Dense(1)(image * 2.0)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (nested, r"layer 'inner' \(Sequential\) is a model inside the model. Call its layers"),
        (twice, r"layer 'shared' \(Conv2D\) is called twice. Give each call a layer of its own"),
        (arithmetic, r"layer 'tf.math.multiply.*' \(TFOpLambda\) does not simply make .* such as Rescaling"),
    ],
)
def test_what_cannot_be_followed_is_named_with_the_way_out(keras, build, said):
    from edgecnn.compression.rewrite import calls

    image = keras.Input((8, 8, 4))
    with pytest.raises(TrainingError, match=said):
        calls(keras.Model(image, build(keras, image)))


def test_a_subclassed_model_is_refused(keras):
    from edgecnn.compression.rewrite import calls

    class Own(keras.Model):
        pass

    with pytest.raises(TrainingError, match=r"subclass of keras.Model, whose layers cannot be seen"):
        calls(Own(name="own"))
