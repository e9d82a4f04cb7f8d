"""Which images calibration looks at."""

import hashlib

import numpy as np
import pytest

from calibration.samples import Prepared, choose, choose_apart
from edgecnn import image as images
from edgecnn.card import InputSpec
from edgecnn.data.dataset import Dataset, Sample, label_ids
from edgecnn.errors import DataError
from edgecnn.results import Boxes, Values

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


def mean_colour(image):
    return image.reshape(-1, 3).mean(0).astype(np.float32)


def test_far_apart_without_images_is_refused(pictures):
    with pytest.raises(DataError, match="pictures: there are no images"):
        choose_apart(pictures([]), mean_colour)


def test_far_apart_takes_all_there_are_without_looking_at_them(pictures):
    data = pictures([0, 1, 2], unreadable=(0, 1, 2))
    assert len(choose_apart(data, mean_colour, count=5)) == 3


def test_far_apart_is_balanced_in_any_beginning(pictures):
    chosen = choose_apart(pictures([0] * 50 + [1] * 20 + [2] * 30, size=1), mean_colour, count=30)
    labels = label_ids(chosen)
    for end in range(3, 31, 3):
        assert np.ptp(np.bincount(labels[:end], minlength=3)) == 0
    assert len(set(names(chosen))) == 30


def test_a_class_with_few_images_leaves_its_turns_to_the_others(pictures):
    chosen = choose_apart(pictures([0] * 30 + [1], size=1), mean_colour, count=10)
    assert np.bincount(label_ids(chosen)).tolist() == [9, 1]


def test_each_is_the_farthest_of_its_class_from_those_before_it(pictures):
    data = pictures([0, 1] * 12, size=1)
    chosen = choose_apart(data, mean_colour, count=8, seed=3)
    pool = choose(data, count=24, seed=3)
    vectors = {sample.image.name: mean_colour(sample.read()) for sample in pool.samples}
    taken = names(chosen)
    labels = label_ids(chosen)
    members = {
        label: [n for n, i in zip(names(pool), label_ids(pool), strict=True) if i == label]
        for label in (0, 1)
    }

    def alone(name, others):
        return min(float(np.square(vectors[name] - vectors[other]).sum()) for other in others)

    for position in range(1, len(taken)):
        before = taken[:position]
        free = [name for name in members[labels[position]] if name not in before]
        best = max(alone(name, before) for name in free)
        assert alone(taken[position], before) == pytest.approx(best)


def test_far_apart_covers_more_than_chance(pictures):
    data = pictures([0] * 300, size=1)

    def reach(dataset):
        vectors = np.stack([mean_colour(sample.read()) for sample in dataset.samples])
        distances = np.square(vectors[:, None] - vectors[None]).sum(-1)
        return np.sqrt((distances + 1e9 * np.eye(len(vectors))).min())

    assert reach(choose_apart(data, mean_colour, count=20)) > 2 * reach(choose(data, count=20))


def test_far_apart_is_the_same_for_a_seed_and_reads_a_bounded_pool(pictures):
    data = pictures([0, 1, 2] * 50, size=1)
    read = []

    def counting(image):
        read.append(1)
        return mean_colour(image)

    first = names(choose_apart(data, counting, count=9, pool=4))
    assert len(read) == 36
    assert names(choose_apart(data, mean_colour, count=9, pool=4)) == first
    assert names(choose_apart(data, mean_colour, count=9, pool=4, seed=1)) != first


def test_far_apart_names_an_unreadable_image(pictures):
    with pytest.raises(DataError, match=r"pictures/1\.png: truncated"):
        choose_apart(pictures([0, 1, 2] * 4, unreadable=(1,)), mean_colour, count=4)


def test_data_without_classes_are_taken_far_apart_too(pictures):
    samples = [type(s)(s.image, Values([0.0], ("angle_deg",))) for s in pictures([0] * 20, size=1).samples]
    data = Dataset("turns", "regression", (), samples)
    assert len(set(names(choose_apart(data, mean_colour, count=5)))) == 5


def boxed(*shown):
    """A data set whose images show these classes, box by box."""
    labels = ("red", "green", "blue")
    truths = [
        Boxes(np.tile([0.0, 0.0, 2.0, 2.0], (len(ids), 1)), np.ones(len(ids)), np.array(ids, int), labels)
        for ids in shown
    ]
    samples = [Sample(Named(f"{place}.png"), truth) for place, truth in enumerate(truths)]
    return Dataset("boxed", "detection", labels, samples)


class Named:
    def __init__(self, name):
        self.name = name


@pytest.mark.parametrize("seed", range(5))
def test_every_class_is_among_the_first_images_with_boxes(seed):
    data = boxed(*[(0, 0, 1)] * 60, *[(0, 2)] * 2, *[()] * 30)
    chosen = choose(data, count=3, seed=seed)
    shown = [set(sample.truth.label_id.tolist()) for sample in chosen.samples]
    assert set.union(*shown) == {0, 1, 2}
    assert set() in shown  # an image without boxes is a kind of its own


def test_all_images_with_boxes_are_chosen_once():
    data = boxed(*[(0, 1)] * 7, *[(2,)] * 3, *[()] * 2)
    chosen = choose(data, count=100)
    assert sorted(names(chosen)) == sorted(names(data))
