"""What goes by inside a model while it looks at images."""

import tracemalloc

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from calibration import editable
from calibration.histogram import Histograms
from calibration.observe import calibrate, count, histograms, observe, unclipped
from calibration.ranges import METHODS, Ranges, ranges_of
from edgecnn.card import InputSpec
from edgecnn.errors import ConversionError, DataError
from edgecnn.graph import read

pytestmark = pytest.mark.tensorflow
SPEC = InputSpec(16, 16, mean=(127.5,), std=(127.5,))


@pytest.fixture
def tensors():
    random = np.random.default_rng(3)
    return [random.uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32) for _ in range(5)]


@pytest.mark.parametrize("method", METHODS)
def test_without_images_there_is_nothing_to_say(float_model, method):
    with pytest.raises(ConversionError, match="no image came"):
        observe(float_model, [], method=method)


def test_an_unknown_method_is_refused_with_those_there_are(float_model, tensors):
    with pytest.raises(ConversionError, match=r"'minmaxx' is no way to estimate ranges. Use minmax"):
        observe(float_model, tensors, method="minmaxx")


@pytest.mark.filterwarnings("ignore:Warning. Enabling `experimental_preserve_all_tensors`")
def test_every_activation_has_the_range_that_an_interpreter_keeping_all_tensors_shows(float_model, tensors):
    keeping = Interpreter(
        model_content=float_model,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    keeping.allocate_tensors()
    image = keeping.get_input_details()[0]["index"]
    made = {int(index) for operator in keeping._get_ops_details() for index in operator["outputs"]}
    expected = {}
    for tensor in tensors:
        keeping.set_tensor(image, tensor)
        keeping.invoke()
        for details in keeping.get_tensor_details():
            if details["index"] in made:
                value = keeping.get_tensor(details["index"])
                low, high = expected.get(details["name"], (np.inf, -np.inf))
                expected[details["name"]] = min(low, value.min()), max(high, value.max())
    found = observe(float_model, tensors)
    assert found.keys() == expected.keys()
    assert len(found) >= 6
    for name, low_high in expected.items():
        assert found[name] == pytest.approx(low_high, rel=1e-4, abs=1e-5), name


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_images_changes_nothing(float_model, tensors, method):
    backwards = observe(float_model, tensors[::-1], method=method)
    assert observe(float_model, tensors, method=method) == backwards


def test_images_are_taken_one_at_a_time(float_model, tensors):
    alive = []

    def stream():
        for tensor in tensors:
            one = tensor.copy()
            alive.append(one)
            yield one
            one.fill(np.nan)  # whoever looks again sees it

    assert observe(float_model, stream()) == observe(float_model, tensors)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("bad", "said"), [(np.nan, r"nan\.\.nan"), (np.inf, r".*\.\.inf")])
def test_a_model_that_computes_nonsense_is_named_with_its_tensor(float_model, tensors, method, bad, said):
    model = editable.read(float_model)
    graph = model.subgraphs[0]
    first = graph.operators[0]
    bias = model.buffers[graph.tensors[first.inputs[2]].buffer]
    bias.data = np.full(8, bad, np.float32).view(np.uint8)
    with pytest.raises(ConversionError, match=rf"run/float32.tflite: .* reaches {said} on the calibration"):
        observe(editable.write(model), tensors, method=method, name="run/float32.tflite")


def test_histograms_hold_exactly_the_values_that_go_by(float_model, tensors):
    counted = count(float_model, tensors)
    whole = observe(float_model, tensors)
    assert list(counted) == list(whole)  # in the order they are computed
    graph = read(float_model, "model")
    for tensor in graph.tensors:
        if tensor.name in counted:
            histogram = counted[tensor.name]
            assert (histogram.low, histogram.high) == whole[tensor.name]
            assert histogram.total == len(tensors) * np.prod(tensor.shape)


def test_all_methods_come_from_one_look_at_the_images(float_model, pictures, tmp_path):
    data = pictures([0, 1, 2] * 4)
    counted = histograms(float_model, data, SPEC)
    counted.save(tmp_path / "histograms.npz")
    for method in METHODS:
        ranges = calibrate(float_model, data, SPEC, method=method)
        assert ranges_of(counted, method) == ranges
        assert ranges_of(Histograms.load(tmp_path / "histograms.npz"), method) == ranges
        assert (ranges.method, ranges.samples, ranges.sha256) == (method, 12, counted.sha256)
    clipped = calibrate(float_model, data, SPEC, method="percentile", percentile=90)
    whole = calibrate(float_model, data, SPEC)
    answer = read(float_model, "model").tensors[read(float_model, "model").outputs[0]].name
    assert clipped.low_high[answer] == whole.low_high[answer]
    narrower = [name for name, (_, high) in clipped.low_high.items() if high < whole.low_high[name][1]]
    assert len(narrower) == len(whole.low_high) - 2  # neither the answer nor the pixels


