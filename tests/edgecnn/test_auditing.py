"""Auditing by path."""

import pytest

from calibration.ranges import METHODS
from edgecnn.auditing import audit_model, write_histogram_page
from edgecnn.data import training_splits
from edgecnn.errors import DataError, ModelError
from edgecnn.graph import read


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not a run"):
        audit_model(tmp_path, "drawn")


def test_a_run_without_a_float_file_says_how_to_make_it(tmp_path):
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(DataError, match=r"convert .* --float32"):
        audit_model(tmp_path, "drawn")


def test_a_stranger_s_model_and_two_parts_are_taken(shared):
    """It is quantized, so that it is refused only after model and images were understood."""
    from edgecnn.errors import ConversionError

    path = shared / "models/coral/tf2_mobilenet_v2_1.0_224_ptq.tflite"
    parts = training_splits("drawn:1?size=32x32")
    with pytest.raises(ConversionError, match="no float model"):
        audit_model(path, parts, samples=4, mean=127.5, std=127.5)


def test_a_page_shows_every_tensor_and_every_method(colours_model, colours_data, tmp_path):
    page, photographs = tmp_path / "page.html", colours_data / "test" / "red"
    write_histogram_page(page, colours_model, str(photographs), unlabelled=True)
    said = page.read_text("utf-8")
    graph = read(colours_model.read_bytes(), "colours")
    tensors = [graph.tensors[operator.outputs[0]].name for operator in graph.ops]
    for name in tensors:
        assert name in said
    for method in METHODS:
        assert said.count(f">{method}</text>") >= len(tensors), method


def test_a_page_that_is_there_is_replaced_only_if_asked(tmp_path):
    mine = tmp_path / "page.html"
    mine.write_text("mine")
    with pytest.raises(DataError, match="--force"):
        write_histogram_page(mine, tmp_path / "float32.tflite", "drawn")
    assert mine.read_text() == "mine"
    with pytest.raises(ModelError):
        write_histogram_page(mine, tmp_path / "float32.tflite", "drawn", force=True)
