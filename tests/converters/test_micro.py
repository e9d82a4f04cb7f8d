"""The real TFLite Micro: what it says, and what it says when it cannot."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

from converters import micro
from converters.micro import compare_with_litert, random_inputs, run_micro
from edgecnn.errors import ConversionError, MissingExtra
from edgecnn.graph import read

needs_micro = pytest.mark.skipif(
    importlib.util.find_spec("tflite_micro") is None, reason="tflite-micro has no wheel for this machine"
)


@needs_micro
def test_outputs_are_those_of_litert(shared):
    content = (shared / "models/coral/keras_lstm_mnist_ptq.tflite").read_bytes()
    found = compare_with_litert(content, random_inputs(read(content, "lstm"), 3), name="lstm")
    assert (found.runs, found.values, found.equal, found.largest) == (3, 30, 30, 0.0)
    assert found.is_equal
    assert found.as_dict()["arena"]["total_bytes"] == found.arena.total_bytes > 0
    assert found.arena.total_bytes == found.arena.activations_bytes + found.arena.persistent_bytes


@needs_micro
def test_a_difference_is_counted_in_steps(shared, monkeypatch):
    content = (shared / "models/coral/keras_lstm_mnist_ptq.tflite").read_bytes()
    inputs = random_inputs(read(content, "lstm"), 1)
    (right,) = micro._reference(content, inputs)
    wrong = right[0].copy()
    wrong[0, 3] = wrong[0, 3] + 2 if wrong[0, 3] < 100 else wrong[0, 3] - 2
    monkeypatch.setattr(micro, "_reference", lambda *_: [(wrong,)])
    found = compare_with_litert(content, inputs, name="lstm")
    assert (found.values, found.equal, found.largest) == (10, 9, 2.0)
    assert not found.is_equal


@needs_micro
def test_state_does_not_go_from_one_input_to_the_next(shared):
    content = (shared / "models/coral/keras_lstm_mnist_ptq.tflite").read_bytes()
    first, second = random_inputs(read(content, "lstm"), 2)
    both = run_micro(content, [first, second]).outputs
    np.testing.assert_array_equal(both[1][0], run_micro(content, [second]).outputs[0][0])


@needs_micro
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("coral/mobilenet_v1_0.25_128_quant", r"kernel of CONV_2D \(operator 0\) refuses to prepare"),
        ("coral/split_concat", r"CONCATENATION \(operator 0\).*Convert the model to int8"),
        ("coral/model_invoking_error", r"ended with signal \d+"),
    ],
)
def test_a_model_that_it_cannot_run_is_refused_by_operator(shared, model, message):
    content = (shared / "models" / f"{model}.tflite").read_bytes()
    with pytest.raises(ConversionError, match=message):
        run_micro(content, [], name=model)


def test_an_operator_without_kernel_is_named():
    graph = SimpleNamespace(ops=[SimpleNamespace(kind="TILE", index=4)])
    said = "Didn't find op for builtin opcode 'TILE'\nFailed to get registration from op code TILE\n"
    message = micro._explained("net", said, 1, graph)
    assert message.startswith("net: TFLite Micro has no kernel for TILE (operator 4).")


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'edgecnn\[micro\]'"):
        run_micro(b"", [])


def test_random_inputs_use_the_whole_range_and_stay_the_same(shared):
    graph = read(shared / "models/coral/mobilenet_v1_0.25_128_quant.tflite")
    ((first,), (second,)) = random_inputs(graph, 2)
    assert first.shape == (1, 128, 128, 3)
    assert (first.min(), first.max(), first.dtype) == (0, 255, np.uint8)
    assert (first != second).any()
    np.testing.assert_array_equal(first, random_inputs(graph, 1)[0][0])
    assert random_inputs(graph, 0) == []
