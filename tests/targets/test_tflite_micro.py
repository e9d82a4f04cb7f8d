"""Our verdicts beside what TFLite Micro really runs."""

import importlib.util

import numpy as np
import pytest

from converters.micro import run_micro
from edgecnn.errors import ConversionError
from edgecnn.graph import read
from targets.tflite_micro import judge
from targets.verdict import NOWHERE

needs_micro = pytest.mark.skipif(
    importlib.util.find_spec("tflite_micro") is None, reason="tflite-micro has no wheel for this machine"
)

# Of every operator that our zoo uses, and of every rule that is more than a type.
KINDS = (
    "conv", "conv_no_bias", "depthwise", "depthwise_no_bias", "dense", "add", "mul", "mean", "softmax",
    "logistic", "hard_swish", "average_pool_2d", "max_pool_2d", "reshape", "pad", "concatenation",
)  # fmt: skip


@needs_micro
@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int16"])
@pytest.mark.parametrize("kind", KINDS)
def test_we_say_what_tflite_micro_does(by_name, kind, dtype):
    name = f"{kind}_{dtype}"
    graph = read(by_name[name], name)
    zeros = tuple(
        np.zeros(graph.tensors[index].shape, graph.tensors[index].dtype) for index in graph.inputs
    )  # fmt: skip
    try:
        run_micro(by_name[name], [zeros], name=name)
        runs = True
    except ConversionError:
        runs = False
    assert (judge(graph)[0].unit != NOWHERE) is runs


@pytest.mark.parametrize(
    ("name", "reason", "remedy"),
    [
        ("tile_int8", "no kernel for it", "CONCATENATION"),
        ("add_uint8", "takes float32, int8, int16, int32, not uint8", "int8 inputs and outputs"),
        ("sqrt_int8", "takes float32, not int8", "Keep it out of the quantized part"),
        ("depthwise_no_bias_int8", "left out", "int8"),
        ("softmax_int16", "scale is not 1/32768", "int8"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(by_name, name, reason, remedy):
    (verdict,) = judge(read(by_name[name], name))
    assert verdict.unit == NOWHERE
    assert reason in verdict.reason
    assert remedy in verdict.remedy
    assert verdict.source


def test_integer_weights_on_float_activations_have_no_kernel(shared):
    graph = read(shared / "models/coral/mobilenet_v1_0.25_128_quant.tflite")
    verdicts = judge(graph)
    assert len(verdicts) == len(graph.ops)
    assert {verdict.unit for verdict in verdicts if verdict.kind == "CONV_2D"} == {NOWHERE}


def test_a_custom_operator_is_known_by_its_own_name(shared):
    graph = read(shared / "models/tasks/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite")
    assert judge(graph)[-1].kind == "TFLite_Detection_PostProcess"
    assert judge(graph)[-1].unit == "tflite_micro"
    unknown = judge(read(shared / "models/coral/model_invoking_error.tflite"))
    assert "custom operator" in next(verdict.reason for verdict in unknown if verdict.unit == NOWHERE)
