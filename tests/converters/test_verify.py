"""Whether a file computes what it was made from."""

from math import inf, nan

import numpy as np
import pytest

from converters.verify import Comparison, check_equal, check_sound, compare
from edgecnn.card import Card, InputSpec
from edgecnn.errors import ConversionError

CARD = Card("net", "classification", InputSpec(2, 2), outputs={"scores": "scores"})
IMAGES = [np.full((2, 2, 3), value, np.uint8) for value in range(8)]


def scores(rows):
    """A model that answers image number i with row i."""
    return lambda image: {"scores": np.asarray(rows[int(image[0, 0, 0])], np.float32)}


def compared(source, made, count=8):
    return compare(scores(source), scores(made), IMAGES[:count], CARD)


ROWS = np.random.default_rng(0).normal(size=(8, 4))
SOUND = Comparison(64, 0.98, 25.0, 0.1, 0.01, 3.0, frozen=False)


def test_without_images_nothing_can_be_compared():
    with pytest.raises(ConversionError, match="no image to compare"):
        compare(scores(ROWS), scores(ROWS), [], CARD)


def test_a_model_equals_itself():
    found = compared(ROWS, ROWS)
    assert (found.images, found.agreement, found.snr_db) == (8, 1.0, inf)
    assert found.max_difference == found.mean_difference == 0
    assert found.largest == np.float32(np.abs(ROWS).max())
    assert not found.frozen


def test_the_figures_are_those_of_numpy_over_everything_at_once():
    made = ROWS + np.random.default_rng(1).normal(scale=0.1, size=ROWS.shape)
    found = compared(ROWS, made)
    source, other = ROWS.astype(np.float32).astype(float), made.astype(np.float32).astype(float)
    error = source - other
    assert found.snr_db == pytest.approx(10 * np.log10((source**2).sum() / (error**2).sum()))
    assert found.max_difference == pytest.approx(np.abs(error).max())
    assert found.mean_difference == pytest.approx(np.abs(error).mean())
    assert found.agreement == (source.argmax(1) == other.argmax(1)).mean()


@pytest.mark.parametrize(
    ("made", "agreement"),
    [
        ([[3, 1], [3, 1]], 1.0),
        ([[3, 1], [1, 3]], 0.5),
        ([[2, 2], [3, 1]], 0.5),  # a tie decides nothing, even where the first of the tied is right
        ([[2, 2], [1, 2]], 0.0),
    ],
)
def test_agreement_counts_a_tie_against_the_file(made, agreement):
    assert compared([[2, 1], [2, 1]], made, 2).agreement == agreement


def test_one_score_has_nothing_to_agree_about():
    assert compared([[1.0], [2.0]], [[1.0], [2.0]], 2).agreement is None


def test_outputs_of_another_kind_are_compared_without_agreement():
    def boxes(shift):
        return lambda image: {"boxes": np.ones((3, 4)) + shift, "scores": np.ones((3, 2))}

    found = compare(boxes(0), boxes(0.5), IMAGES, CARD)
    assert found.agreement is None
    assert found.max_difference == 0.5
    assert found.mean_difference == pytest.approx(0.5 * 12 / 18)


def test_roles_may_come_in_another_order():
    def one(image):
        return {"a": np.zeros(2), "b": np.ones(3)}

    def other(image):
        return {"b": np.ones(3), "a": np.zeros(2)}

    assert compare(one, other, IMAGES, CARD).max_difference == 0


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_what_is_no_number_shows_whenever_it_comes(bad):
    for position in (0, 3, 7):
        made = ROWS.copy()
        made[position, 1] = bad
        with pytest.raises(ConversionError, match="infinite or not numbers"):
            check_sound(compared(ROWS, made), "int8.tflite", real_images=True)


def test_a_file_that_always_gives_the_same_answer_is_refused():
    with pytest.raises(ConversionError, match="the same answer to all 8 images"):
        check_sound(compared(ROWS, np.tile(ROWS[:1], (8, 1))), "int8.tflite", real_images=True)


def test_a_source_that_hardly_moves_allows_a_file_that_does_not():
    rows = np.tile([[0.999, 0.001]], (8, 1)) + np.linspace(0, 1e-4, 8)[:, None]
    found = compared(rows, np.tile([[0.996, 0.0]], (8, 1)))
    assert not found.frozen
    check_sound(found, "int8.tflite", real_images=True)


def test_one_image_alone_proves_nothing_frozen():
    assert not compared(ROWS, ROWS + 0.01, 1).frozen


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"agreement": 0.49}, "agrees with the float model on only 49% of 64 images"),
        ({"snr_db": -0.5}, r"its error is larger than its signal \(-0\.5 dB\)"),
        ({"frozen": True}, "the same answer"),
        ({"max_difference": nan, "snr_db": nan}, "not numbers"),
    ],
)
def test_a_ruin_is_refused_with_its_reason_and_a_way_out(change, reason):
    check_sound(SOUND, "int8.tflite", real_images=True)
    ruined = Comparison(**{**SOUND.__dict__, **change})
    with pytest.raises(ConversionError, match=rf"runs/int8\.tflite: not written: .*{reason}.*--float16"):
        check_sound(ruined, "runs/int8.tflite", real_images=True)


def test_on_noise_a_network_may_hesitate_but_not_break():
    check_sound(Comparison(**{**SOUND.__dict__, "agreement": 0.3}), "x", real_images=False)
    with pytest.raises(ConversionError, match="larger than its signal"):
        check_sound(Comparison(**{**SOUND.__dict__, "snr_db": -3.0}), "x", real_images=False)


@pytest.mark.parametrize(
    ("largest", "difference", "passes"),
    [(0.5, 9e-4, True), (0.5, 1.1e-3, False), (40.0, 0.039, True), (40.0, 0.041, False), (1.0, nan, False)],
)
def test_float32_must_equal_its_source_but_for_rounding(largest, difference, passes):
    found = Comparison(16, 1.0, 99.0, difference, difference, largest, frozen=False)
    if passes:
        check_equal(found, "float32.tflite")
        return
    with pytest.raises(ConversionError, match=r"float32\.tflite: not written: its outputs differ"):
        check_equal(found, "float32.tflite")
