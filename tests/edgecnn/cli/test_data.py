import json

import pytest
from typer.testing import CliRunner

from edgecnn.cli.app import app

SMALL = "drawn:7?size=64x48&train=4&val=2&test=2"


def edgecnn(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize("verb", ["info", "convert"])
def test_help_ends_with_real_command_lines(verb):
    said = edgecnn("data", verb, "--help")
    assert said.exit_code == 0
    assert f"edgecnn data {verb}" in said.stdout.split("Examples:")[1]


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo"])
def test_what_is_converted_is_shown_as_boxes_without_saying_the_task(tmp_path, kind):
    out = tmp_path / "scenes"
    said = edgecnn("data", "convert", SMALL, out, "--format", kind)
    assert said.exit_code == 0
    assert "train 4, val 2, test 2 images" in said.stdout
    shown = edgecnn("data", "info", out)
    assert shown.exit_code == 0
    for words in ("median side, px", "width / height", "crowding", "input: begin with", "boxes tiny"):
        assert words in shown.stdout
    found = json.loads(edgecnn("data", "info", out, "--json").stdout)
    assert (found["task"], found["images"], found["counts"]["train"]["images"]) == ("detection", 8, 4)


def test_convert_speaks_json_and_replaces_only_when_forced(tmp_path):
    out = tmp_path / "scenes"
    written = json.loads(edgecnn("data", "convert", SMALL, out, "--format", "voc", "--json").stdout)
    assert (written["path"], written["images"]) == (str(out), {"train": 4, "val": 2, "test": 2})
    again = edgecnn("data", "convert", SMALL, out, "--format", "yolo")
    assert again.exit_code == 1
    assert "is there already" in again.stderr
    assert edgecnn("data", "convert", SMALL, out, "--format", "yolo", "--force").exit_code == 0


def test_a_format_that_is_not_written_is_one_line(tmp_path):
    said = edgecnn("data", "convert", SMALL, tmp_path / "x", "--format", "tfrecord")
    assert said.exit_code == 1
    assert said.stderr.strip().splitlines()[-1].startswith("edgecnn: 'tfrecord' is not a format")
