from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgecnn import heads
from edgecnn.card import Card, InputSpec
from edgecnn.data.augment import Augment
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError, TrainingError
from edgecnn.heads import boxes
from edgecnn.image import View, fit
from edgecnn.results import Values

LABELS = ("cat", "dog", "owl")
SPEC = InputSpec(64, 96, fit="letterbox")
WHOLE = View((1.0, 1.0), (0.0, 0.0), (96, 64))
TRUTH = (
    [[0, 10, 8, 30, 40], [2, 50, 20, 90, 60]],
    [],
    [[1, 3, 3, 20, 12], [0, 40, 30, 52, 50], [-2 - 1, 60, 5, 90, 20]],
)
Design = tuple[heads.Head, Card]


@pytest.fixture(params=["anchors", "centroids"])
def design(request: pytest.FixtureRequest) -> Design:
    head = heads.find("detection", request.param)
    return head, Card("pets", "detection", SPEC, LABELS, options=head.options(SPEC))


def answers(score: float = 0.9) -> list[list[list[float]]]:
    """What a network that knows TRUTH says; nothing where the truth does not count."""
    return [[[*row, score] for row in rows if row[0] >= 0] for rows in TRUTH]


def test_no_images_give_no_targets(photographs: Callable[..., Dataset]) -> None:
    found = boxes.targets(photographs())
    assert found.shape == (0, 1, 5)
    assert boxes.placed(found, []).shape == (0, 1, 5)


def test_images_without_boxes_give_padding(photographs: Callable[..., Dataset]) -> None:
    assert boxes.targets(photographs([], [])).tolist() == [[[-1] * 5]] * 2


def test_targets_are_the_boxes_in_pixels_and_no_image_is_read(photographs: Callable[..., Dataset]) -> None:
    found = boxes.targets(photographs(*TRUTH))
    assert found.dtype == np.float32
    nothing = [-1] * 5
    assert found[0].tolist() == [*TRUTH[0], nothing]
    assert found[1].tolist() == [nothing] * 3
    assert found[2].tolist() == TRUTH[2]


def test_ignored_boxes_of_every_label_keep_it(photographs: Callable[..., Dataset]) -> None:
    found = boxes.targets(photographs([[-2, 1, 1, 2, 2], [-3, 1, 1, 2, 2], [-4, 1, 1, 2, 2]]))
    assert found[0, :, 0].tolist() == [-2, -3, -4]
    assert boxes.PADDING not in found[..., 0]


def test_a_truth_of_another_kind_is_named() -> None:
    class Unread:
        name = "a.jpg"

    data = Dataset("road", "detection", LABELS, [Sample(Unread(), Values(np.ones(1), ("angle_deg",)))])
    with pytest.raises(DataError, match=r"a\.jpg.*Values"):
        boxes.targets(data)


@pytest.mark.parametrize("how", ["letterbox", "crop", "stretch"])
@pytest.mark.parametrize("source_wh", [(96, 64), (640, 480), (50, 200), (33, 11)])
def test_boxes_lie_where_their_image_does(
    photographs: Callable[..., Dataset], how: Any, source_wh: tuple[int, int]
) -> None:
    width, height = source_wh
    _, view = fit(np.zeros((height, width, 3), np.uint8), replace(SPEC, fit=how))
    data = photographs([[1, 0, 0, width, height], [-3, width / 4, height / 2, width / 2, height]], [])
    truths = boxes.targets(data)
    before = truths.copy()
    found = boxes.placed(truths, [view, view])
    np.testing.assert_array_equal(truths, before)
    np.testing.assert_array_equal(found[..., 0], truths[..., 0])
    assert found[1].tolist() == truths[1].tolist()  # padding stays where it is
    back = view.to_source(found[0, :, 1:].reshape(-1, 2)).reshape(-1, 4)
    np.testing.assert_allclose(back, truths[0, :, 1:], atol=1e-3)
    whole, target = found[0, 0, 1:], [0, 0, 96, 64]
    if how == "stretch":
        np.testing.assert_allclose(whole, target, atol=1e-3)
    inside = whole - target if how == "letterbox" else target - whole
    assert (inside[:2] >= -0.51).all()  # letterbox within, crop around; sides are whole pixels
    assert (inside[2:] <= 0.51).all()


def test_an_unfitted_image_s_boxes_stay(photographs: Callable[..., Dataset]) -> None:
    truths = boxes.targets(photographs(*TRUTH))
    np.testing.assert_array_equal(boxes.placed(truths, [WHOLE] * 3), truths)


@pytest.mark.parametrize(
    ("train", "val", "labels", "message"),
    [
        ([], [], (), "no class"),
        ([[0, 1, 1, 2, 2]], [[0, 1, 1, 2, 2]], ("cat", "dog"), "no training image has a box of 'dog'"),
        ([[0, 1, 1, 2, 2], [-3, 1, 1, 2, 2]], [[0, 1, 1, 2, 2]], ("cat", "dog"), "no training .*'dog'"),
        ([], [[0, 1, 1, 2, 2]], tuple("abcde"), "'a', 'b', 'c' and 2 more"),
        ([[0, 1, 1, 2, 2]], [], ("cat",), "no validation image has a box"),
        ([[0, 1, 1, 2, 2]], [[-2, 1, 1, 2, 2]], ("cat",), "no validation image has a box"),
    ],
)
def test_what_cannot_be_learned_is_refused(
    photographs: Callable[..., Dataset],
    train: list[list[float]],
    val: list[list[float]],
    labels: tuple[str, ...],
    message: str,
) -> None:
    one, other = (boxes.targets(photographs(rows, labels=labels or ("-",))) for rows in (train, val))
    with pytest.raises(TrainingError, match=message) as caught:
        boxes.check(one, other, labels)
    assert "\n" not in str(caught.value)


