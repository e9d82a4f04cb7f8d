"""A profile's cost table."""

import pytest

from targets.constants import Accelerator, Rates, read_cost

TABLE = {
    "basis": "measured", "band": 0.3, "gbps": 2, "dispatch_us": 0, "thread_exponent": 0.8,
    "rates": {"int8": {"convolution": 16, "depthwise": 1.5}},
}  # fmt: skip
BESIDE = {
    "rates": {"convolution": 600, "depthwise": 20}, "gbps": 10, "invoke_ms": 0.5, "stream_gbps": 0.5,
    "io_gbps": 0.4,
}  # fmt: skip


def test_a_table_is_read():
    cost = read_cost({**TABLE, "accelerator": BESIDE})
    assert (cost.gbps, cost.builtin, cost.builtin_gbps, cost.rates) == (
        2.0,
        1.0,
        0.0,
        {"int8": Rates(16.0, 1.5)},
    )
    assert cost.accelerator == Accelerator(Rates(600.0, 20.0), 10.0, 0.5, 0.5, 0.4)
    assert read_cost(TABLE).accelerator is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"speed": 1}, "unknown key cost.speed"),
        ({"basis": ""}, "cost.basis must say"),
        ({"gbps": 0}, "cost.gbps is 0; it must be above 0"),
        ({"gbps": "2"}, "cost.gbps is '2'; it must be a number"),
        ({"band": True}, "cost.band is True; it must be a number"),
        ({"rates": {}}, "at least one type"),
        ({"rates": {"int4": {}}}, "cost.rates.int4: rates are for float32, int8, int16"),
        ({"rates": {"int8": {"convolution": 1}}}, "cost.rates.int8.depthwise is None"),
        ({"rates": 3}, "cost.rates is 3; it must be a table"),
        ({"accelerator": {**BESIDE, "wake": 1}}, "unknown key cost.accelerator.wake"),
        ({"accelerator": []}, "cost.accelerator is \\[\\]; it must be a table"),
    ],
)  # fmt: skip
def test_what_no_table_says_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        read_cost({**TABLE, **change})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match=r"cost\.band is .*; it must be finite"):
        read_cost({"basis": "by hand", "band": value, "rates": {"int8": {"convolution": 1, "depthwise": 1}}})
