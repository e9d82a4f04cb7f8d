from dataclasses import dataclass

import numpy as np
import pytest

from edgecnn.data.dataset import Dataset, Image, Sample, label_ids
from edgecnn.data.splits import HOLD_OUT_MOST, hold_out, with_splits
from edgecnn.errors import DataError
from edgecnn.results import Boxes, Classes, Values


@dataclass(frozen=True)
class Named:
    name: str

    def read(self) -> Image:
        return np.zeros((1, 1, 3), np.uint8)


def dataset(counts: dict[str, int], where: str = "photos") -> Dataset:
    labels = tuple(sorted(counts))
    truths = {label: Classes.truth(i, labels) for i, label in enumerate(labels)}
    samples = [
        Sample(Named(f"{where}/{label}/{i}.jpg"), truths[label])
        for label in labels
        for i in range(counts[label])
    ]
    return Dataset(where, "classification", labels, tuple(samples))


def names(part: Dataset) -> set[str]:
    return {"/".join(sample.image.name.split("/")[-2:]) for sample in part.samples}


def test_fewer_than_two_images_cannot_be_divided():
    for count in (0, 1):
        with pytest.raises(DataError, match="cannot be divided"):
            hold_out(dataset({"cat": count}), 0)


def test_a_tenth_of_every_class_is_held_out():
    train, val = hold_out(dataset({"cat": 100, "dog": 50, "owl": 10}), 0)
    assert np.bincount(label_ids(val)).tolist() == [10, 5, 1]
    assert (train.split, val.split) == ("train", "val")
    assert not names(train) & names(val)
    assert len(train) + len(val) == 160


def test_at_most_2000_are_held_out():
    _, val = hold_out(dataset({"cat": 30_000, "dog": 10_000}), 0)
    assert len(val) == HOLD_OUT_MOST
    assert np.bincount(label_ids(val)).tolist() == [1500, 500]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_small_classes_have_images_on_both_sides(count):
    train, val = hold_out(dataset({"cat": count, "dog": 100}), 0)
    assert 0 < np.bincount(label_ids(val))[0] < count
    assert np.bincount(label_ids(train))[0] > 0


def test_a_class_with_one_image_is_learned_from():
    train, val = hold_out(dataset({"cat": 1, "dog": 10}), 0)
    assert np.bincount(label_ids(train)).tolist() == [1, 9]
    assert np.bincount(label_ids(val), minlength=2).tolist() == [0, 1]


def test_the_seed_decides_what_is_held_out_and_the_order_does_not():
    data = dataset({"cat": 60, "dog": 60})
    held = names(hold_out(data, 0)[1])
    assert held == names(hold_out(data.subset(range(119, -1, -1)), 0)[1])
    assert held != names(hold_out(data, 1)[1])


def test_numbers_are_divided_as_well():
    samples = tuple(Sample(Named(f"tub/{i}.jpg"), Values(np.array([0.1]), ("angle",))) for i in range(50))
    train, val = hold_out(Dataset("tub", "regression", ("angle",), samples), 0)
    assert (len(train), len(val)) == (45, 5)


def test_splits_that_came_are_left_as_they_are():
    parts = {"train": dataset({"cat": 5, "dog": 5}), "test": dataset({"cat": 3, "dog": 3})}
    assert with_splits(parts) == parts


def test_a_tenth_of_a_data_set_without_splits_is_for_the_test():
    parts = with_splits({"": dataset({"cat": 3000, "dog": 1000})})
    assert set(parts) == {"train", "test"}
    assert (parts["train"].split, parts["test"].split) == ("train", "test")
    assert not names(parts["train"]) & names(parts["test"])
    assert np.bincount(label_ids(parts["test"])) == pytest.approx([300, 100], rel=0.15)


def test_every_class_with_three_images_is_tested():
    parts = with_splits({"": dataset({f"{i:02}": 3 for i in range(40)})})
    assert set(label_ids(parts["test"]).tolist()) == set(range(40))
    assert set(label_ids(parts["train"]).tolist()) == set(range(40))


def test_adding_images_moves_no_other_into_or_out_of_the_test():
    before = with_splits({"": dataset({"cat": 400, "dog": 300})})
    after = with_splits({"": dataset({"cat": 500, "dog": 300, "owl": 200})})
    assert names(before["test"]) == names(after["test"]) & names(dataset({"cat": 400, "dog": 300}))


def test_where_the_images_lie_does_not_matter():
    here, there = (with_splits({"": dataset({"cat": 200, "dog": 200}, where)}) for where in ("a", "b/c/d"))
    assert names(here["test"]) == names(there["test"])
    assert names(hold_out(here["train"], 3)[1]) == names(hold_out(there["train"], 3)[1])


def scenes(*images: list[int]) -> Dataset:
    """A detection data set; each image is the labels of its boxes."""
    labels = ("cat", "dog", "owl")
    samples = [
        Sample(
            Named(f"cells/{number}.png"),
            Boxes(np.tile(np.float32([0, 0, 5, 5]), (len(ids), 1)), np.ones(len(ids)), np.int64(ids), labels),
        )
        for number, ids in enumerate(images)
    ]
    return Dataset("cells", "detection", labels, samples)


def test_images_with_boxes_are_divided_by_the_rarest_class_in_them():
    whole = scenes(*[[0]] * 60, *[[0, 1]] * 20, *[[1, 0, 2]] * 4, *[[]] * 10)
    train, val = hold_out(whole, 3)
    found = [{label for label in (0, 1, 2) if label in sample.truth.label_id} for sample in val.samples]
    assert sum(2 in each for each in found) == 1
    assert sum(each == {0, 1} for each in found) == 2
    assert sum(each == {0} for each in found) == 6
    assert sum(each == set() for each in found) == 1
    assert len(train) + len(val) == len(whole)
    assert [s.image.name for s in hold_out(whole, 3)[1].samples] == [s.image.name for s in val.samples]


def test_a_detection_data_set_in_one_piece_gets_a_test_part_with_every_class():
    parts = with_splits({"": scenes(*[[0]] * 80, *[[1]] * 5, *[[0, 2]] * 3)})
    assert {label for sample in parts["test"].samples for label in sample.truth.label_id.tolist()} == {
        0,
        1,
        2,
    }
    assert len(parts["train"]) + len(parts["test"]) == 88


def test_boxes_nowhere_divide_like_any_images():
    train, val = hold_out(scenes(*[[]] * 20), 0)
    assert (len(train), len(val)) == (18, 2)
