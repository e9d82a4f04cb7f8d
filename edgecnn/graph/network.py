"""A .tflite's main subgraph as a `Network` for the layer table.

Weights that are stored small and unpacked by an operator of their own (float16, sparse) count as the weights
they
are: their DEQUANTIZE or DENSIFY is no layer.
"""

from collections.abc import Mapping
from typing import Final

from edgecnn.graph.layers import Layer, Network, Pair, Value
from edgecnn.graph.lecture import same_padding
from edgecnn.graph.view import Graph, Operator, Tensor

_UNPACK: Final = frozenset({"DEQUANTIZE", "DENSIFY"})
_ROLLED: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
_POOLS: Final = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")
_REDUCTIONS: Final = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")
_LEARNED: Final = frozenset(
    {
        *_ROLLED, "FULLY_CONNECTED", "BATCH_MATMUL", "CONV_3D", "CONV_3D_TRANSPOSE", "ADD", "SUB", "MUL",
        "DIV", "PRELU", "EMBEDDING_LOOKUP", "GATHER", "LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "RNN", "SVDF",
        "BIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN",
    }
)  # fmt: skip


def network_of(graph: Graph) -> Network:
    """The main subgraph as layers, its inputs first."""
    tensors = graph.tensors
    stored = {tensor.index: tensor for tensor in tensors if tensor.is_constant}
    layers = [
        Layer(
            name=tensors[index].name,
            kind="input",
            inputs=(),
            outputs=(_value(tensors[index]),),
            quantization=tensors[index].dtype,
        )
        for index in graph.inputs
    ]
    counted: set[int] = set()
    for operator in graph.ops:
        if operator.kind in _UNPACK and operator.inputs and operator.inputs[0] in stored:
            stored[operator.outputs[0]] = stored[operator.inputs[0]]
            continue
        layers.append(_layer(graph, operator, stored, counted))
    state = sum(tensor.bytes for tensor in tensors if tensor.is_variable)
    return Network(tuple(layers), graph.outputs, state)


def _value(tensor: Tensor) -> Value:
    return Value(tensor.index, tensor.shape, tensor.bytes)


def _layer(graph: Graph, operator: Operator, stored: Mapping[int, Tensor], counted: set[int]) -> Layer:
    tensors = graph.tensors
    kind = operator.kind
    constants = [stored[index] for index in operator.inputs if index in stored]
    flowing = tuple(index for index in operator.inputs if index >= 0 and index not in stored)
    weights = [tensor for tensor in constants if _is_learned(tensor)] if kind in _LEARNED else []
    parameters = sum(tensor.elements for tensor in weights if tensor.buffer not in counted)
    counted.update(tensor.buffer for tensor in weights)
    kernel, filters = _kernel(graph, operator, stored)
    stride = (operator.options.get("stride_height", 1), operator.options.get("stride_width", 1))
    dilation = (operator.options.get("dilation_height", 1), operator.options.get("dilation_width", 1))
    zoom = _zoom(graph, operator, flowing)
    if kind == "SPACE_TO_DEPTH":
        stride = kernel or stride
    padding = ((0, 0), (0, 0))
    if kernel and operator.options.get("padding") == "SAME" and kind != "TRANSPOSE_CONV":
        size = tensors[flowing[0]].shape if flowing else ()
        reach = [(kernel[axis] - 1) * dilation[axis] + 1 for axis in (0, 1)]
        if len(size) == 4:
            padding = (
                same_padding(size[1], reach[0], s=stride[0]),
                same_padding(size[2], reach[1], s=stride[1]),
            )
    return Layer(
        name=tensors[operator.outputs[0]].name if operator.outputs else "",
        kind=operator.label,
        inputs=flowing,
        outputs=tuple(_value(tensors[index]) for index in operator.outputs),
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        filters=filters,
        zoom=zoom,
        sees_all=kind in ("FULLY_CONNECTED", "BATCH_MATMUL"),
        parameters=parameters,
        macs=operator.macs,
        quantization=_quantization(tensors[operator.outputs[0]], weights) if operator.outputs else "",
    )


def _is_learned(tensor: Tensor) -> bool:
    """Real numbers, or integers that stand for real numbers; lists of axes and sizes are neither."""
    return "float" in tensor.dtype or tensor.is_quantized


def _kernel(graph: Graph, operator: Operator, stored: Mapping[int, Tensor]) -> tuple[Pair | None, int | None]:
    """Window and number of filters."""
    kind, options = operator.kind, operator.options
    if kind in _ROLLED and len(operator.inputs) > 1:
        index = operator.inputs[1]
        shape = stored[index].shape if index in stored else graph.tensors[index].shape
        if len(shape) == 4:
            return (shape[1], shape[2]), shape[3] if kind == "DEPTHWISE_CONV_2D" else shape[0]
    if kind in _POOLS:
        return (options.get("filter_height", 1), options.get("filter_width", 1)), None
    if kind == "FULLY_CONNECTED" and len(operator.inputs) > 1:
        return None, graph.tensors[operator.inputs[1]].shape[0]
    if kind == "SPACE_TO_DEPTH":
        return (options.get("block_size", 1), options.get("block_size", 1)), None
    if kind in _REDUCTIONS and len(operator.inputs) > 1 and operator.inputs[1] in stored:
        shape = graph.tensors[operator.inputs[0]].shape
        axes = {int(axis) % 4 for axis in graph.data(stored[operator.inputs[1]]).ravel()}
        if len(shape) == 4 and axes >= {1, 2}:
            return (shape[1], shape[2]), None
    return None, None


def _zoom(graph: Graph, operator: Operator, flowing: tuple[int, ...]) -> tuple[float, float]:
    """How much larger the output is, where that is what the operator is for."""
    options = operator.options
    if operator.kind == "TRANSPOSE_CONV":
        return float(options.get("stride_height", 1)), float(options.get("stride_width", 1))
    if operator.kind == "DEPTH_TO_SPACE":
        return float(options.get("block_size", 1)), float(options.get("block_size", 1))
    if operator.kind.startswith("RESIZE") and flowing:
        before, after = graph.tensors[flowing[0]].shape, graph.tensors[operator.outputs[0]].shape
        if len(before) == len(after) == 4 and before[1] and before[2]:
            return after[1] / before[1], after[2] / before[2]
    return 1.0, 1.0


def _quantization(made: Tensor, weights: list[Tensor]) -> str:
    """Such as "int8, weights int8 per channel": the type of the values, then of the weights."""
    words = made.dtype
    widest = max(weights, key=lambda tensor: tensor.elements, default=None)
    if widest is None or (widest.dtype == made.dtype and not widest.is_quantized):
        return words
    words += f", weights {widest.dtype}"
    if widest.blockwise:
        return words + " per block"
    if len(widest.scale):
        words += " per channel" if len(widest.scale) > 1 else " per tensor"
    return words
