"""Networks without channels against the same networks with zeros where the channels were read."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn import zoo
from edgecnn.errors import TrainingError
from edgecnn.zoo import centroids, detector

pytestmark = pytest.mark.tensorflow

TOLERANCE = 1e-5
"""Of the largest output: sums of other lengths are rounded otherwise."""


class Halved(NamedTuple):
    channels: Any
    keep: np.ndarray
    smaller: Any
    cost: Any
    outputs: list


@pytest.fixture(scope="session")
def halve(keras):
    """A function that removes half the units of every group, and compares with zeros in their place."""
    from edgecnn.compression.cost import macs
    from edgecnn.compression.groups import channels_of
    from edgecnn.compression.removal import without

    def halved(model, *, dead=False, seed=0, share=0.5):
        channels, random = channels_of(model), np.random.default_rng(seed)
        keep = np.ones(channels.units, bool)
        for group in channels.groups:
            keep[random.permutation(group.units)[: int(share * len(group.units))]] = False
        gone = np.flatnonzero(~keep)
        silent = set(gone[::2]) if dead else set()
        if dead:
            silence(keras, model, channels, silent)
        smaller = without(model, channels, keep)
        unread(keras, model, channels, set(gone) - silent)
        images = random.normal(size=(2, *model.input_shape[1:])).astype(np.float32)
        whole = model(images)
        same(whole, smaller(images))
        assert smaller.output_names == model.output_names
        assert [layer.name for layer in smaller.layers] == [layer.name for layer in model.layers]
        return Halved(channels, keep, smaller, macs(model, channels), listed(whole))

    return halved


def unread(keras, model, channels, units):
    """Zeros in whatever reads these units."""
    for name, read in channels.read.items():
        layer, at = model.get_layer(name), np.isin(read, list(units))
        kernel, *rest = layer.get_weights()
        axis = {keras.layers.Conv2DTranspose: 3, keras.layers.Dense: 0}.get(type(layer), 2)
        np.moveaxis(kernel, axis, 0)[at] = 0
        layer.set_weights([kernel, *rest])


def silence(keras, model, channels, units):
    """Zeros in all weights of whatever makes or passes these units, in a network of the zoo."""
    for layer in model.layers:  # kernels but the depthwise ones have the output channels last
        at = np.isin(channels.made[layer.name], list(units))
        weights = layer.get_weights()
        for weight in weights:
            if type(layer) is keras.layers.DepthwiseConv2D and weight.ndim == 4:
                weight.reshape(*weight.shape[:2], -1)[..., at] = 0
            else:
                weight[..., at] = 0
        layer.set_weights(weights)


def same(one, other):
    for first, second in zip(listed(one), listed(other), strict=True):
        first, second = np.asarray(first), np.asarray(second)
        assert first.shape == second.shape
        assert np.isfinite(first).all()
        assert np.abs(first - second).max() <= TOLERANCE * np.abs(first).max()


def listed(outputs):
    return outputs if isinstance(outputs, list | tuple) else [outputs]


def randomized(keras, model, seed=5):
    """Weights of noise that keep the size of the activations; norms with statistics of noise."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        weights = layer.get_weights()
        if type(layer) is keras.layers.BatchNormalization:
            size = weights[0].shape
            weights = [random.uniform(0.5, 1.5, size), *(random.normal(0, 0.3, size) for _ in weights[2:])]
            weights.append(random.uniform(0.5, 2.0, size))
        else:
            weights = [
                random.normal(
                    0, (2 / np.prod(weight.shape[:-1])) ** 0.5 if weight.ndim > 1 else 0.2, weight.shape
                )
                for weight in weights
            ]
        if type(layer) is keras.layers.Normalization:
            weights = [np.abs(weight) for weight in weights]
        layer.set_weights(weights)
    return model


def classifier(name):
    return zoo.structure(name, input_shape=(32, 32, 3), classes=5, width=0.25)


def boxes(name):
    return detector.structure(name, input_shape=(64, 64, 3), classes=2, width=0.25)


def places(name):
    return centroids.structure(name, input_shape=(32, 32, 3), classes=2, width=0.5)


NETWORKS = [
    *((classifier, name) for name in zoo.ZOO),
    (boxes, "mobilenet_v2"),
    (places, "mobilenet_v2"),
]


