"""What the gate found, as the card keeps it and as a person reads it."""

import json
from dataclasses import replace
from math import inf, nan

import pytest

from converters.certificate import HEADER, MOST_CLASSES, Budget, ClassRow, Signal, Verdict
from edgecnn import card as cards
from edgecnn.card import Card, InputSpec
from edgecnn.errors import ConversionError
from edgecnn.evaluation.agreement import Agreement
from edgecnn.evaluation.judged import Judged

ROWS = (
    ClassRow("cat", 200, 150, 10, 4, 3.0, 5.2, "unproven", "up to 5.2 points are possible"),
    ClassRow("dog", 300, 270, 0, 0, 0.0, 1.0, "proven"),
)
SIGNAL = Signal(30.7, 3, 0.01, 0.02, True, False, -0.004, 0.03, (0.05, 0.06))
VERDICT = Verdict(
    outcome="certified",
    reasons=(),
    notes=("a note",),
    advice="",
    may_be_written=True,
    another_may_pass=True,
    budget=Budget(),
    data=Judged("pets.zip", "val", 500, "00ff"),
    is_labelled=True,
    reference_right=420,
    agreement=Agreement(500, 480, 4, 10),
    drop=1.2,
    at_most=2.6,
    expected_drop=0.4,
    classes=ROWS,
    signal=SIGNAL,
    runtime={"name": "litert", "version": "2", "threads": 1},
    reference_sha256="aa",
    model_sha256="bb",
)


@pytest.mark.parametrize("value", [-0.1, 100.5, nan, inf])
@pytest.mark.parametrize("name", ["max_drop", "max_class_drop"])
def test_a_budget_outside_of_all_points_is_refused(name, value):
    with pytest.raises(ConversionError, match=f"--{name.replace('_', '-')} must be in 0..100"):
        Budget(**{name: value})


def test_without_classes_the_table_is_empty():
    assert replace(VERDICT, classes=()).table() == []


def test_the_table_shows_the_worst_classes_under_its_header():
    rows = VERDICT.table()
    assert rows[0] == ("cat", 200, "75.0", "72.0", "3.0", "5.2", "no")
    assert rows[1][-1] == "yes"
    assert {len(row) for row in rows} == {len(HEADER)}
    assert VERDICT.table(1) == rows[:1]


def test_what_is_certified_is_said_with_its_bound_and_its_images():
    assert VERDICT.header("int8") == (
        "certified: int8 loses at most 2.60 points (observed 1.20, 95% sure) on images like the 500 of "
        "pets.zip val"
    )
    assert "is expected to lose at most" in replace(VERDICT, is_labelled=False).header()


@pytest.mark.parametrize(
    ("outcome", "written", "begin"),
    [
        ("refused", False, "refused: int8: it is bad"),
        ("unproven", False, "unproven: int8 (not to be written): it is bad"),
        ("unproven", True, "unproven: int8 (may be written, but not as certified): it is bad"),
    ],
)
def test_what_is_not_certified_says_why(outcome, written, begin):
    found = replace(VERDICT, outcome=outcome, may_be_written=written, reasons=("it is bad", "and worse"))
    assert found.header("int8") == begin
    assert found.as_dict()["certified"] is False


def test_accuracies_follow_from_the_counts():
    assert VERDICT.reference_accuracy == 0.84
    assert VERDICT.accuracy == pytest.approx(0.828)
    assert dict(VERDICT.figures())["accuracy, float and file"] == "84.00% and 82.80%"


@pytest.mark.parametrize("value", [inf, -inf, nan])
def test_what_is_no_number_is_none_in_json(value):
    found = replace(VERDICT, signal=replace(SIGNAL, snr_db=value)).as_dict()
    assert json.loads(json.dumps(found, allow_nan=False))["snr_db"] is None


def test_of_very_many_classes_the_worst_are_listed_and_all_counted():
    found = replace(VERDICT, classes=ROWS * MOST_CLASSES).as_dict()
    assert len(found["per_class"]) == MOST_CLASSES
    assert found["classes"] == {"proven": MOST_CLASSES, "unproven": MOST_CLASSES, "refused": 0}


def test_a_card_carries_the_certificate_and_gives_it_back():
    card = Card("pets", "classification", InputSpec(8, 8), ("cat", "dog"), certificate=VERDICT.as_dict())
    assert cards.from_json(cards.to_json(card), "here").certificate == VERDICT.as_dict()


def test_a_name_that_is_no_text_can_be_written():
    found = replace(VERDICT, data=replace(VERDICT.data, name="pets\udcff")).as_dict()
    card = Card("pets", "classification", InputSpec(8, 8), certificate=found)
    assert cards.to_json(card).encode()
    assert found["data"]["name"] == "pets?"
