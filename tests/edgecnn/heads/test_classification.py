import numpy as np
import pytest

from edgecnn import heads
from edgecnn.card import Card, InputSpec
from edgecnn.data.augment import Augment
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError, TrainingError
from edgecnn.image import View
from edgecnn.results import Classes, Values

pytestmark = pytest.mark.tensorflow

SPEC = InputSpec(16, 16)
WHOLE = View((1.0, 1.0), (0.0, 0.0), (16, 16))


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
    losses, _ = head.criterion(SPEC, smoothing=smoothing)(targets, [logits])
    found = losses.numpy()
    expected = [
        expected_loss(t, row.astype(np.float64), smoothing) for t, row in zip(targets, logits, strict=True)
    ]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_right_is_whose_highest_logit_is_the_true_label_s(head: heads.Head) -> None:
    logits = np.array([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]], np.float32)
    _, right = head.criterion(SPEC, smoothing=0.0)(np.array([1, 0, 0]), [logits])
    assert right.numpy().tolist() == [True, True, False]


def pets(*label_ids: int) -> Dataset:
    labels = ("cat", "dog")
    samples = [Sample(Unread(), Classes.truth(n, labels)) for n in label_ids]
    return Dataset("pets", "classification", labels, samples)


def test_targets_are_label_numbers_and_no_image_is_read(head: heads.Head) -> None:
    found = head.targets(pets(1, 0, 1))
    assert found.dtype == np.int64
    assert found.tolist() == [1, 0, 1]
    assert head.targets(pets()).shape == (0,)


def test_a_class_has_no_place(head: heads.Head) -> None:
    targets = head.targets(pets(1, 0))
    moved = View((0.5, 0.5), (3.0, 4.0), (32, 32))
    np.testing.assert_array_equal(head.placed(targets, [moved, WHOLE]), targets)


def test_varied_images_keep_their_classes(head: heads.Head) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    chosen, random = np.array([2, 0]), np.random.default_rng(1)
    pixels, targets = head.vary(images.__getitem__, np.array([1, 0, 0]), chosen, Augment(), random)
    assert targets.tolist() == [0, 1]
    np.testing.assert_array_equal(pixels, images[chosen])


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
    logits = np.array([[1.0, 1.0], [0.0, 2.0]], np.float32)
    card = Card("pets", "classification", SPEC, ("cat", "dog"), options=head.options(SPEC))
    outcome = head.outcome([logits], pets(0, 1), [WHOLE, WHOLE], card)
    assert outcome["score"] == outcome["top1"] == 0.5
    assert outcome["ties"] == 1
    assert head.fitted_options([logits], pets(0, 1), [WHOLE, WHOLE], card) == {"scores": "logits"}


def test_a_task_without_head_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"'dreaming'.*classification"):
        heads.find("dreaming")


def test_a_design_that_there_is_none_of_is_refused_with_those_there_are() -> None:
    with pytest.raises(TrainingError, match="detection has no design 'fcos'; there is: anchors, centroids"):
        heads.find("detection", "fcos")
    with pytest.raises(TrainingError, match=r"classification has no design 'anchors'.*none to choose from"):
        heads.find("classification", "anchors")
