"""What is said before channels go, against a count of the network without them."""

import numpy as np
import pytest

from edgecnn.errors import TrainingError

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="session")
def network_of_all(keras):
    """Every kind of kernel that `zoo.count` knows, a sum and a flattened map."""
    layers = keras.layers
    image = keras.Input((8, 6, 3), name="image")
    x = layers.Conv2D(8, 3, 2, padding="same", name="first")(image)
    y = layers.DepthwiseConv2D((3, 1), depth_multiplier=2, padding="same")(x)
    x = layers.Add()([layers.Conv2D(8, 1, name="back")(y), x])
    x = layers.Conv2DTranspose(6, 3, 2, name="larger")(x)
    x = layers.Concatenate()([x, layers.Conv2D(6, 3, padding="same", groups=6, name="each")(x)])
    x = layers.Conv2D(4, 3, groups=2, padding="same", name="pairs")(layers.Conv2D(4, 1, name="some")(x))
    x = layers.Dense(5, name="on_maps")(x)
    return keras.Model(image, layers.Dense(3)(layers.Dense(7, name="flat")(layers.Flatten()(x))))


def of(model):
    from edgecnn.compression.cost import macs
    from edgecnn.compression.groups import channels_of

    channels = channels_of(model)
    return channels, macs(model, channels)


def drawn(channels, random):
    keep = np.ones(channels.units, bool)
    for group in channels.groups:
        gone = int(random.integers(0, len(group.units)))
        keep[random.permutation(group.units)[:gone]] = False
    return keep


def test_a_network_without_kernels_costs_nothing(keras):
    image = keras.Input((4, 4, 2))
    _, cost = of(keras.Model(image, keras.layers.Flatten()(image)))
    assert (cost.whole, cost.products) == (0, ())


@pytest.mark.parametrize("seed", range(4))
def test_the_cost_of_what_stays_is_that_of_the_network_made_of_it(network_of_all, seed):
    from edgecnn.compression.removal import without
    from edgecnn.zoo.count import count

    channels, cost = of(network_of_all)
    keep = drawn(channels, np.random.default_rng(seed))
    assert cost.whole == count(network_of_all).macs
    assert cost.total(keep) == count(without(network_of_all, channels, keep)).macs


@pytest.mark.parametrize("seed", range(4))
def test_what_units_save_is_what_the_total_falls_by(network_of_all, seed):
    channels, cost = of(network_of_all)
    random = np.random.default_rng(seed)
    keep = drawn(channels, random)
    for group in channels.groups:
        units = random.permutation(group.units)[:2]
        after = keep.copy()
        after[units] = False
        assert cost.saved(keep, units) == cost.total(keep) - cost.total(after)
        assert cost.saved(after, units) == 0


def test_a_separable_convolution_costs_its_two_parts(keras):
    image = keras.Input((8, 6, 3))
    x = keras.layers.SeparableConv2D(5, (3, 1), 2, padding="same", depth_multiplier=2, name="parts")(image)
    channels, cost = of(keras.Model(image, keras.layers.Conv2D(2, 1)(x)))
    assert cost.whole == 4 * 3 * (3 * 6 + 6 * 5 + 5 * 2)
    assert cost.saved(np.ones(channels.units, bool), channels.made["parts"][:2]) == 4 * 3 * (6 * 2 + 2 * 2)


def test_a_size_that_is_open_is_refused_by_name(keras):
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, name="first")(image)
    with pytest.raises(TrainingError, match=r"layer 'first' \(Conv2D\) has activations of open size"):
        of(keras.Model(image, keras.layers.GlobalAveragePooling2D()(x)))
