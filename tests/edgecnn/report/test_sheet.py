import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.report.sheet import TILE_WH, contact_sheet
from edgecnn.results import Boxes, Classes

LABELS = ("ball", "box", "a label of the length that only encyclopedias and lawyers write, with ümlaut")


def truth(number: int) -> Classes:
    return Classes.truth(number, LABELS)


def says(number: int, score: float = 0.9) -> Classes:
    scores = np.full(3, (1 - score) / 2, np.float32)
    scores[number] = score
    return Classes(scores, LABELS)


def grey(height: int = 120, width: int = 160) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def red_pixels(sheet: np.ndarray) -> int:
    blue, green, red = (sheet[..., channel].astype(int) for channel in range(3))
    return int(((red - blue > 90) & (red - green > 90)).sum())


def test_no_images_are_refused():
    with pytest.raises(DataError, match="0 images"):
        contact_sheet([], [], [])


def test_as_many_results_as_images_are_wanted():
    with pytest.raises(DataError, match="2 images, 1 results, 2 truths"):
        contact_sheet([grey(), grey()], [says(0)], [truth(0), truth(0)])


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (4, 1), (5, 2), (12, 3)])
def test_rows_are_added_as_needed(count, rows):
    one = contact_sheet([grey()], [says(0)], [truth(0)]).shape[0]
    sheet = contact_sheet([grey()] * count, [says(0)] * count, [truth(0)] * count)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] > 4 * TILE_WH[0]
    assert (sheet.shape[0] - one) % max(1, rows - 1) == 0
    assert sheet.shape[0] >= rows * TILE_WH[1]


def test_only_what_is_wrong_is_red():
    right = contact_sheet([grey()], [says(0)], [truth(0)])
    wrong = contact_sheet([grey()], [says(0)], [truth(1)])
    assert red_pixels(right) == 0
    assert red_pixels(wrong) > 2000


def test_the_bar_is_as_long_as_the_score():
    def filled(score: float) -> int:
        sheet = contact_sheet([grey()], [says(1, score)], [truth(1)])
        blue, _, red = (sheet[-40:, :, channel].astype(int) for channel in range(3))
        return int((blue - red > 60).any(0).sum())

    assert filled(0.9) / filled(0.45) == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("score", [-3.0, 0.0, 1.0, 80.0])
def test_scores_that_are_no_shares_are_drawn_too(score):
    result = Classes(np.array([score, score - 1, -1e9], np.float32), LABELS)
    assert contact_sheet([grey()], [result], [truth(0)]).ndim == 3


@pytest.mark.parametrize("size", [(1, 1), (2000, 30), (48, 64)])
def test_images_of_any_size_and_labels_of_any_length_fit(size):
    sheet = contact_sheet([grey(*size)], [says(2)], [truth(1)])
    assert sheet.shape == contact_sheet([grey()], [says(0)], [truth(0)]).shape
    beside = sheet[:, 24 + TILE_WH[0] + 2 :]
    assert (beside == beside[0, 0]).all()  # nothing is drawn outside the picture's place


def boxes(*rows, labels=("ball", "cone")) -> Boxes:
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Boxes(table[:, 2:], table[:, 1], table[:, 0].astype(int), labels)


def test_a_picture_without_boxes_is_right_where_none_is_found():
    image = np.full((120, 160, 3), 90, np.uint8)
    right = contact_sheet([image], [boxes()], [boxes()])
    wrong = contact_sheet([image], [boxes((0, 0.9, 10, 10, 50, 50))], [boxes()])
    assert right.shape == wrong.shape
    assert not np.array_equal(right, wrong)


def test_boxes_stand_where_they_are_the_truths_white_and_the_models_coloured():
    image = np.full((120, 160, 3), 90, np.uint8)  # tiles are twice as large
    truth, said = boxes((0, 1, 20, 20, 60, 60)), boxes((0, 0.9, 80, 80, 120, 110))
    sheet = contact_sheet([image], [said], [truth], columns=1)
    picture = sheet[24 : 24 + 240, 24 : 24 + 320].astype(int)
    assert (picture[38:43, 40:120].min(2) > 200).any()  # a dash of the truth's upper edge
    edge = picture[158:163, 200:236].reshape(-1, 3)
    assert (edge.max(1) - edge.min(1) > 60).any()  # colour, on grey
    assert (picture[50:70, 50:70] == 90).all()  # nothing inside


def test_results_of_two_tasks_are_refused():
    image = np.zeros((10, 10, 3), np.uint8)
    with pytest.raises(DataError, match="a sheet shows Classes or Boxes, not Boxes"):
        contact_sheet([image], [boxes()], [Classes.truth(0, ("a",))])
