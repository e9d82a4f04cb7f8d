"""Operator versions, beside op_version.cc."""

import pytest
from ai_edge_litert import schema_py_generated as schema

from calibration import editable
from converters import versions
from edgecnn.graph import read

TYPES = schema.TensorType


def file_of(kind, types, *, scales=1, version=1):
    """A file of one operator whose tensors have the given types, its output last."""
    model, graph, code, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(), None
    code.builtinCode = getattr(schema.BuiltinOperator, kind)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = list(range(len(types) - 1)), [len(types) - 1]
    graph.tensors = []
    for number, dtype in enumerate(types):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = f"t{number}", [1, 2], dtype, 0
        if dtype != TYPES.FLOAT32:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [1.0] * scales, [0] * scales
        graph.tensors.append(tensor)
    graph.inputs, graph.outputs, graph.operators = [0], [len(types) - 1], [operator]
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT()]
    return model


@pytest.mark.parametrize(
    ("kind", "types", "scales", "expected"),
    [
        ("CONV_2D", "fff", 1, 1),
        ("CONV_2D", "bbb", 1, 3),
        ("CONV_2D", "fbf", 1, 2),
        ("CONV_2D", "fbf", 2, 5),
        ("CONV_2D", "sbs", 2, 4),
        ("DEPTHWISE_CONV_2D", "fbf", 2, 6),
        ("DEPTHWISE_CONV_2D", "bbb", 2, 3),
        ("DEPTHWISE_CONV_2D", "sbs", 2, 5),
        ("FULLY_CONNECTED", "fbf", 1, 3),
        ("FULLY_CONNECTED", "fbf", 2, 12),
        ("FULLY_CONNECTED", "sbs", 2, 7),
        ("ADD", "bbb", 1, 2),
        ("ADD", "sss", 1, 3),
        ("QUANTIZE", "fb", 1, 1),
        ("QUANTIZE", "bs", 1, 2),
        ("DEQUANTIZE", "bf", 1, 2),
        ("DEQUANTIZE", "bf", 2, 5),
        ("DEQUANTIZE", "sf", 1, 3),
        ("RESHAPE", "bb", 1, 1),
    ],
)
def test_versions_are_those_of_op_version(kind, types, scales, expected):
    codes = {"f": TYPES.FLOAT32, "b": TYPES.INT8, "s": TYPES.INT16}
    model = file_of(kind, [codes[letter] for letter in types], scales=scales)
    versions.settle(model)
    assert read(editable.write(model), "made").ops[0].version == expected


def test_a_version_is_never_lowered():
    model = file_of("ADD", [TYPES.FLOAT32] * 3, version=9)
    versions.settle(model)
    assert model.operatorCodes[0].version == 9
