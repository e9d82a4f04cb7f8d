"""A detector without a card: outputs in any order, labels with and without a background, YOLO's heads."""

import json
import zipfile

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgecnn.errors import CardError, ModelError
from edgecnn.runtime.model import load

NOTHING = np.zeros((4, 3))
DOG_TOP_RIGHT = [[0, 0, 0], [0, 0.9, 0], [0, 0, 0.4], [0, 0, 0]]  # and a bird bottom left
PETS = ["cat", "dog", "bird"]
ROLES = ("boxes", "classes", "scores", "count")
IMAGE = np.zeros((40, 80, 3), np.uint8)


def behind(path, **files):
    with zipfile.ZipFile(path, "a") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return path


def seen(path, image=IMAGE, **words):
    with load(path, **words) as model:
        return [(one["label"], round(one["score"], 3), one["box_xyxy"]) for one in model(image).records()]


def assumed(path, **words):
    with load(path, **words) as model:
        return model.assumptions, model.card


# TFLite_Detection_PostProcess


def test_no_box_is_found_where_there_is_none(detector_file):
    assert seen(detector_file(NOTHING), labels=PETS) == []


@pytest.mark.parametrize(
    "order", [ROLES, ("scores", "boxes", "count", "classes"), ("count", "classes", "boxes", "scores")]
)
@pytest.mark.parametrize("shapes", [True, False])
def test_outputs_are_told_apart_by_the_operator_in_any_order(detector_file, order, shapes):
    path = detector_file(DOG_TOP_RIGHT, order=order, shapes=shapes)
    found = seen(path, labels=PETS, resize="bilinear")
    assert found == [("dog", 0.9, [40, 0, 80, 20]), ("bird", 0.4, [0, 20, 40, 40])]


def test_outputs_are_told_apart_through_reshapes_and_without_a_count(detector_file):
    path = detector_file(DOG_TOP_RIGHT, order=("scores", "classes", "boxes"), between="reshape")
    assert [one[0] for one in seen(path, labels=PETS)] == ["dog", "bird"]
    assert assumed(path, labels=PETS)[1].options["count"] is False


def test_where_something_lies_between_shapes_and_names_decide_or_it_is_asked_for(detector_file):
    order = ("count", "scores", "boxes", "classes")
    path = detector_file(DOG_TOP_RIGHT, order=order, between="halve")
    with pytest.raises(CardError, match="--option outputs=boxes,classes,scores,count"):
        load(path, labels=PETS)
    said = {"outputs": "count,scores,boxes,classes"}
    assert [one[0] for one in seen(path, labels=PETS, options=said)] == ["dog", "bird"]
    named = detector_file(
        DOG_TOP_RIGHT, order=order, between="halve", names={"o1": "my_scores", "o3": "my_classes"}
    )
    assumptions, card = assumed(named, labels=PETS)
    assert card.outputs == {"boxes": "o2", "classes": "my_classes", "scores": "my_scores", "count": "o0"}
    assert any("by shapes and names" in line for line in assumptions)
    signed = detector_file(
        DOG_TOP_RIGHT,
        order=order,
        between="halve",
        signature={"detection_scores": "o1", "detection_classes": "o3", "detection_boxes": "o2"},
    )
    assert assumed(signed, labels=PETS)[1].outputs == {
        "boxes": "o2", "classes": "o3", "scores": "o1", "count": "o0"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ("boxes,classes,scores", "the model has 4 outputs"),
        ("boxes,classes,scores,scores", "is needed once"),
        ("boxes,classes,scores,masks", "of boxes, classes, scores, count"),
        (7, "of boxes, classes, scores, count"),
    ],
)
def test_an_order_that_cannot_be_is_refused(detector_file, outputs, message):
    with pytest.raises(CardError, match=message):
        load(detector_file(NOTHING), labels=PETS, options={"outputs": outputs})


