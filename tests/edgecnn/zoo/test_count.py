import functools
import importlib.util
from pathlib import Path

import pytest

from edgecnn.errors import ModelError
from edgecnn.zoo import structure
from edgecnn.zoo.count import Counts, count
from edgecnn.zoo.keras import keras, tf

pytestmark = pytest.mark.tensorflow
layers = keras.layers


@functools.cache
def count_network(name: str, side: int, *, width: float = 1.0, classes: int = 1000) -> Counts:
    return count(structure(name, input_shape=(side, side, 3), classes=classes, width=width))


def count_layer(layer, *shape: int) -> Counts:
    image = keras.Input(shape)
    return count(keras.Model(image, layer(image)))


def test_a_model_that_computes_nothing_counts_nothing():
    assert count_layer(layers.Flatten(), 4, 4, 1) == Counts(0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("layer", "shape", "params", "macs"),
    [
        # The lecture's (F*F*M + 1)*K for F = 3, M = 4, K = 3, on (7 + 2*0 - 3)/1 + 1 = 5 by 5 places.
        (layers.Conv2D(3, 3), (7, 7, 4), 111, 5 * 5 * 3 * 3 * 4 * 3),
        (layers.Conv2D(3, 3, strides=2), (7, 7, 4), 111, 3 * 3 * 3 * 3 * 4 * 3),
        (layers.Conv2D(6, 3, groups=2, use_bias=False), (7, 7, 4), 108, 5 * 5 * 3 * 3 * 2 * 6),
        (layers.Conv2D(2, (1, 3), padding="same"), (5, 7, 4), 26, 5 * 7 * 3 * 4 * 2),
        (layers.DepthwiseConv2D(3, use_bias=False), (7, 7, 4), 36, 5 * 5 * 9 * 4),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), (7, 7, 4), 80, 5 * 5 * 9 * 8),
        # Each of the 7*7 inputs is spread over 3*3 outputs.
        (layers.Conv2DTranspose(5, 3, strides=2), (7, 7, 4), 185, 7 * 7 * 9 * 4 * 5),
        (layers.Dense(10), (64,), 650, 640),
        (layers.Dense(10), (3, 64), 650, 3 * 640),
        (layers.BatchNormalization(), (7, 7, 4), 16, 0),
    ],
)
def test_each_layer_follows_its_formula(layer, shape, params, macs):
    counts = count_layer(layer, *shape)
    assert (counts.params, counts.macs) == (params, macs)


def test_a_layer_called_twice_has_its_parameters_once_and_its_macs_twice():
    image = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 3, padding="same")
    once = count(keras.Model(image, shared(image)))
    twice = count(keras.Model(image, shared(shared(image))))
    assert twice.params == once.params == 84
    assert twice.macs == 2 * once.macs
    assert twice.kernel_values == once.kernel_values == 81


def test_calls_outside_the_model_do_not_count():
    image = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 3, padding="same")
    model = keras.Model(image, shared(image))
    before = count(model)
    shared(keras.Input((64, 64, 3)))
    assert count(model) == before


def test_a_model_within_a_model_counts_as_if_it_were_spread_out():
    inner_image, image = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    inner = keras.Model(inner_image, layers.Conv2D(4, 3)(inner_image))
    assert count(keras.Model(image, layers.Flatten()(inner(image)))) == count(inner)
    assert count(keras.Sequential([keras.Input((8, 8, 3)), inner, layers.Flatten()])) == count(inner)


def test_what_has_no_formula_is_refused_rather_than_left_out():
    with pytest.raises(ModelError, match="is a SeparableConv2D, whose MACs are not known"):
        count_layer(layers.SeparableConv2D(4, 3), 8, 8, 3)
    with pytest.raises(ModelError, match=r"open size \(None, None, None, 4\)"):
        count_layer(layers.Conv2D(4, 3), None, None, 3)

    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ModelError, match="neither functional nor sequential"):
        count(Own(name="own"))


def test_the_lectures_network_counted_by_hand():
    # 32x32 RGB, 10 classes. Convolutions (F*F*M + 1)*K, at 32, 16, 8 and 4 pixels a side; 2x2x256 are left.
    convolutions = [
        (3, 32, 32), (32, 32, 32), (32, 64, 16), (64, 64, 16),
        (64, 128, 8), (128, 128, 8), (128, 256, 4), (256, 256, 4),
    ]  # fmt: skip
    dense = [(2 * 2 * 256, 1024), (1024, 512), (512, 10)]
    params = sum((9 * m + 1) * k for m, k, _ in convolutions) + sum((m + 1) * k for m, k in dense)
    macs = sum(9 * m * k * n * n for m, k, n in convolutions) + sum(m * k for m, k in dense)
    counts = count_network("lecture", 32, classes=10)
    assert params == 2_751_786
    assert (counts.params, counts.trainable, counts.macs) == (params, params, macs)


TORCHVISION = "torchvision.models documentation, num_params and GFLOPS"
SLIM_V1 = "tensorflow/models, research/slim/nets/mobilenet_v1.md"
SLIM_V2 = "tensorflow/models, research/slim/nets/mobilenet/README.md"
OPENVINO = "Open Model Zoo, mobilenet-v3-small-1.0-224-tf: 0.121 GFlops of 2 per MAC"
HAILO = "hailo_model_zoo, HAILO15M_classification.rst: OPS of 2 per MAC"
LITE = "tensorflow/tpu, models/official/efficientnet/lite/README.md"


