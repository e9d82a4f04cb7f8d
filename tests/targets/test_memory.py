"""Predicted memory is what the runtimes take."""

import importlib.util

import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from converters.micro import random_inputs, run_micro
from edgecnn.errors import TargetError
from edgecnn.graph import read
from targets.memory import litert_kept, litert_temporaries, memory

KINDS = (
    "conv_int8", "conv_float32", "conv_dilated_int8", "depthwise_int8", "dense_int8", "transpose_conv_int8",
    "transpose_conv_int16", "transpose_conv_float32", "mean_int8", "mean_float32", "sum_int16",
    "reduce_max_int8", "reduce_all_bool", "add_n_int8", "add_n_float32", "add_int8", "softmax_int8",
    "concatenation_int8",
    "reshape_int8", "resize_bilinear_float32", "pad_int8", "strided_slice_int8", "split_int8", "network_int8",
    "network_float32",
)  # fmt: skip

needs_micro = pytest.mark.skipif(
    importlib.util.find_spec("tflite_micro") is None, reason="tflite-micro has no wheel for this machine"
)


def litert_extent(content, graph):
    """From the first byte that a kernel of LiteRT writes to the last."""
    kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kind, num_threads=1)
    interpreter.allocate_tensors()
    constant = {tensor.index for tensor in graph.tensors if tensor.is_constant}
    ends = []
    for entry in interpreter.get_tensor_details():
        values = None if entry["index"] in constant else interpreter.tensor(entry["index"])()
        if values is not None and values.nbytes:
            start = values.__array_interface__["data"][0]
            ends += [start, start + values.nbytes]
    return max(ends) - min(ends)


@needs_micro
@pytest.mark.parametrize("name", KINDS)
def test_micro_arena_is_what_tflite_micro_reports(by_name, name):
    content = by_name[name]
    graph = read(content, name)
    predicted = memory(graph, runtime="tflite_micro")
    real = run_micro(content, _inputs(graph)).arena
    assert predicted.activations_bytes == real.activations_bytes
    assert predicted.persistent_bytes == pytest.approx(real.persistent_bytes, rel=0.1)
    assert predicted.arena_bytes == pytest.approx(real.total_bytes, rel=0.1)


@pytest.mark.parametrize(
    "name",
    ["conv_int8", "conv_float32", "depthwise_int8", "dense_int8", "add_int8", "softmax_float32"],
)
def test_litert_arena_is_what_its_tensors_span(by_name, name):
    content = by_name[name]
    graph = read(content, name)
    predicted = memory(graph, runtime="litert").arena_bytes
    assert 0 <= predicted - litert_extent(content, graph) < 64


@needs_micro
@pytest.mark.parametrize(
    "name", ["coral/keras_lstm_mnist_ptq", "coral/tf2_mobilenet_v2_1.0_224_ptq", "tasks/deeplabv3"]
)
def test_micro_arena_of_real_models_is_within_two_percent(shared, name):
    path = shared / "models" / f"{name}.tflite"
    graph = read(path)
    real = run_micro(path.read_bytes(), [], name=name).arena
    assert memory(graph, runtime="tflite_micro").arena_bytes == pytest.approx(real.total_bytes, rel=0.02)


@pytest.mark.parametrize(
    "name",
    ["coral/mobilenet_v1_0.25_128_quant", "coral/deeplabv3_mnv2_dm05_pascal_quant", "tasks/deeplabv3",
     "coral/tf2_mobilenet_v2_1.0_224_ptq"],
)  # fmt: skip
def test_litert_arena_of_real_models_is_exact(shared, name):
    path = shared / "models" / f"{name}.tflite"
    graph = read(path)
    predicted = memory(graph, runtime="litert").arena_bytes
    assert 0 <= predicted - litert_extent(path.read_bytes(), graph) < 64


@pytest.mark.parametrize(
    "name", ["conv_int8", "conv_float32", "transpose_conv_int8", "transpose_conv_float32"]
)
def test_temporaries_of_litert_are_those_that_it_adds(by_name, name):
    graph = read(by_name[name], name)
    kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=by_name[name], experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    indices = [entry["index"] for entry in interpreter.get_tensor_details()]
    added = [interpreter.tensor(index)().nbytes for index in indices if index >= len(graph.tensors)]
    kept = [span.bytes for span in litert_kept(graph)]
    assert sorted([*litert_temporaries(graph, graph.ops[0]), *kept]) == sorted(added)


def test_the_peak_is_where_the_largest_tensors_meet(shared):
    graph = read(shared / "models/coral/mobilenet_v1_0.25_128_quant.tflite")
    found = memory(graph, runtime="tflite_micro")
    # The first pointwise convolution, 64x64x8 to 64x64x16. Largest first, so its output lies at 0, the
    # depthwise output before it behind that, and what comes before that one on top: nothing fits below.
    assert found.peak_operator == 2
    assert found.activations_bytes == 64 * 64 * (16 + 8 + 8)
    assert found.model_bytes == graph.size_bytes
    assert "places" not in found.as_dict()


def test_control_flow_is_refused_with_advice(by_name):
    with pytest.raises(TargetError, match=r"while: has 3 subgraphs.*Convert it without control flow"):
        memory(read(by_name["while"], "while"), runtime="litert")


def _inputs(graph):
    drawn = {"float32", "int8", "uint8", "int16", "int32"}
    if all(graph.tensors[index].dtype in drawn for index in graph.inputs):
        return random_inputs(graph, 1)
    return []
