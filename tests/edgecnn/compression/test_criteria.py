"""The oracle of every criterion: the network with a gate in front of each reader, and brute force."""

import numpy as np
import pytest

from edgecnn.errors import TrainingError

pytestmark = pytest.mark.tensorflow


def residual(layers):
    def build(image):
        x = layers.Conv2D(4, 3, padding="same", name="stem")(image)
        x = layers.ReLU()(layers.BatchNormalization(name="stem_norm")(x))
        y = layers.SeparableConv2D(6, 3, padding="same", depth_multiplier=2, name="branch")(x)
        y = layers.DepthwiseConv2D(3, padding="same", name="spread")(layers.ReLU()(y))
        y = layers.Conv2DTranspose(4, 2, padding="same", name="back")(y)
        x = layers.ReLU(6.0)(layers.Add()([x, y]))
        return layers.Dense(3, name="logits")(layers.Flatten()(layers.MaxPooling2D(4)(x)))

    return build


def batches(*sizes, seed=0):
    random = np.random.default_rng(seed)
    return [
        (random.normal(0, 1, (size, 8, 8, 4)).astype(np.float32), random.integers(0, 3, size))
        for size in sizes
    ]


@pytest.fixture
def model(network, keras):
    return network(residual(keras.layers))


@pytest.fixture
def channels(model):
    from edgecnn.compression.groups import channels_of

    return channels_of(model)


@pytest.fixture
def loss():
    from edgecnn.card import InputSpec
    from edgecnn.heads import classification

    return classification.criterion(InputSpec(8, 8), smoothing=0.0)


def found(model, channels, criterion, given, loss):
    from edgecnn.compression.criteria import scores

    return scores(model, channels, criterion, given, loss)


@pytest.mark.parametrize("criterion", ["energy", "taylor"])
def test_what_looks_at_images_needs_one(model, channels, loss, criterion):
    with pytest.raises(TrainingError, match="no image"):
        found(model, channels, criterion, [], loss)


def test_an_unknown_criterion_is_refused_with_those_there_are(model, channels, loss):
    with pytest.raises(TrainingError, match=r"'size'.*magnitude, energy, taylor, random"):
        found(model, channels, "size", [], loss)


@pytest.mark.parametrize("criterion", ["magnitude", "energy", "taylor", "random"])
def test_what_may_go_has_a_finite_score_and_what_is_fixed_an_infinite_one(model, channels, loss, criterion):
    before = model.get_weights()
    worth = found(model, channels, criterion, batches(6, 5), loss)
    assert worth.shape == (channels.units,)
    assert worth.dtype == np.float64
    assert np.array_equal(np.isfinite(worth), channels.free)
    assert 0 < channels.free.sum() < channels.units
    assert (worth >= 0).all()
    again = found(model, channels, criterion, batches(6, 5), loss)
    np.testing.assert_allclose(worth, again, rtol=1e-4)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_taylor_is_the_slope_of_the_loss_along_a_gate_on_all_that_reads_the_unit(model, channels, loss):
    from edgecnn.compression.readers import silenced

    given = batches(5)
    images, targets = given[0]
    worth = found(model, channels, "taylor", given, loss)
    step = 1e-2

    def total(unit, gate):
        gates = np.ones(channels.units)
        gates[unit] = gate
        with silenced(model, channels.read, gates):  # a factor other than 0 and 1 does as well
            return float(np.sum(loss(targets, [model(images, training=False)])[0]))

    units = np.flatnonzero(channels.free)
    slopes = np.array([(total(unit, 1 + step) - total(unit, 1 - step)) / (2 * step) for unit in units])
    # ReLU6 and the maximum bend the loss here and there: compare as a whole and by rank
    np.testing.assert_allclose(worth[units], slopes**2 / 5, rtol=0.1, atol=0.02 * worth[units].max())


def test_energy_is_the_units_share_of_what_its_readers_take_in(network, keras, loss):
    from edgecnn.compression.groups import channels_of

    layers = keras.layers

    def build(image):
        x = layers.Conv2D(3, 1, name="maker")(image)
        x = layers.Conv2D(5, 1, name="reader")(x)
        return layers.Dense(3)(layers.GlobalAveragePooling2D()(x))

    model = network(build)
    channels, given = channels_of(model), batches(7, 4)
    worth = found(model, channels, "energy", given, loss)
    images = np.concatenate([images for images, _ in given]).astype(np.float64)
    kernel, bias = model.get_layer("maker").get_weights()
    read = images @ kernel[0, 0] + bias
    each = [
        np.mean((read[..., channel, None] * model.get_layer("reader").get_weights()[0][0, 0, channel]) ** 2)
        for channel in range(3)
    ]
    np.testing.assert_allclose(worth[channels.made["maker"]], np.array(each) / sum(each), rtol=1e-4)


def test_magnitude_has_the_norm_folded_in_and_ranks_as_the_folded_filters(model, channels, loss):
    from edgecnn.compression.folding import fold

    worth = found(model, channels, "magnitude", [], loss)
    folded = fold(model)
    (group,) = [group for group in channels.groups if "stem" in group.makers]
    assert set(group.makers) == {"stem", "back"}
    squares = np.square(folded.get_layer("stem").kernel.numpy()).sum((0, 1, 2))
    squares = squares + np.square(folded.get_layer("back").kernel.numpy()).sum((0, 1, 3))
    wanted = np.sqrt(squares / squares.sum())
    np.testing.assert_allclose(worth[channels.made["stem"]], wanted, rtol=1e-4)


@pytest.mark.parametrize("criterion", ["energy", "taylor"])
def test_a_unit_that_nobody_reads_is_worth_nothing(model, channels, loss, criterion):
    from edgecnn.compression.readers import silenced

    keep = np.ones(channels.units, bool)
    gone = channels.groups[0].units[1]
    keep[gone] = False
    with silenced(model, channels.read, keep):
        worth = found(model, channels, criterion, batches(6), loss)
    assert worth[gone] == 0
    assert (worth[channels.groups[0].units] > 0).any()


@pytest.mark.parametrize("criterion", ["energy", "taylor"])
def test_factors_between_layers_make_no_difference(network, keras, loss, criterion):
    from edgecnn.compression.groups import channels_of

    layers = keras.layers

    def build(image):
        x = layers.ReLU()(layers.Conv2D(4, 3, name="maker")(image))
        return layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, name="reader")(x)))

    model = network(build)
    channels = channels_of(model)
    before = found(model, channels, criterion, batches(6), loss)
    maker, reader = model.get_layer("maker"), model.get_layer("reader")
    maker.set_weights([8 * values for values in maker.get_weights()])
    reader.kernel.assign(reader.kernel / 8)
    np.testing.assert_allclose(found(model, channels, criterion, batches(6), loss), before, rtol=1e-3)
