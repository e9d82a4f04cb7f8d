"""Where tensors lie: hand-made plans, and every plan without overlap."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.arena import (
    FOREVER,
    LITERT_ALIGNMENT,
    MICRO_ALIGNMENT,
    Span,
    aligned,
    arena_bytes,
    plan_litert,
    plan_micro,
)

PLANNERS = [(plan_micro, MICRO_ALIGNMENT), (plan_litert, LITERT_ALIGNMENT)]


@pytest.mark.parametrize(("plan", "alignment"), PLANNERS)
def test_nothing_takes_nothing(plan, alignment):
    assert plan([]) == ()
    assert arena_bytes(plan([]), alignment) == 0


@pytest.mark.parametrize(("plan", "alignment"), PLANNERS)
def test_a_chain_reuses_what_is_no_longer_needed(plan, alignment):
    chain = [Span("a", 640, 0, 1), Span("b", 320, 1, 2), Span("c", 640, 2, 3)]
    assert arena_bytes(plan(chain), alignment) == 960


@pytest.mark.parametrize(("plan", "alignment"), PLANNERS)
def test_sizes_are_rounded_up_to_the_alignment(plan, alignment):
    both = [Span("a", 1, 0, 1), Span("b", 1, 0, 1)]
    assert arena_bytes(plan(both), alignment) == 2 * alignment


def test_among_equals_micro_places_the_last_first_and_litert_the_first():
    twins = [Span("a", 64, 1, 2), Span("b", 64, 2, 3)]
    assert {place.span.name: place.offset for place in plan_micro(twins)} == {"b": 0, "a": 64}
    assert {place.span.name: place.offset for place in plan_litert(twins)} == {"a": 0, "b": 64}


def test_litert_takes_the_tightest_gap_and_micro_the_first():
    spans = [
        Span("a", 512, 0, 1), Span("b", 448, 0, 5), Span("c", 320, 0, 1), Span("d", 256, 0, 5),
        Span("small", 128, 4, 5),
    ]  # fmt: skip
    assert {place.span.name: place.offset for place in plan_micro(spans)}["small"] == 0
    assert {place.span.name: place.offset for place in plan_litert(spans)}["small"] == 960


def test_what_lives_forever_comes_first_in_litert():
    places = plan_litert([Span("big", 640, 1, 2), Span("input", 64, 0, FOREVER)])
    assert places[0].span.name == "input"
    assert places[0].offset == 0


@pytest.mark.parametrize(("plan", "alignment"), PLANNERS)
@settings(max_examples=60, deadline=None)
@given(
    spans=st.lists(
        st.builds(
            lambda size, first, length: Span("x", size, first, first + length),
            st.integers(1, 500), st.integers(0, 12), st.integers(0, 6),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_no_two_that_live_together_overlap(plan, alignment, spans):
    places = plan(spans)
    assert sorted(place.span.bytes for place in places) == sorted(span.bytes for span in spans)
    for number, one in enumerate(places):
        assert one.offset % alignment == 0
        for other in places[:number]:
            if one.span.meets(other.span):
                assert one.end <= other.offset or other.end <= one.offset
    most = max(
        (
            sum(span.bytes for span in spans if span.first <= step <= span.last)
            for step in range(20)
        ),
        default=0,
    )  # fmt: skip
    assert most <= arena_bytes(places, alignment) <= sum(aligned(span.bytes, alignment) for span in spans)
