import numpy as np
import pytest

from edgecnn.evaluation.agreement import UNDECIDED, Agreement, compare, decide


def test_no_rows_need_no_decision():
    assert decide(np.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize(
    ("row", "decision"),
    [
        ([0.1, 0.7, 0.2], 1),
        ([0.4, 0.4, 0.2], UNDECIDED),
        ([0.2, 0.4, 0.4], UNDECIDED),
        ([0, 0, 0], UNDECIDED),
        ([-3, -1, -2], 1),
        ([5], 0),
    ],
)
def test_a_decision_is_the_highest_score_if_it_stands_alone(row, decision):
    assert decide(np.array([row])).tolist() == [decision]


def test_agreement_agrees_with_counting_by_hand():
    random = np.random.default_rng(3)
    truths, ours, theirs = random.integers(-1, 4, (3, 500))
    truths = abs(truths)
    found = compare(truths, ours, theirs)
    assert found.same == sum(a == b and a >= 0 for a, b in zip(ours, theirs, strict=True))
    assert found.gained == sum(a == t != b for a, b, t in zip(ours, theirs, truths, strict=True))
    assert found.lost == sum(b == t != a for a, b, t in zip(ours, theirs, truths, strict=True))
    accuracies = [(x == truths).mean() for x in (ours, theirs)]
    assert found.difference == pytest.approx(accuracies[0] - accuracies[1])


def test_the_interval_of_a_difference_covers_the_true_difference_about_95_times_in_100():
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        draw = random.choice(3, 400, p=[0.93, 0.03, 0.04])
        found = Agreement(400, 0, int((draw == 1).sum()), int((draw == 2).sum()))
        low, high = found.difference_interval
        covered += low <= -0.01 <= high
    assert 930 <= covered <= 985


def test_the_interval_of_a_difference_has_width_where_no_image_differs():
    low, high = Agreement(100, 100, 0, 0).difference_interval
    assert low < 0 < high
    assert high < 0.03


def test_everything_is_written_as_json_values():
    found = Agreement(200, 190, 3, 5).as_dict()
    assert found["share"] == 0.95
    assert found["interval"][0] < 0.95 < found["interval"][1]
    assert found["difference"] == -0.01
    assert found["difference_interval"][0] < -0.01 < found["difference_interval"][1]
