"""The images a conversion rests on."""

from dataclasses import replace

import numpy as np
import pytest

from converters.evidence import Evidence, gather, noise
from edgecnn.card import Card, InputSpec
from edgecnn.errors import ConversionError, DataError

SPEC = InputSpec(height=10, width=7)
CARD = Card("colours", "classification", SPEC, labels=("red", "green", "blue", "grey"))


def test_without_data_there_is_noise_to_compare_on():
    evidence = gather(None, CARD)
    assert not evidence.is_real
    found = list(evidence.images(SPEC, 9))
    assert len(found) == 9
    assert {(image.shape, image.dtype.name) for image in found} == {((10, 7, 3), "uint8")}
    assert len({image.tobytes() for image in found}) == 9
    np.testing.assert_array_equal(found, list(noise(SPEC, 9)))


def test_no_images_are_none():
    assert list(noise(SPEC, 0)) == []


def test_a_scheme_that_calibrates_asks_for_data():
    with pytest.raises(ConversionError, match="int8 needs training images"):
        gather(None, CARD, calibrated=["int8"])


def test_two_parts_are_taken_as_they_are_and_images_repeat(data):
    evidence = gather(data, CARD, calibrated=["int8"])
    assert evidence == Evidence(*data)
    assert evidence.is_real
    once, twice = (list(evidence.images(SPEC, 12)) for _ in range(2))
    assert len(once) == 12
    np.testing.assert_array_equal(once, twice)
    assert len(list(evidence.images(SPEC, 10_000))) == len(data[1])


def test_a_part_of_the_labels_is_enough(data):
    fewer = tuple(replace(part, labels=("red", "green", "blue")) for part in data)
    assert gather(fewer, CARD).is_real


@pytest.mark.parametrize("position", [0, 1])
def test_a_label_that_the_card_does_not_know_is_refused_in_either_part(data, position):
    parts = list(data)
    parts[position] = replace(parts[position], labels=("red", "green", "blue", "Grey"))
    with pytest.raises(DataError, match="the label 'Grey' is not one of the 4 of colours"):
        gather(tuple(parts), CARD)


def test_data_for_another_task_are_refused(data):
    with pytest.raises(DataError, match="is for segmentation, but colours is for classification"):
        gather((data[0], replace(data[1], task="segmentation")), CARD)


def test_a_place_without_data_is_refused(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        gather(tmp_path / "nowhere", CARD)
