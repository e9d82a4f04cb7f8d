"""Mending a file for a device."""

import numpy as np
import pytest

from edgecnn import card
from edgecnn.errors import TargetError
from edgecnn.graph import read
from edgecnn.targeting.mending import _apart, mend

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def float_ends(tints_run, tints):
    """int8 inside, float at both ends."""
    from edgecnn.conversion import convert_model

    (made,) = convert_model(tints_run, schemes=["int8"], data=tints, io="float32")
    return made.path


def test_float_ends_are_mended_for_the_edge_tpu(float_ends):
    found = mend(float_ends, "coral_usb")
    assert found.out == float_ends.with_name("int8.coral_usb.tflite")
    assert any("one weight scale" in line for line in found.done)
    assert 0 < found.largest < 0.05
    assert found.before.units["cpu"] > 0
    assert set(found.after.units) == {"edge_tpu"}
    assert card.read(found.out) == card.read(float_ends)
    graph = read(found.out)
    assert {graph.tensors[index].dtype for index in (*graph.inputs, *graph.outputs)} == {"int8"}
    assert found.as_dict()["out"] == str(found.out)
    again = mend(found.out, "coral_usb")
    assert (again.out, again.done) == (None, ())


def test_a_file_that_is_there_is_kept(float_ends):
    place = float_ends.with_name("int8.coral_usb.tflite")
    place.write_text("mine")
    with pytest.raises(TargetError, match="is there already"):
        mend(float_ends, "coral_usb")
    assert place.read_text() == "mine"
    assert mend(float_ends, "coral_usb", force=True).out == place


def test_the_model_itself_is_never_overwritten(float_ends):
    before = float_ends.read_bytes()
    with pytest.raises(TargetError, match="is the model itself"):
        mend(float_ends, "coral_usb", out=float_ends, force=True)
    assert float_ends.read_bytes() == before


def test_a_mended_file_that_computes_otherwise_is_not_written(float_ends, monkeypatch):
    from edgecnn.targeting import mending

    monkeypatch.setattr(mending, "difference", lambda before, after: 0.1)
    monkeypatch.setattr(mending, "fix", lambda content, names: (content, ("nothing",) if names else ()))
    monkeypatch.setattr(mending, "support", lambda graph, device: type("S", (), {"fixes": ("int8-io",)})())
    with pytest.raises(TargetError, match="computes otherwise"):
        mend(float_ends, "coral_usb")
    assert not float_ends.with_name("int8.coral_usb.tflite").exists()


@pytest.mark.parametrize(
    ("mine", "changed", "apart"),
    [
        ([0, 4], [0, 4], 0.0), ([0, 4], [1, 4], 0.25), ([0, np.nan], [0, np.nan], 0.0), ([], [], 0.0),
        ([0, 4], [0, np.nan], np.inf), ([0, np.inf], [0, np.inf], 0.0), ([0, 4], [0, 4, 4], np.inf),
    ],
)  # fmt: skip
def test_a_nan_on_one_side_is_a_difference(mine, changed, apart):
    assert _apart(np.array(mine, np.float32), np.array(changed, np.float32)) == apart
