"""Constants of a model that is being changed."""

import numpy as np
import pytest

from calibration import constants, editable
from edgecnn.graph import read

pytestmark = pytest.mark.tensorflow


def weighted(content):
    graph = read(content, "model")
    return graph, [op for op in graph.ops if op.kind == "CONV_2D"]


def test_an_input_left_out_and_an_activation_have_no_values(float_model):
    model, (_, (first, *_)) = editable.read(float_model), weighted(float_model)
    assert constants.values(model, -1) is None
    assert constants.values(model, first.outputs[0]) is None


def test_a_constant_that_is_replaced_is_read_back_and_no_other_one_changes(float_model):
    model, (graph, (first, *_)) = editable.read(float_model), weighted(float_model)
    weights = constants.values(model, first.inputs[1])
    assert np.array_equal(weights, graph.data(graph.tensors[first.inputs[1]]))
    constants.replace(model, first.index, 1, weights * 2)
    changed = read(editable.write(model), "changed")
    for tensor in graph.tensors:
        factor = 2 if tensor.index == first.inputs[1] else 1
        assert np.array_equal(changed.data(changed.tensors[tensor.index]), graph.data(tensor) * factor)


@pytest.mark.parametrize("shared", ["buffer", "tensor"])
def test_what_two_operators_share_is_changed_for_one_only(float_model, shared):
    model, (_, (first, second)) = editable.read(float_model), weighted(float_model)
    table = model.subgraphs[0]
    if shared == "buffer":
        table.tensors[second.inputs[2]].buffer = table.tensors[first.inputs[2]].buffer
    else:
        table.operators[second.index].inputs = [*second.inputs[:2], first.inputs[2]]
    before = constants.values(model, first.inputs[2])
    constants.replace(model, second.index, 2, before + 5)
    changed = read(editable.write(model), "changed")
    biases = [changed.data(changed.tensors[changed.ops[op.index].inputs[2]]) for op in (first, second)]
    assert np.array_equal(biases[0], before)
    assert np.array_equal(biases[1], before + 5)
