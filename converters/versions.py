"""Operator versions that are true: what a runtime must know to run the operators of a file.

Runtimes forgive a lower number, tools that ask for the runtime a file needs do not. Source:
tensorflow/lite/tools/versioning/op_version.cc.
"""

from typing import Any, Final

from ai_edge_litert import schema_py_generated as schema

from calibration.editable import Model

_TYPES: Final = schema.TensorType

_INT8: Final = {
    **dict.fromkeys(("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "DEQUANTIZE", "LOGISTIC"), 2),
    **dict.fromkeys(("MAX_POOL_2D", "MAXIMUM", "MEAN", "MINIMUM", "MIRROR_PAD", "MUL", "PACK", "PAD"), 2),
    **dict.fromkeys(("PADV2", "RELU", "RELU6", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SLICE"), 2),
    **dict.fromkeys(("SOFTMAX", "SPLIT", "STRIDED_SLICE", "SUB", "TANH", "TRANSPOSE", "UNPACK"), 2),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), 3),
    "FULLY_CONNECTED": 4,
    "TRANSPOSE_CONV": 2,
}
"""The first version that takes int8."""

_INT16: Final = {
    **dict.fromkeys(("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "DEQUANTIZE", "LOGISTIC"), 3),
    **dict.fromkeys(("MAX_POOL_2D", "MEAN", "MIRROR_PAD", "PACK", "PAD", "PADV2", "RELU", "RELU6"), 3),
    **dict.fromkeys(("SOFTMAX", "TANH"), 3),
    **dict.fromkeys(("MAXIMUM", "MINIMUM", "MUL", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), 4),
    **dict.fromkeys(("SLICE", "SPLIT", "UNPACK"), 4),
    **dict.fromkeys(("DEPTHWISE_CONV_2D", "SUB", "TRANSPOSE"), 5),
    "CONV_2D": 4,
    "FULLY_CONNECTED": 7,
    "QUANTIZE": 2,
}
"""The first version that takes int16. TFLiteConverter writes those of int8, which know nothing of int16."""

_HYBRID: Final = {"CONV_2D": (2, 5), "DEPTHWISE_CONV_2D": (4, 6), "FULLY_CONNECTED": (3, 12)}
"""The first version with float activations and int8 weights: one scale, and one for each channel."""

_DATA: Final = {"SPLIT": 1, "TRANSPOSE_CONV": 2}
"""Which input is the activation, where it is not the first."""

_KINDS: Final = {
    code: kind for kind, code in vars(schema.BuiltinOperator).items() if not kind.startswith("_")
}


def settle(model: Model) -> None:
    """Raise the version of every operator code of the main subgraph to what its operators need."""
    graph = model.subgraphs[0]
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        code.version = max(code.version, _needed(_KINDS.get(code.builtinCode, ""), operator, graph.tensors))


def _needed(kind: str, operator: Any, tensors: Any) -> int:
    position = _DATA.get(kind, 0)
    if operator.inputs is None or len(operator.inputs) <= position:
        return 1
    data = tensors[operator.inputs[position]]
    if kind == "QUANTIZE":
        return _INT16[kind] if tensors[operator.outputs[0]].type == _TYPES.INT16 else 1
    if kind == "DEQUANTIZE" and data.type == _TYPES.FLOAT16:
        return 3
    if kind == "DEQUANTIZE" and data.type == _TYPES.INT8 and _scales(data) > 1:
        return 5
    if data.type == _TYPES.INT8:
        return _INT8.get(kind, 1)
    if data.type == _TYPES.INT16:
        return _INT16.get(kind, 1)
    if data.type == _TYPES.FLOAT32 and kind in _HYBRID:
        weights = tensors[operator.inputs[1]]
        if weights.type == _TYPES.INT8:
            return _HYBRID[kind][_scales(weights) > 1]
    return 1


def _scales(tensor: Any) -> int:
    quantization = tensor.quantization
    return 0 if quantization is None or quantization.scale is None else len(quantization.scale)
