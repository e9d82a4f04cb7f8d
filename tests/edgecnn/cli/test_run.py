"""`edgecnn run`: boxes and classes as text and as JSON, options from the command line, pictures."""

import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from edgecnn.cli.app import app

DOG_TOP_RIGHT = [[0, 0, 0], [0, 0.9, 0], [0, 0, 0.4], [0, 0, 0]]  # and a bird bottom left


def run(*arguments):
    return CliRunner().invoke(app, ["run", *map(str, arguments)])


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), np.zeros((40, 80, 3), np.uint8))
    return path


@pytest.fixture
def names(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("cat\ndog\nbird\n")
    return path


def test_where_nothing_is_found_that_is_said(detector_file, picture, names):
    done = run(detector_file(np.zeros((4, 3))), picture, "--labels", names)
    assert done.exit_code == 0
    assert "no box over 0.30" in done.stdout
    lower = run(detector_file(np.zeros((4, 3))), picture, "--labels", names, "--threshold", 0.25)
    assert "no box over 0.25" in lower.stdout


def test_boxes_are_printed_best_first_and_assumptions_told_apart_from_them(detector_file, picture, names):
    done = run(detector_file(DOG_TOP_RIGHT), picture, "--labels", names, "--resize", "bilinear")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["90.00%", "dog", "40", "0", "80", "20"],
        ["40.00%", "bird", "0", "20", "40", "40"],
    ]
    assert "assumed: class 0 is 'cat'" in done.stderr
    assert "assumed" not in done.stdout


def test_json_gives_pixels_of_the_original_image(detector_file, picture, names):
    words = ("--labels", names, "--resize", "bilinear", "--json")
    record = json.loads(run(detector_file(DOG_TOP_RIGHT), picture, *words).stdout)
    assert record["task"] == "detection"
    assert record["results"] == [
        {"label": "dog", "score": pytest.approx(0.9), "box_xyxy": [40, 0, 80, 20]},
        {"label": "bird", "score": pytest.approx(0.4), "box_xyxy": [0, 20, 40, 40]},
    ]
    first = run(detector_file(DOG_TOP_RIGHT), picture, *words, "--top", 1)
    assert [one["label"] for one in json.loads(first.stdout)["results"]] == ["dog"]


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        ((), ["dog", "bird"]),
        (("--threshold", 0.5), ["dog"]),
        (("--option", "threshold=0.5"), ["dog"]),
        (("--option", "most=1"), ["dog"]),
        (("--option", "nms=hard", "--iou", 0.0), ["dog", "bird"]),
        (("--option", "label_base=1"), ["cat", "dog"]),
    ],
)
def test_options_come_from_the_command_line(detector_file, picture, names, words, labels):
    done = run(detector_file(DOG_TOP_RIGHT), picture, "--labels", names, "--json", *words)
    assert done.exit_code == 0, done.output
    assert [one["label"] for one in json.loads(done.stdout)["results"]] == labels


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--option", "thershold=0.5"), 1, "has no option 'thershold'"),
        (("--option", "threshold"), 2, "write key=value"),
        (("--option", "=1"), 2, "write key=value"),
        (("--threshold", 2), 2, "0<=x<=1"),
        (("--option", "most=many"), 1, "most must be a whole number"),
    ],
)
def test_a_wrong_option_is_named(detector_file, picture, names, words, code, message):
    done = run(detector_file(DOG_TOP_RIGHT), picture, "--labels", names, *words)
    assert done.exit_code == code
    said = done.stderr if done.exception is None or code == 2 else str(done.exception) + done.stderr
    assert message in " ".join(said.replace("│", " ").split())


def test_pictures_are_drawn(detector_file, picture, names, tmp_path):
    done = run(detector_file(DOG_TOP_RIGHT), picture, "--labels", names, "--save", tmp_path / "out")
    assert done.exit_code == 0, done.output
    (drawn,) = (tmp_path / "out").iterdir()
    assert cv2.imread(str(drawn)).max() > 50


def test_a_classifier_shows_its_five_best_unless_told(colours_model, picture):
    assert len(run(colours_model, picture).stdout.splitlines()) == 1 + 3
    assert len(run(colours_model, picture, "--top", 1).stdout.splitlines()) == 1 + 1
