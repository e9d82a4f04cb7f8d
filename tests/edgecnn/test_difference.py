import json
from dataclasses import replace
from pathlib import Path

import pytest

import edgecnn
from edgecnn import card as cards
from edgecnn.difference import diff_models, finite
from edgecnn.errors import CardError, DataError, ModelError

LEGACY = "models/tasks/mobilenet_v1_0.25_224_quant.tflite"
FLOAT = "models/tasks/mobilenet_v1_0.25_224_1_metadata_1.tflite"


@pytest.fixture(scope="module")
def photographs(shared):
    return shared / "models" / "images"


def test_infinities_become_none_wherever_they_are():
    found = finite({"a": float("inf"), "b": [1.5, float("nan"), {"c": (float("-inf"), 2)}]})
    assert found == {"a": None, "b": [1.5, None, {"c": [None, 2]}]}


def test_it_is_there_by_its_short_name():
    assert edgecnn.diff_models is diff_models


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        diff_models(tmp_path / "a.tflite", tmp_path / "b.tflite", "drawn")


def test_a_strangers_file_beside_itself_differs_nowhere(shared, photographs):
    found = diff_models(shared / LEGACY, shared / LEGACY, photographs, images=2)
    assert found.blame.bad == ()
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["first_bad"] is None
    assert told["images"] == 2
    assert {layer["sqnr_db"] for layer in told["layers"]} == {None}
    assert all(layer["cosine"] == pytest.approx(1) for layer in told["layers"])


def test_two_strangers_of_one_architecture_are_compared_layer_by_layer(shared, photographs):
    """Legacy uint8 beside float: other weights, so the first convolution is already another one."""
    found = diff_models(shared / FLOAT, shared / LEGACY, photographs, images=2).as_dict()
    assert len(found["layers"]) > 25
    assert found["first_bad"]["operator"] == "CONV_2D"
    assert found["first_bad"]["causes"][0]["kind"] == "weights"


def test_images_that_are_not_there_are_an_error(shared, tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        diff_models(shared / LEGACY, shared / LEGACY, tmp_path / "nothing")


@pytest.fixture
def copies(shared, tmp_path) -> tuple[Path, Path]:
    """One stranger's float file twice, without its metadata's word on pixels."""
    from calibration import editable

    model = editable.read((shared / FLOAT).read_bytes())
    model.metadata = []
    for name in ("a", "b"):
        (tmp_path / f"{name}.tflite").write_bytes(editable.write(model))
    return tmp_path / "a.tflite", tmp_path / "b.tflite"


def test_pixels_that_nobody_explained_are_refused_with_the_options_that_do(copies, photographs):
    with pytest.raises(CardError, match=r"--mean 127\.5 --std 127\.5"):
        diff_models(*copies, photographs, images=1)
    assert diff_models(*copies, photographs, images=1, mean=127.5, std=127.5).blame.first is None


def test_a_card_in_one_file_serves_both_and_that_is_said(shared, copies, photographs):
    first, second = copies
    card = replace(_card(shared), name="first")
    cards.attach(first, card)
    found = diff_models(first, second, photographs, images=1)
    assert found.notes == ("b.tflite has no card: its images are prepared as those of a.tflite",)


def test_cards_that_disagree_are_found_at_the_input(shared, copies, photographs):
    card = _card(shared)
    cards.attach(copies[0], card)
    cards.attach(copies[1], replace(card, input=replace(card.input, mean=(0.0,), std=(255.0,))))
    found = diff_models(*copies, photographs, images=2)
    assert "prepare images differently" in found.notes[0]
    told = found.as_dict()
    assert told["first_bad"]["operator"] == "INPUT"
    assert told["first_bad"]["causes"][0]["kind"] == "preparation"
    assert [one["position"] for one in told["bad"]] == [0]


def _card(shared):
    from edgecnn.runtime.model import load

    with load(shared / FLOAT) as model:
        return model.card
