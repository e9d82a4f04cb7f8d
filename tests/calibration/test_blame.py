"""One small network for each cause: built so that this and nothing else is wrong with it."""

import numpy as np
import pytest

from calibration.blame import BAD_DB, blame
from calibration.dissect import measure
from calibration.observe import observe
from calibration.ranges import Ranges
from edgecnn.graph import read

pytestmark = pytest.mark.tensorflow

SIZE = 16


@pytest.fixture(scope="module")
def layers():
    from edgecnn.keras import keras

    return keras.layers


@pytest.fixture(scope="module")
def random():
    return np.random.default_rng(5)


def images(count, *, low=-1.0, high=1.0, seed=0):
    """Noise, one (1, 16, 16, 3) float32 after the other."""
    random = np.random.default_rng(seed)
    return [random.uniform(low, high, (1, SIZE, SIZE, 3)).astype(np.float32) for _ in range(count)]


def convolution(layers, x, filters, kernel, weights, bias=None, **words):
    layer = layers.Conv2D(filters, kernel, **words)
    made = layer(x)
    layer.set_weights([weights, np.zeros(filters) if bias is None else bias])
    return made


def noise(random, *shape):
    return random.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)


def floats(image, outputs):
    return bytes(converter(image, outputs).convert())


def converter(image, outputs):
    """Good for one conversion."""
    import tensorflow as tf

    from edgecnn.keras import keras

    model = keras.Model(image, outputs)
    function = tf.function(lambda image: model(image, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32, name="image"))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)


def by_tflite_converter(image, outputs, calibration, *, per_tensor=False):
    import tensorflow as tf

    made = converter(image, outputs)
    made.optimizations = [tf.lite.Optimize.DEFAULT]
    made.representative_dataset = lambda: ([image] for image in calibration)
    made.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    made._experimental_disable_per_channel = per_tensor
    return bytes(made.convert())


def int8(content, calibration):
    """Quantized by us, ranges from the calibration images."""
    from converters.quantize import quantize

    graph = read(content, "float")
    found = observe(content, iter(calibration))
    low = min(float(image.min()) for image in calibration)
    found[graph.tensors[graph.inputs[0]].name] = (low, max(float(image.max()) for image in calibration))
    return quantize(content, "int8", ranges=Ranges(found, "minmax", len(calibration), ""))


def compared(floating, made, shown):
    """Both on the same images, the quantized one's through its own scale."""
    graph = read(made, "made")
    tensor = graph.tensors[graph.inputs[0]]

    def stored(image):
        if not len(tensor.scale):
            return image
        return (np.rint(image / tensor.scale[0]) + tensor.zero_point[0]).clip(-128, 127).astype(np.int8)

    return measure(floating, made, ((image, stored(image)) for image in shown))


def first_cause(measured):
    found = blame(measured)
    assert found.first is not None, f"nothing bad; the weakest is at {found.weakest.sqnr_db:.1f} dB"
    return measured.layers[found.first.position], found.first.causes[0]


@pytest.fixture(scope="module")
def plain(layers, random):
    """Two convolutions that see contrast only, then a mean; float."""
    from edgecnn.keras import keras

    image = keras.Input((SIZE, SIZE, 3))
    weights = noise(random, 3, 3, 3, 8)
    weights -= weights.mean(axis=(0, 1), keepdims=True)
    x = convolution(layers, image, 8, 3, weights)
    x = convolution(layers, x, 6, 3, noise(random, 3, 3, 8, 6), activation="relu")
    x = layers.GlobalAveragePooling2D()(x)
    return floats(image, layers.Dense(4, kernel_initializer="he_normal")(x))


def flat(contrast, count=16):
    """Images of one tone, with little noise on it."""
    tones = np.random.default_rng(3).uniform(-0.9, 0.9, count).astype(np.float32)
    tones[:2] = -0.95, 0.95
    return [tone + contrast * 0.05 * image for tone, image in zip(tones, images(count, seed=4), strict=True)]


def test_a_file_beside_itself_has_no_error_and_no_bad_layer(plain):
    measured = compared(plain, plain, images(2))
    assert all(layer.sqnr_db == layer.local_sqnr_db == np.inf for layer in measured.layers)
    assert blame(measured).bad == ()


def test_a_healthy_network_has_no_bad_layer(plain):
    measured = compared(plain, int8(plain, images(24)), images(8, seed=9))
    found = blame(measured)
    assert found.bad == ()
    assert found.first is None
    assert BAD_DB < found.weakest.sqnr_db < 60


