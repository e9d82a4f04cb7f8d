"""Which layers to keep: a sick layer alone, or all that touches a tensor that int8 cannot hold."""

import os
from types import SimpleNamespace

import numpy as np
import pytest

from calibration import constants, editable
from calibration.observe import observe
from calibration.ranges import Ranges
from converters.quantize import quantize
from converters.sensitivity import Sensitivity, outputs_of, signal_to_noise_db
from converters.sick import layer_plans, tensor_plans
from edgecnn.graph import read

SHIFT = 500.0


@pytest.fixture(scope="module")
def tensors():
    random = np.random.default_rng(0)
    return [random.uniform(-1, 1, (1, 12, 12, 3)).astype(np.float32) for _ in range(12)]


@pytest.fixture(scope="module")
def healthy():
    """Two linear 1x1 bottlenecks between convolutions, a reshape behind the mean, dense layers."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    from edgecnn.keras import keras, tf

    keras.utils.set_random_seed(3)
    layers = keras.layers
    image = keras.Input((12, 12, 3), name="image")
    x = layers.ReLU(6.0)(layers.Conv2D(16, 3, padding="same")(image))
    for _ in range(2):
        x = layers.Conv2D(8, 1)(x)
        x = layers.ReLU(6.0)(layers.Conv2D(16, 1)(x))
    x = layers.Reshape((144 * 16,))(layers.Conv2D(16, 1)(x))
    model = keras.Model(image, layers.Dense(4)(x))
    function = tf.function(lambda image: {"scores": model(image, training=False)})
    concrete = function.get_concrete_function(tf.TensorSpec((1, 12, 12, 3), tf.float32, name="image"))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert()


def shifted(content, number):
    """The same function, but all channels between operator `number` and the next lie around SHIFT."""
    graph, model = read(content, "net"), editable.read(content)
    weights = graph.data(graph.tensors[graph.ops[number + 1].inputs[1]])
    for which, value in ((number, SHIFT), (number + 1, -SHIFT * weights.sum((1, 2, 3)))):
        index = int(model.subgraphs[0].operators[which].inputs[2])
        bias = constants.values(model, index)
        constants.replace(model, which, 2, (bias + value).astype(np.float32))
    return editable.write(model)


def look_at(content, tensors):
    found = observe(content, tensors)
    graph = read(content, "net")
    found[graph.tensors[graph.inputs[0]].name] = (-1.0, 1.0)
    ranges = Ranges(found, "minmax", len(tensors), "")
    expected = outputs_of(content, tensors, "net")

    def look(kept):
        made = quantize(content, "int8", ranges=ranges, keep=kept)
        return signal_to_noise_db(expected, outputs_of(made, tensors, "net"))

    return look


def names_of(content, *numbers):
    graph = read(content, "net")
    return [graph.tensors[graph.ops[number].outputs[0]].name for number in numbers]


def test_a_network_without_operators_has_no_plans():
    empty = SimpleNamespace(ops=(), tensors=())
    assert list(layer_plans((), empty, "float32", most=9)) == []
    assert list(tensor_plans(empty, "float32", lambda kept: 0.0, most=9)) == []


@pytest.mark.tensorflow
def test_all_that_touches_a_sick_tensor_is_kept_together(healthy, tensors):
    content = shifted(healthy, 1)
    maker, reader = names_of(content, 1, 2)
    look = look_at(content, tensors)
    plain = look({})
    assert max(look({maker: "float32"}), look({reader: "float32"})) < plain + 3, "one alone cures nothing"
    first = next(tensor_plans(read(content, "net"), "float32", look, most=4))
    assert first == {maker: "float32", reader: "float32"}
    assert look(first) > plain + 15


@pytest.mark.tensorflow
def test_a_second_sick_tensor_is_kept_besides_and_then_nothing_more(healthy, tensors):
    content = shifted(shifted(healthy, 1), 3)
    plans = list(tensor_plans(read(content, "net"), "float32", look_at(content, tensors), most=4))
    assert list(plans[-1]) == names_of(content, 1, 2, 3, 4)
    assert list(plans[0]) in (names_of(content, 1, 2), names_of(content, 3, 4), names_of(content, 2, 3))


@pytest.mark.tensorflow
def test_no_plan_keeps_more_than_is_allowed_or_gains_nothing(healthy):
    graph = read(healthy, "net")
    seen = []

    def flat(kept):
        seen.append(len(kept))
        return 5.0

    assert list(tensor_plans(graph, "float32", flat, most=2)) == []
    assert max(seen) == 2
    assert list(tensor_plans(graph, "float32", lambda kept: float(len(kept)), most=1)) == []


@pytest.mark.tensorflow
def test_who_reads_behind_a_reshape_reads_the_same_values(healthy):
    graph = read(healthy, "net")
    kinds = [operator.kind for operator in graph.ops]
    assert kinds[-2:] == ["RESHAPE", "FULLY_CONNECTED"]
    last = names_of(healthy, len(kinds) - 3, len(kinds) - 2, len(kinds) - 1)
    asked = []
    list(tensor_plans(graph, "int16", lambda kept: asked.append(kept) or 0.0, most=9))
    assert dict.fromkeys(last, "int16") in asked


@pytest.mark.tensorflow
def test_layers_are_kept_by_ones_twos_and_fours(healthy):
    graph = read(healthy, "net")
    found = [
        Sensitivity(name, "CONV_2D", n, 9.0, 6.0 - n, 1)
        for n, name in enumerate(names_of(healthy, *range(6)))
    ]
    plans = list(layer_plans(found, graph, "float32", most=5))
    assert [len(plan) for plan in plans] == [1, 2, 4]
    assert list(plans[1]) == names_of(healthy, 0, 1)
    none_gains = [Sensitivity(name, "CONV_2D", 0, 9.0, 0.0, 1) for name in names_of(healthy, 0, 1)]
    assert list(layer_plans(none_gains, graph, "float32", most=5)) == []
