"""Rounding weights by images: outputs err less, and nothing but weights changes."""

from copy import copy
from itertools import product

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from calibration import constants, editable
from calibration.observe import observe
from calibration.pieces import exposed, stretch
from calibration.ranges import Ranges
from converters import rounding
from converters.quantize import quantize
from converters.rounding import compensated, round_weights
from edgecnn.errors import ConversionError
from edgecnn.graph import read
from edgecnn.runtime.interpreter import open_interpreter

pytestmark = pytest.mark.tensorflow
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@pytest.fixture(scope="module")
def floating(keras):
    """Every kind of layer with weights, with strides, dilation, padding and a filter multiplier."""
    import tensorflow as tf

    keras.utils.set_random_seed(3)
    layers = keras.layers
    image = keras.Input((15, 14, 3), name="image")
    x = layers.Conv2D(6, 3, 2, "same", activation="relu", name="strided")(image)
    x = layers.DepthwiseConv2D(3, 1, "same", name="depthwise")(x)
    x = layers.DepthwiseConv2D(2, 1, "valid", depth_multiplier=2, activation="relu", name="twofold")(x)
    x = layers.Conv2D(8, 1, activation="relu", name="pointwise")(x)
    x = layers.Conv2D(8, 3, 1, "same", dilation_rate=2, name="dilated")(x)
    x = layers.Dense(5, name="dense")(layers.Flatten()(x))
    model = keras.Model(image, x)
    function = tf.function(lambda image: {"scores": model(image, training=False)})
    concrete = function.get_concrete_function(tf.TensorSpec((1, 15, 14, 3), tf.float32, name="image"))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert()


@pytest.fixture(scope="module")
def images():
    """Smooth noise, so that neighbours go together: to round with, and other ones to judge by."""
    random = np.random.default_rng(5)
    noise = random.normal(0, 1, (96, 1, 17, 16, 3)).cumsum(2).cumsum(3)
    noise = noise + noise.mean(-1, keepdims=True)
    flat = (noise / np.abs(noise).max((2, 3, 4), keepdims=True))[:, :, :15, :14].astype(np.float32)
    return list(flat[:64]), list(flat[64:])


@pytest.fixture(scope="module")
def make(floating, images):
    """A function: scheme and options of `quantize` -> the file."""
    found = observe(floating, images[0])
    graph = read(floating, "model")
    found[graph.tensors[graph.inputs[0]].name] = (-1.0, 1.0)
    ranges = Ranges(found, "minmax", len(images[0]), "")
    return lambda scheme="int8", **words: quantize(floating, scheme, ranges=ranges, **words)


def constants_of(content):
    graph = read(content, "model")
    return {t.index: graph.data(t) for t in graph.tensors if t.is_constant}


def weight_indices(content):
    return {op.inputs[1] for op in read(content, "model").ops if op.kind in WEIGHTED}


def output_errors(floating, content, tensors):
    """Tensor name to the mean square, around its mean, by which the file's weights move a layer's output.

    The float layer is run on float inputs with either weights: nothing of the module under test is used.
    """
    real, made = read(floating, "float"), read(content, "made")
    makers = {made.tensors[op.outputs[0]].name: op for op in made.ops}
    errors = {}
    for op in real.ops:
        if op.kind not in WEIGHTED:
            continue
        weights = made.tensors[makers[real.tensors[op.outputs[0]].name].inputs[1]]
        shape = [1] * len(weights.shape)
        shape[weights.quantized_dimension] = -1
        rounded = made.data(weights) * weights.scale.reshape(shape)
        off = (rounded - real.data(real.tensors[op.inputs[1]])).astype(np.float32)
        errors[real.tensors[op.outputs[0]].name] = spread(op, off, tensors, floating)
    return errors


def spread(op, off, tensors, floating):
    graph = read(floating, "float")
    entrance = op.inputs[0]
    part = editable.read(floating)
    constants.replace(part, op.index, 1, off)
    alone = part.subgraphs[0].operators[op.index]
    alone.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
    inside = open_interpreter(stretch(part, [alone], [entrance], [op.outputs[0]]), "a layer")
    before = None if entrance in graph.inputs else open_interpreter(exposed(floating, [entrance]), "front")
    rows = []
    for tensor in tensors:
        entered = tensor
        if before is not None:
            before.write(0, tensor)
            before.invoke()
            entered = before.read(0)
        inside.write(0, entered)
        inside.invoke()
        rows.append(inside.read(0).reshape(-1, off.shape[-1] if op.kind == "DEPTHWISE_CONV_2D" else len(off)))
    return np.concatenate(rows).astype(np.float64).var(0).mean()


def test_without_images_no_weights_can_be_rounded(floating, make):
    with pytest.raises(ConversionError, match=r"run: no image came to round weights with"):
        round_weights(floating, make(), lambda: [], name="run")


def test_a_float_model_of_another_network_is_refused(floating, make, images):
    model = editable.read(floating)
    for tensor in model.subgraphs[0].tensors:
        tensor.name = b"other/" + tensor.name
    with pytest.raises(ConversionError, match=r"Give the float file that it was made from"):
        round_weights(editable.write(model), make(), lambda: images[0])


def correlated(random, groups, count):
    mixed = random.normal(0, 1, (groups, count, 2)) @ random.normal(0, 1, (groups, 2, count))
    return mixed @ mixed.transpose(0, 2, 1) + 0.05 * np.eye(count)


