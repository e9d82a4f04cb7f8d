"""Auditing by path."""

import pytest

from edgecnn.auditing import audit_model
from edgecnn.errors import DataError


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not a run"):
        audit_model(tmp_path, "drawn")


def test_a_run_without_a_float_file_says_how_to_make_it(tmp_path):
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(DataError, match=r"convert .* --float32"):
        audit_model(tmp_path, "drawn")


def test_a_stranger_s_model_and_two_parts_are_taken(shared):
    """It is quantized, so that it is refused only after model and images were understood."""
    from edgecnn.data import training_splits
    from edgecnn.errors import ConversionError

    path = shared / "models/coral/tf2_mobilenet_v2_1.0_224_ptq.tflite"
    parts = training_splits("drawn:1?size=32x32")
    with pytest.raises(ConversionError, match="no float model"):
        audit_model(path, parts, samples=4, mean=127.5, std=127.5)
