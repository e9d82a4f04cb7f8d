"""What the comparison with an emulated Raspberry Pi lets pass, and what not. The Pi itself: `make pi`."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

_spec = spec_from_file_location("alike", Path(__file__).with_name("alike.py"))
alike = module_from_spec(_spec)
sys.modules["alike"] = alike
_spec.loader.exec_module(alike)


def one(*records):
    return [{"results": list(records)}]


def named(label, score):
    return {"label": label, "score": score}


def boxed(score, *box, label="cat"):
    return {"label": label, "score": score, "box_xyxy": list(box)}


PLACE = (0.0, 0.0, 100.0, 100.0)


def test_no_answers_are_no_agreement():
    assert not alike.compare("run", [], [], rounded=True)[0]
    assert not alike.compare("run", one(named("a", 1.0)), [], rounded=True)[0]


@pytest.mark.parametrize(
    ("there", "here", "rounded", "good"),
    [
        ([("a", 0.9), ("b", 0.1)], [("a", 0.9), ("b", 0.1)], False, True),
        ([("a", 0.9), ("b", 0.1)], [("a", 0.94), ("b", 0.06)], True, True),
        ([("a", 0.9), ("b", 0.1)], [("a", 0.94), ("b", 0.06)], False, False),
        ([("a", 0.51), ("b", 0.49)], [("b", 0.51), ("a", 0.49)], True, True),
        ([("a", 0.6), ("b", 0.4)], [("b", 0.6), ("a", 0.4)], True, False),
        ([("a", 0.9)], [("b", 0.9)], True, False),
    ],
)
def test_classes(there, here, rounded, good):
    sides = (one(*(named(*pair) for pair in side)) for side in (there, here))
    assert alike.compare("run", *sides, rounded=rounded)[0] is good


@pytest.mark.parametrize(
    ("there", "here", "good"),
    [
        ([boxed(0.9, *PLACE)], [boxed(0.9, 1, 0, 101, 100)], True),
        ([boxed(0.9, *PLACE)], [boxed(0.9, 10, 0, 110, 100)], False),
        ([boxed(0.9, 0, 0, 10, 10)], [boxed(0.9, 0.9, 0, 10.9, 10)], True),
        ([boxed(0.9, 0, 0, 10, 10)], [boxed(0.9, 1.1, 0, 11.1, 10)], False),
        ([boxed(0.9, *PLACE)], [boxed(0.8, *PLACE)], False),
        ([boxed(0.9, *PLACE)], [boxed(0.9, *PLACE, label="dog")], False),
        ([boxed(0.9, *PLACE)], [], False),
        ([boxed(0.34, *PLACE)], [], True),
        # near the overlap at which it is suppressed, and far from it
        ([boxed(0.9, *PLACE), boxed(0.8, 25, 0, 125, 100)], [boxed(0.9, *PLACE)], True),
        ([boxed(0.9, *PLACE), boxed(0.8, 60, 0, 160, 100)], [boxed(0.9, *PLACE)], False),
        ([boxed(0.9, *PLACE), boxed(0.8, 1, 0, 101, 100)], [boxed(0.9, *PLACE)], False),
        # each in one pair: two boxes there do not both answer to one here
        ([boxed(0.9, *PLACE), boxed(0.9, 1, 0, 101, 100)], [boxed(0.9, *PLACE)], False),
    ],
)
def test_boxes(there, here, good):
    for sides in ((there, here), (here, there)):
        assert alike.compare("run", *(one(*side) for side in sides), rounded=True)[0] is good
