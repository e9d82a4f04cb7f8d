"""What a model may take."""

import pytest

from edgecnn.errors import OverBudget, TargetError
from targets.budget import Limits, check

FIGURES = {"latency_ms": 12.0, "ram_bytes": 1000, "flash_bytes": 5000}


def test_within_the_limits_nothing_is_said():
    assert not Limits()
    check(Limits(), "net", "pi", **FIGURES)
    check(Limits(12.0, 1000, 5000), "net", "pi", **FIGURES)


def test_every_limit_that_is_exceeded_is_named_at_once():
    with pytest.raises(OverBudget) as caught:
        check(Limits(11.0, 999, 5000), "net", "pi", **FIGURES)
    assert str(caught.value) == (
        "net: over budget on pi: latency 12 ms estimated, 11 ms allowed; "
        "RAM 1,000 bytes estimated, 999 bytes allowed."
    )
    assert caught.value.exit_code == 3


def test_a_limit_that_cannot_be_checked_is_no_pass():
    with pytest.raises(TargetError, match="latency on pi cannot be estimated") as caught:
        check(Limits(latency_ms=1e9), "net", "pi", **{**FIGURES, "latency_ms": None})
    assert not isinstance(caught.value, OverBudget)