@pytest.mark.parametrize(("build", "name"), NETWORKS)
def test_channels_that_are_zero_or_unread_go_without_a_trace(keras, halve, build, name):
    from edgecnn.zoo.count import count

    model = randomized(keras, build(name))
    channels, keep, smaller, cost, outputs = halve(model, dead=True)
    assert all(np.ptp(output) > 0.01 for output in outputs)
    before, after = count(model), count(smaller)
    assert (cost.whole, cost.total(keep)) == (before.macs, after.macs)
    assert after.macs < 0.62 * before.macs
    assert after.params < 0.62 * before.params
    for group in channels.groups:
        for maker in group.makers:
            assert smaller.get_layer(maker).output.shape[-1] == keep[channels.made[maker]].sum()


def test_with_all_channels_kept_the_network_is_the_same(keras, halve):
    model = randomized(keras, classifier("resnet8"))
    smaller = halve(model, share=0.0).smaller
    assert smaller.get_config() == model.get_config()


def test_channels_that_are_read_are_missed(keras):
    """The comparison of these tests can fail."""
    from edgecnn.compression.groups import channels_of
    from edgecnn.compression.removal import without

    model = randomized(keras, classifier("resnet8"))
    channels = channels_of(model)
    keep = np.ones(channels.units, bool)
    keep[channels.groups[-1].units[0]] = False
    images = np.ones((1, 32, 32, 3), np.float32)
    with pytest.raises(AssertionError):
        same(model(images), without(model, channels, keep)(images))


@pytest.fixture
def small(keras):
    """A function that makes a model of noise, of a function of layers and of what six filters made."""

    def make(build):
        layers = keras.layers
        image = keras.Input((8, 8, 4), name="image")
        x = build(layers, layers.Conv2D(6, 3, padding="same", name="before")(image))
        x = layers.Dense(3)(layers.Flatten()(x))
        return randomized(keras, keras.Model(image, x, name="small"))

    return make


LAYERS = {
    "convolution": lambda layers: layers.Conv2D(8, (1, 3), 2, activation="swish", use_bias=False),
    "dilated": lambda layers: layers.Conv2D(8, 3, dilation_rate=2),
    "depthwise": lambda layers: layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu"),
    "depthwise of groups": lambda layers: layers.Conv2D(12, 3, groups=6),
    "groups": lambda layers: layers.Conv2D(4, 3, groups=2),
    "separable": lambda layers: layers.SeparableConv2D(8, 3, depth_multiplier=2),
    "transposed": lambda layers: layers.Conv2DTranspose(8, 3, 2, padding="same"),
    "dense on maps": lambda layers: layers.Dense(8),
    "norm": lambda layers: layers.BatchNormalization(),
    "norm without a scale": lambda layers: layers.BatchNormalization(scale=False),
    "norm that stays": lambda layers: layers.BatchNormalization(trainable=False),
    "prelu": lambda layers: layers.PReLU(),
    "shared prelu": lambda layers: layers.PReLU(shared_axes=[1, 2]),
    "prelu of one slope": lambda layers: layers.PReLU(shared_axes=[1, 2, 3]),
    "leaky": lambda layers: layers.LeakyReLU(0.1),
    "elu": lambda layers: layers.ELU(),
    "threshold": lambda layers: layers.ThresholdedReLU(0.1),
    "sigmoid": lambda layers: layers.Activation("sigmoid"),
    "softmax": lambda layers: layers.Softmax(),
    "rescaled": lambda layers: layers.Rescaling(1 / 3, offset=1.0),
    "rescaled by channel": lambda layers: layers.Rescaling([1.0, 2, 3, 4, 5, 6], offset=np.arange(6.0)),
    "standardized": lambda layers: layers.Normalization(),
    "padded": lambda layers: layers.ZeroPadding2D(1),
    "cropped": lambda layers: layers.Cropping2D(((1, 0), (2, 1))),
    "cropped in the middle": lambda layers: layers.CenterCrop(4, 4),
    "resized": lambda layers: layers.Resizing(5, 3),
    "upsampled": lambda layers: layers.UpSampling2D(2, interpolation="bilinear"),
    "mean": lambda layers: layers.AveragePooling2D(2),
    "largest": lambda layers: layers.MaxPooling2D(3, 1),
    "mean of all": lambda layers: layers.GlobalAveragePooling2D(keepdims=True),
    "largest of all": lambda layers: layers.GlobalMaxPooling2D(),
    "dropout": lambda layers: layers.Dropout(0.3, noise_shape=(None, 1, 1, 6), seed=4),
    "spatial dropout": lambda layers: layers.SpatialDropout2D(0.3),
    "gaussian noise": lambda layers: layers.GaussianNoise(0.3),
    "gaussian dropout": lambda layers: layers.GaussianDropout(0.3),
    "reshaped": lambda layers: layers.Reshape((4, 16, 6)),
    "rows of channels": lambda layers: layers.Reshape((8, 48)),
    "open rows": lambda layers: layers.Reshape((8, -1)),
    "split": lambda layers: layers.Reshape((8, 8, 2, 3)),
    "mixed": lambda layers: layers.Reshape((8, 12, 4)),
    "turned in place": lambda layers: layers.Permute((2, 1, 3)),
    "turned": lambda layers: layers.Permute((3, 1, 2)),
}  # fmt: skip


