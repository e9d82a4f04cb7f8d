from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as generated


def option(name: str, value: int) -> Callable[[Any], None]:
    return lambda made: setattr(made.subgraphs[0].operators[0].builtinOptions, name, value)


def no_options(made: Any) -> None:
    operator = made.subgraphs[0].operators[0]
    operator.builtinOptions, operator.builtinOptionsType = None, 0


def dtype(subgraph: int, index: int, name: str) -> Callable[[Any], None]:
    number = getattr(generated.TensorType, name)
    return lambda made: setattr(made.subgraphs[subgraph].tensors[index], "type", number)


def recursion(made: Any) -> None:
    """Subgraph 1 runs itself."""
    inner = made.subgraphs[1]
    inner.tensors.append(generated.TensorT(shape=[], type=generated.TensorType.BOOL))
    inner.inputs = [2, 0]
    call = generated.OperatorT(opcodeIndex=0, inputs=[2, 0], outputs=[1])
    call.builtinOptionsType = generated.BuiltinOptions.IfOptions
    call.builtinOptions = generated.IfOptionsT(thenSubgraphIndex=1, elseSubgraphIndex=2)
    inner.operators = [call]


@pytest.fixture(scope="module")
def flows(write: ModuleType) -> dict[str, bytes]:
    return dict(write.control_flow())


@pytest.mark.parametrize("name", ["if", "while"])
def test_sound_control_flow_passes(flows: dict[str, bytes], refusal: Callable[..., str], name: str) -> None:
    assert refusal(flows[name]) == ""


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("if", option("thenSubgraphIndex", 3), "it runs subgraph 3, but there are only 3"),
        ("if", option("elseSubgraphIndex", 0), "it runs subgraph 0"),
        ("if", option("elseSubgraphIndex", -1), "it runs subgraph -1"),
        ("if", no_options, "it does not say which subgraph it runs"),
        ("while", no_options, "it does not say which subgraph it runs"),
        ("if", dtype(0, 0, "FLOAT32"), "its condition is not one truth value"),
        ("if", dtype(0, 2, "INT8"), "tensor 1 (b1) of subgraph 1 is float32, but outside it is int8"),
        (
            "if",
            lambda made: setattr(made.subgraphs[1], "inputs", []),
            "subgraph 1 takes 0 tensors, but there are 1",
        ),
        ("if", lambda made: setattr(made.subgraphs[2], "outputs", []), "subgraph 2 gives 0 tensors"),
        ("while", lambda made: setattr(made.subgraphs[1], "outputs", []), "its condition gives 0 tensors"),
        ("while", dtype(1, 2, "INT32"), "its condition is not one truth value"),
        ("while", lambda made: setattr(made.subgraphs[2], "inputs", []), "subgraph 2 takes 0 tensors"),
    ],
)
def test_a_wrong_call_is_named(
    flows: dict[str, bytes],
    refusal: Callable[..., str],
    name: str,
    change: Callable[[Any], None],
    reason: str,
) -> None:
    assert reason in refusal(flows[name], change)


def test_an_operator_of_an_inner_subgraph_is_named_with_it(
    flows: dict[str, bytes], refusal: Callable[..., str]
) -> None:
    found = refusal(flows["if"], lambda made: setattr(made.subgraphs[2].operators[0], "inputs", [0, 0]))
    assert "operator 0 of subgraph 2 (NEG): it has 2 inputs instead of 1" in found


def test_subgraphs_that_run_themselves_are_refused(
    flows: dict[str, bytes], refusal: Callable[..., str]
) -> None:
    def change(made: Any) -> None:
        recursion(made)
        # keep the outer call sound: it passes its condition on
        made.subgraphs[0].operators[0].inputs = [0, 0, 1]
        made.subgraphs[2].tensors.append(generated.TensorT(shape=[], type=generated.TensorType.BOOL))
        made.subgraphs[2].inputs = [2, 0]
        made.subgraphs[1].operators[0].inputs = [2, 2, 0]

    assert "subgraphs run each other without end" in refusal(flows["if"], change)
