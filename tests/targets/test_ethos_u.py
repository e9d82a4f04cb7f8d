"""Our verdicts beside what Vela really does."""

import importlib.util

import pytest

from converters.to_ethosu import compile_ethosu
from edgecnn.errors import ConversionError
from edgecnn.graph import read
from targets.ethos_u import judge, mispredicted
from targets.verdict import CPU, NOWHERE

needs_vela = pytest.mark.skipif(
    importlib.util.find_spec("ethosu") is None, reason="ethos-u-vela is not installed"
)  # fmt: skip

KINDS = (
    "conv", "depthwise", "dense", "add", "mean", "softmax", "average_pool_2d", "max_pool_2d", "maximum",
    "resize_bilinear", "concatenation", "transpose_conv", "cast", "arg_max", "batch_matmul",
)  # fmt: skip


@needs_vela
@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
@pytest.mark.parametrize("kind", KINDS)
def test_we_say_what_vela_does(by_name, tmp_path, kind, dtype):
    name = f"{kind}_{dtype}"
    path = tmp_path / f"{name}.tflite"
    path.write_bytes(by_name[name])
    verdicts = judge(read(path))
    try:
        _, report = compile_ethosu(path, config="ethos-u55-128")
    except ConversionError:
        assert verdicts[0].unit == NOWHERE
        return
    assert mispredicted(report, verdicts) == ()


@needs_vela
@pytest.mark.parametrize(
    ("name", "on_cpu"),
    [
        ("coral/deeplabv3_mnv2_dm05_pascal_quant", ["RESIZE_BILINEAR"]),
        ("coral/mobilenet_v1_0.25_128_quant", []),
        ("coral/keras_lstm_mnist_ptq", []),
        ("tasks/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29", ["TFLite_Detection_PostProcess"]),
    ],
)
def test_the_partition_of_real_models_is_velas(shared, name, on_cpu):
    path = shared / "models" / f"{name}.tflite"
    _, report = compile_ethosu(path, config="ethos-u55-128")
    assert [left.kind for left in report.on_cpu] == on_cpu
    assert mispredicted(report, judge(read(path))) == ()


def test_what_the_npu_leaves_goes_to_the_cortex_m_or_nowhere(by_name):
    (moved,) = judge(read(by_name["cast_int8"], "cast"))
    assert (moved.unit, moved.reason) == (CPU, "the NPU does not know it")
    (lost,) = judge(read(by_name["one_hot_int8"], "one_hot"))
    assert lost.unit == NOWHERE
    (refused,) = judge(read(by_name["less_int8"], "less"))
    assert refused.unit == NOWHERE
    assert "truth values" in refused.reason


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("conv_float32", "the NPU computes in integers"),
        ("resize_bilinear_int8", "it is taken by a factor of 2"),
        ("gelu_int16", "takes int8, uint8, not int16"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(by_name, name, reason):
    (verdict,) = judge(read(by_name[name], name))
    assert reason in verdict.reason
    assert verdict.remedy
