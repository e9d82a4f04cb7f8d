"""Biases that would not fit 32 bits."""

import numpy as np
import pytest

from calibration import editable
from calibration.observe import observe
from calibration.ranges import Ranges
from converters import bias
from converters.quantize import quantize
from edgecnn.graph import read
from edgecnn.runtime.interpreter import open_interpreter

pytestmark = pytest.mark.tensorflow

KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@pytest.fixture(scope="module")
def floating(trained):
    """The trained network as a float file in memory."""
    import tensorflow as tf

    function = tf.function(lambda image: {"scores": trained(image, training=False)})
    concrete = function.get_concrete_function(tf.TensorSpec((1, 24, 24, 3), tf.float32, name="image"))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], trained).convert()


def ruined(content, kind, channel=1, *, constant=3.0, shrink=1e-12):
    """The same file with one channel of the last operator of a kind dead: no weights, only a bias."""
    model = editable.read(content)
    graph, view = model.subgraphs[0], read(content, "model")
    operator = [op for op in view.ops if op.kind == kind][-1]
    weights, offsets = (view.tensors[index] for index in operator.inputs[1:3])
    axis = 3 if kind == "DEPTHWISE_CONV_2D" else 0
    values, constants = view.data(weights).copy(), view.data(offsets).copy()
    np.moveaxis(values, axis, 0)[channel] *= shrink
    constants[channel] = constant
    for tensor, array in ((weights, values), (offsets, constants)):
        model.buffers[graph.tensors[tensor.index].buffer].data = array.ravel().view(np.uint8)
    return editable.write(model)


def scores(content, tensors):
    interpreter = open_interpreter(content, "model")
    graph = read(content, "model")
    source, made = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    found = []
    for tensor in tensors:
        if source.dtype == "int8":
            integers = np.rint(tensor / source.scale[0]) + source.zero_point[0]
            tensor = integers.clip(-128, 127).astype(np.int8)
        interpreter.write(0, tensor)
        interpreter.invoke()
        out = interpreter.read(0).astype(np.float64)
        found.append((out - made.zero_point[0]) * made.scale[0] if made.dtype == "int8" else out)
    return np.concatenate(found)


@pytest.fixture
def tensors():
    random = np.random.default_rng(0)
    return [random.uniform(-1, 1, (1, 24, 24, 3)).astype(np.float32) for _ in range(12)]


def int8_of(content, tensors):
    found = observe(content, tensors)
    graph = read(content, "model")
    found[graph.tensors[graph.inputs[0]].name] = (-1.0, 1.0)
    return quantize(content, "int8", ranges=Ranges(found, "minmax", len(tensors), ""))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shrink", [1e-12, 0.0], ids=["nearly zero", "zero"])
def test_a_dead_channel_keeps_its_constant(floating, tensors, kind, shrink):
    content = ruined(floating, kind, shrink=shrink)
    made = int8_of(content, tensors)
    assert not bias.too_large(read(made, "made"), read(content, "source"))
    expected, found = scores(content, tensors), scores(made, tensors)
    signal_to_noise = 10 * np.log10((expected**2).sum() / ((expected - found) ** 2).sum())
    assert signal_to_noise > 18


@pytest.mark.parametrize("kind", KINDS)
def test_without_wider_weights_the_bias_would_be_too_large(floating, tensors, kind, monkeypatch):
    content = ruined(floating, kind)
    monkeypatch.setattr(bias, "too_large", lambda quantized, source: [])
    naive = read(int8_of(content, tensors), "naive")
    monkeypatch.undo()
    (layer,) = bias.too_large(naive, read(content, "source"))
    assert layer.steps.argmax() == 1
    assert (layer.steps > bias.LIMIT).sum() == 1


def test_healthy_channels_are_left_as_they_are(floating, tensors):
    healthy = int8_of(floating, tensors)
    assert not bias.too_large(read(healthy, "made"), read(floating, "source"))
    widened = read(int8_of(ruined(floating, "CONV_2D", constant=2.9), tensors), "made")
    untouched = read(healthy, "made")
    weights = [op.inputs[1] for op in untouched.ops if op.kind == "CONV_2D"][-1]
    others = np.arange(len(untouched.tensors[weights].scale)) != 1
    np.testing.assert_array_equal(
        widened.tensors[weights].scale[others], untouched.tensors[weights].scale[others]
    )
    np.testing.assert_array_equal(
        widened.data(widened.tensors[weights])[others], untouched.data(untouched.tensors[weights])[others]
    )
