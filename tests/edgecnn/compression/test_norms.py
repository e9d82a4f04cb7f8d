import numpy as np
import pytest

from edgecnn.errors import TrainingError

pytestmark = pytest.mark.tensorflow


def batches(*sizes, seed=0):
    random = np.random.default_rng(seed)
    return [random.normal(0.5, 2.0, (size, 4, 4, 3)).astype(np.float32) for size in sizes]


def normed(layers):
    def build(image):
        x = layers.BatchNormalization(name="first", epsilon=0.01)(image)
        x = layers.ReLU()(layers.Conv2D(2, 1, name="conv")(x))
        return layers.BatchNormalization(name="second", scale=False, momentum=0.5)(x)

    return build


def settled(model, given):
    from edgecnn.compression.norms import settle_norms

    settle_norms(model, given)
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def test_without_an_image_there_is_nothing_to_measure(network, keras):
    with pytest.raises(TrainingError, match="no image"):
        settled(network(normed(keras.layers), (4, 4, 3)), [])


def test_a_network_without_norms_stays_as_it_is_and_looks_at_nothing(network, keras):
    from edgecnn.compression.norms import settle_norms

    settle_norms(network(keras.layers.Conv2D(2, 1), (4, 4, 3)), [])


def test_norms_hold_mean_and_variance_over_all_images_and_nothing_else_changes(network, keras):
    model = network(normed(keras.layers), (4, 4, 3))
    before = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    given = batches(8, 8, 3)
    after = settled(model, iter(given))

    every = np.concatenate(given).astype(np.float64)
    np.testing.assert_allclose(after["first"][2], every.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(after["first"][3], every.var((0, 1, 2)), rtol=1e-5)

    gamma, beta = before["first"][:2]
    kernel, bias = before["conv"]
    reached = []
    for batch in given:  # each batch passes the first norm by its own statistics
        x = batch.astype(np.float64)
        x = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 0.01) * gamma + beta
        reached.append(np.maximum(x @ kernel[0, 0] + bias, 0))
    every = np.concatenate(reached)
    np.testing.assert_allclose(after["second"][1], every.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(after["second"][2], every.var((0, 1, 2)), rtol=1e-4)

    for name, kept in (("first", 2), ("conv", 2), ("second", 1)):
        for old, new in zip(before[name][:kept], after[name][:kept], strict=True):
            np.testing.assert_array_equal(old, new)


def test_dropout_rests(network, keras):
    layers = keras.layers

    def build(image):
        return layers.BatchNormalization(name="norm")(layers.Dropout(0.9)(image))

    given = batches(16)
    after = settled(network(build, (4, 4, 3)), given)
    np.testing.assert_allclose(after["norm"][3], given[0].var((0, 1, 2)), rtol=1e-4)


def test_a_settled_network_normalizes_what_it_is_given(network, keras):
    model = network(
        lambda image: keras.layers.BatchNormalization(center=False, scale=False)(image), (4, 4, 3)
    )
    given = batches(32, 32)
    settled(model, given)
    made = np.concatenate([model(batch, training=False).numpy() for batch in given])
    np.testing.assert_allclose(made.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(made.var((0, 1, 2)), 1, atol=2e-3)
