"""The writer of one-operator models, and real models."""

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def one_op_models():
    """benchmarks/one_op_models.py."""
    path = Path(__file__).parents[2] / "benchmarks" / "one_op_models.py"
    spec = importlib.util.spec_from_file_location("one_op_models", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("one_op_models", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def by_name(one_op_models):
    """Every one-operator model, by its name."""
    return dict(one_op_models.models())
