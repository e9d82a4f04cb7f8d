import json

import pytest
from typer.testing import CliRunner

from edgecnn.cli.app import app


def edgecnn(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def files(shared):
    folder = shared / "models" / "tasks"
    data = ("--data", shared / "models" / "images", "--images", 1)
    return (
        folder / "mobilenet_v1_0.25_224_1_metadata_1.tflite",
        folder / "mobilenet_v1_0.25_224_quant.tflite",
        *data,
    )


def test_help_ends_with_real_command_lines():
    said = edgecnn("diff", "--help")
    assert said.exit_code == 0
    assert "edgecnn diff" in said.stdout.split("Examples:")[1]


def test_the_table_marks_the_first_bad_layer_and_the_cause_follows(files):
    said = edgecnn("diff", *files)
    assert said.exit_code == 0
    lines = said.stdout.splitlines()
    assert [line.split()[1] for line in lines if line.endswith("<- first bad")] == ["CONV_2D"]
    assert any(line.startswith("first bad layer: CONV_2D") for line in lines)
    assert any(line.startswith("  cause: weights:") for line in lines)
    assert any(line.startswith("    do: ") for line in lines)


def test_equal_files_are_told_to_be_equal(files):
    said = edgecnn("diff", files[1], files[1], *files[2:])
    assert said.stdout.splitlines()[-1] == "no tensor differs"


def test_json_is_one_object_and_the_page_is_not_replaced_unasked(files, tmp_path):
    page = tmp_path / "diff.html"
    said = edgecnn("diff", *files, "--json", "--page", page)
    assert said.exit_code == 0
    assert json.loads(said.stdout)["first_bad"]["operator"] == "CONV_2D"
    assert page.read_text().startswith("<!doctype html>")
    again = edgecnn("diff", *files, "--page", page)
    assert again.exit_code == 1
    assert "--force" in str(again.exception) + again.output
