"""Which images calibration looks at."""

import hashlib

import numpy as np
import pytest

from calibration.samples import Prepared, choose
from edgecnn import image as images
from edgecnn.card import InputSpec
from edgecnn.data.dataset import Dataset, label_ids
from edgecnn.errors import DataError
from edgecnn.results import Values

SPEC = InputSpec(height=8, width=8)


def names(dataset):
    return [sample.image.name for sample in dataset.samples]


def test_a_data_set_without_images_is_refused(pictures):
    with pytest.raises(DataError, match="pictures: there are no images"):
        choose(pictures([]))


@pytest.mark.parametrize("count", [0, -3])
def test_fewer_than_one_image_is_refused(pictures, count):
    with pytest.raises(DataError, match=f"not {count}"):
        choose(pictures([0]), count=count)


@pytest.mark.parametrize(
    ("have", "count", "expected"),
    [
        ((9, 9, 9), 6, (2, 2, 2)),
        ((90, 5, 5), 9, (3, 3, 3)),
        ((90, 1, 2), 30, (27, 1, 2)),
        ((4, 0, 4), 4, (2, 0, 2)),
        ((2, 2, 2), 100, (2, 2, 2)),
    ],
)
def test_classes_are_as_equal_as_the_images_allow(pictures, have, count, expected):
    ids = [label_id for label_id, number in enumerate(have) for _ in range(number)]
    chosen = choose(pictures(ids, size=1), count=count)
    assert tuple(np.bincount(label_ids(chosen), minlength=3)) == expected


def test_any_beginning_of_the_choice_is_balanced_too(pictures):
    chosen = label_ids(choose(pictures([0] * 50 + [1] * 20 + [2] * 30, size=1), count=30))
    for end in range(3, 31, 3):
        assert np.ptp(np.bincount(chosen[:end], minlength=3)) == 0


def test_no_image_is_chosen_twice(pictures):
    chosen = names(choose(pictures([0, 1, 2] * 20, size=1), count=40))
    assert len(set(chosen)) == 40


def test_the_same_seed_chooses_the_same_and_another_seed_others(pictures):
    data = pictures([0, 1, 2] * 50, size=1)
    assert names(choose(data, count=9)) == names(choose(data, count=9))
    assert names(choose(data, count=9)) != names(choose(data, count=9, seed=1))


def test_choosing_reads_no_image(pictures):
    data = pictures([0, 1, 2], unreadable=(0, 1, 2))
    assert len(choose(data)) == 3


def test_data_without_classes_are_chosen_at_random(pictures):
    samples = [type(s)(s.image, Values([0.0], ("angle_deg",))) for s in pictures([0] * 20, size=1).samples]
    data = Dataset("turns", "regression", (), samples)
    chosen = names(choose(data, count=5))
    assert len(set(chosen)) == 5
    assert chosen != names(data)[:5]


def test_prepared_images_are_those_that_the_device_would_see(pictures):
    data = pictures([0, 1, 2])
    table = images.lookup(SPEC, np.float32)
    expected = [images.prepare(sample.read(), table, SPEC)[0] for sample in data.samples]
    found = [tensor.copy() for tensor in Prepared(data, SPEC)]
    np.testing.assert_array_equal(found, expected)


def test_the_hash_is_that_of_the_tensors_in_their_order(pictures):
    data = pictures([0, 1])
    prepared = Prepared(data, SPEC)
    content = b"".join(tensor.tobytes() for tensor in prepared)
    assert prepared.count == 2
    assert prepared.sha256 == hashlib.sha256(content).hexdigest()
    swapped = Prepared(data.subset([1, 0]), SPEC)
    list(swapped)
    assert swapped.sha256 != prepared.sha256


def test_an_unreadable_image_is_named(pictures):
    with pytest.raises(DataError, match=r"pictures/1\.png: truncated"):
        list(Prepared(pictures([0, 1, 2], unreadable=(1,)), SPEC))