def test_memory_does_not_grow_with_the_images(float_model):
    def peak(images):
        tracemalloc.start()
        random = np.random.default_rng(0)
        count(float_model, (random.normal(size=(1, 16, 16, 3)).astype(np.float32) for _ in range(images)))
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(2)  # whatever is imported or cached at the first time
    assert peak(200) < peak(5) + 50_000  # the 195 more inputs take 600 kB, their activations 20 MB


@pytest.mark.parametrize("last", ["scores", "softmax", "reshape"])
def test_what_becomes_the_answer_is_never_clipped(last):
    import tensorflow as tf

    weights = tf.random.stateless_normal((4, 3), (0, 0))

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32)])
    def model(image):
        scores = tf.nn.relu(image + 1) @ weights
        return {"scores": scores, "softmax": tf.nn.softmax(scores), "reshape": tf.reshape(scores, (3, 1))}[
            last
        ]

    content = tf.lite.TFLiteConverter.from_concrete_functions([model.get_concrete_function()]).convert()
    graph = read(content, "model")
    kept = unclipped(graph)
    dense = next(operator for operator in graph.ops if operator.kind == "FULLY_CONNECTED")
    assert graph.tensors[dense.outputs[0]].name in kept
    assert graph.tensors[dense.inputs[0]].name not in kept
    assert len(kept) == (1 if last == "scores" else 2)


def test_calibration_knows_the_input_from_its_pixels_and_says_which_images_it_saw(float_model, pictures):
    data = pictures([0, 1, 2, 0])
    ranges = calibrate(float_model, data, SPEC)
    assert (ranges.method, ranges.samples, len(ranges.sha256)) == ("minmax", 4, 64)
    assert ranges.low_high["serving_default_image:0"] == pytest.approx((-1, 1))
    assert len(ranges.low_high) >= 7


def test_an_unreadable_calibration_image_is_named(float_model, pictures):
    with pytest.raises(DataError, match=r"pictures/2\.png: truncated"):
        calibrate(float_model, pictures([0, 1, 2], unreadable=(2,)), SPEC)


def test_minmax_gives_the_scales_and_zero_points_of_tfliteconverter(tensors):
    import tensorflow as tf
    import tf_keras as keras

    from converters import quantize

    keras.utils.set_random_seed(1)
    layers = keras.layers
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, 2, "same", activation="relu")(image)
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu6")(x)
    x = layers.Add()([x, layers.Conv2D(8, 1)(y)])
    x = layers.Dense(3)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, x)
    function = tf.function(lambda image: model(image, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec((1, 16, 16, 3), tf.float32))

    def converter():
        return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)

    content = converter().convert()
    oracle = converter()
    oracle.optimizations = [tf.lite.Optimize.DEFAULT]
    oracle.representative_dataset = lambda: ([tensor] for tensor in tensors)
    oracle.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    oracle.inference_input_type = oracle.inference_output_type = tf.int8
    theirs = read(oracle.convert(), "theirs")

    found = observe(content, tensors)
    source = read(content, "source")
    # Theirs comes from the images too; `of_pixels` is for pixels, which these are not.
    found[source.tensors[source.inputs[0]].name] = (
        min(float(tensor.min()) for tensor in tensors),
        max(float(tensor.max()) for tensor in tensors),
    )
    ranges = Ranges(found, "minmax", len(tensors), "")
    ours = read(quantize.quantize(content, "int8", ranges=ranges), "ours")

    # The same operators in the same order; names and the order of an addition's inputs differ.
    assert [operator.kind for operator in ours.ops] == [operator.kind for operator in theirs.ops]
    made = [
        [graph.tensors[index] for index in (*graph.inputs, *(op.outputs[0] for op in graph.ops))]
        for graph in (ours, theirs)
    ]
    assert len(made[0]) == 7
    overwritten = [op.kind for op in ours.ops].index("ADD")  # the convolution before it: image, ..., it, ADD
    for position, (one, other) in enumerate(zip(*made, strict=True)):
        if position == overwritten:
            # TFLite adds in place, and TFLiteConverter 2.21 looks at the convolution's tensor afterwards: it
            # gets the range of the sum. (Where a later operator reads the tensor too, it gets ours.)
            assert other.scale == made[1][position + 1].scale > 2 * one.scale
            continue
        # Their calibration runs other kernels (no delegate), so a sum may end in another last bit.
        assert one.scale == pytest.approx(other.scale, rel=1e-6), one.name
        assert one.zero_point.tolist() == other.zero_point.tolist(), one.name
