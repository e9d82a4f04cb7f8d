"""TFLite to TFLite: beside TFLiteConverter's own int8, on the same images."""

import os
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from calibration import editable
from calibration.observe import observe
from calibration.ranges import Ranges
from converters.quantize import SCHEMES, quantize, unsupported
from edgecnn.card import InputSpec
from edgecnn.errors import ConversionError
from edgecnn.graph import read
from edgecnn.runs import SCHEMES as RUN_SCHEMES
from edgecnn.runtime.interpreter import open_interpreter

pytestmark = pytest.mark.tensorflow

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def test_the_schemes_are_those_that_a_run_folder_knows():
    assert ("float32", *SCHEMES) == RUN_SCHEMES


@dataclass(frozen=True)
class Case:
    """A float file, what TFLiteConverter makes of it, and images nobody calibrated with."""

    content: bytes
    oracle: bytes
    ranges: Ranges
    tensors: list
    network: object
    calibration: list


def patterns(count, shape, seed):
    """Smooth images in -1..1 that fill the range."""
    import cv2

    random = np.random.default_rng(seed)
    height, width, channels = shape
    found = []
    for _ in range(count):
        coarse = random.uniform(-1, 1, (*random.integers(2, 9, 2), channels)).astype(np.float32)
        image = cv2.resize(coarse, (width, height)).reshape(1, height, width, channels)
        found.append(2 * (image - image.min()) / np.ptp(image) - 1)
    return found


def converted(network, scheme, calibration):
    """TFLiteConverter's own file."""
    from edgecnn.keras import tf

    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.function], network.owner)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if scheme == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if scheme in ("int8", "int16x8"):
        sets, ends = {
            "int8": (tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.int8),
            "int16x8": (
                tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
                tf.int16,
            ),
        }[scheme]
        converter.representative_dataset = lambda: ([tensor] for tensor in calibration)
        converter.target_spec.supported_ops = [sets]
        converter.inference_input_type = converter.inference_output_type = ends
    return converter.convert()


