"""What a conversion may start from."""

import numpy as np
import pytest

from calibration.observe import observe
from calibration.ranges import Ranges
from converters.float_source import check_float, to_float32
from converters.quantize import SCHEMES, quantize
from edgecnn.errors import ConversionError
from edgecnn.graph import read
from edgecnn.runtime.interpreter import open_interpreter

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def floating(trained):
    import tensorflow as tf

    function = tf.function(lambda image: {"scores": trained(image, training=False)})
    concrete = function.get_concrete_function(tf.TensorSpec((1, 24, 24, 3), tf.float32, name="image"))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], trained).convert()


@pytest.fixture(scope="module")
def tensors():
    random = np.random.default_rng(0)
    return [random.uniform(-1, 1, (1, 24, 24, 3)).astype(np.float32) for _ in range(8)]


@pytest.fixture(scope="module")
def ranges(floating, tensors):
    graph = read(floating, "net")
    found = observe(floating, tensors)
    found[graph.tensors[graph.inputs[0]].name] = (-1.0, 1.0)
    return Ranges(found, "minmax", len(tensors), "")


def scores(content, tensors):
    interpreter = open_interpreter(content, "model")
    found = []
    for tensor in tensors:
        interpreter.write(0, tensor)
        interpreter.invoke()
        found.append(interpreter.read(0))
    return np.concatenate(found)


def test_a_float_model_stays_as_it_is(floating):
    assert to_float32(floating) is floating


@pytest.mark.parametrize("again", SCHEMES)
@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme != "float16"])
def test_a_quantized_model_is_refused_in_one_line(floating, ranges, scheme, again):
    made = quantize(floating, scheme, ranges=ranges)
    with pytest.raises(ConversionError, match=r"^net: is quantized already \(int.*float file") as caught:
        quantize(made, again, name="net", ranges=ranges)
    assert "\n" not in str(caught.value)


def test_float16_weights_are_widened(floating, tensors):
    half = quantize(floating, "float16")
    wide = to_float32(half)
    graph = read(wide, "wide")
    assert [op.kind for op in graph.ops] == [op.kind for op in read(floating, "floating").ops]
    assert {tensor.dtype for tensor in graph.tensors} <= {"float32", "int32"}
    np.testing.assert_allclose(scores(wide, tensors), scores(half, tensors), rtol=1e-5, atol=1e-5)
    assert len(wide) < 1.1 * len(floating)
    assert read(wide, "wide").signatures[0].outputs == {"scores": graph.outputs[0]}


def test_a_float16_model_can_be_converted_with_the_ranges_of_its_float_model(floating, ranges, tensors):
    made = read(quantize(quantize(floating, "float16"), "int8", ranges=ranges), "made")
    assert not [tensor for tensor in made.tensors if tensor.dtype in ("float16", "float32")]


def test_quantized_files_of_strangers_are_refused(shared):
    paths = sorted((shared / "models" / "coral").glob("*quant*.tflite"))
    assert paths
    for path in paths[:5]:
        with pytest.raises(ConversionError, match="quantized already"):
            check_float(read(path.read_bytes(), path.name))
