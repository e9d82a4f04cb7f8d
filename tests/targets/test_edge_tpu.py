"""What we say of the Edge TPU beside what Google's compiler did."""

from collections import Counter

import numpy as np
import pytest

from calibration import editable
from converters.to_edgetpu import CUSTOM, CompilerReport
from edgecnn.graph import read
from targets.edge_tpu import MAPPED, UNIT, cache, judge, minimum_runtime, mispredicted
from targets.fix import fix
from targets.verdict import CPU

PAIRS = (
    "deeplabv3_mnv2_dm05_pascal_quant", "keras_lstm_mnist_ptq", "mobilenet_v1_0.25_128_quant",
    "posenet_mobilenet_v1_075_353_481_16_quant_decoder", "split_concat",
)  # fmt: skip


@pytest.fixture(params=PAIRS)
def pair(request, shared):
    folder = shared / "models" / "coral"
    return read(folder / f"{request.param}.tflite"), read(folder / f"{request.param}_edgetpu.tflite")


def test_what_stays_on_the_cpu_is_what_the_compiler_left_there(pair):
    source, compiled = pair
    left = Counter(op.label for op in compiled.ops if op.label != CUSTOM)
    verdicts = judge(source)
    assert Counter(one.kind for one in verdicts if one.unit == CPU) == left
    on_tpu = Counter(op.label for op in source.ops) - left
    assert Counter(one.kind for one in verdicts if one.unit == UNIT) == on_tpu


def test_a_compiled_part_runs_on_the_edge_tpu(pair):
    _, compiled = pair
    assert {one.unit for one in judge(compiled) if one.kind == CUSTOM} == {UNIT}
    assert minimum_runtime(compiled, judge(compiled)) in (0, 12)  # all that is left to say: int8 ends need 12


def test_whatever_needs_the_result_of_a_cpu_operator_stays_there_too(shared):
    graph = read(shared / "models/coral/deeplabv3_mnv2_dm05_pascal_quant.tflite")
    left = [one for one in judge(graph) if one.unit == CPU]
    assert [one.operator for one in left] == [64, 65, 66, 67, 68, 69, 70, 71]
    assert "1x1 to 33x33" in left[0].reason
    assert "operator 64 (RESIZE_BILINEAR)" in left[1].reason
    assert left[-1].kind == "ARG_MAX"
    assert left[-1].reason == "the Edge TPU does not know it"


@pytest.mark.parametrize("kind", sorted({*MAPPED} - {"QUANTIZE", "UNIDIRECTIONAL_SEQUENCE_LSTM"}))
def test_float_operators_stay_on_the_cpu(by_name, kind):
    names = [name for name in by_name if name.endswith("_float32")]
    graphs = [read(by_name[name], name) for name in names]
    found = [one for graph in graphs for one in judge(graph) if one.kind == kind]
    assert found
    assert all(one.unit == CPU for one in found)
    assert all(one.remedy for one in found)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("conv_int8", UNIT), ("conv_uint8", UNIT), ("add_int8", UNIT), ("maximum_int8", UNIT),
        ("leaky_relu_int8", CPU), ("hard_swish_int8", CPU), ("conv_int16", CPU), ("arg_max_int8", CPU),
    ],
)  # fmt: skip
def test_one_operator_models(by_name, name, unit):
    (verdict, *_) = judge(read(by_name[name], name))
    assert verdict.unit == unit


def test_an_old_runtime_maps_less(shared):
    graph = read(shared / "models/coral/keras_lstm_mnist_ptq.tflite")
    newest, oldest = judge(graph, 14), judge(graph, 10)
    assert {one.unit for one in newest} == {UNIT}
    assert "runtime 13" in oldest[0].reason
    assert minimum_runtime(graph, newest) == 14


def test_the_cache_holds_eight_megabytes(shared):
    graph = read(shared / "models/coral/tf2_mobilenet_v2_1.0_224_ptq.tflite")
    verdicts = judge(graph)
    whole = cache(graph, verdicts)
    assert whole.streamed_bytes == 0
    assert 3.4e6 < whole.parameter_bytes < 3.7e6  # 3.5 million parameters of one byte, biases of four
    small = cache(graph, verdicts, 1 << 20)
    assert small.cached_bytes + small.streamed_bytes == whole.parameter_bytes
    assert small.streamed_bytes > 2e6
    assert whole.as_dict()["estimated"] is True


def test_a_report_that_says_otherwise_is_seen(shared):
    verdicts = judge(read(shared / "models/coral/split_concat.tflite"))
    right = CompilerReport("16.0", {"CONCATENATION": 2, "SPLIT": 1}, (), 1, 0, 0, 0, 0)
    wrong = CompilerReport("16.0", {"CONCATENATION": 2}, (("SPLIT", 1, "no"),), 1, 0, 0, 0, 0)
    assert mispredicted(right, verdicts) == {}
    assert mispredicted(wrong, verdicts) == {"SPLIT": (1, 0)}


@pytest.mark.parametrize("name", ["sum_int8", "mean_int8", "softmax_int8", "split_int8", "pack_int8"])
def test_a_tensor_without_dimensions_stays_on_the_cpu(by_name, name):
    model = editable.read(by_name[name])
    for tensor in model.subgraphs[0].tensors:
        if tensor.buffer == 0:
            tensor.shape = []
    (found,) = judge(read(editable.write(model), name))
    assert (found.unit, "no dimensions" in found.reason) == (CPU, True)


def test_a_resize_between_other_ranks_stays_on_the_cpu(by_name):
    model = editable.read(by_name["resize_bilinear_int8"])
    model.subgraphs[0].tensors[0].shape = [31]
    (found,) = judge(read(editable.write(model), "resize"))
    assert (found.unit, found.reason) == (CPU, "it resizes 31 to 1x9x9x4")


def test_the_fix_that_is_offered_lifts_the_verdict(chain, one_op_models):
    t = one_op_models.T
    inside = {"dtype": "int8", "scale": 0.1}
    content = chain(
        {
            "a": t((1, 4, 4, 8), **inside), "to": t((2,), "int32", data=np.array((8, 8), np.int32)),
            "b": t((1, 8, 8, 8), **inside),
        },
        [
            (
                "RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighbor", {"halfPixelCenters": True},
                ["a", "to"], ["b"],
            )
        ],
        inputs=["a"], outputs=["b"],
    )  # fmt: skip
    newer = editable.read(content)
    newer.operatorCodes[0].version = 3
    content = editable.write(newer)
    (before,) = judge(read(content), 13)
    assert (before.unit, before.fix) == (CPU, "resize")
    mended, _ = fix(content, [before.fix])
    assert judge(read(mended), 13)[0].unit == UNIT
