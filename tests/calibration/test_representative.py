"""The images that a conversion calibrates with."""

import numpy as np
import pytest

from calibration import representative as module
from calibration.representative import LOOKED_AT, representative
from calibration.samples import choose
from edgecnn.card import InputSpec
from edgecnn.errors import DataError

pytestmark = pytest.mark.tensorflow

SPEC = InputSpec(16, 16)


def names(dataset):
    return [sample.image.name for sample in dataset.samples]


@pytest.fixture(scope="module")
def many(pictures):
    return pictures([number % 3 for number in range(90)])


def test_no_image_at_all_is_refused(float_model, pictures):
    with pytest.raises(DataError):
        representative(float_model, pictures([]), SPEC)


def test_as_many_as_asked_for_balanced_each_once_and_the_same_every_time(float_model, many):
    chosen = representative(float_model, many, SPEC, count=12)
    assert len(set(names(chosen))) == len(chosen) == 12
    assert np.bincount([sample.truth.label_id for sample in chosen.samples]).tolist() == [4, 4, 4]
    assert names(representative(float_model, many, SPEC, count=12)) == names(chosen)
    assert names(representative(float_model, many, SPEC, count=12, seed=1)) != names(chosen)


def test_all_are_taken_where_there_are_no_more(float_model, many):
    assert sorted(names(representative(float_model, many, SPEC, count=200))) == sorted(names(many))


def test_with_many_images_none_is_looked_at(float_model, many, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("looked at")

    monkeypatch.setattr(module, "ModelFeatures", never)
    count = LOOKED_AT // 2 + 1
    assert names(representative(float_model, many, SPEC, count=count)) == names(choose(many, count=count))
    with pytest.raises(AssertionError, match="looked at"):
        representative(float_model, many, SPEC, count=LOOKED_AT // 2)


def test_few_images_are_farther_apart_than_any_would_be(float_model, many):
    """The oracle: mean distance to the nearest other image, in what the network hands to its last layer."""
    from calibration.features import ModelFeatures

    def apart(dataset):
        with ModelFeatures(float_model, SPEC) as features:
            found = np.stack([features(sample.read()) for sample in dataset.samples])
        distances = np.linalg.norm(found[:, None] - found[None], axis=2)
        np.fill_diagonal(distances, np.inf)
        return distances.min(1).mean()

    ours = np.mean([apart(representative(float_model, many, SPEC, count=9, seed=seed)) for seed in range(3)])
    usual = np.mean([apart(choose(many, count=9, seed=seed)) for seed in range(3)])
    assert ours > usual


def test_a_broken_image_is_named(float_model, pictures):
    broken = pictures([0, 1, 2] * 8, unreadable=range(24))
    with pytest.raises(DataError, match=r"pictures/\d+\.png: truncated"):
        representative(float_model, broken, SPEC, count=6)
