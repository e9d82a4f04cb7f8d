"""Bias correction: means of channels come back, and nothing but biases changes."""

from itertools import count

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from calibration import constants, editable
from calibration.observe import observe
from calibration.ranges import Ranges
from converters import correction
from converters.bias import LIMIT
from converters.correction import correct_biases
from converters.quantize import quantize
from edgecnn.card import InputSpec
from edgecnn.errors import ConversionError
from edgecnn.graph import read
from edgecnn.image import lookup, prepare
from edgecnn.runtime.interpreter import open_interpreter

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore:Warning. Enabling `experimental_preserve_all_tensors`"),
]
SPEC = InputSpec(height=24, width=24, mean=(127.5,), std=(127.5,))
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@pytest.fixture(scope="module")
def floating(trained):
    import tensorflow as tf

    function = tf.function(lambda image: {"scores": trained(image, training=False)})
    concrete = function.get_concrete_function(tf.TensorSpec((1, 24, 24, 3), tf.float32, name="image"))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], trained).convert()


@pytest.fixture(scope="module")
def images(data):
    """Tensors to correct with, and other ones to judge by."""
    table = lookup(SPEC, np.float32)
    return [[prepare(sample.read(), table, SPEC)[0] for sample in part.samples] for part in data]


@pytest.fixture(scope="module")
def made(floating, images):
    """A function: type of the ends -> the int8 model."""
    found = observe(floating, images[0])
    graph = read(floating, "model")
    found[graph.tensors[graph.inputs[0]].name] = (-1.0, 1.0)
    ranges = Ranges(found, "minmax", len(images[0]), "")
    return lambda io="int8": quantize(floating, "int8", ranges=ranges, io=io)


def quantized(tensor, details):
    if details["dtype"] == np.float32:
        return tensor
    scale, zero_point = details["quantization"]
    limits = np.iinfo(details["dtype"])
    return np.clip(np.rint(tensor / scale) + zero_point, limits.min, limits.max).astype(details["dtype"])


def scores(content, tensors):
    """Real outputs by the runtime's own optimized kernels."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    found = []
    for tensor in tensors:
        interpreter.set_tensor(source["index"], quantized(tensor, source))
        interpreter.invoke()
        values = interpreter.get_tensor(result["index"]).astype(np.float64)
        scale, zero_point = result["quantization"]
        found.append((values - zero_point) * scale if scale else values)
    return np.concatenate(found)


def signal_to_noise(floating, content, tensors):
    expected, found = scores(floating, tensors), scores(content, tensors)
    return 10 * np.log10((expected**2).sum() / ((expected - found) ** 2).sum())


def all_means(content, tensors):
    """Tensor name to the mean of each channel, by an interpreter that keeps every tensor."""
    interpreter = Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    made = [int(op["outputs"][0]) for op in interpreter._get_ops_details()]
    found = {}
    for tensor in tensors:
        interpreter.set_tensor(source["index"], quantized(tensor, source))
        interpreter.invoke()
        for details in interpreter.get_tensor_details():
            if details["index"] in made:
                values = interpreter.get_tensor(details["index"]).astype(np.float64)
                scale, zero_point = details["quantization"]
                values = (values - zero_point) * scale if scale else values
                means = values.reshape(-1, values.shape[-1]).mean(0)
                found[details["name"]] = found.get(details["name"], 0) + means / len(tensors)
    return found


def biased(content, kind, steps):
    """The same int8 model with other biases in the first operator of a kind, and that operator's output."""
    model, graph = editable.read(content), read(content, "model")
    operator = next(op for op in graph.ops if op.kind == kind)
    bias = constants.values(model, operator.inputs[2])
    constants.replace(model, operator.index, 2, bias + np.rint(steps(bias)).astype(np.int32))
    return editable.write(model), graph.tensors[operator.outputs[0]].name


