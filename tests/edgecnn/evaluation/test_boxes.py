"""Detectors through the whole judge: a model here is a table, the image's first pixel says which row."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from edgecnn.data.dataset import Dataset, Image, Sample
from edgecnn.errors import DataError, ModelError
from edgecnn.evaluation import BoxAgreement, agreement, evaluate
from edgecnn.evaluation.boxes import over, pairs
from edgecnn.evaluation.detection import metrics
from edgecnn.results import Boxes, Classes

LABELS = ("red", "white", "platelet")


@dataclass(frozen=True)
class Grey:
    name: str
    level: int

    def read(self) -> Image:
        return np.full((2, 3, 3), self.level, np.uint8)


@dataclass(frozen=True)
class Broken:
    name: str

    def read(self) -> Image:
        raise DataError(f"{self.name}: truncated")


def dataset(*truths: Boxes, name: str = "cells") -> Dataset:
    samples = [Sample(Grey(f"cells/{i}.png", i), truth) for i, truth in enumerate(truths)]
    return Dataset(name, "detection", LABELS, samples, "test")


def model(*rows: Boxes):
    def predict(images: Iterable[Image]) -> Iterator[Boxes]:
        for image in images:
            yield rows[image[0, 0, 0]]

    return predict


def test_a_data_set_without_images_is_refused():
    with pytest.raises(DataError, match="cells: test holds no images"):
        evaluate(model(), dataset())


def test_an_image_without_truth_or_answer_can_be_judged_and_compared(given):
    found = evaluate(model(given()), dataset(given()), reference=model(given()))
    assert found.metrics.map is None
    assert (found.agreement.share, found.agreement.same, found.agreement.drops) == (1.0, 0, None)


def test_the_figures_are_those_of_the_same_boxes_judged_at_once(scenes):
    results, truths = scenes(5)
    found = evaluate(model(*results), dataset(*truths), options={"threshold": 0.4})
    wanted = metrics(results, truths, threshold=0.4)
    assert found.metrics.per_class() == wanted.per_class()
    assert found.metrics.map == wanted.map
    low, high = found.metrics.map_interval
    assert low <= wanted.map <= high
    assert (found.data.name, found.data.split, found.data.images) == ("cells", "test", 5)
    assert len(found.results) == len(found.truths) == 5


def test_boxes_of_coarse_grids_are_judged_by_their_centres(given):
    data = dataset(given((0, 1, 10, 10, 14, 14)))
    said = model(given((0, 0.9, 4, 4, 20, 20)))
    found = evaluate(said, data, options={"decode": "centroids"}, reference=said)
    assert (found.metrics.hit, found.metrics.f1, found.metrics.map) == ("centre", 1.0, None)
    assert found.agreement.drops is None


def test_the_fingerprint_tells_images_truths_and_ignored_boxes_apart(given):
    one = given((0, 1, 0, 0, 10, 10))
    same = evaluate(model(one), dataset(one)).data.sha256
    assert evaluate(model(one), dataset(one, name="other")).data.sha256 == same
    for other in (
        given((1, 1, 0, 0, 10, 10)),
        given((0, 1, 0, 0, 10, 11)),
        given((0, 1, 0, 0, 10, 10), ignored=[True]),
    ):
        assert evaluate(model(one), dataset(other)).data.sha256 != same


def test_models_that_judged_other_images_are_not_compared(given):
    one, other = given((0, 1, 0, 0, 10, 10)), given((1, 1, 0, 0, 10, 10))
    with pytest.raises(DataError, match="not the same images"):
        agreement(evaluate(model(one), dataset(one)), evaluate(model(one), dataset(other)))


def test_a_detector_is_not_compared_with_a_classifier(given):
    boxes = evaluate(model(given()), dataset(given()))
    samples = [Sample(Grey("a.png", 0), Classes.truth(0, LABELS))]
    classes = evaluate(
        lambda images: (Classes.truth(0, LABELS) for _ in images),
        Dataset("pets", "classification", LABELS, samples),
    )
    with pytest.raises(DataError, match="their tasks differ"):
        agreement(boxes, classes)


def test_answers_of_another_task_are_refused(given):
    with pytest.raises(DataError, match=r"cells/0\.png: the model gave Classes, the data wants Boxes"):
        evaluate(lambda images: (Classes.truth(0, LABELS) for _ in images), dataset(given()))


def test_a_score_that_is_no_number_is_refused(given):
    with pytest.raises(ModelError, match=r"cells/0\.png: the model's scores are NaN"):
        evaluate(model(given((0, np.nan, 0, 0, 1, 1))), dataset(given()))


def test_a_model_that_lacks_a_label_of_the_data_is_refused(given):
    with pytest.raises(DataError, match="does not know the label 'platelet'"):
        evaluate(model(given(labels=("red", "white"))), dataset(given()))


def test_broken_images_are_left_out_and_listed(given):
    one = given((0, 1, 0, 0, 10, 10))
    samples = [Sample(Broken("bad.png"), one), Sample(Grey("good.png", 0), one)]
    found = evaluate(model(one), Dataset("cells", "detection", LABELS, samples), skip_unreadable=True)
    assert found.unreadable == ("bad.png: truncated",)
    assert (found.data.images, found.metrics.boxes) == (1, 1)


def test_progress_counts_the_reference_too(given):
    seen = []
    evaluate(
        model(given(), given()),
        dataset(given(), given()),
        reference=model(given(), given()),
        progress=lambda *step: seen.append(step),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_likeness_counts_boxes_over_each_models_own_threshold(given):
    truth = given((0, 1, 0, 0, 10, 10))
    ours = given((0, 0.9, 0, 0, 10, 10), (1, 0.45, 50, 50, 60, 60), (0, 0.1, 90, 90, 99, 99))
    theirs = given((0, 0.8, 0, 0, 10, 9), (1, 0.3, 50, 50, 60, 60))
    found = evaluate(
        model(ours),
        dataset(truth),
        options={"threshold": 0.4},
        reference=model(theirs),
        reference_options={"threshold": 0.5},
    ).agreement
    assert (found.boxes, found.reference_boxes, found.same) == (2, 1, 1)
    assert found.share == pytest.approx(2 / 3)
    assert found.mean_iou == pytest.approx(0.9)
    assert found.drops["map"]["drop"] == pytest.approx(
        metrics([theirs], [truth]).map - metrics([ours], [truth]).map
    )


def test_nothing_against_nothing_is_alike():
    assert BoxAgreement(3, 0, 0, 0, None).share == 1.0


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([], [], []),
        ([(0, 1, 0, 0, 10, 10)], [], []),
        ([(0, 1, 0, 0, 10, 10)], [(1, 1, 0, 0, 10, 10)], []),  # another label
        ([(0, 1, 0, 0, 10, 10)], [(0, 1, 0, 0, 10, 5)], [0.5]),
        ([(0, 1, 0, 0, 10, 10)], [(0, 1, 0, 0, 10, 4.9)], []),
        ([(0, 1, 0, 0, 10, 10)] * 2, [(0, 1, 0, 0, 10, 10)], [1.0]),  # one partner for each
        (
            [(0, 1, 0, 0, 10, 8), (0, 1, 0, 0, 10, 10)],
            [(0, 1, 0, 0, 10, 10), (0, 1, 0, 0, 10, 8)],
            [1.0, 1.0],
        ),
    ],
)
def test_pairs_are_boxes_of_one_label_that_overlap_by_half_the_closest_first(given, one, other, expected):
    assert pairs(given(*one), given(*other)) == pytest.approx(expected)
    assert pairs(given(*other), given(*one)) == pytest.approx(expected)


def test_pairs_are_of_labels_with_the_same_name(given):
    one = given((0, 1, 0, 0, 10, 10))
    assert len(pairs(one, given((2, 1, 0, 0, 10, 10), labels=("white", "platelet", "red")))) == 1
    assert len(pairs(one, given((0, 1, 0, 0, 10, 10), labels=("other",)))) == 0


def test_a_box_at_the_threshold_is_over_it(given):
    assert len(over(given((0, 0.3, 0, 0, 1, 1), (0, 0.29, 0, 0, 1, 1)), 0.3)) == 1
    assert len(over(given((0, 0.3, 0, 0, 1, 1)), None)) == 1
