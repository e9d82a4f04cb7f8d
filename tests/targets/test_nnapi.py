"""Which operators the NNAPI delegate takes, by API level."""

import pytest

from edgecnn.graph import read
from targets.nnapi import MOST_PIECES, UNIT, judge
from targets.partition import partitions
from targets.verdict import CPU


@pytest.mark.parametrize(
    ("name", "since"),
    [
        ("conv_float32", 27),
        ("conv_uint8", 27),
        ("conv_int8", 29),
        ("conv_dilated_float32", 29),
        ("add_int8", 27),
        ("sub_float32", 28),
        ("sub_int8", 29),
        ("sub_int32", 30),
        ("pad_float32", 28),
        ("pad_int8", 29),
        ("padv2_float32", 29),
        ("mean_float32", 28),
        ("resize_bilinear_float32", 30),  # half-pixel centres
        ("split_uint8", 29),
        ("split_int8", 30),
        ("quantize_float32", 30),
        ("dequantize_uint8", 27),
        ("dequantize_int8", 29),
        ("elu_float32", 30),
        ("batch_matmul_float32", 32),
        ("mirror_pad_int8", 33),
        ("gelu_float32", None),
        ("add_int16", None),
        ("dense_no_bias_float32", 27),
    ],
)
def test_an_operator_is_taken_from_its_api_level_on(by_name, name, since):
    graph = read(by_name[name], name)
    for level in range(27, 35):
        (verdict,) = judge(graph, level)
        assert (verdict.unit == UNIT) is (since is not None and level >= since), level
        assert verdict.unit == UNIT or (verdict.unit == CPU and verdict.reason and verdict.source)


@pytest.mark.parametrize(
    ("name", "level", "reason", "remedy", "fix"),
    [
        ("conv_int8", 28, "int8 needs API level 29, not 28", "uint8", ""),
        ("quantize_float32", 29, "int8 needs API level 30", "int8 inputs and outputs", "int8-io"),
        ("resize_nearest_neighbor_int8", 29, "half-pixel centres need API level 30", "whole", ""),
        ("rsqrt_int8", 31, "int8 needs API level 33", "Android 13", ""),
        ("mean_float32", 27, "needs API level 28", "Android 9", ""),
        ("add_int16", 30, "takes float32, uint8, int8, int32, not int16", "int8", ""),
        ("gelu_float32", 31, "does not know it", "RELU6", ""),
    ],
)
def test_a_refusal_says_why_and_what_to_do(by_name, name, level, reason, remedy, fix):
    (verdict,) = judge(read(by_name[name], name), level)
    assert verdict.unit == CPU
    assert reason in verdict.reason
    assert remedy in verdict.remedy
    assert verdict.fix == fix


