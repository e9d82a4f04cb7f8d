import numpy as np
import pytest

from edgecnn import heads
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError, TrainingError
from edgecnn.results import Classes, Values

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def head() -> heads.Head:
    return heads.find("classification")


class Unread:
    name = "a.jpg"

    def read(self):
        raise AssertionError("targets must not read images")


def expected_loss(target: int, logits: np.ndarray, smoothing: float) -> float:
    probability = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    wanted = np.full(len(logits), smoothing / len(logits))
    wanted[target] += 1 - smoothing
    return float(-(wanted * np.log(probability)).sum())


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_loss_is_cross_entropy_against_smoothed_targets(head: heads.Head, smoothing: float) -> None:
    logits = np.random.default_rng(1).normal(0, 3, (5, 4)).astype(np.float32)
    targets = np.array([0, 1, 2, 3, 3])
    found = head.loss(targets, logits, smoothing=smoothing).numpy()
    expected = [
        expected_loss(t, row.astype(np.float64), smoothing) for t, row in zip(targets, logits, strict=True)
    ]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_correct_is_the_highest_logit(head: heads.Head) -> None:
    logits = np.array([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]], np.float32)
    assert head.correct(np.array([1, 0, 0]), logits).numpy().tolist() == [True, True, False]


def test_targets_are_label_numbers_and_no_image_is_read(head: heads.Head) -> None:
    labels = ("cat", "dog")
    samples = [Sample(Unread(), Classes.truth(n, labels)) for n in (1, 0, 1)]
    found = head.targets(Dataset("pets", "classification", labels, samples))
    assert found.dtype == np.int64
    assert found.tolist() == [1, 0, 1]
    assert head.targets(Dataset("none", "classification", labels, [])).shape == (0,)


def test_a_truth_of_another_kind_is_named(head: heads.Head) -> None:
    sample = Sample(Unread(), Values(np.ones(1), ("angle_deg",)))
    with pytest.raises(DataError, match=r"a\.jpg.*Values"):
        head.targets(Dataset("road", "regression", ("a", "b"), [sample]))


@pytest.mark.parametrize(
    ("train", "val", "labels", "message"),
    [
        ([], [], (), "no class"),
        ([0], [0], ("cat",), r"one class \(cat\)"),
        ([0, 1], [], ("cat", "dog"), "no validation image"),
        ([0, 0], [0], ("cat", "dog"), "no training image shows 'dog'"),
        ([0], [0], tuple("abcdef"), "'b', 'c', 'd' and 2 more"),
    ],
)
def test_what_cannot_be_learned_is_refused(
    head: heads.Head, train: list[int], val: list[int], labels: tuple[str, ...], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        head.check(np.array(train, np.int64), np.array(val, np.int64), labels)


def test_the_score_of_an_outcome_counts_ties_against_the_model(head: heads.Head) -> None:
    outputs = np.array([[1.0, 1.0], [0.0, 2.0]], np.float32)
    outcome = head.outcome(outputs, np.array([0, 1]), ("cat", "dog"))
    assert outcome["score"] == outcome["top1"] == 0.5
    assert outcome["ties"] == 1


def test_a_task_without_head_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"'dreaming'.*classification"):
        heads.find("dreaming")
