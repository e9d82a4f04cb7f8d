"""`edgecnn targets`, `estimate`, and devices in `inspect` and `convert`."""

import json

import pytest
from typer.testing import CliRunner

from edgecnn.cli.app import app
from edgecnn.targeting.answer import answer
from targets.profile import PROFILES


def edgecnn(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def mobilenet(shared):
    return shared / "models/coral/mobilenet_v1_0.25_128_quant.tflite"


def test_targets_lists_every_device():
    said = edgecnn("targets")
    assert said.exit_code == 0
    assert all(name in said.stdout for name in PROFILES)
    assert {one["name"] for one in json.loads(edgecnn("targets", "--json").stdout)} == set(PROFILES)


def test_a_target_is_shown_with_its_sources():
    said = edgecnn("targets", "coral_usb")
    assert "source of memory.on_chip_bytes: https://coral.ai" in said.stdout
    assert json.loads(edgecnn("targets", "coral_usb", "--json").stdout)["ops"]["level"] == 14


def test_an_unknown_target_is_one_line():
    said = edgecnn("targets", "coral_usbb")
    assert said.exit_code == 1
    assert "Did you mean coral_usb" in said.stderr


def test_the_command_line_says_what_python_says(mobilenet):
    said = edgecnn("estimate", mobilenet, "--target", "raspberry_pi_4", "--threads", 4, "--json")
    assert json.loads(said.stdout) == json.loads(
        json.dumps(answer(mobilenet, "raspberry_pi_4", threads=4).as_dict())
    )
    shown = edgecnn("estimate", mobilenet, "--target", "raspberry_pi_4", "--threads", 4)
    assert "estimated, likely" in shown.stdout
    assert "DEPTHWISE_CONV_2D" in shown.stdout


def test_inspect_says_why_and_what_to_do(shared):
    path = shared / "models/coral/deeplabv3_mnv2_dm05_pascal_quant.tflite"
    said = edgecnn("inspect", path, "--target", "coral_usb")
    assert said.exit_code == 0, said.output
    assert "72 operators: 64 on edge_tpu, 8 on cpu; 1 part" in said.stdout
    assert "RESIZE_BILINEAR on cpu (operator 64): it resizes from 1x1 to 33x33" in said.stdout
    assert "kept on the chip" in said.stdout
    told = json.loads(edgecnn("inspect", path, "--target", "coral_usb", "--json").stdout)
    assert told["target"]["support"]["units"] == {"edge_tpu": 64, "cpu": 8}
    assert json.loads(edgecnn("inspect", path, "--json").stdout)["target"] is None


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--max-ram", "1M", "--max-flash", "1M"), 0),
        (("--max-ram", "8k"), 3),
        (("--max-flash", "400kB"), 3),
        (("--max-latency", "30ms"), 1),  # nobody can say, so it is no pass
        (("--max-ram", "much"), 2),
    ],
)
def test_budgets_decide_the_exit_code(mobilenet, words, code):
    said = edgecnn("inspect", mobilenet, "--target", "cortex_m7", *words)
    assert said.exit_code == code, said.output
    if code == 3:
        assert "over budget on cortex_m7" in said.stderr


def test_a_budget_needs_a_target(mobilenet):
    said = edgecnn("inspect", mobilenet, "--max-ram", "8k")
    assert said.exit_code == 2
    assert "--target" in said.stderr


@pytest.mark.tensorflow
def test_convert_for_a_target_and_mend(tints_run, tints):
    said = edgecnn("convert", tints_run, "--target", "coral_usb", "--data", tints)
    assert said.exit_code == 0, said.output
    assert "Coral USB Accelerator" in said.stdout
    said = edgecnn("convert", tints_run, "--target", "coral_usb", "--float16", "--data", tints)
    assert said.exit_code == 1
    assert "takes int8, not float16" in said.stderr
    said = edgecnn("convert", tints_run, "--int8", "--io", "float32", "--data", tints, "--force")
    assert said.exit_code == 0, said.output
    said = edgecnn("inspect", tints_run / "int8.tflite", "--target", "coral_usb", "--fix")
    assert said.exit_code == 0, said.output
    assert "mended: " in said.stdout
    assert (tints_run / "int8.coral_usb.tflite").is_file()


@pytest.mark.tensorflow
def test_convert_over_budget_ends_with_three(tints_run, tints):
    said = edgecnn("convert", tints_run, "--target", "cortex_m7", "--data", tints, "--max-ram", "1k")
    assert said.exit_code == 3
    assert not (tints_run / "int8.tflite").exists()