def test_one_class_is_enough(photographs: Callable[..., Dataset]) -> None:
    truths = boxes.targets(photographs([], [[0, 1, 1, 2, 2]], labels=("cell",)))
    boxes.check(truths, truths, ("cell",))


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_varied_rows_have_one_shape_whether_mosaics_are_made_or_not(mosaic: float) -> None:
    images = np.zeros((4, 96, 96, 3), np.uint8)
    truths = np.full((4, 3, 5), -1, np.float32)
    truths[:, 0] = (1, 20, 20, 70, 80)
    how, random = Augment(mosaic=mosaic), np.random.default_rng(0)
    pixels, rows = boxes.vary(images.__getitem__, truths, np.array([2, 0]), how, random)
    assert pixels.shape == (2, 96, 96, 3)
    assert rows.shape == (2, 12, 5)
    assert rows.dtype == np.float32
    used = rows[..., 0] != -1
    assert used.any(axis=1).all()
    assert (rows[~used] == -1).all()
    if not mosaic:
        assert rows[:, 0].tolist() == truths[:2, 0].tolist()
        assert used.sum() == 2


@pytest.mark.tensorflow
def test_who_knows_everything_scores_1(
    photographs: Callable[..., Dataset], said: Callable[..., Any], design: Design
) -> None:
    head, card = design
    outcome = head.outcome(said(card, answers()), photographs(*TRUTH), [WHOLE] * 3, card)
    assert outcome["score"] == pytest.approx(1)
    assert outcome["boxes"] == 4
    if card.options["decode"] == "anchors":
        assert outcome["map"] == outcome["map50"] == pytest.approx(1)
    else:
        assert outcome["map"] is None
        assert outcome["f1"] == 1


@pytest.mark.tensorflow
def test_who_says_nothing_scores_0(
    photographs: Callable[..., Dataset], said: Callable[..., Any], design: Design
) -> None:
    head, card = design
    data = photographs(*TRUTH)
    outcome = head.outcome(said(card, [[], [], []]), data, [WHOLE] * 3, card)
    assert outcome["score"] == 0
    assert head.fitted_options(said(card, [[], [], []]), data, [WHOLE] * 3, card)["threshold"] == 0.5


@pytest.mark.tensorflow
def test_boxes_are_judged_in_pixels_of_the_original(
    photographs: Callable[..., Dataset], said: Callable[..., Any], design: Design
) -> None:
    head, card = design
    half = View((0.5, 0.5), (0.0, 0.0), (192, 128))
    large = [[[row[0], *(2 * value for value in row[1:])] for row in rows] for rows in TRUTH]
    outcome = head.outcome(said(card, answers()), photographs(*large), [half] * 3, card)
    assert outcome["score"] == pytest.approx(1)
    assert head.outcome(said(card, answers()), photographs(*large), [WHOLE] * 3, card)["score"] < 0.5


@pytest.mark.tensorflow
def test_the_threshold_lies_between_what_is_right_and_what_is_not(
    photographs: Callable[..., Dataset], said: Callable[..., Any], design: Design
) -> None:
    head, card = design
    known = answers(0.8)
    known[1] = [[1, 60, 30, 75, 45, 0.3], [2, 10, 10, 25, 25, 0.25]]  # nothing is there
    outputs = said(card, known)
    options = head.fitted_options(outputs, photographs(*TRUTH), [WHOLE] * 3, card)
    assert 0.3 < options["threshold"] < 0.8
    assert {**options, **card.options} == {"threshold": options["threshold"], **card.options}
    shipped = replace(card, options=options)
    outcome = head.outcome(outputs, photographs(*TRUTH), [WHOLE] * 3, shipped)
    assert outcome["threshold"] == options["threshold"]
    assert outcome["precision"] == outcome["recall"] == outcome["f1"] == 1


@pytest.mark.tensorflow
def test_answers_on_ignored_boxes_count_neither_way(
    photographs: Callable[..., Dataset], said: Callable[..., Any], design: Design
) -> None:
    head, card = design
    known = answers()
    known[2] = [*known[2], [1, 60, 5, 90, 20, 0.95]]
    outcome = head.outcome(
        said(card, known),
        photographs(*TRUTH),
        [WHOLE] * 3,
        replace(card, options={**card.options, "threshold": 0.5}),
    )
    assert outcome["precision"] == outcome["recall"] == 1


@pytest.mark.parametrize("design", ["anchors", "centroids"])
def test_label_smoothing_is_refused_not_ignored(design: str) -> None:
    with pytest.raises(TrainingError, match=r"without label smoothing: use 0, not 0\.1"):
        heads.find("detection", design).criterion(InputSpec(height=64, width=64), smoothing=0.1)
