from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest


def sparsity(**fields: Any) -> Callable[[Any], None]:
    return lambda made: [
        setattr(made.subgraphs[0].tensors[1].sparsity, name, value) for name, value in fields.items()
    ]  # type: ignore[return-value]


def level(number: int, name: str, value: Any) -> Callable[[Any], None]:
    def change(made: Any) -> None:
        target = made.subgraphs[0].tensors[1].sparsity.dimMetadata[number]
        if name == "denseSize":
            target.denseSize = value
        else:
            getattr(target, name).values = value

    return change


def test_compressed_weights_pass(write: ModuleType, refusal: Callable[..., str]) -> None:
    assert refusal(write.sparse()) == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (sparsity(traversalOrder=[0, 1]), "is compressed along (0, 1)"),
        (sparsity(traversalOrder=[0, 1, 1]), "is compressed along (0, 1, 1)"),
        (sparsity(blockMap=[2]), "has blocks along (2,)"),
        (sparsity(blockMap=[-1]), "has blocks along (-1,)"),
        (sparsity(dimMetadata=[]), "is compressed along"),
        (level(0, "denseSize", 5), "stores 5 places of a dimension of 4"),
        (level(2, "denseSize", 3), "has blocks of 3 in a dimension of 16"),
        (level(2, "denseSize", 0), "has blocks of 0 in a dimension of 16"),
        (level(1, "arraySegments", [0, 1, 1, 2]), "rows that lead outside its 3 places"),
        (level(1, "arraySegments", [0, 1, 1, 2, 4]), "rows that lead outside its 3 places"),
        (level(1, "arraySegments", [1, 1, 1, 2, 3]), "rows that lead outside its 3 places"),
        (level(1, "arraySegments", [0, 2, 1, 2, 3]), "rows that run backwards"),
        (level(1, "arrayIndices", [0, 4, 2]), "places outside a dimension of 4"),
        (level(1, "arrayIndices", [0, -1, 2]), "places outside a dimension of 4"),
        (
            lambda made: setattr(made.buffers[1], "data", np.zeros(44, np.uint8)),
            "stores 12 values in 44 bytes",
        ),
    ],
)
def test_lists_that_lead_nowhere_are_named(
    write: ModuleType, refusal: Callable[..., str], change: Callable[[Any], None], reason: str
) -> None:
    assert reason in refusal(write.sparse(), change)
