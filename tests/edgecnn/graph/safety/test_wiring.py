from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def chain(write: ModuleType) -> bytes:
    """x -> a -> y, and a constant c (tensor 3) that nobody reads."""
    made = write.empty_model()
    from ai_edge_litert import schema_py_generated as generated

    specs = [write.T((2,)), write.T((2,)), write.T((2,)), write.T((2,), data=1)]
    tensors = [write.tensor(spec, name, made.buffers) for spec, name in zip(specs, "xayc", strict=True)]
    operators = []
    for given, gives in ((0, 1), (1, 2)):
        operator = write.operator(made, "RELU", None, {})
        operator.inputs, operator.outputs = [given], [gives]
        operators.append(operator)
    made.subgraphs = [generated.SubGraphT(tensors=tensors, inputs=[0], outputs=[2], operators=operators)]
    content: bytes = write.pack(made)
    return content


def test_a_chain_passes(chain: bytes, refusal: Callable[..., str]) -> None:
    assert refusal(chain) == ""


def graph(**fields: Any) -> Callable[[Any], None]:
    return lambda made: [setattr(made.subgraphs[0], name, value) for name, value in fields.items()]


def operator(number: int, **fields: Any) -> Callable[[Any], None]:
    return lambda made: [
        setattr(made.subgraphs[0].operators[number], name, value) for name, value in fields.items()
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (graph(inputs=[]), "operator 0 (RELU) reads tensor 0 (x) before anything has written it"),
        (graph(inputs=[0, 3]), "the input tensor 3 (c) is a constant"),
        (graph(outputs=[2, 3]), ""),
        (operator(0, inputs=[3]), ""),
        (operator(0, inputs=[2]), "operator 0 (RELU) reads tensor 2 (y) before"),
        (operator(0, inputs=[1]), "operator 0 (RELU) reads tensor 1 (a) before"),
        (lambda made: made.subgraphs[0].operators.reverse(), "operator 0 (RELU) reads tensor 1 (a) before"),
        (lambda made: made.subgraphs[0].operators.pop(), "the output tensor 2 (y) is never written"),
        (operator(1, outputs=[1]), "operator 1 (RELU) writes tensor 1 (a), which is written already"),
        (operator(1, outputs=[0]), "writes tensor 0 (x), which is written already"),
        (operator(1, outputs=[3]), "writes tensor 3 (c), which is a constant"),
        (operator(1, outputs=[-1]), "has an output that is left out"),
        (
            lambda made: setattr(made.subgraphs[0].tensors[2], "isVariable", True),
            "writes tensor 2 (y), which is a state of the model",
        ),
    ],
)
def test_a_wrong_wire_is_named(
    chain: bytes, refusal: Callable[..., str], change: Callable[[Any], None], reason: str
) -> None:
    found = refusal(chain, change)
    assert reason in found if reason else found == ""


def test_a_list_of_no_sizes_need_not_be_written(write: ModuleType, refusal: Callable[..., str]) -> None:
    made = write.one(
        "RESHAPE", [write.T((1,)), write.T((0,), "int32")], [write.T(())], "Reshape", newShape=[]
    )
    assert refusal(made, lambda model: setattr(model.subgraphs[0], "inputs", [0])) == ""