@pytest.fixture
def edges(one_op_models):
    """Models on the edge of a rule: API level, what to do where it is refused, the file."""
    m = one_op_models
    scales = [0.01, 0.02, 0.03, 0.04, 0.05]

    def dense(scale, data="int8"):
        bias = m.T((5,), "int32", 1, scale=0.0002)
        kept = [m.T((2, 4), data, scale=0.02), m.T((5, 4), "int8", 1, scale=scale), bias]
        if data == "float32":
            kept = [m.T((2, 4)), kept[1], m.T((5,), data=1)]
        out = m.T((2, 5)) if data == "float32" else m.T((2, 5), data, scale=0.1)
        return m.one("FULLY_CONNECTED", kept, [out], "FullyConnected")

    def conv(weights, out_scale=0.1, data="uint8"):
        tensors = [m.T((1, 6, 6, 4), data, scale=0.1), weights, m.T((8,), "int32", 1, scale=0.01)]
        words = {"strideW": 1, "strideH": 1, "padding": 0}
        return m.one("CONV_2D", tensors, [m.T((1, 6, 6, 8), data, scale=out_scale)], "Conv2D", **words)

    def resized(kind, options):
        ends = [m.T((1, 4, 4, 3)), m.shape_of(8, 8)], [m.T((1, 8, 8, 3))]
        return m.one(kind, *ends, options, halfPixelCenters=True)

    one = m.T((8, 3, 3, 4), "uint8", 1, scale=0.1)
    many = m.T((8, 3, 3, 4), "int8", 1, scale=[0.1] * 8)
    five = m.T((1,) * 5)
    return {
        "one scale for dense weights": (30, None, dense(0.1)),
        "a scale for each output": (30, "dense-per-tensor", dense(scales)),
        "int8 weights on float": (29, None, dense(0.1, "float32")),
        "int8 weights on float, early": (28, "", dense(0.1, "float32")),
        "channels with scales": (29, None, conv(many, data="int8")),
        "a wide output scale": (28, None, conv(one, 0.1)),
        "a narrow output scale": (28, "", conv(one, 0.005)),
        "a narrow output scale, late": (29, None, conv(one, 0.005)),
        "five dimensions": (31, "", m.one("ADD", [five, five], [five], "Add")),
        "a scalar mean": (31, "", m.one("MEAN", [m.T((4,)), m.shape_of(0)], [m.T(())], "Reducer")),
        "a computed shape": (
            31,
            "",
            m.one("RESHAPE", [m.T((4,)), m.T((2,), "int32")], [m.T((2, 2))], "Reshape"),
        ),
        "an argument in int64": (
            31,
            "",
            m.one(
                "ARG_MAX", [m.T((2, 3)), m.T((), "int32", 1)], [m.T((2,), "int64")], "ArgMax", outputType=4
            ),
        ),
        "nearest by whole steps": (29, "resize", resized("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighbor")),
        "nearest, late": (30, None, resized("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighbor")),
        "bilinear by whole steps": (29, "", resized("RESIZE_BILINEAR", "ResizeBilinear")),
        "joined and clipped": (
            31,
            "",
            m.one(
                "CONCATENATION",
                [m.T((1, 2))] * 2,
                [m.T((1, 4))],
                "Concatenation",
                axis=1,
                fusedActivationFunction=1,
            ),
        ),
    }


def test_rules_beyond_types_hold(edges):
    for what, (level, fix, content) in edges.items():
        (verdict,) = judge(read(content, what), level)
        assert (verdict.unit == UNIT) is (fix is None), what
        assert verdict.fix == (fix or ""), what


def test_an_open_batch_can_be_fixed_and_an_open_image_cannot(one_op_models):
    m = one_op_models
    graph = read(m.one("RELU", [m.T((1, 4))], [m.T((1, 4))]), "closed")
    assert judge(graph, 30)[0].unit == UNIT
    for free, fix in (([-1, 4], "static-batch"), ([1, -1], "")):
        model = m.schema.ModelT.InitFromPackedBuf(m.one("RELU", [m.T((1, 4))], [m.T((1, 4))]), 0)
        for tensor in model.subgraphs[0].tensors:
            tensor.shapeSignature = free
        (verdict,) = judge(read(m.pack(model), "open"), 30)
        assert verdict.unit == CPU
        assert "only known when the model runs" in verdict.reason
        assert verdict.fix == fix


def test_a_newer_version_of_an_operator_is_refused(one_op_models):
    m = one_op_models
    model = m.schema.ModelT.InitFromPackedBuf(m.one("RELU", [m.T((1, 4))], [m.T((1, 4))]), 0)
    model.operatorCodes[0].version = 3
    (verdict,) = judge(read(m.pack(model), "new"), 31)
    assert "version 3 of it; the delegate knows up to 2" in verdict.reason


@pytest.mark.parametrize(("level", "parts"), [(27, (61,)), (31, (63,))])
def test_a_real_detector_goes_to_nnapi_without_its_last_operator(shared, level, parts):
    graph = read(shared / "models/tasks/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite")
    verdicts = judge(graph, level)
    assert verdicts[-1].unit == CPU
    assert sum(partitions(graph, verdicts, UNIT)) == sum(parts)
    assert len(partitions(graph, verdicts, UNIT)) <= MOST_PIECES


def test_no_more_pieces_than_the_delegate_takes(shared):
    graph = read(shared / "models/tasks/deeplabv3.tflite")
    assert len(partitions(graph, judge(graph, 27), UNIT)) == MOST_PIECES
