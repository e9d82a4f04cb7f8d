"""Cells that no neighbour outdoes are answers, as plain Python finds them by definition."""

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgecnn.errors import ModelError
from edgecnn.image import View
from edgecnn.tasks.detection import decode

WHOLE = View((1.0, 1.0), (0.0, 0.0), (96, 64))


def grid(*cells, shape=(8, 12, 3)):
    """Logits: 3 in the given (row, column, label) cells, -30 elsewhere."""
    scores = np.full(shape, -30, np.float32)
    for row, column, label in cells:
        scores[row, column, label] = 3
    return {"scores": scores}


def highest(scores, threshold):
    """Answers by definition: score, cell, label, box in cells."""
    rows, columns, _ = scores.shape
    found = []
    for row, column, label in np.argwhere(scores >= np.float32(threshold)).tolist():
        near = [
            (r, c)
            for r in range(max(0, row - 1), min(rows, row + 2))
            for c in range(max(0, column - 1), min(columns, column + 2))
            if (r, c) != (row, column)
        ]
        mine = scores[row, column, label]
        if all(
            scores[r, c, label] < mine or ((r, c) > (row, column) and scores[r, c, label] == mine)
            for r, c in near
        ):
            found.append((mine, (row, column), label, (column, row, column + 1, row + 1)))
    return sorted(found, key=lambda one: (-one[0], one[1], one[2]))


def test_an_empty_grid_has_no_answers(card_of):
    assert len(decode(grid(), WHOLE, card_of("centroids"))) == 0


@pytest.mark.parametrize(
    ("cells", "boxes"),
    [
        ([(0, 0, 0)], [(0, 0, 8, 8)]),
        ([(7, 11, 2)], [(88, 56, 96, 64)]),
        ([(2, 3, 0), (2, 4, 0), (3, 4, 0)], [(24, 16, 32, 24)]),  # of equal neighbours the first
        ([(2, 3, 0), (3, 4, 0)], [(24, 16, 32, 24)]),  # corners touch, too
        ([(2, 3, 0), (2, 5, 0)], [(24, 16, 32, 24), (40, 16, 48, 24)]),
        ([(2, 3, 0), (2, 4, 1)], [(24, 16, 32, 24), (32, 16, 40, 24)]),  # another label is another answer
        ([(2, 3, 0), (2, 3, 1)], [(24, 16, 32, 24), (24, 16, 32, 24)]),
    ],
)
def test_of_cells_that_touch_one_answers(card_of, cells, boxes):
    found = decode(grid(*cells), WHOLE, card_of("centroids"))
    assert found.xyxy.tolist() == [list(box) for box in boxes]
    np.testing.assert_allclose(found.score, 1 / (1 + np.exp(-3)))


def test_the_best_cell_gives_the_score_and_the_best_answer_comes_first(card_of):
    outputs = grid((1, 1, 0), (5, 5, 1), (5, 6, 1))
    outputs["scores"][5, 6, 1] = 4
    found = decode(outputs, WHOLE, card_of("centroids"))
    assert found.label_id.tolist() == [1, 0]
    np.testing.assert_allclose(found.score, 1 / (1 + np.exp([-4, -3])), rtol=1e-6)


def test_the_last_cells_end_where_the_image_ends(card_of):
    card = card_of("centroids", size_wh=(92, 60))
    found = decode(grid((7, 11, 0)), View((2.0, 2.0), (0.0, 0.0), (46, 30)), card)
    assert found.xyxy.tolist() == [[44, 28, 46, 30]]


@given(
    arrays.arrays(np.float32, (8, 12, 3), elements=st.sampled_from([0.0, 0.2, 0.5, 0.5, 0.75])),
    st.sampled_from([0.1, 0.3, 0.5, 0.6]),
)
@settings(max_examples=60, deadline=None)
def test_answers_are_the_peaks(card_of, scores, threshold):
    card = card_of("centroids", scores="probabilities", threshold=threshold)
    found, wanted = decode({"scores": scores}, WHOLE, card), highest(scores, threshold)
    assert found.score.tolist() == [float(one[0]) for one in wanted]
    assert found.label_id.tolist() == [one[2] for one in wanted]
    assert (found.xyxy / 8).tolist() == [list(map(float, one[3])) for one in wanted]


def test_a_lower_threshold_takes_no_answer_away(card_of):
    scores = np.random.default_rng(0).random((8, 12, 3)).astype(np.float32) * 0.03
    scores[2, 3, 0] = scores[5, 9, 0] = 0.9
    strict, lenient = (
        decode({"scores": scores}, WHOLE, card_of("centroids", scores="probabilities", threshold=threshold))
        for threshold in (0.5, 0.01)
    )
    assert len(strict) == 2
    assert lenient.xyxy[:2].tolist() == strict.xyxy.tolist()


@pytest.mark.parametrize("bad", [nan, inf])
def test_a_score_that_is_no_number_is_an_error(card_of, bad):
    outputs = grid((1, 1, 0))
    outputs["scores"][3, 3, 1] = bad
    with pytest.raises(ModelError, match="m: scores are not finite"):
        decode(outputs, WHOLE, card_of("centroids"))
