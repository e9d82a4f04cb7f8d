"""What a device would do with a model."""

import importlib.util
from dataclasses import replace

import pytest

from edgecnn.errors import ModelError, OverBudget, TargetError
from edgecnn.targeting.answer import answer
from targets.budget import Limits
from targets.memory import memory
from targets.profile import profile


@pytest.fixture
def mobilenet(shared):
    return shared / "models/coral/mobilenet_v1_0.25_128_quant.tflite"


def test_a_device_with_published_figures_gets_an_estimate_with_its_band(mobilenet):
    found = answer(mobilenet, "raspberry_pi_4", threads=4)
    made = found.estimate
    assert made.low_ms < made.latency_ms < made.high_ms
    assert found.latency_ms == made.latency_ms
    assert made.threads == 4
    assert sum(layer.milliseconds for layer in made.layers) == pytest.approx(made.latency_ms, rel=0.5)
    assert found.flash_bytes == mobilenet.stat().st_size
    said = found.as_dict()
    assert said["latency_ms_estimated"] == found.latency_ms
    assert said["estimate"]["estimated"] is True
    assert said["support"]["target"] == "raspberry_pi_4"


def test_more_threads_are_not_slower(mobilenet):
    one, four = (answer(mobilenet, "raspberry_pi_4", threads=threads).latency_ms for threads in (1, 4))
    assert four < one


def test_what_cannot_be_said_is_said_to_be_unknown(shared):
    found = answer(shared / "models/coral/keras_lstm_mnist_ptq.tflite", "cortex_m7")
    assert found.estimate is None
    assert found.latency_ms is None
    assert any(line.startswith("latency: ") and "nobody has published" in line for line in found.unknown)
    with pytest.raises(TargetError, match="cannot be estimated"):
        found.refuse_over(Limits(latency_ms=1e6))


def test_a_microcontroller_has_one_arena(mobilenet):
    from edgecnn.graph import read

    found = answer(mobilenet, "cortex_m7")
    assert found.ram_bytes == memory(read(mobilenet), runtime="tflite_micro").arena_bytes
    found.refuse_over(Limits(ram_bytes=found.ram_bytes, flash_bytes=found.flash_bytes))
    with pytest.raises(OverBudget, match="over budget on cortex_m7: RAM"):
        found.refuse_over(Limits(ram_bytes=found.ram_bytes - 1))


def test_the_bytes_of_a_file_do_as_well(mobilenet):
    assert answer(mobilenet.read_bytes(), "coral_usb").support == answer(mobilenet, "coral_usb").support


def test_of_an_ethos_u_velas_figures_are_taken(mobilenet):
    if importlib.util.find_spec("ethosu") is None:
        pytest.skip("ethos-u-vela is not installed")
    found = answer(mobilenet, "ethos_u55")
    assert found.estimate is None
    assert found.latency_ms == found.vela.inference_ms
    assert found.ram_bytes == found.vela.sram_bytes + found.vela.dram_bytes
    assert found.as_dict()["vela"]["config"] == "ethos-u55-128"


def test_a_model_that_does_not_run_there_has_no_latency(shared):
    found = answer(shared / "models/coral/mobilenet_v1_0.25_128_quant_edgetpu.tflite", "raspberry_pi_4")
    assert found.latency_ms is None
    assert "latency: it does not run there" in found.unknown


def test_wrong_names_are_one_line(mobilenet, tmp_path):
    with pytest.raises(TargetError, match="Did you mean raspberry_pi_4"):
        answer(mobilenet, "raspbery_pi_4")
    (tmp_path / "broken.tflite").write_bytes(b"TFL3 not really")
    with pytest.raises(ModelError):
        answer(tmp_path / "broken.tflite", "raspberry_pi_4")


def test_a_model_of_a_type_without_a_rate_is_judged_all_the_same(mobilenet):
    device = profile("raspberry_pi_4")
    rates = {key: rate for key, rate in device.cost.rates.items() if key != "int8"}
    found = answer(mobilenet, replace(device, cost=replace(device.cost, rates=rates)))
    assert found.latency_ms is None
    assert any("computes in int8, for which no rate is known" in line for line in found.unknown)
    assert found.ram_bytes


@pytest.mark.parametrize("target", ["raspberry_pi_4", "cortex_m7"])
def test_threads_that_a_device_does_not_have_are_refused(mobilenet, target):
    with pytest.raises(TargetError, match=r"has \d cores; 9 threads are none it has"):
        answer(mobilenet, target, threads=9)
