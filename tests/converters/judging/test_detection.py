"""Detectors: what of them is certified, and what is refused."""

import pytest

from converters.convert import convert
from edgecnn import card as cards

pytestmark = pytest.mark.tensorflow


def test_a_healthy_detector_becomes_int8(detector_run, scenes):
    made = convert(detector_run, schemes=["int8"], data=scenes)[0]
    assert made.written
    assert made.verdict.outcome in ("certified", "unproven")
    card = cards.read(made.path)
    assert set(card.outputs) == {"boxes", "scores"}
    assert card.certificate["metric"] == "map, map50"
