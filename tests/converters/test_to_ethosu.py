"""Vela, run on real models."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

from converters import to_ethosu as module
from converters.to_ethosu import compile_ethosu, to_ethosu
from edgecnn import card
from edgecnn.card import Card, InputSpec
from edgecnn.errors import ConversionError, MissingExtra
from edgecnn.graph import read

needs_vela = pytest.mark.skipif(
    importlib.util.find_spec("ethosu") is None, reason="ethos-u-vela is not installed"
)  # fmt: skip
ONE_OP_MODELS = Path(__file__).parents[2] / "benchmarks" / "one_op_models.py"
CARD = Card("mobilenet", "classification", InputSpec(128, 128), labels=("cat", "dog"))


@pytest.fixture
def model(shared, tmp_path):
    path = tmp_path / "net.tflite"
    shutil.copy(shared / "models/coral/mobilenet_v1_0.25_128_quant.tflite", path)
    card.attach(path, CARD)
    return path


@needs_vela
def test_the_compiled_file_keeps_the_card(model, tmp_path):
    report = to_ethosu(model, tmp_path / "made.tflite", config="ethos-u55-128")
    assert card.read(tmp_path / "made.tflite") == card.read(model)
    graph = read(tmp_path / "made.tflite")
    assert [op.label for op in graph.ops] == ["ethos-u"]
    assert (report.operators, report.on_cpu, report.npu_parts) == (31, (), 1)
    assert report.system_config == "Ethos_U55_High_End_Embedded"


@needs_vela
def test_cycles_time_and_clock_fit_together(model):
    content, report = compile_ethosu(model, config="ethos-u55-256")
    assert report.inference_ms == pytest.approx(report.cycles / report.clock_hz * 1000, rel=1e-6)
    assert report.npu_cycles <= report.cycles
    assert report.clock_hz == 500e6
    assert report.model_bytes == len(content)
    # 13.6 million by Vela's count; 31 layers of MobileNet V1 0.25 at 128 pixels
    assert report.macs == pytest.approx(13.6e6, rel=0.1)
    assert 0 < report.sram_bytes < 256 * 1024
    assert report.as_dict()["config"] == "ethos-u55-256"


@needs_vela
def test_more_multipliers_take_fewer_cycles(model):
    small, large = (compile_ethosu(model, config=f"ethos-u55-{macs}")[1] for macs in (32, 256))
    assert large.npu_cycles < small.npu_cycles


@needs_vela
def test_what_stays_on_the_cortex_m_is_named_with_velas_reason(shared):
    path = shared / "models/tasks/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
    _, report = compile_ethosu(path, config="ethos-u55-128")
    (left,) = report.on_cpu
    assert (left.operator, left.kind) == (63, "TFLite_Detection_PostProcess")
    assert left.reason == "Unsupported opType"


@needs_vela
def test_a_float_model_stays_on_the_cortex_m_throughout(shared):
    path = shared / "models/tasks/mobilenet_v1_0.25_224_1_metadata_1.tflite"
    _, report = compile_ethosu(path, config="ethos-u55-128")
    assert (len(report.on_cpu), report.npu_parts, report.cycles) == (report.operators, 0, 0)
    assert "Float32" in report.on_cpu[0].reason


@needs_vela
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"system_config": "Nowhere"}, r"^Vela knows no system-config Nowhere\. .*--list-configs"),
        ({"memory_mode": "Nothing"}, r"^Vela knows no memory-mode Nothing\. "),
    ],
)
def test_a_memory_that_vela_does_not_know_is_said(model, options, message):
    with pytest.raises(ConversionError, match=message):
        compile_ethosu(model, config="ethos-u55-128", **options)


@needs_vela
def test_a_model_that_ends_vela_is_refused_with_its_reason(tmp_path):
    path = tmp_path / "net.tflite"
    spec = importlib.util.spec_from_file_location("one_op_models", ONE_OP_MODELS)
    writer = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = writer
    spec.loader.exec_module(writer)
    path.write_bytes(dict(writer.models())["hard_swish_float32"])
    with pytest.raises(
        ConversionError, match=r"refuses the model \(HARD_SWISH 'out0' .*IFM has to be 8bit\)"
    ):
        compile_ethosu(path, config="ethos-u55-128")


def test_an_unknown_configuration_lists_the_known(model, tmp_path):
    with pytest.raises(ConversionError, match=r"'ethos-u99-1' is unknown; there are ethos-u55-32"):
        compile_ethosu(model, config="ethos-u99-1")


def test_nothing_is_overwritten_unless_forced(model, tmp_path):
    before = model.read_bytes()
    (tmp_path / "made.tflite").write_text("mine")
    with pytest.raises(ConversionError, match=r"is there already.*--force"):
        to_ethosu(model, tmp_path / "made.tflite", config="ethos-u55-128")
    assert (tmp_path / "made.tflite").read_text() == "mine"
    with pytest.raises(ConversionError, match="is the model itself"):
        to_ethosu(model, model, config="ethos-u55-128", force=True)
    assert model.read_bytes() == before


def test_without_the_package_the_extra_is_named(model, monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'edgecnn\[micro\]'"):
        compile_ethosu(model, config="ethos-u55-128")