@pytest.mark.parametrize(
    ("labels", "base", "names"),
    [
        (PETS, 0, ("cat", "dog", "bird")),
        (["???", *PETS], 0, ("cat", "dog", "bird")),
        (["background", *PETS], 0, ("cat", "dog", "bird")),
        (["cat", "???", "bird"], 0, ("cat", "class 1", "bird")),
    ],
)
def test_a_background_line_is_no_class_of_the_operator(detector_file, labels, base, names):
    path = detector_file([[0, 0, 0], [0, 0.9, 0], [0, 0, 0], [0, 0, 0]])
    assumptions, card = assumed(path, labels=labels)
    assert (card.labels, card.options["label_base"]) == (names, base)
    assert any("class 0 is 'cat'" in line for line in assumptions)
    assert seen(path, labels=labels)[0][0] == names[1]


def test_numbers_to_which_the_file_adds_one_start_at_one(detector_file):
    path = detector_file(DOG_TOP_RIGHT, between="add one")
    assert assumed(path, labels=PETS)[1].options["label_base"] == 1
    assert seen(path, labels=PETS)[0][0] == "dog"


def test_the_caller_says_where_numbers_start(detector_file):
    path = detector_file(DOG_TOP_RIGHT)
    with load(path, labels=["???", *PETS], options={"label_base": 0}) as model:
        assert model.card.labels == ("class 0", "cat", "dog", "bird")
        assert model(IMAGE).records(1)[0]["label"] == "cat"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["cat"], "1 labels, but TFLite_Detection_PostProcess tells 3 classes apart"),
        (["cat", "dog", "bird", "fish"], "4 labels, but TFLite_Detection_PostProcess tells 3"),
        (["???", "cat", "dog"], "--option label_base=0"),
    ],
)
def test_labels_that_leave_open_which_is_which_are_refused(detector_file, labels, message):
    with pytest.raises(CardError, match=message):
        load(detector_file(NOTHING), labels=labels)


def test_classes_without_names_are_numbered(detector_file):
    assert seen(detector_file(DOG_TOP_RIGHT))[0][0] == "class 1"


