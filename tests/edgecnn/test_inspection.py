"""Looking into a model without running it."""

import json
from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema

from edgecnn import runs
from edgecnn.card import Card, InputSpec
from edgecnn.errors import DataError, ModelError
from edgecnn.inspection import inspect_model
from edgecnn.runs import Run


def test_an_empty_file_is_no_model(tmp_path):
    (tmp_path / "empty.tflite").write_bytes(b"")
    with pytest.raises(ModelError, match=r"empty\.tflite"):
        inspect_model(tmp_path / "empty.tflite")


def test_a_file_tells_layers_summary_and_card(colours_model):
    found = inspect_model(colours_model)
    assert [row.layer.kind for row in found.table.rows] == ["input", "MEAN", "FULLY_CONNECTED", "SOFTMAX"]
    assert found.table.parameters == 12
    assert found.table.macs == 9
    assert found.summary is not None
    assert found.summary.scheme == "float32"
    assert found.card is not None
    assert found.card.labels == ("red", "green", "blue")
    assert json.loads(json.dumps(found.as_dict()))["layers"]["macs"] == 9


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(DataError, match="is not a run"):
        inspect_model(tmp_path)


@pytest.mark.parametrize(
    ("name", "is_legacy"),
    [
        ("tasks/mobilenet_v1_0.25_224_quant", True),
        ("tasks/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29", True),
        ("coral/mobilenet_v1_0.25_128_quant", True),
        ("coral/mobilenet_v2_1.0_224_quant", True),
        ("coral/tf2_mobilenet_v2_1.0_224_ptq", False),  # uint8 at the ends only
        ("coral/keras_lstm_mnist_ptq", False),
        ("coral/split_concat", False),  # no weights
        ("coral/mobilenet_v1_0.25_128_quant_edgetpu", False),  # compiled
        ("tasks/mobilenet_v1_0.25_224_1_metadata_1", False),
    ],
)
def test_weights_of_tensorflow_1_are_told_to_be_quantized_again(shared, name, is_legacy):
    advice = inspect_model(shared / "models" / f"{name}.tflite").advice
    if is_legacy:
        (line,) = advice
        assert "half the speed" in line
        assert "edgecnn convert FLOAT.tflite --int8 --data IMAGES" in line
    else:
        assert advice == ()


@pytest.mark.tensorflow
def test_a_run_shows_the_same_layers_before_and_after_conversion(tmp_path):
    from converters.convert import convert
    from edgecnn.zoo import build

    run = Run(tmp_path / "run")
    run.path.mkdir()
    card = Card(
        "r", "classification", InputSpec(32, 32), ("a", "b"), {"scores": "logits"}, {"scores": "logits"}
    )
    runs.write_card(run, card)
    build("resnet8", input_shape=(32, 32, 3), classes=2).save(run.model)
    before = inspect_model(run.path)
    convert(run.path, schemes=["float32"])
    after = inspect_model(run.path)
    assert (before.path, after.path) == (run.model, run.tflite("float32"))
    assert before.table.macs == after.table.macs == 12_501_120


def test_what_mediapipe_would_make_of_a_carded_classifier_is_said():
    golden = Path(__file__).parents[1] / "golden" / "colours.tflite"
    found = inspect_model(golden)
    assert found.mediapipe
    assert all(line.startswith("MediaPipe ") for line in found.mediapipe)
    assert found.as_dict()["mediapipe"] == list(found.mediapipe)
    bare = inspect_model(golden.with_name("colours_bare.tflite"))
    assert bare.mediapipe is None


def test_boxes_and_scores_in_one_scale_are_warned_of(tmp_path, assemble):
    tensors = {
        "boxes": ((1, 4, 30), "int8", None, 640 / 255, -128),
        "logits": ((1, 3, 30), "int8", None, 0.1, 0),
        "likely": ((1, 3, 30), "int8", None, 1 / 256, -128),
        "rounded": ((1, 3, 30), "int8", None, 640 / 255, -128),
        "head": ((1, 7, 30), "int8", None, 640 / 255, -128),
    }
    join = schema.ConcatenationOptionsT(axis=1)
    operators = [
        ("LOGISTIC", ["logits"], ["likely"]),
        ("QUANTIZE", ["likely"], ["rounded"]),
        ("CONCATENATION", ["boxes", "rounded"], ["head"], join),
    ]
    path = tmp_path / "head.tflite"
    path.write_bytes(assemble(tensors, operators, ["boxes", "logits"], ["head"]))
    (advice,) = inspect_model(path).advice
    assert "a score of 1.0 becomes 0" in advice
    assert inspect_model(path).as_dict()["advice"] == [advice]
