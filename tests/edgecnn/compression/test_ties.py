import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.compression.ties import Ties

COUNT = 12
PAIRS = st.lists(st.tuples(st.integers(0, COUNT - 1), st.integers(0, COUNT - 1)), max_size=16)


def test_no_channels_are_no_sets():
    of, makers, fixed = Ties().sets()
    assert (of.shape, makers, fixed) == ((0,), [], {})


def test_a_set_has_the_makers_of_all_its_channels_and_is_fixed_by_any_of_them():
    ties = Ties()
    first, second, alone = ties.fresh(2, "first"), ties.fresh(2, "second"), ties.fresh(1, "alone")
    ties.fix(second[1:], "is the last")
    ties.tie(first, second)
    of, makers, fixed = ties.sets()
    assert of.tolist() == [0, 1, 0, 1, 2]
    assert makers == [("first", "second"), ("first", "second"), ("alone",)]
    assert fixed == {1: "is the last"}
    assert alone.tolist() == [4]


@settings(deadline=None)
@given(PAIRS)
def test_sets_are_what_can_be_reached_along_ties(pairs):
    ties = Ties()
    ties.fresh(COUNT, "all")
    reach = np.eye(COUNT, dtype=bool)
    for one, other in pairs:
        ties.tie(np.array([one]), np.array([other]))
        reach[one, other] = reach[other, one] = True
    for _ in range(4):  # 2^4 steps reach everything
        reach = reach @ reach
    of, _, _ = ties.sets()
    assert np.array_equal(of[:, None] == of[None, :], reach)