def test_the_real_one_finds_the_animals(shared):
    import cv2

    image = cv2.imread(str(shared / "models" / "images" / "cats_and_dogs.jpg"))
    found = seen(shared / "models" / "tasks" / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite", image)
    # MediaPipe Tasks 1.2.2: cat 0.699 at 608 164 989 596, dog 0.402 at 72 227 665 602
    label, score, xyxy = found[0]
    assert (label, score) == ("cat", pytest.approx(0.699, abs=0.02))
    assert xyxy == pytest.approx([608, 164, 989, 596], abs=8)
    assert {"cat", "dog"} <= {one[0] for one in found}


# Heads of the YOLO family


@pytest.fixture
def yolo(tmp_path, assemble):
    """Write a model whose one output is a constant (plus nothing of the image), and give its path."""

    def write(values, *, dtype="float32", scale=None, likely=False, side=64):
        values = np.asarray(values, np.float32)[None]
        quantized = () if scale is None else (scale, -128)
        stored = values if scale is None else np.clip(np.rint(values / scale) - 128, -128, 127)
        tensors = {
            "image": ((1, side, side, 3), "float32"),
            "size": ((4,), "int32"),
            "rows": (values.shape, dtype, stored, *quantized),
            "head": (values.shape, dtype, None, *quantized) if quantized else (values.shape, dtype),
            "to": ((3,), "int32", values.shape),
        }
        operators = [
            ("SHAPE", ["image"], ["size"], schema.ShapeOptionsT(outType=schema.TensorType.INT32)),
            ("RESHAPE", ["rows", "to"], ["head"]),
        ]
        if likely:
            before, classes = values[:, :4], values[:, 4:]
            tensors |= {
                "boxes": (before.shape, "float32", before),
                "logits": (classes.shape, "float32", classes),
                "likely": (classes.shape, "float32"),
            }
            operators = [
                ("SHAPE", ["image"], ["size"], schema.ShapeOptionsT(outType=schema.TensorType.INT32)),
                ("LOGISTIC", ["logits"], ["likely"]),
                ("CONCATENATION", ["boxes", "likely"], ["head"], schema.ConcatenationOptionsT(axis=1)),
            ]
        path = tmp_path / "yolo.tflite"
        path.write_bytes(assemble(tensors, operators, ["image"], ["head"]))
        return path

    return write


UNIT = {"mean": 0, "std": 255}
ROW = [0.5, 0.5, 0.5, 0.25]  # centre and size: the middle half of the width, a quarter of the height


def rows(count=84, *, before=ROW, scores=(0.0, 0.8, 0.1)):
    """(n, 4 + c): one row that says something, the others nothing."""
    found = np.zeros((count, len(before) + len(scores)), np.float32)
    found[5] = [*before, *scores]
    return found


@pytest.mark.parametrize("turned", [True, False])
def test_yolov8_is_read_both_ways_round(yolo, turned):
    path = yolo(rows().T if turned else rows())
    said = {"options": {"decode": "yolov8", "boxes": "normalized"}, **UNIT}
    assert seen(path, labels=PETS, **said) == [("dog", 0.8, [20, 15, 60, 25])]


def test_yolov5_multiplies_by_objectness(yolo):
    path = yolo(rows(before=[*ROW, 0.5]))
    said = {"options": {"decode": "yolov5", "boxes": "normalized"}, **UNIT}
    assert seen(path, labels=PETS, **said) == [("dog", 0.4, [20, 15, 60, 25])]
    with pytest.raises(CardError, match="has its candidates last"):
        load(yolo(rows(before=[*ROW, 0.5]).T), labels=PETS, **said)


@pytest.mark.parametrize(("count", "before", "decode"), [(84, ROW, "yolov8"), (252, [*ROW, 1], "yolov5")])
def test_the_layout_follows_from_the_labels_or_else_from_the_number_of_candidates(
    yolo, count, before, decode
):
    path = yolo(rows(count, before=before))  # 64 x 64 pixels with strides 8, 16, 32 have 84 cells
    said = {"task": "detection", "options": {"boxes": "normalized"}, **UNIT}
    for labels in (PETS, None):
        assumptions, card = assumed(path, labels=labels, **said)
        assert card.options["decode"] == decode
        assert any(f"laid out as {decode}'s" in line for line in assumptions)
        assert len(card.labels) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "say so: --task detection"),
        ({"task": "detection"}, r"--option decode=yolov8 or decode=yolov5, or give --labels"),
        ({"task": "detection", "labels": ["a"]}, "1 labels, but .* has room for 3 classes as yolov8's"),
        ({"task": "detection", "labels": PETS}, "--option boxes=normalized .* --option boxes=pixels"),
        ({"options": {"decode": "yolov9"}}, "decode 'yolov9' needs a card"),
        ({"options": {"decode": "anchors"}}, "needs a card"),
        ({"options": {"decode": "yolov8", "boxes": "inches"}, "labels": PETS}, "option boxes must be one of"),
        ({"options": {"decode": "yolov8", "boxes": "pixels"}, "labels": ["a"]}, "3 scores but 1 labels"),
        (
            {"options": {"decode": "yolov8", "boxes": "pixels", "stride": 8}, "labels": PETS},
            "no option 'stride'",
        ),
    ],
)
def test_what_cannot_be_worked_out_is_asked_for(yolo, words, message):
    with pytest.raises((CardError, ModelError), match=message):
        load(yolo(rows(50)), **words, **UNIT)


@pytest.mark.parametrize(("scale", "boxes"), [(1 / 255, "normalized"), (64 / 255, "pixels")])
def test_a_quantized_output_betrays_what_boxes_are_measured_in(yolo, scale, boxes):
    factor = 1 if boxes == "normalized" else 64
    path = yolo(rows(before=[factor * one for one in ROW]).T, dtype="int8", scale=scale)
    words = {"task": "detection", "labels": PETS, "options": {"threshold": 0.1}, **UNIT}
    assumptions, card = assumed(path, **words)
    assert card.options["boxes"] == boxes
    assert any(f"boxes are {boxes}" in line for line in assumptions)
    if boxes == "normalized":
        ((label, score, xyxy),) = seen(path, **words)
        assert (label, score) == ("dog", pytest.approx(0.8, abs=0.01))
        assert xyxy == pytest.approx([20, 15, 60, 25], abs=0.5)


