"""Parts of a model as models of their own."""

import numpy as np
import pytest

from calibration import editable, pieces
from edgecnn.graph import read
from edgecnn.runtime.interpreter import open_interpreter

pytestmark = pytest.mark.tensorflow


def run(content, *inputs):
    interpreter = open_interpreter(content, "model")
    for position, array in enumerate(inputs):
        interpreter.write(position, array)
    interpreter.invoke()
    return [interpreter.read(position) for position in range(len(read(content, "model").outputs))]


@pytest.fixture
def image():
    return np.random.default_rng(1).uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32)


def test_two_pieces_in_a_row_compute_what_the_whole_computes(float_model, image):
    graph, model = read(float_model, "model"), editable.read(float_model)
    for cut in range(1, len(graph.ops)):
        before = {index for op in graph.ops[:cut] for index in op.outputs}
        needed = sorted(before & {index for op in graph.ops[cut:] for index in op.inputs})
        operators = model.subgraphs[0].operators
        first = pieces.stretch(model, operators[:cut], graph.inputs, needed)
        second = pieces.stretch(model, operators[cut:], needed, graph.outputs)
        assert len(first) + len(second) < 2 * len(float_model)
        (found,) = run(second, *run(first, image))
        (expected,) = run(float_model, image)
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-5), cut


def test_a_model_shows_the_tensors_that_are_asked_for_in_their_order(float_model, image):
    graph = read(float_model, "model")
    wanted = [graph.outputs[0], graph.ops[0].outputs[0]]
    content = pieces.exposed(float_model, wanted)
    assert [read(content, "model").tensors[i].name for i in read(content, "model").outputs] == [
        graph.tensors[index].name for index in wanted
    ]
    scores, first = run(content, image)
    assert np.array_equal(scores, run(float_model, image)[0])
    assert first.shape == graph.tensors[wanted[1]].shape
