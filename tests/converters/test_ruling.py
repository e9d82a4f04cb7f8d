"""Which losses a file may have."""

import numpy as np
import pytest

from converters.certificate import Budget
from converters.ruling import Estimate, Tally, judge_classes, rule

DEFAULT = Budget()
STATED = Budget(drop_stated=True, class_drop_stated=True)
DROP_STATED = Budget(drop_stated=True)


def whole(images, lost, gained=0, right=None):
    return Tally(images, images * 9 // 10 if right is None else right, lost, gained)


def classes(*counts, images=200, right=180):
    """A tally for each (lost, gained)."""
    return [Tally(images, right, *pair, label=f"class {number}") for number, pair in enumerate(counts)]


def test_no_class_at_all_is_judged_by_the_whole():
    found = rule(whole(2000, 4), [], DEFAULT)
    assert (found.outcome, found.classes, found.reasons) == ("certified", (), ())


@pytest.mark.parametrize(
    ("images", "lost", "gained", "outcome", "written_default", "written_stated"),
    [
        (2000, 0, 0, "certified", True, True),
        (2000, 12, 4, "certified", True, True),
        (2000, 17, 3, "unproven", True, False),  # 0.7 observed, 1.1 possible
        (200, 0, 0, "unproven", True, False),  # nothing differs, and yet 1.5 are possible
        (200, 3, 0, "unproven", True, False),  # 1.5 observed, but three coins fall so once in eight
        (200, 6, 0, "refused", False, False),
        (300, 4, 0, "refused", False, False),  # 1.3 observed
        (2000, 21, 0, "refused", False, False),
        (2000, 20, 0, "unproven", True, False),  # on the limit is inside
        (50, 1, 0, "unproven", True, False),  # one image weighs two points: beyond, but of no weight
        (50, 5, 0, "refused", False, False),  # few images, but no accident
        (2000, 0, 30, "certified", True, True),  # a file may be better
    ],
)
def test_the_whole_is_refused_by_what_is_seen_and_certified_by_what_is_proven(
    images, lost, gained, outcome, written_default, written_stated
):
    counts = whole(images, lost, gained)
    for budget, written in ((DEFAULT, written_default), (DROP_STATED, written_stated)):
        found = rule(counts, [], budget)
        assert (found.outcome, found.may_be_written) == (outcome, written)
        assert bool(found.reasons) == (outcome != "certified")


def test_two_hundred_images_do_not_certify_a_tenth_of_a_point_and_say_how_many_would():
    found = rule(whole(200, 0), [], Budget(max_drop=0.1, drop_stated=True))
    assert (found.outcome, found.may_be_written, found.another_may_pass) == ("unproven", False, False)
    assert "3000 images would prove it" in found.reasons[0]


def test_a_drop_that_nothing_proves_asks_for_no_images():
    found = rule(whole(2000, 20), [], DROP_STATED)
    assert "no number of images would prove it" in found.reasons[0]
    assert found.another_may_pass


@pytest.mark.parametrize(
    ("pair", "outcome"),
    [
        ((2, 1), "certified"),
        ((11, 0), "refused"),
        ((14, 3), "refused"),
        ((20, 8), "refused"),
        ((60, 0), "refused"),
    ],
)
def test_a_class_beyond_the_budget_is_refused_and_named(pair, outcome):
    rows = classes(*[(1, 1)] * 9, pair)
    found = rule(Tally(20_000, 18_000, 20, 20), rows, DEFAULT)
    assert found.outcome == outcome
    if outcome == "refused":
        assert "'class 9'" in found.reasons[0]
        assert "allowed are 5 in a class" in found.reasons[0]
        assert found.classes[0].label == "class 9"
        assert not found.may_be_written


def test_the_worst_of_a_thousand_classes_may_be_chance():
    rows = classes(*[(1, 1)] * 300, *[(0, 0)] * 699, (3, 0), images=50, right=45)
    found = rule(Tally(50_000, 45_000, 303, 300), rows, DEFAULT)
    assert found.outcome == "certified"  # six points, beyond five: but one of a thousand will look so
    ruined = classes(*[(1, 1)] * 300, *[(0, 0)] * 699, (12, 0), images=50, right=45)
    assert rule(Tally(50_000, 45_000, 312, 300), ruined, DEFAULT).outcome == "refused"


def test_a_class_that_is_lost_altogether_is_refused_even_on_five_images():
    rows = classes(*[(0, 0)] * 999, (5, 0), images=5, right=5)
    found = rule(Tally(5000, 5000, 5, 0), rows, DEFAULT)
    assert found.outcome == "refused"
    assert "'class 999' 100.0 points" in found.reasons[0]


def test_a_stated_class_budget_must_be_proven_for_every_class():
    rows = [*classes((1, 0), (0, 0)), Tally(12, 11, 0, 0, "rare")]
    counts = Tally(2000, 1800, 1, 0)
    stated = rule(counts, rows, STATED)
    assert (stated.outcome, stated.may_be_written, stated.another_may_pass) == ("unproven", False, False)
    assert "'rare' (12 images: one weighs 8.3 points)" in stated.reasons[0]
    default = rule(counts, rows, DROP_STATED)
    assert (default.outcome, default.may_be_written) == ("certified", True)
    assert "'rare'" in default.notes[0]


def test_a_class_of_the_data_without_images_is_not_proven():
    found = rule(whole(2000, 0), classes((0, 0), (0, 0)), STATED, missing=["ghost"])
    assert found.outcome == "unproven"
    assert "1 of 3 classes: 'ghost' (no images)" in found.reasons[0]


@pytest.mark.parametrize("right", [0, 6, 20])
def test_a_class_that_the_float_model_hardly_knows_has_nothing_to_lose(right):
    rows = [*classes(*[(0, 0)] * 5), Tally(200, right, 0, 0, "unknown")]
    found = rule(whole(2000, 0), rows, STATED)
    assert found.outcome == "unproven"
    assert "'unknown' (the float model is right on only" in found.reasons[0]
    assert not found.another_may_pass


@pytest.mark.parametrize(
    ("changed", "estimate", "outcome", "said"),
    [
        (30, Estimate(0.2, 0.5), "certified", ""),
        (30, Estimate(0.2, 1.1), "unproven", "up to 1.10 are possible"),
        (30, Estimate(1.2, 1.5), "refused", "is expected to lose 1.20 points"),
        (95, Estimate(0.2, 0.5), "refused", "answers otherwise on 10.56 % of 900 images"),
    ],
)
def test_without_labels_the_float_models_probabilities_decide_and_few_answers_may_change(
    changed, estimate, outcome, said
):
    found = rule(Tally(900, 900, changed, 0), classes((200, 0)), DEFAULT, expected=estimate)
    assert found.outcome == outcome
    assert said in " ".join(found.reasons)
    assert found.classes == ()


def test_contradictions_refuse_whatever_the_figures_and_no_other_file_helps():
    found = rule(whole(2000, 0), [], DEFAULT, contradictions=["class 'cat' 8% here, 71% in training"])
    assert (found.outcome, found.may_be_written, found.another_may_pass) == ("refused", False, False)
    assert "class 'cat' 8% here, 71% in training. Are labels shuffled" in found.reasons[0]


def test_broken_outputs_come_first():
    found = rule(
        whole(2000, 900), classes((90, 0)), DEFAULT, broken="its outputs are infinite or not numbers"
    )
    assert found.outcome == "refused"
    assert found.reasons[0] == "its outputs are infinite or not numbers"
    assert len(found.reasons) == 3


def test_many_bad_classes_are_counted_not_listed():
    found = rule(Tally(20_000, 18_000, 400, 0), classes(*[(80, 0)] * 5), DEFAULT)
    line = next(reason for reason in found.reasons if reason.startswith("class"))
    assert line.count("points (") == 3
    assert "and 2 more" in line


def test_classes_come_worst_first():
    rows = judge_classes(classes((0, 2), (5, 1), (60, 0), (2, 1)), DEFAULT)
    assert [row.label for row in rows] == ["class 2", "class 1", "class 3", "class 0"]
    assert [row.state for row in rows] == ["refused", "proven", "proven", "proven"]


@pytest.mark.parametrize(
    ("counts", "contradictions", "advice"),
    [
        (whole(2000, 0), (), ""),
        (whole(2000, 0), ("class 'cat' 8% here, 71% in training",), "Look at the labels"),
        (whole(200, 0), (), "Not even a file equal to the float model"),
        (whole(2000, 17, 3), (), "Give more validation images"),
        (whole(2000, 90), (), "Calibrate with more images"),
    ],
)
def test_what_to_do_is_said_where_something_can_be_done(counts, contradictions, advice):
    found = rule(counts, [], DROP_STATED, contradictions=contradictions).advice
    assert found.startswith(advice)
    assert bool(found) == bool(advice)


def test_without_a_class_limit_no_class_is_in_doubt():
    found = rule(whole(2000, 0), [Tally(3, 0, 0, 0, "unknown")], Budget(max_class_drop=100))
    assert (found.outcome, found.notes) == ("certified", ())


def drawn(random, shares, images, label):
    lost, gained, _ = random.multinomial(images, [*shares, 1 - sum(shares)]).tolist()
    return Tally(images, images * 85 // 100, lost, gained, label)


def summed(rows):
    columns = zip(*((row.images, row.reference_right, row.lost, row.gained) for row in rows), strict=True)
    return Tally(*(sum(column) for column in columns))


def test_a_class_that_truly_loses_too_much_is_certified_at_most_5_times_in_100():
    random = np.random.default_rng(0)
    budget = Budget(max_drop=100, drop_stated=True, class_drop_stated=True)
    outcomes = []
    for _ in range(150):
        rows = [drawn(random, (0.008, 0.006), 200, f"{number}") for number in range(4)]
        rows.append(drawn(random, (0.07, 0.02), 200, "worse"))
        outcomes.append(rule(summed(rows), rows, budget).outcome)
    assert outcomes.count("certified") <= 10


def test_a_sound_file_of_a_thousand_classes_is_hardly_ever_refused():
    random = np.random.default_rng(0)
    outcomes = []
    for _ in range(8):
        rates = 0.01 * random.gamma(2, 0.5, 1000)  # some classes are harder than others
        rows = [drawn(random, (rate / 2, rate / 2), 50, f"{n}") for n, rate in enumerate(rates)]
        outcomes.append(rule(summed(rows), rows, DEFAULT).outcome)
    assert outcomes.count("certified") >= 7
