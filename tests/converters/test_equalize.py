"""Channels that may be rescaled are found, evened out, and the function stays the same bit for bit."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from calibration import editable
from calibration.observe import observe
from calibration.ranges import Ranges
from converters import channel_groups
from converters.equalize import equalize
from converters.quantize import quantize
from edgecnn.errors import ConversionError
from edgecnn.graph import read
from edgecnn.runtime.interpreter import open_interpreter

pytestmark = pytest.mark.tensorflow


def _benchmark():
    path = Path(__file__).parents[2] / "benchmarks/collapse.py"
    spec = spec_from_file_location("collapse", path)
    module = module_from_spec(spec)
    sys.modules["collapse"] = module  # its dataclasses look for it there
    spec.loader.exec_module(module)
    return module


collapsed = _benchmark().collapsed


def tflite(keras, model):
    import tensorflow as tf

    function = tf.function(lambda image: {"scores": model(image, training=False)})
    shape = (1, *model.input_shape[1:])
    concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32, name="image"))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert()


@pytest.fixture(scope="module")
def layers(keras):
    return keras.layers


def network(keras, body, *, size=12, channels=3):
    """A float model whose middle is `body`, with random weights and biases of all signs."""
    keras.utils.set_random_seed(4)
    image = keras.Input((size, size, channels))
    model = keras.Model(image, body(image))
    random = np.random.default_rng(5)
    for layer in model.layers:
        if layer.weights:
            arrays = [array + random.normal(0, 0.1, array.shape) for array in layer.get_weights()]
            layer.set_weights(arrays)
    return tflite(keras, model)


@pytest.fixture(scope="module")
def bottlenecks(keras, layers):
    """Linear bottlenecks with a residual, as in MobileNet V2: three readers, two makers."""

    def body(x):
        x = layers.ReLU(6.0)(layers.Conv2D(12, 3, 2, "same")(x))
        x = layers.Conv2D(16, 1)(x)
        for _ in range(2):
            y = layers.Conv2D(32, 1)(x)
            y = layers.ReLU(6.0)(y)
            y = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, padding="same")(y))
            x = layers.Add()([x, layers.Conv2D(16, 1)(y)])
        y = layers.ReLU(6.0)(layers.Conv2D(24, 1)(x))
        return layers.Dense(5)(layers.GlobalAveragePooling2D()(y))

    return network(keras, body)


@pytest.fixture(scope="module")
def tensors():
    random = np.random.default_rng(3)
    return [random.uniform(-1, 1, (1, 12, 12, 3)).astype(np.float32) for _ in range(48)]


def outputs(content, tensors):
    interpreter, graph = open_interpreter(content, "model"), read(content, "model")
    source, result = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    found = []
    for tensor in tensors:
        if source.dtype == "int8":
            integers = np.rint(tensor / source.scale[0]) + source.zero_point[0]
            tensor = integers.clip(-128, 127).astype(np.int8)
        interpreter.write(0, tensor)
        interpreter.invoke()
        out = interpreter.read(0).astype(np.float64)
        found.append((out - result.zero_point[0]) * result.scale[0] if result.dtype == "int8" else out)
    return np.concatenate(found)


def int8_decibels(content, tensors):
    ranges = observe(content, tensors)
    graph = read(content, "model")
    ranges[graph.tensors[graph.inputs[0]].name] = (-1.0, 1.0)
    made = quantize(content, "int8", ranges=Ranges(ranges, "minmax", len(tensors), ""))
    expected, found = outputs(content, tensors), outputs(made, tensors)
    return 10 * np.log10((expected**2).sum() / ((expected - found) ** 2).sum())


def makers_and_readers(content):
    return [(group.makers, group.readers) for group in channel_groups.find(read(content, "model"))]


def kinds(content, numbers):
    ops = read(content, "model").ops
    return sorted(ops[number].kind for number in numbers)


def test_without_images_nothing_is_evened_out(bottlenecks):
    with pytest.raises(ConversionError, match="run: no image came to equalize channels with"):
        equalize(bottlenecks, lambda: [], name="run")


def test_a_model_without_groups_comes_back_as_it_is(keras, layers, tensors):
    content = network(keras, lambda x: layers.Dense(5)(layers.Flatten()(x)))
    made = equalize(content, lambda: tensors)
    assert (made.content, made.groups, made.left) == (content, (), ())


def test_residual_bottlenecks_are_one_group(bottlenecks):
    ((makers, readers),) = makers_and_readers(bottlenecks)
    assert kinds(bottlenecks, makers) == kinds(bottlenecks, readers) == ["CONV_2D"] * 3
    group = channel_groups.find(read(bottlenecks, "model"))[0]
    assert (len(group.tensors), group.channels) == (5, 16)
    assert [len(group.sources[index]) for index in group.tensors] == [1, 1, 3, 1, 5]


BODIES = {
    # what lies between two convolutions, and how many groups that leaves
    "nothing": (lambda layers, x: x, 1),
    "a ReLU": (lambda layers, x: layers.ReLU()(x), 1),
    "a ReLU6": (lambda layers, x: layers.ReLU(6.0)(x), 0),
    "a leaky ReLU": (lambda layers, x: layers.LeakyReLU(0.1)(x), 1),
    "a swish": (lambda layers, x: layers.Activation("swish")(x), 0),
    "maximum pooling": (lambda layers, x: layers.MaxPooling2D(2)(x), 1),
    "average pooling": (lambda layers, x: layers.AveragePooling2D(2)(x), 1),
    "padding": (lambda layers, x: layers.ZeroPadding2D(((1, 2), (0, 1)))(x), 1),
    "upsampling": (lambda layers, x: layers.UpSampling2D(2)(x), 1),
    "a depthwise layer": (lambda layers, x: layers.DepthwiseConv2D(3, depth_multiplier=2)(x), 2),
    "a sum with itself pooled": (
        lambda layers, x: layers.Add()([x, layers.MaxPooling2D(3, 1, "same")(x)]),
        1,
    ),
    "a product": (lambda layers, x: layers.Multiply()([x, layers.MaxPooling2D(3, 1, "same")(x)]), 0),
    "a concatenation": (lambda layers, x: layers.Concatenate()([x, layers.ReLU()(x)]), 0),
    "a constant added": (lambda layers, x: x + np.linspace(1, 2, 6 * 6 * 8, dtype="f").reshape(6, 6, 8), 0),
    "a transposed convolution": (lambda layers, x: layers.Conv2DTranspose(8, 2, 2)(x), None),
    "a mean over channels": (lambda layers, x: layers.Lambda(lambda v: v - _mean(v))(x), 0),
}


def _mean(values):
    import tensorflow as tf

    return tf.reduce_mean(values, -1, keepdims=True)


@pytest.mark.parametrize(("body", "groups"), BODIES.values(), ids=BODIES)
def test_what_lies_between_two_layers_decides_whether_they_are_evened_out(
    keras, layers, tensors, body, groups
):
    content = network(
        keras,
        lambda x: layers.GlobalAveragePooling2D()(
            layers.Conv2D(5, 1)(body(layers, layers.Conv2D(8, 3, 2, "same")(x)))
        ),
    )
    if groups is not None:
        assert len(makers_and_readers(content)) == groups
    # whatever was found may be rescaled by anything
    changed = collapsed(content, 4, seed=1)
    assert outputs(changed, tensors[:4]) == pytest.approx(outputs(content, tensors[:4]), rel=1e-4, abs=1e-5)


def test_dense_layers_that_flatten_an_image_are_left_alone(keras, layers):
    flat = network(keras, lambda x: layers.Dense(5)(layers.Flatten()(layers.Conv2D(8, 3, 2)(x))))
    pooled = network(
        keras, lambda x: layers.Dense(5)(layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, 2)(x)))
    )
    assert makers_and_readers(flat) == []
    ((_, readers),) = makers_and_readers(pooled)
    assert kinds(pooled, readers) == ["FULLY_CONNECTED"]


def test_a_tensor_that_is_also_an_output_is_left_alone(bottlenecks):
    model = editable.read(bottlenecks)
    (group,) = channel_groups.find(read(bottlenecks, "model"))
    model.subgraphs[0].outputs = [*model.subgraphs[0].outputs, group.tensors[1]]
    model.signatureDefs = []
    assert makers_and_readers(editable.write(model)) == []


@pytest.mark.parametrize("k", [3, 5])
def test_a_collapsed_network_is_restored_and_computes_the_same_bit_for_bit(bottlenecks, tensors, k):
    broken = collapsed(bottlenecks, k, seed=2)
    made = equalize(broken, lambda: tensors[:16])
    assert made.images == 16
    (group,) = made.groups
    assert group.before > 2 * group.after
    assert group.gain_db > 10
    assert np.array_equal(outputs(made.content, tensors), outputs(broken, tensors))
    healthy, fallen, restored = (
        int8_decibels(content, tensors) for content in (bottlenecks, broken, made.content)
    )
    assert fallen < healthy - 10
    assert restored > healthy - 4  # powers of two leave up to half a bit


def test_a_healthy_network_is_left_alone(keras, layers, tensors):
    content = network(
        keras,
        lambda x: layers.GlobalAveragePooling2D()(layers.Conv2D(5, 1)(layers.Conv2D(8, 3, 2, "same")(x))),
    )
    made = equalize(content, lambda: tensors[:8])
    assert made.content == content
    assert (len(made.groups), len(made.left)) == (0, 1)


def test_a_dead_channel_and_an_unread_one_are_not_blown_up(bottlenecks, tensors):
    from calibration import constants

    broken = collapsed(bottlenecks, 3, seed=2)
    (group,) = channel_groups.find(read(broken, "model"))
    model = editable.read(broken)
    for number in group.makers:  # channel 0 never moves
        for position in (1, 2):
            array = constants.values(model, int(model.subgraphs[0].operators[number].inputs[position]))
            array[0] = 0
            constants.replace(model, number, position, array)
    for number in group.readers:  # channel 1 is read by nobody
        array = constants.values(model, int(model.subgraphs[0].operators[number].inputs[1]))
        array[..., 1] = 0
        constants.replace(model, number, 1, array)
    broken = editable.write(model)
    made = equalize(broken, lambda: tensors[:16])
    assert len(made.groups) == 1
    assert made.groups[0].after < 4
    assert np.array_equal(outputs(made.content, tensors), outputs(broken, tensors))
    assert int8_decibels(made.content, tensors) > int8_decibels(broken, tensors) + 5


def test_a_broken_float_model_is_named_with_its_tensor(bottlenecks, tensors):
    bad = [np.full_like(tensors[0], np.nan)]
    with pytest.raises(ConversionError, match=r"run: .* becomes infinite or not a number on the images"):
        equalize(bottlenecks, lambda: bad, name="run")


def test_images_are_taken_one_at_a_time(bottlenecks, tensors):
    def stream():
        for tensor in tensors[:5]:
            one = tensor.copy()
            yield one
            one.fill(np.nan)

    broken = collapsed(bottlenecks, 3, seed=2)
    assert equalize(broken, stream).content == equalize(broken, lambda: tensors[:5]).content
