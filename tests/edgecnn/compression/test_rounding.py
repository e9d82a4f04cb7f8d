import numpy as np
import pytest

from edgecnn import image as images
from edgecnn.card import InputSpec
from edgecnn.errors import TrainingError

pytestmark = pytest.mark.tensorflow


def points_of(model):
    from edgecnn.compression.rounding import points

    return points(model, (-1.0, 1.0))


def test_of_a_network_that_only_hands_on_the_input_is_rounded(keras, network):
    layers = keras.layers
    found = points_of(network(lambda x: layers.Flatten()(layers.MaxPooling2D(2)(x))))
    assert {name: point.low_high for name, point in found.items()} == {"image": (-1.0, 1.0)}


def test_a_rectifier_joins_what_is_before_it_unless_another_reads_it_too(keras, network):
    layers = keras.layers

    def build(image):
        x = layers.ReLU(name="joined_relu")(layers.Conv2D(4, 1, name="joined")(image))
        y = layers.Conv2D(4, 1, name="read_twice")(x)
        z = layers.Add(name="add")([layers.ReLU(6.0, name="relu6")(y), y])
        return layers.ReLU(name="add_relu")(z)

    assert list(points_of(network(build))) == ["image", "joined_relu", "read_twice", "relu6", "add_relu"]


def test_hard_swish_is_one_operator_and_hard_sigmoid_has_known_ranges(keras, network):
    from edgecnn.zoo.blocks import hard_sigmoid, hard_swish

    layers = keras.layers

    def build(image):
        x = hard_swish(layers.Conv2D(4, 1, name="conv")(image), "swish")
        return layers.Multiply(name="scaled")([x, hard_sigmoid(layers.Conv2D(4, 1, name="s")(x), "gate")])

    found = points_of(network(build))
    assert list(found) == ["image", "conv", "swish_swish", "s", "gate_relu6", "gate_sixth", "scaled"]
    assert found["gate_relu6"].low_high == (0.0, 6.0)
    assert found["gate_sixth"].low_high == (0.0, 1.0)


def test_a_mean_over_a_window_keeps_the_range_of_what_it_reads(keras, network):
    layers = keras.layers

    def build(image):
        x = layers.ReLU(name="relu")(layers.Conv2D(4, 1, name="conv")(image))
        x = layers.AveragePooling2D(2, name="mean")(layers.MaxPooling2D(1, name="most")(x))
        return layers.UpSampling2D(2, interpolation="bilinear", name="grown")(x)

    found = points_of(network(build))
    assert (found["mean"].like, found["grown"].like, found["relu"].like) == ("relu", "relu", None)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda k: k.ELU(name="e"), r"'e' \(ELU\) has no int8 form.*Use ReLU or LeakyReLU"),
        (
            lambda k: k.ReLU(4.0, name="r"),
            r"'r' \(ReLU with max_value=4.0.*Use ReLU\(\) or ReLU\(6\)",
        ),
        (
            lambda k: k.UpSampling2D(2, interpolation="bicubic", name="u"),
            "'u' .*bicubic.*'nearest'",
        ),
        (lambda k: k.LayerNormalization(name="l"), "'l' .*Use BatchNormalization"),
        (lambda k: k.Lambda(lambda x: x, name="f"), r"'f' \(Lambda\).*Use standard layers"),
        (
            lambda k: k.ThresholdedReLU(name="t"),
            r"'t' \(ThresholdedReLU\).*edgecnn convert RUN --int8",
        ),
    ],
)
def test_a_layer_that_int8_does_not_know_is_named_with_the_way_out(keras, network, build, said):
    with pytest.raises(TrainingError, match=said):
        points_of(network(build(keras.layers)))


@pytest.mark.parametrize(("mean", "std"), [(127.5, 127.5), (127.0, 128.0), (0.0, 255.0), (114.5, 57.6)])
def test_every_pixel_value_is_rounded_alike_at_home_and_on_the_device(keras, mean, std):
    from edgecnn.compression.rounding import input_range
    from edgecnn.zoo.keras import tf

    spec = InputSpec(1, 256, color="gray", mean=(mean,), std=(std,))
    low, high = input_range(spec)
    values = images.lookup(spec, "float32")[0]
    home = tf.quantization.fake_quant_with_min_max_args(values, min=low, max=high).numpy()
    scale = np.float32((high - low) / 255)
    zero = int(np.round(-128 - low / scale))
    device = images.lookup(spec, "int8", scale=float(scale), zero_point=zero)[0]
    assert np.allclose(home, (device.astype(np.float64) - zero) * scale, atol=1e-3 * scale)
