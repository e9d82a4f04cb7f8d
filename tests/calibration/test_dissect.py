"""Against plain numpy on tensors that are kept."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from calibration import editable
from calibration.dissect import measure
from calibration.observe import observe
from calibration.ranges import Ranges
from edgecnn.errors import ConversionError, ModelError
from edgecnn.graph import read

pytestmark = pytest.mark.tensorflow


def images(count, seed=0):
    random = np.random.default_rng(seed)
    return [random.uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32) for _ in range(count)]


@pytest.fixture(scope="module")
def quantized(float_model):
    """Functions of the types of its ends: int8 files of the small float model."""
    from converters.quantize import quantize

    def make(io="int8"):
        found = observe(float_model, iter(images(12, seed=1)))
        graph = read(float_model, "float")
        found[graph.tensors[graph.inputs[0]].name] = (-1.0, 1.0)
        return quantize(float_model, "int8", ranges=Ranges(found, "minmax", 12, ""), io=io)

    return make


def stored(content, image):
    tensor = read(content, "made").tensors[read(content, "made").inputs[0]]
    if not len(tensor.scale):
        return image
    limits = np.iinfo(tensor.dtype)
    steps = np.rint(image / tensor.scale[0]) + tensor.zero_point[0]
    return steps.clip(limits.min, limits.max).astype(tensor.dtype)


def everything(content, image):
    """Every tensor by its index, each as the only output of a file of its own."""
    graph = read(content, "file")
    found = {}
    for index in [index for op in graph.ops for index in op.outputs]:
        model = editable.read(content)
        model.subgraphs[0].outputs, model.signatureDefs = [index], []
        found |= kept_in(Interpreter(model_content=editable.write(model)), image, graph, [index])
    return found


def kept_in(interpreter, image, graph, indices):
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    found = {}
    for index in indices:
        tensor, values = graph.tensors[index], interpreter.get_tensor(index).astype(np.float64)
        found[index] = (values - tensor.zero_point[0]) * tensor.scale[0] if len(tensor.scale) else values
    return found


def test_no_image_is_an_error(float_model):
    with pytest.raises(ConversionError, match="no image"):
        measure(float_model, float_model, [])


def test_ratio_and_cosine_are_those_of_tensors_that_are_kept(float_model, quantized):
    made = quantized()
    shown = images(5, seed=2)
    measured = measure(float_model, made, [(image, stored(made, image)) for image in shown])
    assert measured.images == 5
    assert [layer.node.kind for layer in measured.layers][:3] == ["INPUT", "CONV_2D", "DEPTHWISE_CONV_2D"]
    kept = [(everything(float_model, image), everything(made, stored(made, image))) for image in shown]
    for layer in measured.layers[1:]:
        right = np.concatenate([one[layer.reference.index].ravel() for one, _ in kept])
        found = np.concatenate([one[layer.tensor.index].ravel() for _, one in kept])
        ratio = 10 * np.log10((right**2).sum() / ((right - found) ** 2).sum())
        assert layer.sqnr_db == pytest.approx(ratio, abs=0.01)
        cosine = right @ found / np.linalg.norm(right) / np.linalg.norm(found)
        assert layer.cosine == pytest.approx(cosine, abs=1e-5)
        assert layer.used == pytest.approx((right.min(), right.max()), rel=1e-5, abs=1e-5)


def test_an_operators_own_error_is_that_of_its_arithmetic_on_the_references_inputs(float_model, quantized):
    made = quantized()
    shown = images(4, seed=2)
    measured = measure(float_model, made, [(image, stored(made, image)) for image in shown])
    layer = next(one for one in measured.layers if one.node.kind == "ADD")
    graph, reference = measured.made, measured.reference
    inputs = [next(one for one in measured.layers if one.node.tensor == t) for t in layer.node.sources]
    signal = error = coarse = rounding = 0.0
    for image in shown:
        right = everything(float_model, image)
        real = [right[one.reference.index] for one in inputs]
        written = [on_grid(values, one.tensor) for values, one in zip(real, inputs, strict=True)]
        truth = right[layer.reference.index]
        signal += (truth**2).sum()
        error += ((on_grid(sum(written), layer.tensor) - truth) ** 2).sum()
        coarse += ((sum(written) - truth) ** 2).sum()
        rounding += ((on_grid(truth, layer.tensor) - truth) ** 2).sum()
    assert reference.ops[-1].kind == graph.ops[-1].kind
    assert layer.local_sqnr_db == pytest.approx(10 * np.log10(signal / error), abs=0.1)
    assert layer.inputs == pytest.approx(coarse / signal, rel=1e-3)
    assert layer.grid == pytest.approx(rounding / signal, rel=1e-3)


def on_grid(values, tensor):
    steps = np.rint(values / tensor.scale[0]) + tensor.zero_point[0]
    return (steps.clip(-128, 127) - tensor.zero_point[0]) * tensor.scale[0]


def test_own_error_does_not_grow_with_what_arrives(float_model, quantized):
    """The second file sees other images: everything that follows is wrong, and only the input to blame."""
    made = quantized()
    shown, others = images(4, seed=2), images(4, seed=3)
    measured = measure(float_model, made, [(a, stored(made, b)) for a, b in zip(shown, others, strict=True)])
    assert measured.layers[0].sqnr_db < 0
    for layer in measured.layers[1:]:
        assert layer.sqnr_db < 12
        assert layer.local_sqnr_db > 25
        assert layer.arriving > 0.9


@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
def test_what_only_changes_the_type_is_no_layer(float_model, quantized, io):
    made = quantized(io)
    measured = measure(float_model, made, [(image, stored(made, image)) for image in images(2)])
    kinds = [layer.node.kind for layer in measured.layers]
    assert kinds == ["INPUT", *(op.kind for op in read(float_model, "float").ops)]
    assert measured.unpaired == measured.unpaired_reference == ()


def test_dynamic_and_float16_files_have_their_own_error_in_the_weights_alone(float_model):
    from converters.quantize import quantize

    for scheme, least in (("float16", 60), ("dynamic", 30)):
        made = quantize(float_model, scheme)
        measured = measure(float_model, made, [(image, image) for image in images(2)])
        weighted = [layer for layer in measured.layers if layer.node.weights]
        assert weighted
        assert all(layer.inputs == layer.grid == 0 < layer.weights for layer in weighted)
        assert min(layer.local_sqnr_db for layer in weighted) > least


def test_sums_do_not_depend_on_how_images_are_cut_into_portions(float_model, quantized):
    made = quantized()
    feeds = [(image, stored(made, image)) for image in images(6)]
    both = measure(float_model, made, feeds)
    halves = [measure(float_model, made, part) for part in (feeds[:3], feeds[3:])]
    for number, layer in enumerate(both.layers):
        signal = sum(half.layers[number].channels.signal for half in halves)
        np.testing.assert_allclose(layer.channels.signal, signal, rtol=1e-6)


def test_files_of_different_networks_are_refused(float_model):
    import tensorflow as tf

    from edgecnn.keras import keras

    image = keras.Input((16, 16, 3))
    model = keras.Model(image, keras.layers.GlobalMaxPooling2D()(image))
    function = tf.function(lambda image: model(image, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec((1, 16, 16, 3), tf.float32, name="image"))
    other = bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert())
    with pytest.raises(ConversionError, match="not made from the same network"):
        measure(float_model, other, [(image, image) for image in images(1)])


def test_a_reference_that_is_no_number_is_refused(float_model):
    broken = np.full((1, 16, 16, 3), np.nan, np.float32)
    with pytest.raises(ConversionError, match="infinite or not a number"):
        measure(float_model, float_model, [(broken, broken)])


def test_an_input_of_another_shape_is_an_error_of_one_line(float_model):
    image = np.zeros((1, 8, 8, 3), np.int8)
    with pytest.raises(ModelError):
        measure(float_model, float_model, [(image, image)])
