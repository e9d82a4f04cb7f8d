"""Which layers cost the most: on a network with one layer that int8 ruins."""

import os

import numpy as np
import pytest

from calibration import editable
from calibration.observe import observe
from calibration.ranges import Ranges
from converters.quantize import quantize
from converters.sensitivity import Sensitivity, keep_plan, sensitivities, signal_to_noise_db
from edgecnn.errors import ConversionError
from edgecnn.graph import read

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def tensors():
    random = np.random.default_rng(0)
    return [random.uniform(-1, 1, (1, 12, 12, 3)).astype(np.float32) for _ in range(12)]


@pytest.fixture(scope="module")
def healthy():
    """Convolution, convolution, addition with its input, convolution, mean, dense; 12x12x3 to 4 values."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    from edgecnn.keras import keras, tf

    keras.utils.set_random_seed(3)
    layers = keras.layers
    image = keras.Input((12, 12, 3), name="image")
    x = first = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    x = layers.Conv2D(8, 3, padding="same", name="broken")(x)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.Add()([x, first]))
    model = keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))
    function = tf.function(lambda image: {"scores": model(image, training=False)})
    concrete = function.get_concrete_function(tf.TensorSpec((1, 12, 12, 3), tf.float32, name="image"))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert()


@pytest.fixture(scope="module")
def broken(healthy):
    """The same function, but the second convolution has huge weights for a channel that is always zero."""
    model, graph = editable.read(healthy), read(healthy, "net")
    first, second = [op for op in graph.ops if op.kind == "CONV_2D"][:2]

    def change(index, where, value):
        values = graph.data(graph.tensors[index]).copy()
        values[where] = value
        model.buffers[graph.tensors[index].buffer].data = values.ravel().view(np.uint8)

    change(first.inputs[1], 0, 0.0)
    change(first.inputs[2], 0, -1.0)
    change(second.inputs[1], (..., 0), 30.0)
    return editable.write(model)


def ranges_of(content, tensors):
    found = observe(content, tensors)
    graph = read(content, "net")
    found[graph.tensors[graph.inputs[0]].name] = (-1.0, 1.0)
    return Ranges(found, "minmax", len(tensors), "")


@pytest.fixture(scope="module")
def found(broken, tensors):
    return sensitivities(broken, ranges_of(broken, tensors), tensors)


def name_of(content, position):
    graph = read(content, "net")
    return graph.tensors[graph.ops[position].outputs[0]].name


def test_without_images_nothing_is_measured(healthy, tensors):
    with pytest.raises(ConversionError, match="net: no image came"):
        sensitivities(healthy, ranges_of(healthy, tensors), iter(()), name="net")


def test_the_ruined_layer_comes_first_by_far(found, broken):
    assert found[0].tensor == name_of(broken, 1)
    assert (found[0].kind, found[0].position) == ("CONV_2D", 1)
    assert found[0].gain_db > 10
    assert found[0].gain_db > 5 + found[1].gain_db
    assert found[0].bytes > 0
    assert [one.gain_db for one in found] == sorted((one.gain_db for one in found), reverse=True)


def test_every_operator_that_rounds_is_measured(found, broken):
    kinds = sorted(one.kind for one in found)
    assert kinds == ["ADD", "CONV_2D", "CONV_2D", "CONV_2D", "FULLY_CONNECTED", "MEAN"]
    assert len({one.tensor for one in found}) == len(found)


def test_on_a_healthy_network_no_layer_stands_out(healthy, tensors):
    found = sensitivities(healthy, ranges_of(healthy, tensors), tensors)
    assert found[0].gain_db < 5


def test_the_figures_are_those_of_the_files_that_keeping_makes(found, broken, tensors):
    from converters.sensitivity import outputs_of

    ranges = ranges_of(broken, tensors)
    expected = outputs_of(broken, tensors, "net", 1)
    plain = quantize(broken, "int8", ranges=ranges)
    base = signal_to_noise_db(expected, outputs_of(plain, tensors, "net", 1))
    for one in found[:2]:
        made = quantize(broken, "int8", ranges=ranges, keep={one.tensor: "float32"})
        assert one.snr_db == signal_to_noise_db(expected, outputs_of(made, tensors, "net", 1))
        assert one.gain_db == pytest.approx(one.snr_db - base)
        assert one.bytes == len(made) - len(plain)


def test_a_first_look_leaves_the_most_promising(found, broken, tensors):
    lines = []
    short = sensitivities(broken, ranges_of(broken, tensors), tensors, most=2, progress=lines.append)
    assert len(short) == 2
    assert short[0] == found[0]
    assert lines == [
        "looking at 6 operators on 8 images",
        f"measuring operator 1 of 2 ({short[0].kind})",
        f"measuring operator 2 of 2 ({short[1].kind})",
    ]


def test_no_more_images_are_taken_than_asked_for(broken, tensors):
    taken = iter(tensors)
    sensitivities(broken, ranges_of(broken, tensors), taken, images=3)
    assert len(list(taken)) == len(tensors) - 3


def test_an_image_may_be_the_same_array_each_time(found, broken, tensors):
    def same():
        array = np.empty_like(tensors[0])
        for tensor in tensors:
            array[:] = tensor
            yield array

    assert sensitivities(broken, ranges_of(broken, tensors), same()) == found


def test_the_way_the_model_is_made_can_be_given(broken, tensors):
    ranges, asked = ranges_of(broken, tensors), []

    def make(keep):
        asked.append(dict(keep))
        return quantize(broken, "int8", ranges=ranges, keep=keep, io="float32")

    found = sensitivities(broken, ranges, tensors, make=make)
    assert found[0].tensor == name_of(broken, 1)
    assert {} in asked
    assert {found[0].tensor: "float32"} in asked


def gains(content, *positions):
    return [Sensitivity(name_of(content, place), "", place, 20.0, 1.0, 0) for place in positions]


def test_no_gain_keeps_nothing(broken):
    useless = [Sensitivity(name_of(broken, 0), "", 0, 20.0, 0.0, 0)]
    assert keep_plan(useless, 4, source=read(broken, "net")) == {}
    assert keep_plan((), 4, source=read(broken, "net")) == {}


def test_the_best_are_kept(found, broken):
    assert keep_plan(found, 1, source=read(broken, "net")) == {found[0].tensor: "float32"}
    assert keep_plan(found, 1, source=read(broken, "net"), precision="int16") == {found[0].tensor: "int16"}


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        ((1,), {1}),
        ((1, 3), {1, 2, 3}),  # the addition between them
        ((0, 3), {0, 2, 3}),  # it reads the first one too
        ((3, 5), {3, 4, 5}),  # the mean
        ((0, 1), {0, 1}),
        ((2, 5), {2, 5}),  # a convolution lies between
    ],
)
def test_an_operator_without_weights_between_two_that_are_kept_is_kept_too(broken, positions, expected):
    plan = keep_plan(gains(broken, *positions), 9, source=read(broken, "net"))
    assert set(plan) == {name_of(broken, place) for place in expected}


@pytest.mark.parametrize(
    ("expected", "found", "ratio"),
    [
        ([[1.0, 1.0]], [[1.0, 1.0]], np.inf),
        ([[10.0, 0.0]], [[9.0, 0.0]], 20.0),
        ([[0.0, 0.0]], [[0.0, 1.0]], -np.inf),
        ([[10.0], [1.0]], [[9.0], [0.9]], 20.0),
        ([[640.0], [1.0]], [[640.0], [0.0]], 10 * np.log10(2)),
    ],
)
def test_every_output_counts_by_its_own_power(expected, found, ratio):
    arrays = [[np.array(values) for values in outputs] for outputs in (expected, found)]
    assert signal_to_noise_db(*arrays) == pytest.approx(ratio)


def test_infinite_ratios_become_none_in_json():
    one = Sensitivity("x", "CONV_2D", 0, np.inf, np.inf, 3)
    assert one.as_dict() == {
        "tensor": "x", "kind": "CONV_2D", "position": 0, "snr_db": None, "gain_db": None, "bytes": 3
    }  # fmt: skip
