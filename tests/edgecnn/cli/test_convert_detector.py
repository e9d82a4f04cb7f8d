"""`edgecnn convert`, `audit` and `diff` on a detector: our own, and a stranger's."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from typer.testing import CliRunner

from edgecnn import card as cards
from edgecnn.cli.app import app
from edgecnn.graph import read
from edgecnn.runtime.model import load

pytestmark = pytest.mark.tensorflow

LABELS = ["red", "green", "blue"]
AS_TRAINED = ("--mean", "127.5", "--std", "127.5")


def edgecnn(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def ends_of(path):
    graph = read(path)
    return {graph.tensors[index].dtype for index in (*graph.inputs, *graph.outputs)}


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(LABELS))
    return path


def test_without_any_box_nothing_is_converted(squares_run, tmp_path):
    folder = tmp_path / "bare"
    for split, grey in (("train", 80), ("val", 90)):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        cv2.imwrite(str(folder / "images" / split / "0.png"), np.full((64, 64, 3), grey, np.uint8))
        (folder / "labels" / split / "0.txt").write_text("")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [red, green, blue]\n")
    said = edgecnn("convert", squares_run, "--int8", "--data", folder, "--no-audit")
    assert said.exit_code == 1
    assert "no box is drawn" in said.stderr.splitlines()[-1]
    assert not (squares_run / "int8.tflite").exists()


def test_a_run_becomes_int8_with_the_ends_asked_for_and_can_be_compared(squares_run, squares_data):
    said = edgecnn("convert", squares_run, "--int8", "--data", squares_data, "--io", "uint8")
    assert said.exit_code == 0, said.stderr
    assert "mAP@0.5:0.95" in said.stdout
    path = squares_run / "int8.tflite"
    assert ends_of(path) == {"uint8"}
    certificate = cards.read(path).certificate
    assert {row["label"] for row in certificate["per_class"]} == set(LABELS)
    assert certificate["classes"]["refused"] == certificate["classes"]["beyond"] == 0

    words = (squares_run / "float32.tflite", path, "--data", squares_data, "--images", 2, "--json")
    found = edgecnn("diff", *words)
    assert found.exit_code == 0, found.stderr
    assert "CONV_2D" in {layer["operator"] for layer in json.loads(found.stdout)["layers"]}


def test_the_auditor_finds_boxes_under_another_colour_order(squares_run, squares_data):
    assert edgecnn("convert", squares_run, "--float32").exit_code == 0
    path = squares_run / "float32.tflite"
    right = edgecnn("audit", path, "--data", squares_data)
    assert right.exit_code == 0, right.stderr
    card = cards.read(path)
    cards.attach(path, replace(card, input=replace(card.input, color="bgr"), checks=()))
    wrong = edgecnn("audit", path, "--data", squares_data)
    assert wrong.exit_code == 1
    assert "rgb for bgr" in wrong.stdout
    assert "rgb for bgr" not in right.stdout


def test_a_strangers_detector_becomes_a_file_that_says_everything_itself(yolo_file, squares_data, labels):
    options = ("--option", "decode=yolov8", "--option", "boxes=normalized")
    words = ("convert", yolo_file, "--int8", "--data", squares_data, *AS_TRAINED)
    said = edgecnn(*words, "--task", "detection", "--labels", labels, *options)
    assert said.exit_code == 0, said.stderr
    path = yolo_file.with_suffix("") / "int8.tflite"
    card = cards.read(path)
    assert (card.task, list(card.labels)) == ("detection", LABELS)
    assert (card.options["decode"], card.options["boxes"]) == ("yolov8", "normalized")
    picture = next((squares_data / "images" / "val").glob("*.png"))
    truth = (squares_data / "labels" / "val" / f"{picture.stem}.txt").read_text().splitlines()
    with load(path) as model:
        found = model(cv2.imread(str(picture)))
    assert sorted(found.label_id.tolist()) == sorted(int(line.split()[0]) for line in truth)


def test_what_nobody_said_of_a_strangers_detector_is_asked_for(yolo_file, squares_data, labels):
    words = ("convert", yolo_file, "--int8", "--data", squares_data, *AS_TRAINED, "--labels", labels)
    said = edgecnn(*words, "--option", "decode=yolov8")
    assert said.exit_code == 1
    assert "boxes=" in said.stderr.splitlines()[-1]


def test_options_of_a_run_cannot_be_said_again(squares_run, squares_data):
    said = edgecnn("convert", squares_run, "--int8", "--data", squares_data, "--option", "iou=0.3")
    assert said.exit_code == 1
    assert "options cannot be said again" in said.stderr.splitlines()[-1]


def test_a_detector_that_decodes_itself_is_not_made_int8(assemble, squares_data, tmp_path, labels):
    tensors = {
        "image": ((1, 8, 8, 3), "float32"),
        "wide": ((2,), "int32", [1, 192]),
        "row": ((1, 192), "float32"),
        "weights": ((16, 192), "float32", 0.01),
        "bias": ((16,), "float32", 0.0),
        "flat": ((1, 16), "float32"),
        "as_codes": ((3,), "int32", [1, 4, 4]),
        "codes": ((1, 4, 4), "float32"),
        "likely": ((1, 4, 3), "float32", 0.1),
        "anchors": ((4, 4), "float32", [[0.25, 0.25, 0.5, 0.5]] * 4),
        "boxes": ((1, 4, 4), "float32"),
        "classes": ((1, 4), "float32"),
        "scores": ((1, 4), "float32"),
        "count": ((1,), "float32"),
    }
    settings = {
        "max_detections": 4, "max_classes_per_detection": 1, "nms_score_threshold": 0.01, "num_classes": 3,
        "nms_iou_threshold": 0.5, "x_scale": 10.0, "y_scale": 10.0, "w_scale": 5.0, "h_scale": 5.0,
    }  # fmt: skip
    operators = [
        ("RESHAPE", ["image", "wide"], ["row"]),
        ("FULLY_CONNECTED", ["row", "weights", "bias"], ["flat"], schema.FullyConnectedOptionsT()),
        ("RESHAPE", ["flat", "as_codes"], ["codes"]),
        (
            "TFLite_Detection_PostProcess",
            ["codes", "likely", "anchors"],
            ["boxes", "classes", "scores", "count"],
            flexbuffers.Dumps(settings),
        ),
    ]
    path = tmp_path / "ssd.tflite"
    path.write_bytes(assemble(tensors, operators, ["image"], ["boxes", "classes", "scores", "count"]))
    words = ("convert", path, "--int8", "--data", squares_data, *AS_TRAINED, "--labels", labels, "--no-audit")
    said = edgecnn(*words)
    assert said.exit_code == 1
    assert "TFLite_Detection_PostProcess" in said.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("ssd/*.tflite"))