@pytest.mark.parametrize(
    ("name", "side", "width", "trainable", "macs", "source"),
    [
        ("mobilenet_v1", 224, 1.0, 4.24e6, 569e6, SLIM_V1),
        ("mobilenet_v1", 224, 0.5, 1.34e6, 150e6, SLIM_V1),
        ("mobilenet_v1", 224, 0.75, 2.59e6, 325e6, SLIM_V1 + "; MACs: arXiv 1704.04861, table 6"),
        ("mobilenet_v1", 224, 0.25, 0.47e6, 41e6, SLIM_V1),
        ("mobilenet_v2", 224, 1.0, 3_504_872, 300e6, TORCHVISION),
        ("mobilenet_v2", 224, 0.5, 1.95e6, 97e6, SLIM_V2),
        ("mobilenet_v2", 224, 1.4, 6.06e6, 582e6, SLIM_V2),  # above 1 the head grows too
        ("mobilenet_v3_small", 224, 1.0, 2_542_856, 56e6, TORCHVISION + "; MAdds: arXiv 1905.02244, table 3"),
        ("mobilenet_v3_small", 224, 1.0, 2.537e6, 60.5e6, OPENVINO),
        ("mobilenet_v3_small_minimalistic", 224, 1.0, 2.04e6, None, "timm, tf_mobilenetv3_small_minimal_100"),
        ("efficientnet_lite0", 224, 1.0, 4.63e6, 0.78e9 / 2, HAILO),
        ("efficientnet_lite1", 240, 1.0, 5.39e6, 1.22e9 / 2, HAILO),
        ("efficientnet_lite2", 260, 1.0, 6.06e6, 1.74e9 / 2, HAILO),
        ("efficientnet_lite3", 280, 1.0, 8.16e6, 2.80e9 / 2, HAILO),
        ("efficientnet_lite4", 300, 1.0, 12.95e6, 5.10e9 / 2, HAILO),
        # The authors' MAdds are TensorFlow's count of all float operations, halved: norms and activations
        # make them 3 to 6 % more than the multiply-accumulates of the kernels.
        ("efficientnet_lite0", 224, 1.0, 4.7e6, 407e6, LITE),
        ("efficientnet_lite4", 300, 1.0, 13.0e6, 2.64e9, LITE),
    ],
)  # fmt: skip
def test_parameters_and_macs_are_those_published(name, side, width, trainable, macs, source):
    counts = count_network(name, side, width=width)
    tolerance = {LITE: 0.06, OPENVINO: 0.08}.get(source, 0.035)
    exact = isinstance(trainable, int)
    assert counts.trainable == (trainable if exact else pytest.approx(trainable, rel=0.015)), source
    if macs is not None:
        assert counts.macs == pytest.approx(macs, rel=tolerance), source


def test_vgg16_has_exactly_the_published_size():
    with tf.Graph().as_default():  # or it would allocate half a gigabyte
        counts = count_network("vgg16", 224)
    assert counts.params == 138_357_544  # torchvision.models.vgg16, num_params
    assert counts.macs == pytest.approx(15.47e9, rel=0.0005)  # likewise, GFLOPS


def test_resnet8_is_the_one_of_mlperf_tiny():
    counts = count_network("resnet8", 32, classes=10)
    assert counts.params == 78_666  # mlcommons/tiny, image_classification/README.md
    assert counts.macs == 12_501_632  # 12.5 million in the submissions' tables

    path = Path(__file__).parents[3] / "benchmarks" / "mlperf_resnet8.py"
    spec = importlib.util.spec_from_file_location("mlperf_resnet8", path)
    yardstick = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(yardstick)
    assert count(yardstick.resnet8()) == counts


applications = keras.applications


def minimalistic(**options):
    return applications.MobileNetV3Small(minimalistic=True, **options)


@pytest.mark.parametrize(
    ("name", "build", "width"),
    [
        ("mobilenet_v1", applications.MobileNet, 0.25),
        ("mobilenet_v2", applications.MobileNetV2, 0.35),  # the width at which rounding down is refused
        ("mobilenet_v3_small", applications.MobileNetV3Small, 0.75),
        ("mobilenet_v3_small_minimalistic", minimalistic, 1.0),
    ],
)
def test_keras_own_networks_have_as_many_parameters_and_macs(name, build, width):
    theirs = count(build(weights=None, alpha=width, input_shape=(96, 96, 3), classes=1000))
    ours = count_network(name, 96, width=width)
    assert (ours.params, ours.trainable, ours.macs) == (theirs.params, theirs.trainable, theirs.macs)


def test_keras_own_vgg16_has_as_many_parameters_and_macs():
    with tf.Graph().as_default():
        assert count(applications.VGG16(weights=None)) == count_network("vgg16", 224)


@pytest.mark.parametrize("name", ["lecture", "vgg16", "resnet8"])
def test_half_the_width_is_about_a_quarter_of_the_macs(name: str):
    with tf.Graph().as_default():
        whole, half = (count_network(name, 64, width=width, classes=10) for width in (1.0, 0.5))
    assert 0.2 < half.macs / whole.macs < 0.45
