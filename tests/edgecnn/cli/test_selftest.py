"""`edgecnn selftest`: what a person sees, and with which exit code."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from converters.golden import checks
from edgecnn import card as cards
from edgecnn.cli.app import app
from edgecnn.runtime.model import load


def selftest(*words):
    return CliRunner().invoke(app, ["selftest", *map(str, words)])


@pytest.fixture
def model(tmp_path, shared):
    """A stranger's file, given a card with golden checks."""
    path = tmp_path / "mobilenet.tflite"
    path.write_bytes((shared / "models/coral/mobilenet_v1_0.25_128_quant.tflite").read_bytes())
    with load(path) as loaded:
        cards.attach(path, replace(loaded.card, checks=checks(loaded, [], count=2)))
    return path


def test_a_file_that_computes_the_same_passes_and_exits_0(model):
    said = selftest(model)
    assert said.exit_code == 0
    assert "computes what it computed at home, to the last bit" in said.stdout


def test_the_verdict_is_there_as_json(model):
    found = json.loads(selftest(model, "--json", "--threads", 2).stdout)
    assert found["passed"]
    assert found["rows"][0]["stage"] == "weights"


def test_a_damaged_file_fails_and_exits_1(model):
    content = bytearray(model.read_bytes())
    content[200_000:200_400] = bytes(range(200)) * 2
    model.write_bytes(content)
    said = selftest(model)
    assert said.exit_code == 1
    assert "does NOT compute" in said.stdout
    assert "copy it again" in said.stdout


def test_a_file_without_checks_exits_1_with_what_to_do(model):
    cards.attach(model, replace(cards.read(model), checks=()))
    said = selftest(model)
    assert said.exit_code == 1
    assert "edgecnn convert" in said.stderr


def test_the_help_ends_with_command_lines():
    assert "edgecnn selftest cats.tflite" in selftest("--help").stdout.split("Examples:")[1]