def squares(off, covariance):
    return np.einsum("gir,gij,gjr->gr", off, covariance, off)


def test_weights_whose_inputs_have_nothing_in_common_go_to_the_nearest():
    random = np.random.default_rng(0)
    wanted = random.uniform(-140, 140, (2, 9, 3))
    found = compensated(wanted, np.stack([np.diag(random.uniform(1, 2, 9)) for _ in range(2)]))
    assert np.array_equal(found, np.rint(wanted).clip(-127, 127))


def test_it_is_between_the_nearest_integers_and_the_best_ones_of_all():
    random = np.random.default_rng(1)
    covariance, wanted = correlated(random, 20, 4), random.uniform(-20, 20, (20, 4, 2))
    found = squares(compensated(wanted, covariance) - wanted, covariance)
    nearest = squares(np.rint(wanted) - wanted, covariance)
    moves = np.array(list(product(range(-5, 6), repeat=4)), np.float64)
    near = (np.rint(wanted) - wanted)[:, :, :, None] + moves.T[None, :, None, :]
    mixed = np.einsum("gij,gjrm->girm", covariance, near)
    least = (near * mixed).sum(1).min(-1)
    assert (least <= found + 1e-9).all()
    assert found.mean() < 0.5 * nearest.mean()
    assert found.mean() < 2 * least.mean()


def test_blocks_are_for_speed_only(monkeypatch):
    random = np.random.default_rng(2)
    covariance, wanted = correlated(random, 2, 37), random.uniform(-90, 90, (2, 37, 4))
    whole = compensated(wanted, covariance)
    monkeypatch.setattr(rounding, "_BLOCK", 5)
    assert np.array_equal(compensated(wanted, covariance), whole)


@pytest.mark.parametrize("weights", ["channel", "tensor"])
@pytest.mark.parametrize("judged", [0, 1], ids=["images that were seen", "other images"])
def test_outputs_of_every_layer_err_less(floating, make, images, weights, judged):
    before = make(weights=weights)
    rounded = round_weights(floating, before, lambda: images[0])
    assert rounded.images == 64
    old, new = (output_errors(floating, each, images[judged]) for each in (before, rounded.content))
    assert {layer.kind for layer in rounded.layers} == set(WEIGHTED)
    for layer in rounded.layers:
        assert layer.changed > 0
        assert new[layer.name] < old[layer.name]
        # The window's places are a sample; the network is small enough for all of its places.
        if judged == 0:
            assert (layer.before, layer.after) == pytest.approx((old[layer.name], new[layer.name]), rel=1e-2)
    unchanged = old.keys() - {layer.name for layer in rounded.layers}
    assert all(old[name] == new[name] for name in unchanged)
    assert len(rounded.layers) >= 5


def test_nothing_but_weights_changes(floating, make, images):
    before = make()
    after = round_weights(floating, before, lambda: images[0]).content
    old, new = read(before, "old"), read(after, "new")
    assert len(before) == len(after)
    assert [(op.kind, op.inputs, op.outputs) for op in old.ops] == [
        (op.kind, op.inputs, op.outputs) for op in new.ops
    ]
    assert [(t.name, t.shape, t.dtype, t.scale.tolist(), t.zero_point.tolist()) for t in old.tensors] == [
        (t.name, t.shape, t.dtype, t.scale.tolist(), t.zero_point.tolist()) for t in new.tensors
    ]
    first, second = constants_of(before), constants_of(after)
    changed = {index for index in first if not np.array_equal(first[index], second[index])}
    assert changed
    assert changed <= weight_indices(before)
    assert all(second[index].min() >= -127 for index in changed)


def test_layers_that_stayed_float_stay_as_they_are(floating, make, images):
    graph = read(floating, "model")
    names = [graph.tensors[op.outputs[0]].name for op in graph.ops if op.kind == "CONV_2D"]
    before = make(keep={names[0]: "float32"})
    rounded = round_weights(floating, before, lambda: images[0])
    assert names[0] not in {layer.name for layer in rounded.layers}
    made = read(before, "made")
    kept = next(op.inputs[1] for op in made.ops if made.tensors[op.outputs[0]].name == names[0])
    assert np.array_equal(constants_of(before)[kept], constants_of(rounded.content)[kept])


def test_weights_that_another_operator_reads_too_are_left(floating, make, images):
    model = editable.read(make())
    table = model.subgraphs[0]
    graph = read(make(), "made")
    first = next(op for op in graph.ops if op.kind == "CONV_2D")
    again, result = copy(table.operators[first.index]), copy(table.tensors[first.outputs[0]])
    result.name = b"again"
    table.tensors.append(result)
    again.outputs = [len(table.tensors) - 1]
    table.operators.append(again)
    rounded = round_weights(floating, editable.write(model), lambda: images[0])
    assert rounded.layers
    assert graph.tensors[first.outputs[0]].name not in {layer.name for layer in rounded.layers}


def test_at_most_so_many_images_are_taken_and_the_same_ones_give_the_same_file(floating, make, images):
    taken = []

    def tensors():
        for tensor in images[0] * 2:
            taken.append(1)
            yield tensor

    first = round_weights(floating, make(), tensors)
    assert len(taken) == rounding.IMAGES == first.images
    assert first.content == round_weights(floating, make(), tensors).content