def test_the_bound_can_be_moved(plain):
    measured = compared(plain, int8(plain, images(24)), images(4, seed=9))
    assert len(blame(measured, bad_db=99).bad) == len(measured.layers)


def test_values_beyond_the_range_are_saturation(plain):
    made = int8(plain, [*flat(1), *[np.full((1, SIZE, SIZE, 3), tone, np.float32) for tone in (-1, 1)]])
    layer, cause = first_cause(compared(plain, made, images(6)))
    assert (layer.node.kind, cause.kind) == ("CONV_2D", "saturation")
    assert cause.figures["clipped"] == layer.clipped > 0.3
    assert layer.clipping > 0.9 * layer.grid


def test_a_range_far_wider_than_what_is_used_wastes_bits(plain):
    layer, cause = first_cause(compared(plain, int8(plain, images(16)), flat(1)))
    assert (layer.node.kind, cause.kind) == ("CONV_2D", "range too wide")
    assert 8 < cause.figures["ratio"] < 40


def test_a_few_large_values_are_a_range_outlier(layers, random):
    from edgecnn.keras import keras

    image = keras.Input((SIZE, SIZE, 3))
    weights, bias = noise(random, 1, 1, 3, 8), np.zeros(8)
    weights[..., 0], weights[0, 0, 0, 0], bias[0] = 0, 150, -90  # answers only where red is 1
    x = convolution(layers, image, 8, 1, weights, bias, activation="relu")
    weights = noise(random, 3, 3, 8, 4)
    weights[:, :, 0] *= 1e-3
    floating = floats(image, convolution(layers, x, 4, 3, weights))
    shown = images(16, low=-0.5, high=0.5)
    for one in shown[::2]:
        one[0, 5, 7, 0] = 1
    measured = compared(floating, int8(floating, shown), shown)
    found = blame(measured).bad[-1]
    assert measured.layers[found.position].node.kind == "CONV_2D"
    assert found.causes[0].kind == "range outlier"
    assert found.causes[0].figures["ratio"] > 15
    assert "percentile" in found.causes[0].remedy


def test_joining_boxes_and_scores_is_the_fault_of_the_concatenation_whoever_converts(layers, random):
    from edgecnn.keras import keras

    image = keras.Input((SIZE, SIZE, 3))
    x = convolution(layers, image, 8, 3, noise(random, 3, 3, 3, 8), activation="relu", strides=2)
    ends = [convolution(layers, x, 4, 1, noise(random, 1, 1, 8, 4), activation="sigmoid") for _ in "ab"]
    boxes, scores = layers.Reshape((-1, 4))(ends[0] * 640.0), layers.Reshape((-1, 4))(ends[1])
    head = layers.Concatenate(axis=-1)([boxes, scores])
    floating = floats(image, head)
    for content in (by_tflite_converter(image, head, images(16)), int8(floating, images(16))):
        measured = compared(floating, content, images(4))
        _, cause = first_cause(measured)
        joined = next(one for one in measured.layers if one.node.kind == "CONCATENATION")
        assert (cause.kind, cause.tensor) == ("concatenation", joined.tensor.name)
        assert cause.remedy.startswith("separate the outputs")
        assert sorted(high > 100 for _, high in cause.figures["inputs"].values()) == [False, True]
        # over both together nothing is to be seen
        assert joined.local_sqnr_db > BAD_DB > 5 > min(joined.parts_db)


def test_adding_tensors_of_very_different_ranges_is_the_fault_of_the_addition(layers, random):
    from edgecnn.keras import keras

    image = keras.Input((SIZE, SIZE, 3))
    loud, quiet = noise(random, 1, 1, 3, 8), noise(random, 1, 1, 3, 8)
    loud[..., 4:], quiet[..., :4] = 0, 0
    x = layers.Add()([convolution(layers, image, 8, 1, 100 * loud), convolution(layers, image, 8, 1, quiet)])
    weights = noise(random, 3, 3, 8, 4)
    weights[:, :, :4] *= 1e-2
    floating = floats(image, convolution(layers, x, 4, 3, weights))
    layer, cause = first_cause(compared(floating, int8(floating, images(16)), images(4)))
    assert (layer.node.kind, cause.kind) == ("CONV_2D", "addition")
    assert 50 < cause.figures["ratio"] < 200


