"""Which losses of average precision are refused, and which are only not proven."""

import pytest

from converters.certificate import Budget
from converters.judging.box_drops import Drops, chance
from converters.judging.box_ruling import rule
from edgecnn.evaluation.resampling import Drop

BOXES = {"cat": 2000, "dog": 2000}
BUDGET = Budget(max_class_drop=2.0)
STATED = Budget(max_class_drop=2.0, drop_stated=True, class_drop_stated=True)


def drop(points, *, width=0.2, label=None, before=0.8):
    interval = (points - width) / 100, (points + width) / 100
    return Drop(label, before, before - points / 100, interval[1], interval)


def found(whole=0.0, cat=0.0, dog=0.0, **words):
    return [
        Drops(
            metric, drop(whole, **words), (drop(cat, label="cat", **words), drop(dog, label="dog", **words))
        )
        for metric in ("map", "map50")
    ]


def ruled(drops, budget=BUDGET, boxes=BOXES, **words):
    return rule(drops, boxes, 500, budget, **words)


@pytest.mark.parametrize(
    ("drops", "outcome"),
    [
        (found(0.0), "certified"),
        (found(0.5), "certified"),
        (found(0.9, width=0.3), "unproven"),
        (found(1.2), "refused"),
        (found(0.3, cat=2.5), "refused"),
        (found(0.3, cat=2.5, width=20.0), "unproven"),
    ],
)
def test_what_becomes_of_a_loss(drops, outcome):
    assert ruled(drops).outcome == outcome


@pytest.mark.parametrize(
    ("points", "width", "beyond", "state"),
    [(1.9, 0.05, False, "proven"), (2.1, 20.0, True, "unproven"), (2.5, 0.2, True, "refused")],
)
def test_a_class_beyond_the_budget_is_marked_though_chance_explains_it(points, width, beyond, state):
    cat = Drops("map", drop(0.2), (drop(points, width=width, label="cat"), drop(0.1, label="dog")))
    row = next(one for one in ruled([cat]).classes if one.label == "cat")
    assert (row.beyond, row.state) == (beyond, state)
    assert row.as_dict()["beyond"] is beyond
    assert ("chance" in row.why) is (state == "unproven")


def test_either_figure_decides():
    fine, bad = found(0.2)[0], found(1.5)[1]
    made = ruled([fine, bad])
    assert made.outcome == "refused"
    assert "mAP@0.5 (" in made.reasons[0]


def test_the_class_is_named():
    assert "class 'cat' 4.0 points" in ruled(found(0.5, cat=4.0)).reasons[0]


def test_what_was_stated_must_be_proven_to_be_written():
    open_ = found(0.9, width=0.3)
    assert ruled(open_).may_be_written
    assert not ruled(open_, STATED).may_be_written


def test_few_boxes_prove_nothing_though_none_was_lost():
    made = ruled(found(0.0, width=0.0), STATED, {"cat": 5, "dog": 5})
    assert made.outcome == "unproven"
    assert not made.another_may_pass
    assert made.figures[0].at_most == pytest.approx(100 * (1 - 0.05 ** (1 / 10)))


def test_a_class_without_boxes_is_not_proven():
    made = ruled(found(0.1), STATED, {**BOXES, "cow": 0})
    assert made.outcome == "unproven"
    assert "'cow' (no boxes)" in made.reasons[0]


def test_without_labels_boxes_may_move_and_classes_are_not_judged():
    moved = [found(6.0)[0], found(0.2)[1]]
    made = ruled(moved, is_labelled=False)
    assert made.outcome == "certified"
    assert not made.classes
    assert ruled([found(11.0)[0], found(0.2)[1]], is_labelled=False).outcome == "refused"


def test_outputs_that_are_ruined_are_refused_whatever_the_figures():
    assert ruled(found(0.0), broken="it is frozen").reasons == ("it is frozen",)


@pytest.mark.parametrize(("points", "likely"), [(0.0, 0.5), (-5.0, 1.0), (5.0, 0.0)])
def test_the_chance_that_nothing_was_lost(points, likely):
    assert chance(drop(points)) == pytest.approx(likely, abs=1e-6)
