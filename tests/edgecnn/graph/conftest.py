"""Tiny models, written by LiteRT's own generated schema, and what the check says of them when they change."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as generated

from edgecnn.errors import ModelError
from edgecnn.graph import check, read


@pytest.fixture(scope="session")
def write() -> ModuleType:
    """The writer of one-operator models, benchmarks/one_op_models.py."""
    path = Path(__file__).parents[3] / "benchmarks" / "one_op_models.py"
    spec = importlib.util.spec_from_file_location("one_op_models", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def refusal(write: ModuleType) -> Callable[..., str]:
    """Why a model is refused, after a change to its objects; "" when it is not."""

    def refuse(content: bytes, change: Callable[[Any], object] = lambda made: None) -> str:
        made = generated.ModelT.InitFromObj(generated.Model.GetRootAs(content, 0))
        change(made)
        graph = read(write.pack(made))
        try:
            check(graph)
        except ModelError as error:
            return str(error)
        return ""

    return refuse
