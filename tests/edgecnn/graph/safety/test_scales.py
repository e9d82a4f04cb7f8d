from collections.abc import Callable
from types import ModuleType

import pytest


def pair(write: ModuleType, kind: str, scales: tuple[float | None, ...], dtype: str = "int8") -> bytes:
    """An operator of two inputs and one output with these scales."""
    first, second, made = (write.T((2,), dtype, scale=scale) for scale in scales)
    if kind in ("LESS", "EQUAL"):
        made = write.T((2,), "bool")
    content: bytes = write.one(kind, [first, second], [made])
    return content


@pytest.mark.parametrize(
    ("kind", "dtype", "scales", "reason"),
    [
        ("ADD", "float32", (None, None, None), ""),
        ("ADD", "int8", (0.1, 0.2, 0.3), ""),
        ("ADD", "int8", (None, 0.2, 0.3), "tensor 0 (in0) of type int8 has no scale"),
        ("SUB", "uint8", (0.1, 0.2, None), "tensor 2 (out0) of type uint8 has no scale"),
        ("MUL", "uint8", (0.1, None, 0.1), "tensor 1 (in1) of type uint8 has no scale"),
        ("ADD", "int16", (None, None, None), ""),
        ("ADD", "int16", (0.1, None, None), "tensor 1 (in1) of type int16 has no scale"),
        # add.cc: 2 · 0.5 / (2^20 · output scale) must stay below 1
        ("ADD", "int8", (0.5, 0.5, 1.01 * 2**-20), ""),
        ("ADD", "int8", (0.5, 0.5, 0.99 * 2**-20), "does not fit its inputs'"),
        ("ADD", "int16", (0.5, 0.5, 1.01 * 2**-15), ""),
        ("ADD", "int16", (0.5, 0.5, 0.99 * 2**-15), "does not fit its inputs'"),
        ("ADD", "int8", (3e38, 0.1, 0.1), "does not fit its inputs'"),
        ("SUB", "int8", (0.1, 0.1, 3e38), "does not fit its inputs'"),
        ("LESS", "int8", (0.99, 2.0, None), ""),
        ("LESS", "int8", (1.0, 0.5, None), "a scale of exactly 1"),
        ("EQUAL", "uint8", (0.5, 1.0, None), "a scale of exactly 1"),
        ("EQUAL", "int16", (None, None, None), ""),
    ],
)
def test_scales_of_two_inputs_are_judged_as_the_kernel_uses_them(
    write: ModuleType,
    refusal: Callable[..., str],
    kind: str,
    dtype: str,
    scales: tuple[float | None, ...],
    reason: str,
) -> None:
    found = refusal(pair(write, kind, scales, dtype))
    assert reason in found if reason else found == ""


def test_a_constant_added_needs_a_scale_above_0(write: ModuleType, refusal: Callable[..., str]) -> None:
    t = write.T
    inputs = [t((2,), "int8", scale=0.1), t((2,), "int8", data=0, scale=0.0)]
    assert "tensor 1 (in1) has the scale 0" in refusal(write.one("ADD", inputs, [t((2,), "int8", scale=0.1)]))


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint8"])
@pytest.mark.parametrize("kind", ["LOG", "LOGISTIC", "SOFTMAX"])
def test_a_function_looked_up_in_a_table_needs_both_scales(
    write: ModuleType, refusal: Callable[..., str], kind: str, dtype: str
) -> None:
    t = write.T
    assert refusal(write.one(kind, [t((2,), dtype, scale=0.1)], [t((2,), dtype, scale=0.1)])) == ""
    assert "tensor 0 (in0)" in refusal(write.one(kind, [t((2,), dtype)], [t((2,), dtype, scale=0.1)]))
    assert "tensor 1 (out0)" in refusal(write.one(kind, [t((2,), dtype, scale=0.1)], [t((2,), dtype)]))
