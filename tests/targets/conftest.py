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


@pytest.fixture(scope="session")
def chain(one_op_models):
    """A function that writes a model of several operators, each a kind, its options, inputs and outputs."""
    writer = one_op_models

    def write(tensors, operators, *, inputs, outputs, open_batch=()):
        model = writer.empty_model()
        graph = writer.schema.SubGraphT(name="main", operators=[], tensors=[])
        model.subgraphs = [graph]
        names = list(tensors)
        for name in names:
            graph.tensors.append(writer.tensor(tensors[name], name, model.buffers))
            if name in open_batch:
                graph.tensors[-1].shapeSignature = [-1, *tensors[name].shape[1:]]
        for kind, options, settings, given, made in operators:
            one = writer.operator(model, kind, options, settings)
            one.inputs, one.outputs = [names.index(n) for n in given], [names.index(n) for n in made]
            graph.operators.append(one)
        graph.inputs = [names.index(name) for name in inputs]
        graph.outputs = [names.index(name) for name in outputs]
        return writer.pack(model)

    return write