def test_without_images_nothing_can_be_corrected(floating, made):
    with pytest.raises(ConversionError, match=r"run: no image came to correct biases with"):
        correct_biases(floating, made(), lambda: [], name="run")


def test_a_float_model_of_another_network_is_refused(floating, made, images):
    model = editable.read(floating)
    for tensor in model.subgraphs[0].tensors:
        tensor.name = b"other/" + tensor.name
    with pytest.raises(ConversionError, match=r"Give the float file that it was made from"):
        correct_biases(editable.write(model), made(), lambda: images[0])


def test_a_model_with_control_flow_is_refused(floating, made, images):
    model = editable.read(made())
    model.subgraphs.append(model.subgraphs[0])
    with pytest.raises(ConversionError, match=r"run: has control flow or a state"):
        correct_biases(floating, editable.write(model), lambda: images[0], name="run")


@pytest.mark.parametrize("kind", WEIGHTED)
def test_a_bias_that_was_moved_comes_back(floating, made, images, kind):
    graph = read(made(), "model")
    operator = next(op for op in graph.ops if op.kind == kind)
    source, weights, _, result = (graph.tensors[i] for i in (*operator.inputs, *operator.outputs))
    # 4 steps of the output, in the bias's own fine ones
    moved = 4 * result.scale[0] / (source.scale[0] * weights.scale.astype(np.float64))
    content, name = biased(made(), kind, lambda bias: moved)
    healthy, (first, *_) = (
        correct_biases(floating, made(), lambda: images[0][:32]),
        [one for one in correct_biases(floating, content, lambda: images[0][:32]).layers if one.name == name],
    )
    usual = next(one for one in healthy.layers if one.name == name)
    assert np.median((usual.steps - first.steps) / moved) == pytest.approx(1, abs=0.25)
    assert signal_to_noise(floating, content, images[1]) < signal_to_noise(
        floating, correct_biases(floating, content, lambda: images[0][:32]).content, images[1]
    )


@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
def test_channel_means_come_nearer_to_the_float_models_on_other_images(floating, made, images, io):
    before = made(io)
    corrected = correct_biases(floating, before, lambda: images[0])
    assert corrected.images == min(len(images[0]), correction.IMAGES)
    expected = all_means(floating, images[1])
    worse, better = all_means(before, images[1]), all_means(corrected.content, images[1])
    names = [layer.name for layer in corrected.layers]
    assert len(names) >= 6
    errors = [
        sum(((found[name] - expected[name]) ** 2).mean() / (expected[name] ** 2).mean() for name in names)
        for found in (worse, better)
    ]
    assert errors[1] < 0.4 * errors[0]


def test_what_a_layer_was_off_is_what_an_interpreter_that_keeps_all_tensors_shows(floating, made, images):
    corrected = correct_biases(floating, made(), lambda: images[0][:16])
    first = corrected.layers[0]  # nothing before it was corrected
    expected, found = (all_means(content, images[0][:16])[first.name] for content in (floating, made()))
    assert first.error == pytest.approx(found - expected, abs=2e-4)


def vars_of(signature):
    return signature.key, dict(signature.inputs), dict(signature.outputs)


def test_nothing_but_biases_changes(floating, made, images):
    before = made()
    after = correct_biases(floating, before, lambda: images[0][:16]).content
    assert len(before) == len(after)
    old, new = read(before, "old"), read(after, "new")
    biases = {op.inputs[2] for op in old.ops if op.kind in WEIGHTED}
    assert [(op.kind, op.inputs, op.outputs, op.options) for op in old.ops] == [
        (op.kind, op.inputs, op.outputs, op.options) for op in new.ops
    ]
    assert [(t.name, t.shape, t.dtype, t.scale.tolist(), t.zero_point.tolist()) for t in old.tensors] == [
        (t.name, t.shape, t.dtype, t.scale.tolist(), t.zero_point.tolist()) for t in new.tensors
    ]
    changed = {
        tensor.index
        for tensor in old.tensors
        if tensor.is_constant and not np.array_equal(old.data(tensor), new.data(new.tensors[tensor.index]))
    }
    assert changed
    assert changed <= biases
    assert [vars_of(one) for one in old.signatures] == [vars_of(one) for one in new.signatures]


