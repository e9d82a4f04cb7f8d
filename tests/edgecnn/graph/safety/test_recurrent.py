from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def lstm(shared: Path) -> bytes:
    return (shared / "models" / "coral" / "keras_lstm_mnist_ptq.tflite").read_bytes()


def inputs(**places: int) -> Callable[[Any], None]:
    """Other tensors at some inputs of the LSTM, its second operator: p12=-1."""

    def change(made: Any) -> None:
        changed = list(made.subgraphs[0].operators[1].inputs)
        for place, index in places.items():
            changed[int(place[1:])] = index
        made.subgraphs[0].operators[1].inputs = changed

    return change


def test_a_real_network_passes(lstm: bytes, refusal: Callable[..., str]) -> None:
    assert refusal(lstm) == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (inputs(p12=-1), "some of the inputs 1, 5, 12 are left out, others not"),
        (inputs(p1=-1, p5=-1), "some of the inputs 1, 5, 12 are left out"),
        (inputs(p10=2), "some of the inputs 10, 11 are left out"),
        (inputs(p9=2), "input 9 does not fit the other peepholes"),
        (inputs(p10=2, p11=2), "input 9 does not fit the other peepholes"),
        (inputs(p17=2), "it has the bias of a projection, but no projection"),
        (inputs(p21=2), "some of the inputs 21, 22, 23 are left out"),
        (inputs(p20=2), "input 20 does not fit the other normalizations"),
        (inputs(p2=-1), "input 2 is left out"),
    ],
)
def test_optional_inputs_come_together(
    lstm: bytes, refusal: Callable[..., str], change: Callable[[Any], None], reason: str
) -> None:
    assert reason in refusal(lstm, change)


def test_weights_are_no_state(lstm: bytes, refusal: Callable[..., str]) -> None:
    def change(made: Any) -> None:
        made.subgraphs[0].tensors[15].isVariable = True

    assert "input 8 is a state, not the weights it should be" in refusal(lstm, change)


def test_a_gate_shared_by_input_and_forgetting_is_allowed(lstm: bytes, refusal: Callable[..., str]) -> None:
    assert refusal(lstm, inputs(p1=-1, p5=-1, p12=-1)) == ""
