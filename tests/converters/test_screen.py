"""A first look refuses what is clearly hopeless, measured against what was refused, and nothing else."""

import json
from math import inf, nan

import pytest

from converters import screen as module
from converters.certificate import Budget, Signal, Verdict
from converters.ruling import MOST_CHANGED
from converters.screen import DOUBT_DB, IMAGES, MOST_ASKED_DB, PassedOver, Screen, asked_db
from edgecnn.evaluation.agreement import Agreement
from edgecnn.evaluation.judged import Judged


def verdict(drop, *, agreement=0.9, is_labelled=True, budget=Budget()):  # noqa: B008  (frozen)
    return Verdict(
        outcome="refused",
        reasons=("a reason",),
        notes=(),
        advice="",
        may_be_written=False,
        another_may_pass=True,
        budget=budget,
        data=Judged("pets.zip", "val", 1000, "00ff"),
        is_labelled=is_labelled,
        reference_right=800,
        agreement=Agreement(1000, round(1000 * agreement), 0, 0),
        drop=drop,
        at_most=drop,
        expected_drop=drop,
        classes=(),
        signal=Signal(3.0, 0, None, None, True, False, 0.0, 0.0, None),
        runtime={},
        reference_sha256="",
        model_sha256="",
    )


@pytest.fixture
def looks(monkeypatch):
    """A screen whose models are named by what they show, in decibels."""
    monkeypatch.setattr(module, "outputs_of", lambda content, tensors, name, threads: [list(tensors)])
    monkeypatch.setattr(module, "signal_to_noise_db", lambda expected, found: len(found[0]))
    return Screen(b"", lambda: iter(range(50)), name="net")


def test_before_anything_was_refused_nothing_is_passed_over(looks):
    assert looks.passes_over("min-max", -inf) is None


def test_it_looks_at_the_first_images_only(looks):
    assert looks.snr_db(b"made") == IMAGES == 32


@pytest.mark.parametrize(
    ("drop", "asked"),
    [
        (1.0, -DOUBT_DB),  # at the border: as good as the refused one, or a little worse, may pass
        (-2.0, -DOUBT_DB),  # refused for a class, not for the whole
        (2.0, 3.01 - DOUBT_DB),
        (4.0, 6.02 - DOUBT_DB),
        (80.0, MOST_ASKED_DB),  # when all is lost the drop says no more how much
    ],
)
def test_a_file_that_lost_twice_what_is_allowed_asks_for_half_the_noise(drop, asked):
    assert asked_db(verdict(drop)) == pytest.approx(asked, abs=0.01)


@pytest.mark.parametrize(
    ("changed", "is_labelled", "asked"),
    [
        (2 * MOST_CHANGED, True, -DOUBT_DB),
        (MOST_CHANGED, False, -DOUBT_DB),
        (2 * MOST_CHANGED, False, 6.02 - DOUBT_DB),
        (90, False, MOST_ASKED_DB),
    ],
)
def test_changed_answers_count_where_nobody_labelled_the_images(changed, is_labelled, asked):
    found = asked_db(verdict(0.1, agreement=1 - changed / 100, is_labelled=is_labelled))
    assert found == pytest.approx(asked, abs=0.01)


def test_a_budget_of_nothing_asks_for_no_number():
    assert asked_db(verdict(3.0, budget=Budget(max_drop=0.0))) == -DOUBT_DB


def test_the_hardest_that_a_refused_file_asks_for_counts(looks):
    looks.refused("min-max", 3.0, 4.0, verdict(80.0))
    looks.refused("entropy", 8.0, 9.0, verdict(1.5))
    over = looks.passes_over("mse", 8.9)
    assert over == PassedOver("mse", 8.9, 9.0, "min-max", 32)
    assert looks.passes_over("mse", 9.0) is None
    looks.refused("equalization", 18.0, 20.0, verdict(2.0))
    assert looks.passes_over("1 kept", 17.9).refused == "equalization"
    assert looks.passes_over("1 kept", 18.1) is None


def test_where_correcting_biases_brought_much_a_look_before_it_says_less(looks):
    looks.refused("min-max", -1.0, 13.0, verdict(80.0))
    assert looks.passes_over("mse", -5.9) is None
    assert looks.passes_over("mse", -6.1).asked_db == -6.0


@pytest.mark.parametrize("ratio", [nan, inf, -inf])
def test_what_is_no_number_asks_for_nothing_and_is_not_passed_over(looks, ratio):
    looks.refused("min-max", ratio, ratio, verdict(80.0))
    assert looks.passes_over("mse", -5.0) is None
    looks.refused("min-max", 3.0, 4.0, verdict(80.0))
    assert (looks.passes_over("mse", ratio) is None) == (ratio != -inf)


def test_the_line_and_the_card_say_what_was_seen_and_that_it_was_not_judged():
    over = PassedOver("mse", 3.14, 9.2, "min-max", 32)
    assert str(over) == (
        "mse: screened on 32 calibration images: 3.1 dB, not judged: after what min-max lost, "
        "at least 9.2 dB are asked for"
    )
    assert json.loads(json.dumps(over.as_dict())) == {
        "rung": "mse",
        "snr_db": 3.14,
        "asked_db": 9.2,
        "images": 32,
    }
    assert PassedOver("mse", -inf, 9.2, "min-max", 32).as_dict()["snr_db"] is None
