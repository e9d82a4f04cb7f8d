"""`edgecnn audit`: what a person sees, and with which exit code."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from calibration.audit import Audit
from calibration.findings import Finding
from calibration.spread import Growth
from edgecnn.cli.app import app

FOUND = Finding("warning", "1 of 9 images are noise", ("odd.png",), "Take them out.", {"images": 1})


def audit(*words):
    return CliRunner().invoke(app, ["audit", *map(str, words)])


@pytest.fixture
def audited(monkeypatch):
    """A function that says what will be found; and what was asked for."""
    asked = {}

    def answer(*findings):
        def audit_model(model, data, **words):
            asked.update(words, data=data)
            return Audit("photos", 9, 5, findings, Growth(((4, 0.9), (9, 1.0)), 0.05, 16), 0.8, 0.1)

        monkeypatch.setattr("edgecnn.auditing.audit_model", audit_model)
        return asked

    return answer


def test_a_healthy_set_exits_0(audited):
    asked = audited()
    said = audit("run", "--data", "photos/", "--samples", 9, "--mean", "1,2,3")
    assert said.exit_code == 0
    assert "9 images of photos, 5 of validation: nothing found" in said.stdout
    assert "4: 90%  9: 100%" in said.stdout
    assert asked["samples"] == 9
    assert asked["mean"] == (1, 2, 3)
    assert "std" not in asked


def test_a_warning_is_told_with_names_and_advice_and_exits_0(audited):
    audited(FOUND)
    said = audit("run", "--data", "photos/")
    assert said.exit_code == 0
    for words in ("[warning] 1 of 9 images are noise", "odd.png", "Take them out.", "usable"):
        assert words in said.stdout


def test_an_error_exits_1(audited):
    audited(Finding("error", "no image has a pixel", (), "Scale them.", {}))
    said = audit("run", "--data", "photos/")
    assert said.exit_code == 1
    assert "do not calibrate" in said.stdout


def test_everything_is_there_as_json(audited):
    audited(FOUND)
    found = json.loads(audit("run", "--data", "photos/", "--json").stdout)
    assert found["findings"][0]["where"] == ["odd.png"]
    assert np.allclose(found["growth"]["curve"], [[4, 0.9], [9, 1.0]])


def test_the_help_ends_with_command_lines():
    assert "edgecnn audit runs/cats" in audit("--help").stdout.split("Examples:")[1]


def test_a_page_is_drawn_from_the_same_images(audited, monkeypatch, tmp_path):
    audited()
    asked = {}

    def write(page, model, data, **words):
        asked.update(words, data=data)
        return page

    monkeypatch.setattr("edgecnn.auditing.write_histogram_page", write)
    page = tmp_path / "page.html"
    said = audit("run", "--data", "photos/", "--samples", 9, "--std", 2, "--page", page)
    assert said.exit_code == 0
    assert str(page) in said.stderr
    assert asked == {
        "data": "photos/", "samples": 9, "seed": 0, "unlabelled": False, "std": (2,), "force": False
    }  # fmt: skip


def test_a_page_that_is_there_is_refused_before_any_work(audited, tmp_path):
    asked = audited()
    page = tmp_path / "page.html"
    page.write_text("mine")
    said = audit("run", "--data", "photos/", "--page", page)
    assert said.exit_code == 1
    assert "--force" in said.stderr
    assert not asked
    assert page.read_text() == "mine"
