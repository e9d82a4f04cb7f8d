"""Hand-made networks of which one sees what hangs together."""

import numpy as np
import pytest

from edgecnn.errors import TrainingError

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def find(keras):
    """A function that finds the channels of a function of layers and of an image (8, 8, 4)."""
    from edgecnn.compression.groups import channels_of

    def of(build, shape=(8, 8, 4)):
        image = keras.Input(shape, name="image")
        return channels_of(keras.Model(image, build(keras.layers, image)))

    return of


def sizes(channels):
    return [(group.makers, len(group.units)) for group in channels.groups]


def end(layers, x):
    return layers.Dense(3, name="end")(layers.GlobalAveragePooling2D()(x))


def conv(layers, x, filters, name, **settings):
    return layers.Conv2D(filters, 3, padding="same", name=name, **settings)(x)


def test_of_one_layer_between_input_and_output_nothing_can_go(find):
    channels = find(lambda layers, image: layers.Dense(3, name="end")(image))
    assert (channels.groups, channels.units, channels.free.any()) == ((), 7, False)
    assert channels.fixed == {
        "image": "is tied to the model's input",
        "end": "is tied to the model's output",
    }


def chain(layers, image):
    x = conv(layers, image, 6, "first", activation="relu")
    return end(layers, conv(layers, layers.BatchNormalization()(x), 5, "second"))


def residual(layers, image):
    x = conv(layers, image, 6, "stem")
    y = conv(layers, layers.ReLU()(x), 5, "inner")
    return end(layers, layers.Add()([x, conv(layers, y, 6, "back")]))


def depthwise_pair(layers, image):
    x = conv(layers, image, 6, "widen")
    return end(layers, layers.DepthwiseConv2D(3, name="each")(x))


def depthwise_as_groups(layers, image):
    x = conv(layers, image, 6, "widen")
    return end(layers, conv(layers, x, 12, "each", groups=6))


def multiplied(layers, image):
    """The sum ties pairs of the wide one's channels, for each pair comes of one channel."""
    x = conv(layers, image, 3, "few")
    wide = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    return end(layers, layers.Add()([wide, conv(layers, image, 6, "wide")]))


def joined(layers, image):
    x = layers.Concatenate()([conv(layers, image, 2, "left"), conv(layers, image, 3, "right")])
    return end(layers, x)


def joined_and_summed(layers, image):
    x = layers.Concatenate()([conv(layers, image, 2, "left"), conv(layers, image, 3, "right")])
    return end(layers, layers.Subtract()([x, conv(layers, image, 5, "other")]))


def stacked(layers, image):
    """Along the height: the same places on the channels' axis."""
    x = layers.Concatenate(axis=1)([conv(layers, image, 3, "upper"), conv(layers, image, 3, "lower")])
    return end(layers, x)


def squeeze(layers, image):
    x = conv(layers, image, 6, "widen")
    gate = layers.Dense(2, name="reduce", activation="relu")(layers.GlobalAveragePooling2D()(x))
    gate = layers.Dense(6, name="expand", activation="sigmoid")(gate)
    return end(layers, layers.Multiply()([x, gate]))


def spatial_gate(layers, image):
    """One channel for all: it can neither go nor does it tie them."""
    x = conv(layers, image, 6, "widen")
    return end(layers, layers.Multiply()([x, conv(layers, image, 1, "gate")]))


def with_input(layers, image):
    return end(layers, layers.Add()([conv(layers, image, 4, "first"), image]))


def with_groups(layers, image):
    x = conv(layers, image, 6, "before")
    return end(layers, conv(layers, conv(layers, x, 4, "pairs", groups=2), 3, "after"))


def split(layers, image):
    """Channels j and j + 3 become one place of the last axis."""
    x = layers.Reshape((8, 8, 2, 3))(conv(layers, image, 6, "both"))
    return layers.Dense(2, name="end")(x)


def turned(layers, image):
    x = layers.Permute((3, 1, 2), name="turn")(conv(layers, image, 6, "before"))
    return end(layers, x)


def compared(layers, image):
    x = layers.Softmax(name="weigh")(conv(layers, image, 6, "before"))
    return end(layers, conv(layers, x, 5, "after"))


def compared_places(layers, image):
    return end(layers, layers.Softmax(axis=[1, 2])(conv(layers, image, 6, "before")))


INPUT = "is tied to the model's input"
OUTPUT = "is tied to the model's output"
ENDS = {"image": INPUT, "end": OUTPUT}


