"""Operators that are kept out of an int8 model."""

import os

import numpy as np
import pytest

from calibration.observe import observe
from calibration.ranges import Ranges
from converters import precision
from converters.quantize import quantize, unsupported
from edgecnn.errors import ConversionError
from edgecnn.graph import read
from edgecnn.runtime.interpreter import open_interpreter

pytestmark = pytest.mark.tensorflow


def random_network(seed):
    """A float file of residuals, branches, concatenations and activations, 12x12x3 to 5 values."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    from edgecnn.keras import keras, tf

    random = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    image = keras.Input((12, 12, 3), name="image")
    ends = [layers.Conv2D(6, 3, padding="same", activation="relu6")(image)]
    for _ in range(6):
        x = ends[random.integers(len(ends))]
        ends.append(
            [
                lambda x: layers.Conv2D(6, 3, padding="same", activation="relu")(x),
                lambda x: layers.DepthwiseConv2D(3, padding="same")(x),
                lambda x: layers.Add()([x, ends[-1]]),
                lambda x: layers.Conv2D(6, 1)(layers.Concatenate()([x, ends[-1]])),
                lambda x: x * tf.nn.sigmoid(x),
                lambda x: layers.ReLU()(layers.Add()([x, layers.Conv2D(6, 1)(x)])),
                lambda x: layers.AveragePooling2D(3, 1, "same")(layers.MaxPooling2D(3, 1, "same")(x)),
            ][random.integers(7)](x)
        )
    x = layers.Add()([ends[-1], ends[-2]])
    model = keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))
    function = tf.function(lambda image: {"scores": model(image, training=False)})
    concrete = function.get_concrete_function(tf.TensorSpec((1, 12, 12, 3), tf.float32, name="image"))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert()


@pytest.fixture(scope="module")
def tensors():
    random = np.random.default_rng(0)
    return [random.uniform(-1, 1, (1, 12, 12, 3)).astype(np.float32) for _ in range(16)]


@pytest.fixture(scope="module", params=range(3))
def case(request, tensors):
    content = random_network(request.param)
    graph = read(content, "net")
    found = observe(content, tensors)
    found[graph.tensors[graph.inputs[0]].name] = (-1.0, 1.0)
    return content, graph, Ranges(found, "minmax", len(tensors), "")


def names(graph):
    return [graph.tensors[operator.outputs[0]].name for operator in graph.ops]


def outputs(content, tensors):
    """Real outputs of a model, (n, 5) float64."""
    graph = read(content, "model")
    source, made = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    interpreter = open_interpreter(content, "model")
    found = []
    for tensor in tensors:
        if source.is_quantized:
            integers = np.rint(tensor / source.scale[0]) + source.zero_point[0]
            limits = np.iinfo(source.dtype)
            tensor = integers.clip(limits.min, limits.max).astype(source.dtype)
        interpreter.write(0, tensor)
        interpreter.invoke()
        out = interpreter.read(0)[0].astype(np.float64)
        found.append((out - made.zero_point[0]) * made.scale[0] if made.is_quantized else out)
    return np.array(found)


def decibels(expected, found):
    return 10 * np.log10((expected**2).sum() / max(((expected - found) ** 2).sum(), 1e-30))


def test_keeping_nothing_changes_nothing(case):
    content, _, ranges = case
    assert quantize(content, "int8", ranges=ranges, keep={}) == quantize(content, "int8", ranges=ranges)


def test_everything_kept_in_float_is_the_float_model(case, tensors):
    content, graph, ranges = case
    keep = dict.fromkeys(names(graph), "float32")
    made = quantize(content, "int8", ranges=ranges, keep=keep, io="float32")
    np.testing.assert_array_equal(outputs(made, tensors), outputs(content, tensors))
    assert [op.kind for op in read(made, "made").ops] == [op.kind for op in graph.ops]


def test_everything_kept_in_float_between_int8_ends_is_the_float_model_rounded(case, tensors):
    content, graph, ranges = case
    made = quantize(content, "int8", ranges=ranges, keep=dict.fromkeys(names(graph), "float32"))
    ends = read(made, "made")
    source, out = ends.tensors[ends.inputs[0]], ends.tensors[ends.outputs[0]]
    seen = [
        ((np.rint(t / source.scale[0]) + source.zero_point[0]).clip(-128, 127) - source.zero_point[0])
        * source.scale[0]
        for t in tensors
    ]
    exact = outputs(content, [t.astype(np.float32) for t in seen])
    rounded = (np.rint(exact / out.scale[0]) + out.zero_point[0]).clip(-128, 127)
    expected = (rounded - out.zero_point[0]) * out.scale[0]
    off = np.abs(outputs(made, tensors) - expected) / out.scale[0]
    assert off.max() < 1.01  # a float on the edge between two integers may fall to either side
    assert (off > 0.01).mean() < 0.05


def test_everything_kept_in_int16_is_int16x8(case, tensors):
    content, graph, ranges = case
    keep = dict.fromkeys(names(graph), "int16")
    made = quantize(content, "int8", ranges=ranges, keep=keep, io="float32")
    alike = quantize(content, "int16x8", ranges=ranges, io="float32")
    np.testing.assert_array_equal(outputs(made, tensors), outputs(alike, tensors))


@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
@pytest.mark.parametrize("seed", range(6))
def test_any_operators_can_be_kept(case, tensors, seed, io):
    content, graph, ranges = case
    random = np.random.default_rng(seed)
    kinds = ["float32"] if io == "uint8" else ["float32", "int16"]
    keep = {name: str(random.choice(kinds)) for name in names(graph) if random.random() < 0.4}
    made = quantize(content, "int8", ranges=ranges, keep=keep, io=io)
    shown = read(made, "made")
    for operator, origin in precision.pairs(shown, graph):
        wanted = keep.get(graph.tensors[origin.outputs[0]].name, "int8")
        assert shown.tensors[operator.outputs[0]].dtype == wanted
    expected = outputs(content, tensors)
    if io != "uint8":
        plain = quantize(content, "int8", ranges=ranges, io=io)
        assert decibels(expected, outputs(made, tensors)) > decibels(expected, outputs(plain, tensors)) - 5
    else:
        alike = quantize(content, "int8", ranges=ranges, keep=keep)
        np.testing.assert_allclose(outputs(made, tensors), outputs(alike, tensors), atol=1e-5)
        assert {shown.tensors[index].dtype for index in (*shown.inputs, *shown.outputs)} == {"uint8"}


@pytest.mark.parametrize("kept", ["float32", "int16"])
@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_converted_there_and_back_between_two_kept_operators(case, kept, seed):
    content, graph, ranges = case
    random = np.random.default_rng(seed)
    keep = {name: kept for name in names(graph) if random.random() < 0.5}
    made = read(quantize(content, "int8", ranges=ranges, keep=keep), "made")
    borders = [op for op in made.ops if op.kind in ("QUANTIZE", "DEQUANTIZE")]
    written = {op.outputs[0] for op in borders}
    assert not [op for op in borders if op.inputs[0] in written]
    # A tensor crosses each border once, however many read it.
    crossings = [(op.inputs[0], made.tensors[op.outputs[0]].dtype) for op in borders]
    assert len(crossings) == len(set(crossings))


def test_float_operators_run_on_the_delegate(case):
    content, graph, ranges = case
    keep = dict.fromkeys(names(graph)[2:5], "float32")
    made, plain = (
        open_interpreter(quantize(content, "int8", ranges=ranges, keep=kept), "net") for kept in (keep, None)
    )
    # XNNPACK leaves some int8 poolings to the interpreter; float ones it takes.
    assert set(made.delegation().others) <= set(plain.delegation().others) <= {"AVERAGE_POOL_2D"}
    assert made.delegation().delegated > plain.delegation().delegated


@pytest.mark.parametrize("scheme", ["dynamic", "weight_only", "float16"])
def test_weights_of_a_kept_operator_stay_float32_in_every_scheme(case, scheme):
    content, graph, _ = case
    origin = next(op for op in graph.ops if op.kind == "CONV_2D")
    name = graph.tensors[origin.outputs[0]].name
    made = read(quantize(content, scheme, keep={name: "float32"}), "made")
    ours = next(op for op, other in precision.pairs(made, graph) if other.index == origin.index)
    weights = made.tensors[ours.inputs[1]]
    assert weights.is_constant
    np.testing.assert_array_equal(made.data(weights), graph.data(graph.tensors[origin.inputs[1]]))


def test_an_operator_that_is_not_there_is_refused(case):
    content, _, ranges = case
    with pytest.raises(ConversionError, match="net: no operator computes 'nothing'"):
        quantize(content, "int8", name="net", ranges=ranges, keep={"nothing": "float32"})


@pytest.mark.parametrize(
    ("scheme", "kept", "expected"),
    [
        ("int8", "float16", "an operator of int8 can be kept in float32 or int16, not 'float16'"),
        ("int16x8", "int16", "an operator of int16x8 can be kept in float32, not 'int16'"),
        ("dynamic", "int16", "an operator of dynamic can be kept in float32, not 'int16'"),
    ],
)
def test_a_precision_that_cannot_be_mixed_is_refused(case, scheme, kept, expected):
    content, graph, ranges = case
    with pytest.raises(ConversionError, match=expected):
        quantize(content, scheme, ranges=ranges, keep={names(graph)[0]: kept})


def test_int16_before_a_uint8_output_is_refused(case):
    content, graph, ranges = case
    with pytest.raises(ConversionError, match="no runtime turns int16 into uint8"):
        quantize(content, "int8", ranges=ranges, keep={names(graph)[-1]: "int16"}, io="uint8")


def test_what_has_no_integer_version_is_named_and_can_be_kept(tensors):
    from edgecnn.keras import keras, tf

    image = keras.Input((12, 12, 3), name="image")
    x = keras.layers.Conv2D(4, 3)(tf.math.sin(keras.layers.Conv2D(4, 3)(image)))
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))
    function = tf.function(lambda image: {"scores": model(image, training=False)})
    concrete = function.get_concrete_function(tf.TensorSpec((1, 12, 12, 3), tf.float32, name="image"))
    content = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert()
    graph = read(content, "net")
    found = observe(content, tensors)
    found[graph.tensors[graph.inputs[0]].name] = (-1.0, 1.0)
    ranges = Ranges(found, "minmax", len(tensors), "")
    sine = [graph.tensors[op.outputs[0]].name for op in graph.ops if op.kind == "SIN"]
    assert list(unsupported(content, "int8", ranges=ranges)) == sine
    made = quantize(content, "int8", ranges=ranges, keep={sine[0]: "float32"})
    assert decibels(outputs(content, tensors), outputs(made, tensors)) > 15
