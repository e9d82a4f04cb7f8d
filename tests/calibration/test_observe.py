"""What goes by inside a model while it looks at images."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from calibration import editable
from calibration.observe import calibrate, observe
from edgecnn.card import InputSpec
from edgecnn.errors import ConversionError, DataError

pytestmark = pytest.mark.tensorflow
SPEC = InputSpec(16, 16, mean=(127.5,), std=(127.5,))


@pytest.fixture
def tensors():
    random = np.random.default_rng(3)
    return [random.uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32) for _ in range(5)]


def test_without_images_there_is_nothing_to_say(float_model):
    with pytest.raises(ConversionError, match="no image came"):
        observe(float_model, [])


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


def test_the_order_of_the_images_changes_nothing(float_model, tensors):
    assert observe(float_model, tensors) == observe(float_model, tensors[::-1])


def test_images_are_taken_one_at_a_time(float_model, tensors):
    alive = []

    def stream():
        for tensor in tensors:
            one = tensor.copy()
            alive.append(one)
            yield one
            one.fill(np.nan)  # whoever looks again sees it

    assert observe(float_model, stream()) == observe(float_model, tensors)


def test_a_model_that_computes_nonsense_is_named_with_its_tensor(float_model, tensors):
    model = editable.read(float_model)
    graph = model.subgraphs[0]
    first = graph.operators[0]
    bias = model.buffers[graph.tensors[first.inputs[2]].buffer]
    bias.data = np.full(8, np.nan, np.float32).view(np.uint8)
    with pytest.raises(
        ConversionError, match=r"run/float32.tflite: .* reaches nan\.\.nan on the calibration"
    ):
        observe(editable.write(model), tensors, name="run/float32.tflite")


def test_calibration_knows_the_input_from_its_pixels_and_says_which_images_it_saw(float_model, pictures):
    data = pictures([0, 1, 2, 0])
    ranges = calibrate(float_model, data, SPEC)
    assert (ranges.method, ranges.samples, len(ranges.sha256)) == ("minmax", 4, 64)
    assert ranges.low_high["serving_default_image:0"] == pytest.approx((-1, 1))
    assert len(ranges.low_high) >= 7


def test_an_unreadable_calibration_image_is_named(float_model, pictures):
    with pytest.raises(DataError, match=r"pictures/2\.png: truncated"):
        calibrate(float_model, pictures([0, 1, 2], unreadable=(2,)), SPEC)
