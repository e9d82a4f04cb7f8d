"""A tiny model that says which colour an image is mostly, and images for it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
COLOURS = {"red": (0, 0, 200), "green": (0, 200, 0), "blue": (200, 0, 0)}


@pytest.fixture
def colours_model(tmp_path) -> Path:
    """A copy of the golden model with its card."""
    return Path(shutil.copy(GOLDEN / "colours.tflite", tmp_path / "colours.tflite"))


@pytest.fixture
def colours_data(tmp_path) -> Path:
    """A data set for it: test/<colour>/<number>.png, four images each, one of the blue ones wrong."""
    random = np.random.default_rng(1)
    for label, bgr in COLOURS.items():
        folder = tmp_path / "data" / "test" / label
        folder.mkdir(parents=True)
        for number in range(4):
            shown = COLOURS["red"] if (label, number) == ("blue", 3) else bgr
            image = np.clip(np.array(shown) + random.integers(0, 40, (20, 24, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"{number}.png"), image)
    return tmp_path / "data"


def assemble(
    tensors: dict[str, tuple[Any, ...]],
    operators: list[tuple[Any, ...]],
    inputs: list[str],
    outputs: list[str],
    *,
    signature: dict[str, str] | None = None,
) -> bytes:
    """A `.tflite` file from its parts.

    Args:
        tensors: name to (shape, dtype) or (shape, dtype, values) or (shape, dtype, None, scale, zero point).
        operators: (kind, names of inputs, names of outputs) and, where it has some, its options as a schema
            object; of a custom operator (a name the schema does not have) its options as bytes.
        inputs: names of the graph's inputs.
        outputs: names of the graph's outputs.
        signature: name of an output in the signature to its tensor.
    """
    model = schema.ModelT(version=3, operatorCodes=[], buffers=[schema.BufferT()], description="assembled")
    graph = schema.SubGraphT(tensors=[], operators=[], name="main")
    place = {name: number for number, name in enumerate(tensors)}
    for name, (shape, dtype, *rest) in tensors.items():
        made = schema.TensorT(name=name, shape=list(shape), type=getattr(schema.TensorType, dtype.upper()))
        made.buffer = 0
        if rest and rest[0] is not None:
            values = np.broadcast_to(np.asarray(rest[0], dtype), shape)
            model.buffers.append(schema.BufferT(data=np.frombuffer(values.tobytes(), np.uint8)))
            made.buffer = len(model.buffers) - 1
        if len(rest) > 1:
            made.quantization = schema.QuantizationParametersT(scale=[rest[1]], zeroPoint=[rest[2]])
        graph.tensors.append(made)
    for kind, reads, makes, *options in operators:
        number = getattr(schema.BuiltinOperator, kind, schema.BuiltinOperator.CUSTOM)
        code = schema.OperatorCodeT(builtinCode=number, deprecatedBuiltinCode=min(number, 127), version=1)
        operator = schema.OperatorT(opcodeIndex=len(model.operatorCodes))
        if number == schema.BuiltinOperator.CUSTOM:
            code.customCode = kind
            operator.customOptions = list(options[0])
        elif options:
            operator.builtinOptions = options[0]
            kind_of_options = type(options[0]).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind_of_options)
        model.operatorCodes.append(code)
        operator.inputs = [place[name] for name in reads]
        operator.outputs = [place[name] for name in makes]
        graph.operators.append(operator)
    graph.inputs, graph.outputs = [place[name] for name in inputs], [place[name] for name in outputs]
    model.subgraphs = [graph]
    if signature:
        named = [schema.TensorMapT(name=name, tensorIndex=place[at]) for name, at in signature.items()]
        first = [schema.TensorMapT(name="image", tensorIndex=graph.inputs[0])]
        model.signatureDefs = [schema.SignatureDefT(inputs=first, outputs=named, signatureKey="serve")]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.fixture(scope="session", name="assemble")
def assemble_() -> Callable[..., bytes]:
    """`assemble`, the maker of small files."""
    return assemble