def test_a_sigmoid_before_the_end_makes_probabilities_without_a_word(yolo):
    words = {"task": "detection", "labels": PETS, "options": {"boxes": "normalized"}, **UNIT}
    seen_to_be = assumed(yolo(rows().T, likely=True), **words)[0]
    assert not any("probabilities" in line for line in seen_to_be)
    assert any("probabilities" in line for line in assumed(yolo(rows().T), **words)[0])


def test_names_behind_the_model_are_taken_from_its_exporter(yolo):
    names = json.dumps({"names": dict(enumerate(PETS)), "task": "detect"})
    path = behind(yolo(rows()), metadata_json=names)
    words = {"task": "detection", "options": {"boxes": "normalized"}, **UNIT}
    assert assumed(path, **words)[1].labels == tuple(PETS)


@pytest.mark.parametrize(
    "content", ["", "[", "{}", '{"names": {"0": 1}}', '{"names": {"7": "cat"}}', '{"names": []}']
)
def test_a_damaged_exporters_file_names_nothing(yolo, content):
    path = behind(yolo(rows()), metadata_json=content)
    words = {"task": "detection", "options": {"boxes": "normalized"}, **UNIT}
    assert assumed(path, **words)[1].labels == ("class 0", "class 1", "class 2")


def test_a_square_output_says_nothing(yolo):
    with pytest.raises(CardError, match="equal sides"):
        load(yolo(np.zeros((7, 7))), task="detection", **UNIT)


def test_several_outputs_of_unknown_meaning_are_listed(assemble, tmp_path):
    tensors = {"image": ((1, 8, 8, 3), "uint8"), "a": ((1, 8, 8, 3), "uint8"), "b": ((1, 8, 8, 3), "uint8")}
    operators = [("RELU", ["image"], ["a"]), ("RELU", ["image"], ["b"])]
    path = tmp_path / "two.tflite"
    path.write_bytes(assemble(tensors, operators, ["image"], ["a", "b"]))
    with pytest.raises((CardError, ModelError)):
        load(path, task="detection")


# Options


def test_options_come_over_those_of_the_card(detector_file):
    path = detector_file(DOG_TOP_RIGHT)
    assert len(seen(path, labels=PETS, options={"threshold": 0.5})) == 1
    with load(path, labels=PETS) as model:
        card = model.card
    with load(path, card=card, options={"threshold": 0.95}) as model:
        assert dict(model.card.options) == {**card.options, "threshold": 0.95}
        assert len(model(IMAGE)) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"thershold": 0.5},
            "has no option 'thershold'; it has decode, threshold, iou, most, nms, label_base",
        ),
        ({"threshold": 2}, r"threshold must be a number in 0..1, not 2"),
        ({"nms": "maybe"}, "nms must be one of hard, soft, none"),
    ],
)
def test_options_that_are_none_are_refused_before_anything_runs(detector_file, options, message):
    with pytest.raises(CardError, match=message):
        load(detector_file(NOTHING), labels=PETS, options=options)


def test_a_classifier_refuses_a_detectors_option(colours_model):
    with pytest.raises(CardError, match="classification has no option 'threshold'; it has scores"):
        load(colours_model, options={"threshold": 0.5})


# Hostile files


@pytest.mark.parametrize(
    "settings",
    [
        {"num_classes": 90},
        {"max_detections": -1},
        {"max_detections": 2**31 - 1},
        {"max_classes_per_detection": 0},
        {"x_scale": 0.0},
        {"h_scale": float("nan")},
    ],
)
def test_settings_that_would_kill_the_process_are_refused(detector_file, settings):
    with pytest.raises(ModelError, match="TFLite_Detection_PostProcess"):
        load(detector_file(NOTHING, **settings), labels=PETS)