@pytest.fixture(
    scope="module",
    params=["resnet8", "mobilenet_v2", pytest.param("mobilenet_v3_small", marks=pytest.mark.slow)],
)
def case(request, tmp_path_factory):
    from converters.from_keras import read_keras, to_tflite
    from edgecnn import zoo
    from edgecnn.keras import keras

    shape = {"resnet8": (32, 32, 3)}.get(request.param, (48, 48, 3))
    width = {"resnet8": 1.0}.get(request.param, 0.35)
    model = zoo.build(request.param, input_shape=shape, classes=10, width=width, seed=3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    # Statistics as after training: every layer's activations have unit variance.
    model(np.concatenate(patterns(32, shape, 1)), training=True)
    path = tmp_path_factory.mktemp("net") / "model.keras"
    model.save(path, save_format="keras")
    network = read_keras(path, image_shape=shape, roles=("scores",))
    calibration = patterns(32, shape, 100)
    content = to_tflite(network)
    found = observe(content, calibration)
    graph = read(content, "float")
    found[graph.tensors[graph.inputs[0]].name] = (-1.0, 1.0)
    ranges = Ranges(found, "minmax", len(calibration), "")
    theirs = converted(network, "int8", calibration)
    return Case(content, theirs, ranges, patterns(40, shape, 200), network, calibration)


@pytest.fixture(scope="module")
def oracle(case):
    """A function that makes TFLiteConverter's own file of a scheme, once."""
    return cache(lambda scheme: converted(case.network, scheme, case.calibration))


def outputs(content, tensors):
    """Real outputs of a model with float, int8 or uint8 ends, (n, c) float64."""
    graph = read(content, "model")
    source, made = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    interpreter = open_interpreter(content, "model")
    found = []
    for tensor in tensors:
        if source.dtype != "float32":
            limits = np.iinfo(source.dtype)
            integers = np.rint(tensor / source.scale[0]) + source.zero_point[0]
            tensor = integers.clip(limits.min, limits.max).astype(source.dtype)
        interpreter.write(0, tensor)
        interpreter.invoke()
        out = interpreter.read(0)[0].astype(np.float64)
        found.append(out if made.dtype == "float32" else (out - made.zero_point[0]) * made.scale[0])
    return np.array(found)


def decibels(expected, found):
    return 10 * np.log10((expected**2).sum() / ((expected - found) ** 2).sum())


def test_int8_is_as_near_to_float_as_tfliteconverters(case):
    expected = outputs(case.content, case.tensors)
    ours = outputs(quantize(case.content, "int8", ranges=case.ranges), case.tensors)
    theirs = outputs(case.oracle, case.tensors)
    assert decibels(expected, ours) > decibels(expected, theirs) - 1, decibels(expected, theirs)
    best = expected.argmax(1)
    assert (ours.argmax(1) == best).mean() >= (theirs.argmax(1) == best).mean() - 0.05


def test_int8_computes_in_integers_only_with_the_versions_of_tfliteconverter(case):
    made = read(quantize(case.content, "int8", ranges=case.ranges), "made")
    oracle = read(case.oracle, "oracle")
    assert not [tensor for tensor in made.tensors if tensor.dtype == "float32"]
    versions = {op.kind: op.version for op in oracle.ops}
    assert {op.kind: op.version for op in made.ops}.items() <= versions.items()


def test_int8_has_the_weights_of_tfliteconverter(case):
    """Weights are rounded alike: what differs between the two files is activations only."""
    made = read(quantize(case.content, "int8", ranges=case.ranges), "made")
    oracle = read(case.oracle, "oracle")
    pairs = [
        (made.tensors[ours.inputs[1]], oracle.tensors[theirs.inputs[1]])
        for ours, theirs in zip(
            [op for op in made.ops if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D")],
            [op for op in oracle.ops if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D")],
            strict=True,
        )
    ]
    assert len(pairs) > 8
    for ours, theirs in pairs:
        assert len(ours.scale) == ours.shape[ours.quantized_dimension]
        np.testing.assert_allclose(ours.scale, theirs.scale, rtol=1e-5)
        off = np.abs(made.data(ours).astype(int) - oracle.data(theirs).astype(int))
        assert off.max() <= 1
        assert off.mean() < 1e-3


@pytest.mark.parametrize("io", ["uint8", "float32"])
def test_other_ends_change_the_ends_only(case, io):
    integer = outputs(quantize(case.content, "int8", ranges=case.ranges), case.tensors[:10])
    content = quantize(case.content, "int8", ranges=case.ranges, io=io)
    graph = read(content, "made")
    ends = [graph.tensors[index] for index in (*graph.inputs, *graph.outputs)]
    assert {tensor.dtype for tensor in ends} == {io}
    assert [graph.tensors[index].name for index in graph.signatures[0].outputs.values()] == [ends[-1].name]
    added = {op.kind for op in graph.ops} & {"QUANTIZE", "DEQUANTIZE"}
    assert added == ({"QUANTIZE"} if io == "uint8" else {"QUANTIZE", "DEQUANTIZE"})
    np.testing.assert_allclose(outputs(content, case.tensors[:10]), integer, atol=1e-5)


@pytest.mark.parametrize(("scheme", "least", "largest"), [("float16", 25, 0.62), ("dynamic", 3, 0.45)])
def test_schemes_without_ranges_shrink_the_weights_and_keep_the_outputs(case, scheme, least, largest):
    made = quantize(case.content, scheme)
    assert len(made) < largest * len(case.content)
    expected = outputs(case.content, case.tensors)
    assert decibels(expected, outputs(made, case.tensors)) > least


def test_dense_weights_of_a_dynamic_file_have_one_scale(case):
    """tflite-runtime 2.14 computes zeros from more, without an error."""
    made = read(quantize(case.content, "dynamic"), "made")
    dense = [made.tensors[op.inputs[1]] for op in made.ops if op.kind == "FULLY_CONNECTED"]
    assert dense
    assert {len(tensor.scale) for tensor in dense} == {1}
    assert {tensor.dtype for tensor in dense} == {"int8"}


def integer_file(case, scheme, **options):
    """A file of the scheme; what has no integer version is kept in float."""
    lacking = unsupported(case.content, scheme, ranges=case.ranges)
    return quantize(
        case.content, scheme, ranges=case.ranges, keep=dict.fromkeys(lacking, "float32"), **options
    )


@pytest.mark.parametrize("io", [None, "float32"])
def test_int16x8_is_as_near_to_float_as_tfliteconverters(case, oracle, io):
    expected = outputs(case.content, case.tensors)
    made = integer_file(case, "int16x8", io=io)
    ours = decibels(expected, outputs(made, case.tensors))
    lacking = unsupported(case.content, "int16x8", ranges=case.ranges)
    # Where layers have no int16 version, its int8: images beyond the ranges are clipped there as here.
    theirs = case.oracle if lacking else oracle("int16x8")
    assert ours > decibels(expected, outputs(theirs, case.tensors)) - 1
    ends = read(made, "made")
    if not lacking:
        assert {ends.tensors[index].dtype for index in (*ends.inputs, *ends.outputs)} == {io or "int16"}


def test_int16x8_loses_only_what_the_weights_lose(case):
    shown = case.calibration  # nothing is clipped on these
    expected = outputs(case.content, shown)
    weights = decibels(expected, outputs(quantize(case.content, "weight_only"), shown))
    assert decibels(expected, outputs(integer_file(case, "int16x8"), shown)) > weights - 1


@pytest.mark.parametrize("weights", ["channel", "tensor"])
def test_weight_only_computes_what_the_float_model_computes_with_rounded_weights(case, weights):
    made = quantize(case.content, "weight_only", weights=weights)
    graph, source, model = read(made, "made"), read(case.content, "source"), editable.read(case.content)
    rounded = {op.outputs[0]: graph.tensors[op.inputs[0]] for op in graph.ops if op.kind == "DEQUANTIZE"}
    theirs = [op for op in source.ops if op.kind in WEIGHTED]
    for ours, origin in zip([op for op in graph.ops if op.kind in WEIGHTED], theirs, strict=True):
        tensor = rounded[ours.inputs[1]]
        shape = [1] * len(tensor.shape)
        shape[tensor.quantized_dimension] = -1
        values = graph.data(tensor).astype(np.float32) * tensor.scale.reshape(shape)
        assert len(tensor.scale) == (1 if weights == "tensor" else tensor.shape[tensor.quantized_dimension])
        model.buffers[source.tensors[origin.inputs[1]].buffer].data = values.ravel().view(np.uint8)
    np.testing.assert_allclose(
        outputs(made, case.tensors), outputs(editable.write(model), case.tensors), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("scheme", ["dynamic", "weight_only", "int8", "int16x8"])
def test_weights_have_one_scale_when_asked_for(case, scheme):
    made = integer_file(case, scheme, weights="tensor")
    graph = read(made, "made")
    scales = {}
    for tensor in graph.tensors:
        if tensor.is_constant and tensor.dtype == "int8":
            readers = {op.kind for op in graph.ops if tensor.index in op.inputs} - {"DEQUANTIZE"}
            for kind in readers or {"DEQUANTIZE"}:
                scales.setdefault(kind, set()).add(len(tensor.scale) == 1)
    assert scales
    # Dynamic depthwise kernels read one scale per channel, whatever is there.
    scales.pop("DEPTHWISE_CONV_2D" if scheme == "dynamic" else "", None)
    assert set().union(*scales.values()) == {True}
    expected = outputs(case.content, case.tensors)
    assert decibels(expected, outputs(made, case.tensors)) > 0


@pytest.mark.parametrize("scheme", ["float16", "dynamic"])
def test_versions_are_those_of_tfliteconverter(case, oracle, scheme):
    """A dense layer has one scale for each channel there, which needs a newer runtime."""
    versions = {op.kind: op.version for op in read(oracle(scheme), "oracle").ops}
    made = {op.kind: op.version for op in read(quantize(case.content, scheme), "made").ops}
    if scheme == "dynamic":
        assert made.pop("FULLY_CONNECTED") == 3
    assert made.items() <= versions.items()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_buffer_lies_aligned_inside_the_flatbuffer(case, scheme):
    content = integer_file(case, scheme)
    start = np.frombuffer(content, np.uint8).ctypes.data
    buffers = [buffer for buffer in read(content, "made").buffers if len(buffer)]
    assert {(buffer.ctypes.data - start) % 16 for buffer in buffers} == {0}
    model = editable.read(content)
    assert sum(len(b.data) for b in model.buffers if b.data is not None) > 0.5 * len(content)
    assert b"min_runtime_version" not in {entry.name for entry in model.metadata}


def test_quantizing_says_nothing(case, capfd):
    quantize(case.content, "int8", ranges=case.ranges)
    lines = [line for line in "".join(capfd.readouterr()).splitlines() if "XNNPACK delegate" not in line]
    assert lines == []


def small(last):
    """A float file that ends in the given Keras layer."""
    from edgecnn.keras import keras, tf

    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Flatten()(last(keras.layers.Conv2D(4, 3)(image))))
    function = tf.function(lambda image: {"scores": model(image, training=False)})
    concrete = function.get_concrete_function(tf.TensorSpec((1, 8, 8, 3), tf.float32, name="image"))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert()


@pytest.fixture(scope="module")
def tiny():
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    return small(lambda x: x)


def ranges_of(content, low=-1.0, high=1.0):
    graph = read(content, "model")
    floats = [t.name for t in graph.tensors if t.dtype == "float32" and not t.is_constant]
    return Ranges(dict.fromkeys(floats, (low, high)), "minmax", 1, "")


def test_an_unknown_scheme_is_refused_with_those_there_are(tiny):
    with pytest.raises(
        ConversionError, match=r"'int9'. There are: float32, float16, dynamic, weight_only, int8, int16x8"
    ):
        quantize(tiny, "int9")


def test_int8_without_ranges_asks_for_images(tiny):
    with pytest.raises(ConversionError, match=r"net: int8 needs the ranges of the activations.*--data"):
        quantize(tiny, "int8", name="net")


def test_a_missing_range_is_named(tiny):
    ranges = ranges_of(tiny)
    name = next(iter(ranges.low_high))
    others = {key: value for key, value in ranges.low_high.items() if key != name}
    with pytest.raises(ConversionError, match=f"the range of {name} is not known"):
        quantize(tiny, "int8", ranges=Ranges(others, "minmax", 1, ""))


def test_an_operator_without_integer_version_is_refused_by_name():
    from edgecnn.keras import tf

    content = small(tf.math.sin)
    with pytest.raises(ConversionError, match=r"SIN \(.*\) has no int8 version.*--float16"):
        quantize(content, "int8", ranges=ranges_of(content))


@pytest.mark.parametrize(
    ("scheme", "io", "expected"),
    [
        ("int8", "int16", "of int8 can be int8, uint8, float32, not 'int16'"),
        ("int16x8", "int8", "of int16x8 can be int16, float32, not 'int8'"),
        ("int16x8", "uint8", "of int16x8 can be int16, float32, not 'uint8'"),
    ],
)
def test_ends_that_a_scheme_does_not_have_are_refused(tiny, scheme, io, expected):
    with pytest.raises(ConversionError, match=expected):
        quantize(tiny, scheme, ranges=ranges_of(tiny), io=io)


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (-1e-30, 1e-30)])
def test_tensors_that_never_moved_make_no_vanishing_scale(tiny, low, high):
    graph = read(quantize(tiny, "int8", ranges=ranges_of(tiny, low, high)), "made")
    scales = [
        t.scale.min() for t in graph.tensors if len(t.scale) and t.dtype == "int8" and not t.is_constant
    ]
    assert scales
    assert min(scales) == pytest.approx(1 / 255)


@pytest.mark.parametrize(("low", "high"), [(2.0, 3.0), (-3.0, -2.0), (-1e-3, 5.0)])
def test_zero_is_always_an_integer(tiny, low, high):
    graph = read(quantize(tiny, "int8", ranges=ranges_of(tiny, low, high)), "made")
    for tensor in graph.tensors:
        if len(tensor.scale) and not tensor.is_constant:
            assert -128 <= tensor.zero_point[0] <= 127
            lowest = (-128 - tensor.zero_point[0]) * tensor.scale[0]
            highest = (127 - tensor.zero_point[0]) * tensor.scale[0]
            assert lowest <= min(low, 0) + tensor.scale[0]
            assert highest >= max(high, 0) - tensor.scale[0]


def test_the_card_behind_a_file_does_no_harm(tiny, tmp_path):
    from edgecnn import card as cards

    path = tmp_path / "model.tflite"
    path.write_bytes(tiny)
    cards.attach(path, cards.Card("x", "classification", InputSpec(8, 8)))
    assert quantize(path.read_bytes(), "dynamic") == quantize(tiny, "dynamic")