def test_a_bias_that_two_layers_share_is_corrected_for_each(floating, made, images):
    model = editable.read(made())
    graph = model.subgraphs[0]
    view = read(made(), "model")
    first, second = (
        op for op in view.ops if op.kind == "CONV_2D" and view.tensors[op.inputs[2]].shape == (8,)
    )
    zeros = np.zeros(8, np.int32)
    for operator in (first, second):
        constants.replace(model, operator.index, 2, zeros)
    graph.tensors[second.inputs[2]].buffer = graph.tensors[first.inputs[2]].buffer
    content = correct_biases(floating, editable.write(model), lambda: images[0][:16]).content
    new = read(content, "new")
    one, other = (new.data(new.tensors[op.inputs[2]]) for op in (first, second))
    assert np.abs(one).max() > 0
    assert not np.array_equal(one, other)
    # a tensor of both, not just a buffer
    graph.operators[second.index].inputs = [*second.inputs[:2], first.inputs[2]]
    content = correct_biases(floating, editable.write(model), lambda: images[0][:16]).content
    new = read(content, "new")
    shared = [new.data(new.tensors[new.ops[op.index].inputs[2]]) for op in (first, second)]
    assert np.abs(shared[0]).max() > 0
    assert not np.array_equal(*shared)


def test_a_bias_stays_within_its_bits(floating, made, images):
    model, graph = editable.read(made()), read(made(), "model")
    operator = next(op for op in graph.ops if op.kind == "CONV_2D")
    # steps so fine that no integer can take the error off
    model.subgraphs[0].tensors[operator.inputs[1]].quantization.scale = np.full(8, 1e-16, np.float32)
    corrected = correct_biases(floating, editable.write(model), lambda: images[0][:8])
    new = read(corrected.content, "new")
    assert np.abs(new.data(new.tensors[operator.inputs[2]]).astype(np.int64)).max() == LIMIT


def test_few_images_do_no_harm_and_many_help(floating, made, images):
    plain = signal_to_noise(floating, made(), images[1])
    few, many = (
        signal_to_noise(
            floating, correct_biases(floating, made(), lambda n=n: images[0][:n]).content, images[1]
        )
        for n in (2, 100)
    )
    assert few > plain - 0.5
    assert many > plain + 0.5


def test_no_more_images_are_taken_than_memory_allows(floating, made, images, monkeypatch):
    taken = []

    def endless():
        for number in count():
            taken.append(number)
            yield images[0][number % len(images[0])]

    monkeypatch.setattr(correction, "IMAGES", 20)
    assert correct_biases(floating, made(), endless).images == len(taken) == 20
    taken.clear()
    monkeypatch.setattr(correction, "MEMORY_BYTES", 1)
    assert correct_biases(floating, made(), endless).images == len(taken) == correction.LEAST_IMAGES


def test_running_in_pieces_computes_what_the_whole_computes(made, images):
    from converters.piecewise import Walk

    content = made()
    graph, model = read(content, "model"), editable.read(content)
    details = Interpreter(model_content=content).get_input_details()[0]
    inputs = [quantized(tensor, details) for tensor in images[1][:5]]
    walk = Walk(model, graph, inputs)
    for end in range(1, len(graph.ops)):
        walk.go(end, "model", 1)
    pieces = walk.run(len(graph.ops), "model", 1)[graph.outputs[0]]
    whole = open_interpreter(content, "model")
    for tensor, found in zip(inputs, pieces, strict=True):
        whole.write(0, tensor)
        whole.invoke()
        assert np.array_equal(whole.read(0), found)
