import numpy as np
import pytest

from edgecnn.errors import TrainingError

pytestmark = pytest.mark.tensorflow

CASES = {
    "nothing to fold": lambda k: lambda x: k.MaxPooling2D(2)(x),
    "convolution and norm": lambda k: lambda x: k.BatchNormalization()(k.Conv2D(3, 3, use_bias=False)(x)),
    "a norm without scale": lambda k: lambda x: k.BatchNormalization(scale=False)(k.Conv2D(3, 3)(x)),
    "a norm without centre": lambda k: lambda x: k.BatchNormalization(center=False)(k.Conv2D(3, 3)(x)),
    "depthwise, two for each": lambda k: (
        lambda x: k.BatchNormalization()(k.DepthwiseConv2D(3, depth_multiplier=2)(x))
    ),
    "transposed": lambda k: lambda x: k.BatchNormalization()(k.Conv2DTranspose(3, 2, 2)(x)),
    "separable": lambda k: lambda x: k.SeparableConv2D(5, 3, 2, padding="same", activation="relu")(x),
    "dense": lambda k: lambda x: k.BatchNormalization()(k.Dense(5)(k.Flatten()(x))),
    "a norm alone": lambda k: lambda x: k.Conv2D(2, 3)(k.BatchNormalization()(x)),
    "a norm behind an activation": lambda k: (
        lambda x: k.BatchNormalization()(k.Conv2D(2, 3, activation="relu")(x))
    ),
    "a norm that is not alone": lambda k: (
        lambda x: (lambda y: k.Concatenate()([k.BatchNormalization()(y), y]))(k.Conv2D(2, 3)(x))
    ),
    "rescaling": lambda k: lambda x: k.Rescaling(1 / 127.5, -1.0)(x),
    "rescaling by channel": lambda k: lambda x: k.Rescaling([1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, 1.0])(x),
    "an activation inside": lambda k: lambda x: k.Conv2D(2, 3, activation="tanh")(x),
    "swish": lambda k: lambda x: k.Conv2D(2, 3, activation="swish")(x),
    "softmax": lambda k: lambda x: k.Activation("softmax")(k.Dense(3)(k.Flatten()(x))),
}


@pytest.mark.parametrize("name", CASES)
def test_the_folded_network_computes_the_same_without_norms(keras, network, name):
    from edgecnn.compression.folding import fold

    model = network(CASES[name](keras.layers))
    folded = fold(model)
    images = np.random.default_rng(1).normal(size=(5, 8, 8, 4)).astype(np.float32)
    wanted = model(images, training=False).numpy()
    assert np.abs(folded(images, training=False).numpy() - wanted).max() < 1e-5 * max(1, np.abs(wanted).max())
    kinds = {type(layer).__name__ for layer in folded.layers}
    assert not kinds & {"BatchNormalization", "Rescaling", "SeparableConv2D"}
    inside = [layer for layer in folded.layers if layer.weights]
    assert all(layer.use_bias and layer.activation.__name__ == "linear" for layer in inside)


def test_the_model_it_was_made_from_stays_as_it_is(keras, network):
    from edgecnn.compression.folding import fold

    model = network(CASES["convolution and norm"](keras.layers))
    before = model.get_weights()
    fold(model)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda k: lambda x: k.PReLU(name="p")(x), "'p' is a PReLU.*LeakyReLU instead"),
        (
            lambda k: lambda x: k.Conv2D(1, 1, activation="gelu", name="c")(x),
            "'c' has the activation 'gelu'",
        ),
        (
            lambda k: lambda x: k.BatchNormalization(name="n")(k.Flatten()(x)),
            r"'n' \(BatchNormalization\) has no convolution before it.*Put it behind",
        ),
    ],
)
def test_what_has_no_form_in_int8_is_named_with_the_way_out(keras, network, build, said):
    from edgecnn.compression.folding import fold

    with pytest.raises(TrainingError, match=said):
        fold(network(build(keras.layers)))
