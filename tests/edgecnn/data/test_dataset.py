import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from edgecnn.data.dataset import Dataset, Image, Sample, label_ids
from edgecnn.errors import DataError
from edgecnn.results import Classes, Values

LABELS = ("cat", "dog", "owl")
TRUTHS = tuple(Classes.truth(i, LABELS) for i in range(3))


@dataclass(frozen=True)
class Grey:
    name: str
    level: int

    def read(self) -> Image:
        return np.full((2, 3, 3), self.level, np.uint8)


def dataset(*ids: int) -> Dataset:
    samples = tuple(Sample(Grey(f"{i}.png", i), TRUTHS[label]) for i, label in enumerate(ids))
    return Dataset("tiny", "classification", LABELS, samples)


def test_an_empty_data_set_has_length_zero_and_no_label_ids():
    assert len(dataset()) == 0
    assert label_ids(dataset()).shape == (0,)
    assert len(dataset().subset([])) == 0


def test_label_ids_follow_the_order_of_the_samples():
    ids = label_ids(dataset(2, 0, 1, 1))
    assert ids.dtype == np.int64
    assert ids.tolist() == [2, 0, 1, 1]


def test_a_subset_of_a_subset_finds_the_original_samples():
    whole = dataset(2, 0, 1, 1)
    part = whole.subset([3, 2, 0]).subset(np.array([2, 0]))
    assert [s.image.name for s in part.samples] == ["0.png", "3.png"]
    assert [s.image.name for s in whole.subset(range(4)).samples[1:3]] == ["1.png", "2.png"]
    assert part.samples[-1].read()[0, 0, 0] == 3
    assert part.labels == whole.labels


@pytest.mark.parametrize("indices", [[4], [-1], [0, 7]])
def test_an_index_outside_the_data_set_is_refused(indices):
    with pytest.raises(DataError, match=r"4 samples \(0-3\)"):
        dataset(2, 0, 1, 1).subset(indices)


def test_a_label_that_occurs_twice_is_named():
    with pytest.raises(DataError, match="'cat' occurs twice"):
        Dataset("tiny", "classification", ("cat", "cat"), ())


def test_label_ids_of_another_task_are_refused_with_the_sample_that_has_none():
    steering = Dataset("tub", "regression", (), (Sample(Grey("7.png", 0), Values(np.zeros(1), ("angle",))),))
    with pytest.raises(DataError, match=r"7\.png: its truth is Values"):
        label_ids(steering)


def test_label_ids_hold_when_truth_is_made_anew_for_every_sample():
    samples = tuple(Sample(Grey(str(i), 0), Classes.truth(i % 3, LABELS)) for i in range(30))
    assert label_ids(Dataset("d", "classification", LABELS, samples)).tolist() == [i % 3 for i in range(30)]


def test_a_data_set_survives_pickling():
    again = pickle.loads(pickle.dumps(dataset(2, 0, 1).subset([2, 1])))  # noqa: S301  (made a moment ago)
    assert label_ids(again).tolist() == [1, 0]
