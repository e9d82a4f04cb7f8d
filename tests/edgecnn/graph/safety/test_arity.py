from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as generated

from edgecnn.graph import schema
from edgecnn.graph.safety import arity


def set_inputs(*indices: int) -> Callable[[Any], object]:
    return lambda made: setattr(made.subgraphs[0].operators[0], "inputs", list(indices))


@pytest.fixture
def add(write: ModuleType) -> bytes:
    content: bytes = write.one("ADD", [write.T((2,)), write.T((2,), data=1)], [write.T((2,))], "Add")
    return content


def test_a_sound_operator_passes(add: bytes, refusal: Callable[..., str]) -> None:
    assert refusal(add) == ""


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ((), "it has 0 inputs instead of 2"),
        ((0,), "it has 1 inputs instead of 2"),
        ((0, 1, 1), "it has 3 inputs instead of 2"),
        ((-1, 1), "input 0 is left out"),
        ((0, -1), "input 1 is left out"),
    ],
)
def test_wrong_inputs_are_counted(
    add: bytes, refusal: Callable[..., str], inputs: tuple[int, ...], reason: str
) -> None:
    assert reason in refusal(add, set_inputs(*inputs))


def test_wrong_outputs_are_counted(add: bytes, refusal: Callable[..., str]) -> None:
    assert "it has 0 outputs instead of 1" in refusal(
        add, lambda made: (setattr(made.subgraphs[0].operators[0], "outputs", []),
                           setattr(made.subgraphs[0], "outputs", []))
    )  # fmt: skip


def test_a_bias_may_be_left_out(write: ModuleType, refusal: Callable[..., str]) -> None:
    inputs = [write.T((2, 4)), write.T((5, 4), data=1), None]
    assert refusal(write.one("FULLY_CONNECTED", inputs, [write.T((2, 5))], "FullyConnected")) == ""


def test_foreign_options_are_named(add: bytes, refusal: Callable[..., str]) -> None:
    def change(made: Any) -> None:
        operator = made.subgraphs[0].operators[0]
        operator.builtinOptionsType = generated.BuiltinOptions.SplitOptions
        operator.builtinOptions = generated.SplitOptionsT()

    assert "it carries the options of Split, not of Add" in refusal(add, change)


def test_every_name_in_the_table_is_an_operator() -> None:
    assert set(arity._ARITY) - {"BASIC_LSTM"} <= set(schema.OPERATORS)


def test_nearly_every_operator_has_a_row() -> None:
    named = {kind for kind in schema.OPERATORS if not kind.startswith("STABLEHLO")} - set(arity._ARITY)
    assert named == {
        "CALL", "CUSTOM", "CONCAT_EMBEDDINGS", "DELEGATE", "IF", "PLACEHOLDER_FOR_GREATER_OP_CODES", "WHILE",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "least", "most", "optional"),
    [
        ("", 0, 0, set()),
        ("r", 1, 1, set()),
        ("r+", 1, None, set()),
        ("rr(o)", 2, 3, {2}),
        ("rorr(oo)", 4, 6, {1, 4, 5}),
    ],
)
def test_a_signature_is_read_as_written(text: str, least: int, most: int | None, optional: set[int]) -> None:
    side = arity._side(text)
    assert (side.least, side.most, side.optional) == (least, most, optional)


@pytest.mark.parametrize(
    ("kind", "inputs"), [("UNIDIRECTIONAL_SEQUENCE_LSTM", 24), ("BIDIRECTIONAL_SEQUENCE_LSTM", 48)]
)
def test_the_long_signatures_have_as_many_places_as_the_kernels(kind: str, inputs: int) -> None:
    assert arity._ARITY[kind][0].most == inputs
