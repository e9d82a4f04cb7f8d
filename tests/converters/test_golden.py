"""Golden checks as a converter makes them."""

import json

import numpy as np
import pytest

from converters import golden
from edgecnn.errors import ConversionError
from edgecnn.image import Image, prepare
from edgecnn.runtime import golden as goldens
from edgecnn.runtime.model import load
from edgecnn.runtime.stored import sample


@pytest.fixture
def model(run):
    with load(run / "float32.tflite") as loaded:
        yield loaded


@pytest.mark.parametrize("count", [0, -1, 17])
def test_a_card_holds_one_to_sixteen_checks(model, count):
    with pytest.raises(ConversionError, match="1 to 16"):
        golden.checks(model, [], count=count)


@pytest.mark.tensorflow
def test_without_images_all_are_drawn_and_different(model):
    made = golden.checks(model, [], count=3)
    assert len({check["image"] for check in made}) == 3


@pytest.mark.tensorflow
def test_one_is_drawn_and_the_others_are_the_images_given_shrunk(model):
    given: list[Image] = [np.full((480, 640, 3), value, np.uint8) for value in (10, 200, 90)]
    first, second, third = (goldens.from_json(one, "") for one in golden.checks(model, given))
    assert (first.image == golden.drawn(0)).all()
    assert second.image.shape == third.image.shape == (24, 32, 3)
    assert (second.image == 10).all()
    assert (third.image == 200).all()


@pytest.mark.tensorflow
def test_a_grey_image_and_one_of_a_pixel_are_taken_too(model):
    given = [np.full((100, 50), 7, np.uint8), np.full((1, 1, 3), 9, np.uint8)]
    _, second, third = (goldens.from_json(one, "") for one in golden.checks(model, given))
    assert second.image.shape == (32, 16, 3)
    assert third.image.shape == (1, 1, 3)


@pytest.mark.tensorflow
def test_what_is_stored_is_what_the_model_computes(model):
    for raw in golden.checks(model, []):
        check = goldens.from_json(raw, "")
        tensor, _ = prepare(check.shown(), model._table, model.card.input)
        assert (sample(tensor) == check.sampled).all()
        np.testing.assert_array_equal(model.raw(tensor)["scores"], check.outputs["scores"].real)
        assert check.records[0]["label"] == model(check.shown()).label


@pytest.mark.tensorflow
def test_one_image_is_larger_than_the_input_several_times_so_that_it_is_halved(model):
    spec = model.card.input
    sides = [min(goldens.from_json(raw, "").shown().shape[:2]) for raw in golden.checks(model, [])]
    assert max(sides) >= 2 * max(spec.height, spec.width)


@pytest.mark.tensorflow
def test_three_checks_take_little_room(model):
    photo = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    assert len(json.dumps(golden.checks(model, [photo, photo]))) < 20_000


def test_the_drawn_image_shows_every_swap():
    image = golden.drawn(0).astype(int)
    for changed in (image[..., ::-1], image[::-1], image[:, ::-1]):
        assert np.abs(image - changed).mean() > 20
