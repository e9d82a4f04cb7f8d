"""Stored values mean what their table says, in either 8-bit type."""

import numpy as np
import pytest

from edgecnn.card import Card, InputSpec
from edgecnn.errors import CardError, ModelError
from edgecnn.tasks import classification
from edgecnn.tasks.stored import Steps, real

DTYPES = ("int8", "uint8")


def steps_of(dtype, *, scale=0.5, zero_point=3):
    stored = np.arange(256, dtype=np.uint8).view(dtype)
    return Steps(np.dtype(dtype), (stored.astype(np.float32) - zero_point) * np.float32(scale))


def test_of_no_outputs_nothing_is_made():
    assert real({}, {}) == {}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0, 4), (5,), (2, 3)])
def test_only_what_has_steps_becomes_real(dtype, shape):
    rng = np.random.default_rng(0)
    limits = np.iinfo(dtype)
    stored = rng.integers(limits.min, limits.max + 1, shape).astype(dtype)
    count = np.array([7.0], np.float32)
    found = real({"boxes": stored, "count": count}, {"boxes": steps_of(dtype)})
    assert found["count"] is count
    assert found["boxes"].dtype == np.float32
    assert found["boxes"].tolist() == ((stored.astype(int) - 3) * 0.5).tolist()


@pytest.mark.parametrize(
    ("dtype", "limit", "least"),
    [
        ("int8", -1e9, -128),
        ("int8", 0, 3),
        ("int8", 0.1, 4),
        ("int8", 62, 127),
        ("int8", 63, 256),
        ("uint8", -1e9, 0),
        ("uint8", 0, 3),
        ("uint8", 100, 203),
        ("uint8", 126.5, 256),
    ],
)
def test_the_least_good_value_is_in_the_order_of_the_stored_type(dtype, limit, least):
    steps = steps_of(dtype)
    assert steps.least(steps.real >= limit) == least


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_classifier_reads_stored_scores_as_real_ones(dtype):
    card = Card("m", "classification", InputSpec(8, 8), ("a", "b", "c"), options={"scores": "logits"})
    stored = np.array([5, 100, 7]).astype(dtype)
    steps = {"scores": steps_of(dtype, scale=0.01)}
    found = classification.decoder(card, steps)({"scores": stored}, None)
    wanted = classification.decode(real({"scores": stored}, steps), None, card)
    assert found.score.tobytes() == wanted.score.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_stored_probabilities_are_looked_up_and_kept_from_change(dtype):
    card = Card("m", "classification", InputSpec(8, 8), ("a", "b", "c"))
    stored = np.array([[5, 100, 7]]).astype(dtype)
    steps = {"scores": steps_of(dtype, scale=0.01)}
    found = classification.decoder(card, steps)({"scores": stored}, None)
    wanted = classification.decode(real({"scores": stored}, steps), None, card)
    assert found.score.tobytes() == wanted.score.tobytes()
    assert (found.score.dtype, found.labels) == (np.float32, card.labels)
    assert not found.score.flags.writeable
    stored[:] = 0
    steps["scores"].real[:] = 0
    assert found.score.tobytes() == wanted.score.tobytes()


def test_a_table_with_what_is_no_number_does_not_become_classes():
    card = Card("m", "classification", InputSpec(8, 8), ("a",))
    steps = Steps(np.dtype("int8"), np.full(256, np.nan, np.float32))
    with pytest.raises(ModelError, match="not finite"):
        classification.decoder(card, {"scores": steps})({"scores": np.zeros(1, np.int8)}, None)


def test_stored_scores_that_are_not_as_many_as_labels_are_refused():
    card = Card("m", "classification", InputSpec(8, 8), ("a", "b"))
    with pytest.raises(CardError, match="3 scores but 2 labels"):
        classification.decoder(card, {"scores": steps_of("int8")})({"scores": np.zeros(3, np.int8)}, None)