@pytest.mark.parametrize(
    ("build", "groups", "fixed"),
    [
        (chain, [(("first",), 6), (("second",), 5)], ENDS),
        (residual, [(("stem", "back"), 6), (("inner",), 5)], ENDS),
        (depthwise_pair, [(("widen",), 6)], ENDS),
        (depthwise_as_groups, [(("widen",), 6)], ENDS),
        (multiplied, [(("few", "wide"), 3)], ENDS),
        (joined, [(("left",), 2), (("right",), 3)], ENDS),
        (joined_and_summed, [(("left", "other"), 2), (("right", "other"), 3)], ENDS),
        (stacked, [(("upper", "lower"), 3)], ENDS),
        (squeeze, [(("widen", "expand"), 6), (("reduce",), 2)], ENDS),
        (spatial_gate, [(("widen",), 6), (("gate",), 1)], ENDS),
        (with_input, [], {**ENDS, "first": INPUT}),
        (
            with_groups,
            [(("after",), 3)],
            {
                **ENDS,
                "before": "is tied to layer 'pairs' (Conv2D), which has 2 groups",
                "pairs": "is tied to layer 'pairs' (Conv2D), which has 2 groups",
            },
        ),
        (split, [(("both",), 3)], ENDS),
        (
            turned,
            [],
            {
                **ENDS,
                "before": "is tied to layer 'turn' (Permute), which moves channels to another axis",
                "turn": "is tied to layer 'turn' (Permute), which moves channels to another axis",
            },
        ),
        (
            compared,
            [(("after",), 5)],
            {**ENDS, "before": "is tied to layer 'weigh' (Softmax), which weighs all its channels"},
        ),
        (compared_places, [(("before",), 6)], ENDS),
    ],
)  # fmt: skip
def test_what_hangs_together_is_one_group(find, build, groups, fixed):
    channels = find(build)
    assert sorted(sizes(channels)) == sorted(groups)
    assert channels.fixed == fixed
    assert int(channels.free.sum()) == sum(size for _, size in groups)


def test_behind_flatten_a_channel_is_there_once_for_each_place(find):
    def build(layers, image):
        flat = layers.Flatten(name="flat")(conv(layers, image, 5, "x"))
        return layers.Dense(2, name="logits")(flat)

    channels = find(build)
    assert np.array_equal(channels.read["logits"], np.tile(channels.made["x"], 64))
    keep = np.ones(channels.units, bool)
    keep[channels.made["x"][[1, 4]]] = False
    assert channels.kept("x", keep).tolist() == [0, 2, 3]
    assert channels.kept("flat", keep)[:6].tolist() == [0, 2, 3, 5, 7, 8]


def mixing(layers, x):
    return layers.LayerNormalization(name="odd")(x)


def other_axis(layers, x):
    return layers.BatchNormalization(axis=1, name="odd")(x)


def unknown(layers, x):
    return layers.Lambda(lambda value: value, name="odd")(x)


def own(layers, x):
    class Own(layers.Conv2D):
        pass

    return Own(3, 1, name="odd")(x)


def sequence(layers, x):
    return layers.LocallyConnected2D(3, 1, name="odd")(x)


def own_activation(layers, x):
    return layers.Activation(lambda value: value, name="odd")(x)


def layer_within(layers, x):
    return layers.Conv2D(3, 1, activation=layers.PReLU(), name="odd")(x)


def many_factors(layers, x):
    return layers.Rescaling(np.ones((8, 8, 1)), name="odd")(x)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (mixing, r"layer 'odd' \(LayerNormalization\) normalizes over its channels.*Use BatchNormalization"),
        (other_axis, r"layer 'odd' \(BatchNormalization\) normalizes axis \[1\].*Give it axis=-1"),
        (
            unknown,
            r"layer 'odd' \(Lambda\) hands on channels in a way that is not known. Build the network of",
        ),
        (own, r"layer 'odd' \(Own\) hands on channels in a way that is not known"),
        (sequence, r"layer 'odd' \(LocallyConnected2D\) hands on channels in a way that is not known"),
        (
            own_activation,
            r"layer 'odd' \(Activation\) has the activation '<lambda>', of which it isn't known",
        ),
        (layer_within, r"layer 'odd' \(Conv2D\) has the activation 'PReLU', of which it isn't known"),
        (many_factors, r"layer 'odd' \(Rescaling\) rescales by an array of shape \(8, 8, 1\)"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(find, build, said):
    with pytest.raises(TrainingError, match=said):
        find(lambda layers, image: end(layers, build(layers, conv(layers, image, 5, "before"))))


def test_channels_first_and_open_sizes_are_refused_by_name(find):
    with pytest.raises(TrainingError, match=r"layer 'odd' \(Conv2D\) has its channels first"):
        find(lambda layers, image: layers.Conv2D(3, 1, data_format="channels_first", name="odd")(image))
    with pytest.raises(TrainingError, match=r"layer 'odd' \(Flatten\) has an open number of channels"):
        find(lambda layers, image: layers.Flatten(name="odd")(image), shape=(None, None, 4))


def test_an_image_of_open_size_has_channels_all_the_same(find):
    assert sizes(find(chain, shape=(None, None, 4))) == [(("first",), 6), (("second",), 5)]
