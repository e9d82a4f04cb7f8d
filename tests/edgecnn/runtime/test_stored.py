"""Outputs in a card: small ones whole, large ones by a sample and a fingerprint."""

import json

import numpy as np
import pytest

from edgecnn.runtime import stored
from edgecnn.runtime.stored import Stored, keep, sample


@pytest.mark.parametrize("shape", [(1,), (10,), (1001,), (40, 50)])
def test_a_small_output_is_kept_whole(shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    kept = keep(values)
    assert kept.sampled_from is None
    assert (kept.real == values).all()
    assert kept.is_equal(values)
    assert not kept.is_equal(values + 1)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("shape", [(1700, 4), (1700, 3), (4, 1700), (20, 20, 12), (2049,)])
def test_of_a_large_output_a_sample_and_a_fingerprint_are_kept(shape, dtype):
    values = np.random.default_rng(0).integers(-128, 128, shape).astype(dtype)
    kept = keep(values, 0.1 if dtype == "int8" else 0.0, 3)
    real = Stored(values, kept.scale, kept.zero_point).real
    assert kept.shape == shape
    assert kept.values.size <= 256
    assert len(json.dumps(stored.to_json(kept))) < 2000
    assert kept.fits(real)
    assert kept.is_equal(real)
    np.testing.assert_array_equal(kept.same_places(real), kept.real)
    other = real.copy()
    other.reshape(-1)[1] += 1  # none of the sampled places
    assert not kept.is_equal(other)
    assert not kept.fits(real[:-1])


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5, 6, 13, 84, 85])
def test_a_sample_meets_every_column(columns):
    places = np.tile(np.arange(columns), (1700, 1))
    assert set(sample(places).tolist()) == set(range(columns))


@pytest.mark.parametrize("shape", [(7,), (1700, 4)])
def test_an_output_goes_to_json_and_back(shape):
    kept = keep(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    again = stored.from_json(json.loads(json.dumps(stored.to_json(kept))))
    assert again.shape == kept.shape
    assert again.sha256 == kept.sha256
    np.testing.assert_array_equal(again.values, kept.values)