@pytest.mark.parametrize("kind", LAYERS)
def test_each_kind_of_layer_loses_what_belongs_to_the_channel(keras, halve, small, kind):
    layer = LAYERS[kind](keras.layers)
    model = small(lambda layers, x: layer(x))
    channels, keep, smaller, *_ = halve(model)
    assert keep.all() == (kind in ("softmax", "groups", "standardized", "mixed", "turned"))
    again = smaller.get_layer(layer.name)
    sized = ("filters", "units", "groups", "target_shape", "scale", "offset", "noise_shape")
    settings_kept = {name: value for name, value in layer.get_config().items() if name not in sized}
    assert repr({name: again.get_config()[name] for name in settings_kept}) == repr(settings_kept)
    assert again.output.shape[-1] == keep[channels.made[layer.name]].sum()


def two_ends(keras):
    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    x = layers.SeparableConv2D(8, 3, activation="relu")(image)
    x = layers.PReLU(shared_axes=[1, 2])(layers.BatchNormalization()(layers.Conv2DTranspose(6, 3, 2)(x)))
    x = layers.Dropout(0.2, seed=0)(layers.Reshape((13, 78))(x))
    ends = [layers.Dense(2, name="near")(x), layers.Dense(3, name="far")(layers.Flatten()(x))]
    return randomized(keras, keras.Model(image, ends))


def test_a_smaller_network_can_be_saved_and_opened_by_keras_alone(keras, halve, tmp_path):
    smaller = halve(two_ends(keras)).smaller
    smaller.save(tmp_path / "model.keras")
    opened = keras.models.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(1).normal(size=(1, 8, 8, 3)).astype(np.float32)
    assert opened.output_names == smaller.output_names == ["near", "far"]
    for one, other in zip(opened(images), smaller(images), strict=True):
        assert np.array_equal(one, other)


def test_a_smaller_network_is_made_smaller_again(keras, halve):
    smaller = halve(randomized(keras, places("mobilenet_v2"))).smaller
    smallest = halve(smaller).smaller
    assert smallest.count_params() < 0.5 * smaller.count_params()


def test_what_computes_in_other_precision_stays_so(small):
    from edgecnn.compression.groups import channels_of
    from edgecnn.compression.removal import without

    model = small(lambda layers, x: layers.Dense(4, dtype="mixed_bfloat16", name="rough")(x))
    channels = channels_of(model)
    smaller = without(model, channels, np.ones(channels.units, bool))
    assert smaller.get_layer("rough").compute_dtype == "bfloat16"


@pytest.fixture
def two_layers(small):
    from edgecnn.compression.groups import channels_of

    model = small(lambda layers, x: layers.Conv2D(5, 1, name="after")(x))
    return model, channels_of(model)


def test_a_layer_cannot_lose_all_its_channels(two_layers):
    from edgecnn.compression.removal import without

    model, channels = two_layers
    keep = np.ones(channels.units, bool)
    keep[channels.made["after"]] = False
    with pytest.raises(TrainingError, match=r"all 5 channels of layer 'after' would go. Keep at least one"):
        without(model, channels, keep)


