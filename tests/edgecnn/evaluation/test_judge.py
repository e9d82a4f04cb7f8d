"""A model here is a table: the image's first pixel is the row of scores that the model gives."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from edgecnn.data.dataset import Dataset, Image, Sample
from edgecnn.errors import DataError, ModelError
from edgecnn.evaluation import UNDECIDED, agreement, evaluate
from edgecnn.results import Classes, Values
from edgecnn.tasks.classification import metrics

LABELS = ("cat", "dog", "owl")


@dataclass(frozen=True)
class Grey:
    name: str
    level: int

    def read(self) -> Image:
        return np.full((2, 3, 3), self.level % 256, np.uint8)


@dataclass(frozen=True)
class Broken:
    name: str

    def read(self) -> Image:
        raise DataError(f"{self.name}: truncated: ends after 9 bytes")


def dataset(*ids: int, labels: tuple[str, ...] = LABELS, name: str = "pets") -> Dataset:
    samples = [Sample(Grey(f"pets/{i}.png", i), Classes.truth(label, labels)) for i, label in enumerate(ids)]
    return Dataset(name, "classification", labels, samples, "test")


def model(*rows: list[float], labels: tuple[str, ...] = LABELS):
    def predict(images: Iterable[Image]) -> Iterator[Classes]:
        for image in images:
            yield Classes(np.array(rows[image[0, 0, 0]], np.float32), labels)

    return predict


CAT, DOG, OWL = [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]


def test_a_data_set_without_images_is_refused():
    with pytest.raises(DataError, match="pets: test holds no images"):
        evaluate(model(), dataset())


def test_a_data_set_of_another_task_is_refused():
    tub = Dataset("tub", "regression", (), [Sample(Grey("7.png", 0), Values(np.zeros(1), ("angle",)))])
    with pytest.raises(DataError, match="its task is regression"):
        evaluate(model(CAT), tub)


def test_the_confusion_counts_truth_in_rows_and_answers_in_columns():
    found = evaluate(model(CAT, DOG, DOG, OWL), dataset(0, 0, 1, 2))
    assert found.metrics.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert found.metrics.top1 == 0.75
    assert found.truths.tolist() == [0, 0, 1, 2]
    assert found.decisions.tolist() == [0, 1, 1, 2]
    assert (found.data.name, found.data.split, found.data.images) == ("pets", "test", 4)
    assert found.unreadable == ()
    assert found.agreement is None


def test_a_tie_is_no_decision_and_counts_against_the_model():
    found = evaluate(model([0.4, 0.4, 0.2], CAT), dataset(0, 0))
    assert found.decisions.tolist() == [UNDECIDED, 0]
    assert found.metrics.top1 == 0.5
    assert found.metrics.ties == 1


@pytest.mark.parametrize("images", [1, 255, 256, 257, 700])
def test_judging_block_by_block_gives_what_judging_all_at_once_gives(images):
    random = np.random.default_rng(images)
    truths = random.integers(0, 7, images)
    scores = random.integers(0, 6, (images, 7)).astype(np.float32)  # coarse, so that many tie
    labels = tuple("abcdefg")
    data = dataset(*truths, labels=labels)

    def predict(shown):
        for row, _ in zip(scores, shown, strict=True):
            yield Classes(row, labels)

    found = evaluate(predict, data)
    whole = metrics(scores, truths, labels)
    assert (found.metrics.confusion == whole.confusion).all()
    assert (found.metrics.top5_correct, found.metrics.images) == (whole.top5_correct, whole.images)
    assert found.metrics.ties == whole.ties
    assert (found.decisions == found.truths).sum() == np.trace(whole.confusion)


def test_images_come_in_order_even_where_one_takes_long_to_read():
    @dataclass(frozen=True)
    class Late(Grey):
        def read(self) -> Image:
            if self.level % 5 == 0:
                threading.Event().wait(0.02)
            return super().read()

    data = Dataset(
        "slow",
        "classification",
        LABELS,
        [Sample(Late(str(i), i), Classes.truth(0, LABELS)) for i in range(40)],
    )
    seen = []

    def predict(images):
        for image in images:
            seen.append(int(image[0, 0, 0]))
            yield Classes(np.array(CAT), LABELS)

    evaluate(predict, data)
    assert seen == list(range(40))


def test_a_model_may_read_ahead_of_its_answers():
    def predict(images):
        for image in list(images):
            yield Classes(np.array((CAT, DOG, OWL)[image[0, 0, 0]]), LABELS)

    assert evaluate(predict, dataset(0, 1, 2)).metrics.top1 == 1


def test_only_a_few_images_are_held_at_once():
    alive, most = 0, 0
    lock = threading.Lock()

    @dataclass(frozen=True)
    class Counted:
        name: str

        def read(self) -> Image:
            nonlocal alive, most
            with lock:
                alive += 1
                most = max(most, alive)
            return np.zeros((2, 2, 3), np.uint8)

    data = Dataset(
        "d", "classification", LABELS, [Sample(Counted(str(i)), Classes.truth(0, LABELS)) for i in range(500)]
    )

    def predict(images):
        nonlocal alive
        for _ in images:
            with lock:
                alive -= 1
            yield Classes(np.array(CAT), LABELS)

    evaluate(predict, data)
    assert most < 40


# ---- labels


def test_labels_in_another_order_are_matched_by_name():
    owl_first = ("owl", "cat", "dog")
    found = evaluate(model([0.8, 0.1, 0.1], [0.1, 0.8, 0.1], labels=owl_first), dataset(2, 0))
    assert found.metrics.labels == LABELS
    assert found.metrics.top1 == 1


def test_an_answer_that_the_data_does_not_know_is_wrong():
    wide = ("background", "owl", "cat", "dog")
    found = evaluate(model([0.9, 0, 0.1, 0], [0, 0, 0.9, 0.1], labels=wide), dataset(0, 0))
    assert found.metrics.labels == ("cat", "dog", "owl", "background")
    assert found.metrics.confusion[0].tolist() == [1, 0, 0, 1]


def test_a_label_that_the_model_does_not_know_is_named():
    with pytest.raises(DataError, match="does not know the label 'dog' and 1 more; its labels are cat, cow"):
        evaluate(model([0.5, 0.4], labels=("cat", "cow")), dataset(0))


def test_a_label_that_the_model_has_twice_is_refused_where_the_data_means_one_of_them():
    twice = ("cat", "dog", "owl", "cat")
    with pytest.raises(DataError, match="two labels of the model are named 'cat'"):
        evaluate(model([1, 0, 0, 0], labels=twice), dataset(0))
    found = evaluate(model([1, 0, 0, 0, 0], labels=("cat", "dog", "owl", "crane", "crane")), dataset(0))
    assert found.metrics.top1 == 1


# ---- bad input


def test_an_unreadable_image_is_named():
    data = dataset(0, 1)
    data.samples.insert(1, Sample(Broken("pets/cut.jpg"), Classes.truth(0, LABELS)))
    with pytest.raises(DataError, match=r"pets/cut\.jpg: truncated"):
        evaluate(model(CAT, DOG), data)


def test_unreadable_images_are_left_out_and_listed_when_asked():
    data = dataset(0, 1)
    data.samples.insert(1, Sample(Broken("pets/cut.jpg"), Classes.truth(2, LABELS)))
    steps = []
    found = evaluate(
        model(CAT, DOG), data, skip_unreadable=True, progress=lambda done, of: steps.append((done, of))
    )
    assert found.metrics.images == 2
    assert found.metrics.top1 == 1
    assert found.unreadable == ("pets/cut.jpg: truncated: ends after 9 bytes",)
    assert steps[-1] == (3, 3)


def test_a_data_set_of_nothing_but_unreadable_images_is_refused():
    data = Dataset("bad", "classification", LABELS, [Sample(Broken("cut.jpg"), Classes.truth(0, LABELS))])
    with pytest.raises(DataError, match=r"bad: no image of 1 can be read. cut\.jpg"):
        evaluate(model(), data, skip_unreadable=True)


def test_scores_that_are_not_numbers_never_pass_for_right():
    with pytest.raises(ModelError, match=r"pets/1\.png: the model's scores are NaN"):
        evaluate(model(CAT, [np.nan, 0, 0]), dataset(0, 0))


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (
            lambda images: iter([Classes(np.array(CAT), LABELS) for _ in images][:-1]),
            "1 results for 2 images",
        ),
        (
            lambda images: iter([Classes(np.array(CAT), LABELS) for _ in images] * 2),
            "more results than the 2",
        ),
        (lambda images: iter([Values(np.zeros(1), ("angle",)) for _ in images]), "the model gave Values"),
        (
            lambda images: (Classes(np.ones(2 + i), LABELS[: 2 + i]) for i, _ in enumerate(images)),
            "does not know|scores, but",
        ),
    ],
)
def test_a_model_that_does_not_give_one_classification_for_each_image_is_refused(predict, message):
    with pytest.raises((ModelError, DataError), match=message):
        evaluate(predict, dataset(0, 1))


def test_an_error_of_the_model_itself_comes_through():
    def predict(images):
        next(iter(images))
        raise ModelError("the interpreter stopped")
        yield

    with pytest.raises(ModelError, match="the interpreter stopped"):
        evaluate(predict, dataset(*[0] * 100))
    assert not [t for t in threading.enumerate() if t.name.startswith("edgecnn-reading")]


# ---- agreement


def test_agreement_counts_images_and_what_was_gained_and_lost():
    data = dataset(0, 0, 0, 1)
    float32 = evaluate(model(CAT, CAT, DOG, DOG), data)
    int8 = evaluate(model(CAT, DOG, CAT, DOG), data, reference=float32)
    assert int8.agreement == agreement(int8, float32)
    assert (int8.agreement.images, int8.agreement.same) == (4, 2)
    assert (int8.agreement.gained, int8.agreement.lost) == (1, 1)
    assert int8.agreement.difference == int8.metrics.top1 - float32.metrics.top1


def test_a_reference_that_still_has_to_run_gives_the_same_agreement():
    data = dataset(0, 0, 0, 1)
    steps = []
    float32 = model(CAT, CAT, DOG, DOG)
    found = evaluate(
        model(CAT, DOG, CAT, DOG), data, reference=float32, progress=lambda done, of: steps.append((done, of))
    )
    assert (
        found.agreement
        == evaluate(model(CAT, DOG, CAT, DOG), data, reference=evaluate(float32, data)).agreement
    )
    assert steps == [(i, 8) for i in range(1, 9)]


def test_two_models_that_are_both_undecided_do_not_agree():
    tie = model([0.5, 0.5, 0])
    assert evaluate(tie, dataset(0), reference=tie).agreement.same == 0


def test_models_with_other_labels_agree_by_name():
    data = dataset(0, 1, 2)
    wide = model([0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0], labels=("background", "owl", "cat", "dog"))
    narrow = model(CAT, DOG, OWL)
    found = evaluate(narrow, data, reference=wide).agreement
    assert (found.same, found.gained, found.lost) == (2, 1, 0)
    back = evaluate(wide, data, reference=narrow).agreement
    assert (back.same, back.gained, back.lost) == (2, 0, 1)


@pytest.mark.parametrize("other", [dataset(0, 1, 0), dataset(1, 0), dataset(0, 0)])
def test_a_reference_that_judged_other_images_is_refused(other):
    predict = model(CAT, CAT, CAT)
    with pytest.raises(DataError, match="not the same images"):
        evaluate(predict, dataset(0, 1), reference=evaluate(predict, other))
