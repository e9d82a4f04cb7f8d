"""Whether a model is as sure as it is right."""

import numpy as np
import pytest

from edgecnn.evaluation.confidence import calibration_error


def by_hand(confidence, right, bins):
    total = 0.0
    for step in range(bins):
        inside = (confidence > step / bins) & (confidence <= (step + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return total


def test_one_image_is_off_by_what_it_lacks():
    assert calibration_error(np.array([0.7], np.float32), np.array([True])) == pytest.approx(0.3)


def test_it_agrees_with_counting_by_hand():
    random = np.random.default_rng(1)
    confidence = random.uniform(0.1, 1, 500)
    right = random.uniform(0, 1, 500) < confidence**2
    assert calibration_error(confidence, right) == pytest.approx(by_hand(confidence, right, 15))
    assert calibration_error(confidence, right, 4) == pytest.approx(by_hand(confidence, right, 4))


@pytest.mark.parametrize(("right", "error"), [(True, 0.0), (False, 1.0)])
def test_who_is_always_sure_is_off_by_its_mistakes(right, error):
    assert calibration_error(np.ones(9), np.full(9, right)) == error


def test_confidence_zero_belongs_to_the_first_step():
    assert calibration_error(np.zeros(3), np.zeros(3, bool)) == 0
