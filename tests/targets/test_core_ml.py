"""Which operators the Core ML delegate takes."""

import pytest

from edgecnn.graph import read
from targets.core_ml import UNIT, judge, refusal
from targets.delegate_rules import Node
from targets.partition import partitions
from targets.verdict import CPU


def refused(content, name, level=3):
    graph = read(content, name)
    return refusal(Node(graph, graph.ops[0]), level)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("conv_float32", ""),
        ("conv_int8", "Core ML has no integers"),
        ("depthwise_float32", ""),
        ("add_row_float32", ""),
        ("mean_keep_float32", ""),
        ("mean_float32", "drops dimensions"),
        ("dense_float32", "all but the last must be 1"),
        ("softmax_float32", ""),
        ("sub_float32", "does not know it"),
        ("reshape_float32", "Core ML 2 only"),
        ("mirror_pad_float32", ""),
        ("concatenation_float32", ""),
        ("transpose_conv_float32", ""),
        ("resize_bilinear_float32", ""),
    ],
)
def test_we_know_what_core_ml_takes(by_name, name, reason):
    found = refused(by_name[name], name)
    assert (found is None) is (reason == "")
    assert found is None or (reason in found.reason)


@pytest.fixture
def edges(one_op_models):
    """Models on the edge of a rule: whether Core ML takes them, the file."""
    m = one_op_models
    image = m.T((2, 4, 4, 3))

    def added(shape, data=None):
        return m.one("ADD", [image, m.T(shape, data=data)], [image], "Add")

    def joined(axis, made):
        return m.one("CONCATENATION", [m.T((1, 4, 4, 3))] * 2, [m.T(made)], "Concatenation", axis=axis)

    def padded(pads):
        return m.one("PAD", [image, m.T((4, 2), "int32", pads)], [m.T((2, 6, 6, 3))], "Pad")

    def conv(weights):
        tensors = [m.T((1, 6, 6, 4)), weights, m.T((8,), data=1)]
        words = {"strideW": 1, "strideH": 1, "padding": 0}
        return m.one("CONV_2D", tensors, [m.T((1, 6, 6, 8))], "Conv2D", **words)

    return {
        "one number for each channel": (True, added((2, 1, 1, 3))),
        "one number for each place": (True, added((2, 4, 4, 1))),
        "one row of places": (False, added((2, 4, 1, 3))),
        "one batch for two": (False, added((1, 4, 4, 3))),
        "one constant for all": (True, added((1,), 1)),
        "joined by channel": (True, joined(3, (1, 4, 4, 6))),
        "joined by height": (False, joined(1, (1, 8, 4, 3))),
        "padded around": (True, padded([[0, 0], [1, 1], [1, 1], [0, 0]])),
        "padded in depth": (False, padded([[0, 0], [0, 0], [1, 1], [0, 3]])),
        "float weights": (True, conv(m.T((8, 3, 3, 4), data=1))),
        "int8 weights": (False, conv(m.T((8, 3, 3, 4), "int8", 1, scale=0.1))),
        "computed weights": (False, conv(m.T((8, 3, 3, 4)))),
    }


def test_rules_beyond_types_hold(edges):
    for what, (taken, content) in edges.items():
        assert (refused(content, what) is None) is taken, what


def test_core_ml_2_reshapes_images(one_op_models):
    m = one_op_models
    content = m.one("RESHAPE", [m.T((1, 4, 4)), m.shape_of(1, 16, 1)], [m.T((1, 16, 1))], "Reshape")
    assert refused(content, "reshape", 2) is None
    assert refused(content, "reshape", 3) is not None
    flat = m.one("RESHAPE", [m.T((1, 4, 4)), m.shape_of(1, 16)], [m.T((1, 16))], "Reshape")
    assert "to 2 dimensions" in refused(flat, "flat", 2).reason


def test_a_single_operator_is_not_worth_a_delegate(by_name):
    (verdict,) = judge(read(by_name["conv_float32"], "conv"))
    assert verdict.unit == CPU
    assert "fewer than 2 operators" in verdict.reason


def test_a_real_float_model_goes_whole_and_an_int8_one_not_at_all(shared):
    graph = read(shared / "models/tasks/deeplabv3.tflite")
    assert partitions(graph, judge(graph), UNIT) == (len(graph.ops),)
    eight = read(shared / "models/coral/tf2_mobilenet_v2_1.0_224_ptq.tflite")
    verdicts = judge(eight)
    assert partitions(eight, verdicts, UNIT) == ()
    assert "float16" in verdicts[1].remedy