def test_a_hardswish_that_reads_far_below_zero_wastes_its_steps(layers, random):
    import tensorflow as tf

    from edgecnn.keras import keras

    image = keras.Input((SIZE, SIZE, 3))
    weights = noise(random, 3, 3, 3, 8)
    weights = 60 * (weights - weights.mean(axis=(0, 1, 2))) + 50 / 27
    x = convolution(layers, image, 8, 3, weights, np.full(8, -50.0))  # near 0 for white, -100 for black
    x = x * tf.nn.relu6(x + 3) * (1 / 6)
    floating = floats(image, x)
    shown = [tone + image for tone in (0.98, -0.98) for image in images(8, low=-0.02, high=0.02)]
    shown = [image.astype(np.float32) for image in shown]
    assert "HARD_SWISH" in {op.kind for op in read(floating, "float").ops}
    layer, cause = first_cause(compared(floating, int8(floating, shown), shown))
    assert (layer.node.kind, cause.kind) == ("HARD_SWISH", "swish")
    assert cause.figures["used"][0] < -90


def test_scaled_bottleneck_channels_are_uneven_channels(layers, random):
    from edgecnn.keras import keras

    image = keras.Input((SIZE, SIZE, 3))
    scale = 2.0 ** np.linspace(-5, 5, 8)
    x = convolution(layers, image, 8, 1, noise(random, 1, 1, 3, 8) * scale)
    weights = noise(random, 3, 3, 8, 4) / scale[:, None]
    floating = floats(image, convolution(layers, x, 4, 3, weights, activation="relu"))
    measured = compared(floating, int8(floating, images(16)), images(4))
    layer, cause = first_cause(measured)
    assert layer is measured.layers[2]
    assert (cause.kind, cause.tensor) == ("uneven channels", measured.layers[1].tensor.name)
    assert "equalization" in cause.remedy
    # the readers' weights are as uneven, so they lose too; the tensor behind is fine
    assert min(layer.inputs, layer.weights) > 100 * layer.grid
    # where the channels are made nothing is to be seen yet
    assert measured.layers[1].local_sqnr_db > BAD_DB


def test_dead_depthwise_channels_whose_bias_is_cut_off_are_named(layers, random):
    from edgecnn.keras import keras

    image = keras.Input((SIZE, SIZE, 3))
    x = convolution(layers, image, 8, 1, noise(random, 1, 1, 3, 8))
    depthwise = layers.DepthwiseConv2D(3)
    x = depthwise(x)
    weights = 0.3 * noise(random, 3, 3, 8, 1)
    weights[:, :, 2:4] *= 1e-11
    depthwise.set_weights([weights, np.full(8, 2.0)])
    floating = floats(image, x)
    measured = compared(floating, _carelessly(floating, images(16)), images(4))
    layer, cause = first_cause(measured)
    assert (layer.node.kind, cause.kind) == ("DEPTHWISE_CONV_2D", "bias saturation")
    assert (cause.figures["saturated"], cause.figures["channels"], cause.figures["dead"]) == (2, 8, 2)
    assert blame(compared(floating, int8(floating, images(16)), images(4))).first is None


def _carelessly(content, calibration):
    """As ai-edge-quantizer does it by itself."""
    import contextlib
    import io
    import warnings

    from ai_edge_quantizer import quantizer, recipe

    signature = read(content, "float").signatures[0]
    feeds = [{next(iter(signature.inputs)): image} for image in calibration]
    silence = io.StringIO()
    with (
        contextlib.redirect_stdout(silence),
        contextlib.redirect_stderr(silence),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        made = quantizer.Quantizer(content, recipe.static_wi8_ai8())
        return bytes(made.quantize(made.calibrate({signature.key: feeds})).quantized_model)


def test_one_scale_for_weights_of_very_different_channels_is_named(layers, random):
    from edgecnn.keras import keras

    image = keras.Input((SIZE, SIZE, 3))
    first = noise(random, 1, 1, 3, 8)
    first[..., 1] = first[..., 0]
    x = convolution(layers, image, 8, 1, first)
    weights = noise(random, 1, 1, 8, 6)
    weights[..., 0] = 0
    weights[0, 0, :2, 0] = 127, -126  # the two are equal: their difference is as small as everything else
    x = convolution(layers, x, 6, 1, weights)
    floating = floats(image, x)
    layer, cause = first_cause(
        compared(floating, by_tflite_converter(image, x, images(8), per_tensor=True), images(4))
    )
    assert cause.kind == "per-tensor weights"
    assert cause.figures["ratio"] > 30
    assert layer.weights > 0.9 * (layer.inputs + layer.weights + layer.grid)
    assert blame(compared(floating, int8(floating, images(8)), images(4))).first is None