def test_what_is_fixed_cannot_go(two_layers):
    from edgecnn.compression.removal import without

    model, channels = two_layers
    keep = np.ones(channels.units, bool)
    keep[channels.made["image"][0]] = False
    with pytest.raises(TrainingError, match=r"layer 'image' cannot go: it is tied to the model's input"):
        without(model, channels, keep)


def test_channels_of_another_model_and_masks_of_other_sizes_are_refused(keras, two_layers):
    from edgecnn.compression.removal import without

    model, channels = two_layers
    keep = np.ones(channels.units, bool)
    with pytest.raises(TrainingError, match="the channels are not those of the model 'resnet8'"):
        without(classifier("resnet8"), channels, keep)
    with pytest.raises(
        TrainingError, match=r"keep must be \d+ bool, one of each unit, not bool of shape \(3,\)"
    ):
        without(model, channels, keep[:3])
    with pytest.raises(TrainingError, match="not int64 of shape"):
        without(model, channels, keep.astype(np.int64))


STEPS = (
    "convolution", "narrow", "depthwise", "transposed", "separable", "norm", "activation", "add", "multiply",
    "subtract", "join", "stack", "pool", "squeeze", "flatten", "gate", "split",
)  # fmt: skip


def grown(keras, steps, exits):
    """A network of steps, each (what, of which tensor, with which other)."""
    layers = keras.layers
    image = keras.Input((6, 6, 3), name="image")
    maps = [layers.Conv2D(4, 3, padding="same")(image), image]
    flat = []
    for what, first, second in steps:
        x, other = maps[first % len(maps)], maps[second % len(maps)]
        if what in ("add", "multiply", "subtract", "join", "stack"):
            if x.shape[1:3] != other.shape[1:3]:
                other = layers.Resizing(*x.shape[1:3])(other)
            if what != "join" and x.shape[-1] != other.shape[-1]:
                other = layers.Conv2D(x.shape[-1], 1)(other)
        if what == "flatten":
            flat.append(layers.Dense(4, activation="relu")(layers.Flatten()(x)))
            continue
        if what == "split" and x.shape[-1] % 2:
            continue
        maps.append(step(layers, what, x, other))
    last = [layers.GlobalAveragePooling2D()(maps[place % len(maps)]) for place in exits]
    outputs = [layers.Dense(2)(x) for x in [*last, *flat]]
    return randomized(keras, keras.Model(image, outputs))


def step(layers, what, x, other):
    if what == "squeeze":
        glance = layers.Dense(3, activation="relu")(layers.GlobalAveragePooling2D()(x))
        return layers.Multiply()([x, layers.Dense(x.shape[-1], activation="sigmoid")(glance)])
    if what == "gate":
        return layers.Multiply()([x, layers.Conv2D(1, 1, activation="sigmoid")(x)])
    if what == "split":
        halves = layers.Reshape((*x.shape[1:3], 2, x.shape[-1] // 2))(x)
        return layers.Reshape((x.shape[1], 2 * x.shape[2], x.shape[-1] // 2))(halves)
    merge = {
        "add": lambda: layers.Add(),
        "multiply": lambda: layers.Multiply(),
        "subtract": lambda: layers.Subtract(),
        "join": lambda: layers.Concatenate(),
        "stack": lambda: layers.Concatenate(axis=1),
    }
    if what in merge:
        return merge[what]()([x, other])
    return {
        "convolution": lambda: layers.Conv2D(6, 3, padding="same", activation="relu"),
        "narrow": lambda: layers.Conv2D(2, 1),
        "depthwise": lambda: layers.DepthwiseConv2D(3, padding="same", depth_multiplier=1 + x.shape[-1] % 2),
        "transposed": lambda: layers.Conv2DTranspose(4, 2, 1),
        "separable": lambda: layers.SeparableConv2D(5, 3, padding="same"),
        "norm": lambda: layers.BatchNormalization(),
        "activation": lambda: layers.Activation("elu"),
        "pool": lambda: layers.MaxPooling2D(2, padding="same"),
    }[what]()(x)


@settings(max_examples=20, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9), st.integers(0, 9)), max_size=9),
    exits=st.lists(st.integers(0, 9), min_size=1, max_size=2),
    seed=st.integers(0, 99),
)
def test_networks_of_any_shape_are_the_same_without_what_nobody_reads(keras, halve, steps, exits, seed):
    halve(grown(keras, steps, exits), seed=seed)
