"""Tiny .tflite files, one operator each: seeds for the fuzzer, fixtures for the tests.

`python benchmarks/one_op_models.py DIR` writes every one that the interpreter runs, and prints their names.
Needs ai-edge-litert (its generated schema is the writer).
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

DTYPES = {
    "float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "string": 5, "bool": 6, "int16": 7,
    "int8": 9,
}  # fmt: skip
OPTION_NUMBERS = {name: number for name, number in vars(schema.BuiltinOptions).items() if name[0] != "_"}


@dataclass
class T:
    """A tensor to be written: constant when it has data; quantized when it has a scale."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    data: Any = None
    scale: float | Sequence[float] | None = None
    zero_point: int | Sequence[int] = 0
    dimension: int = 0
    variable: bool = False


def tensor(spec: T, name: str, buffers: list[Any]) -> Any:
    """The schema's object for one tensor; its data joins `buffers`."""
    made = schema.TensorT(
        shape=list(spec.shape), type=DTYPES[spec.dtype], name=name, isVariable=spec.variable
    )
    if spec.data is not None:
        values = np.broadcast_to(np.asarray(spec.data, dtype=spec.dtype), spec.shape)
        buffers.append(schema.BufferT(data=np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)))
        made.buffer = len(buffers) - 1
    if spec.scale is not None:
        scale = np.atleast_1d(np.asarray(spec.scale, np.float32))
        zero = np.broadcast_to(np.atleast_1d(np.asarray(spec.zero_point, np.int64)), scale.shape)
        made.quantization = schema.QuantizationParametersT(
            scale=scale, zeroPoint=np.ascontiguousarray(zero), quantizedDimension=spec.dimension
        )
    return made


def operator(model: Any, kind: str, options: str | None, settings: dict[str, Any]) -> Any:
    """The schema's object for one operator; its code joins the model's."""
    number = getattr(schema.BuiltinOperator, kind)
    code = schema.OperatorCodeT(deprecatedBuiltinCode=min(number, 127), builtinCode=number, version=1)
    model.operatorCodes.append(code)
    made = schema.OperatorT(opcodeIndex=len(model.operatorCodes) - 1)
    if options:
        made.builtinOptionsType = OPTION_NUMBERS[options + "Options"]
        made.builtinOptions = getattr(schema, options + "OptionsT")()
        for name, value in settings.items():
            if not hasattr(made.builtinOptions, name):
                raise AttributeError(f"{options} has no {name}")
            setattr(made.builtinOptions, name, value)
    return made


def pack(model: Any) -> bytes:
    """The file's bytes."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def empty_model() -> Any:
    """A model with the empty buffer and nothing else."""
    return schema.ModelT(
        version=3, operatorCodes=[], subgraphs=[], buffers=[schema.BufferT()], description="one operator"
    )


def one(
    kind: str, inputs: Sequence[T | None], outputs: Sequence[T], options: str | None = None, **settings: Any
) -> bytes:
    """A file with one operator; inputs without data become the graph's inputs."""
    model = empty_model()
    made = operator(model, kind, options, settings)
    graph = schema.SubGraphT(tensors=[], inputs=[], outputs=[], operators=[made], name="main")
    model.subgraphs = [graph]
    made.inputs, made.outputs = [], []
    for specs, indices, side in ((inputs, made.inputs, "in"), (outputs, made.outputs, "out")):
        for number, spec in enumerate(specs):
            if spec is None:
                indices.append(-1)
                continue
            graph.tensors.append(tensor(spec, f"{side}{number}", model.buffers))
            indices.append(len(graph.tensors) - 1)
            if side == "in" and spec.data is None and not spec.variable:
                graph.inputs.append(indices[-1])
    graph.outputs = list(made.outputs)
    return pack(model)


def control_flow() -> Iterator[tuple[str, bytes]]:
    """IF and WHILE with their subgraphs."""
    scalar, vector = T((), "bool"), T((4,))
    model = empty_model()
    branch = operator(model, "IF", "If", {"thenSubgraphIndex": 1, "elseSubgraphIndex": 2})
    branch.inputs, branch.outputs = [0, 1], [2]
    main = schema.SubGraphT(operators=[branch], inputs=[0, 1], outputs=[2])
    main.tensors = [tensor(spec, f"t{n}", model.buffers) for n, spec in enumerate([scalar, vector, vector])]
    model.subgraphs = [main]
    for kind in ("ABS", "NEG"):
        body = operator(model, kind, kind.capitalize(), {})
        body.inputs, body.outputs = [0], [1]
        graph = schema.SubGraphT(operators=[body], inputs=[0], outputs=[1])
        graph.tensors = [tensor(vector, f"b{n}", model.buffers) for n in range(2)]
        model.subgraphs.append(graph)
    yield "if", pack(model)

    model, count = empty_model(), T((1,), "int32")
    loop = operator(model, "WHILE", "While", {"condSubgraphIndex": 1, "bodySubgraphIndex": 2})
    loop.inputs, loop.outputs = [0], [1]
    main = schema.SubGraphT(operators=[loop], inputs=[0], outputs=[1])
    main.tensors = [tensor(count, f"t{n}", model.buffers) for n in range(2)]
    less = operator(model, "LESS", "Less", {})
    less.inputs, less.outputs = [0, 1], [2]
    condition = schema.SubGraphT(operators=[less], inputs=[0], outputs=[2])
    specs = [count, T((1,), "int32", [10]), T((1,), "bool")]
    condition.tensors = [tensor(spec, f"c{n}", model.buffers) for n, spec in enumerate(specs)]
    add = operator(model, "ADD", "Add", {})
    add.inputs, add.outputs = [0, 1], [2]
    body = schema.SubGraphT(operators=[add], inputs=[0], outputs=[2])
    specs = [count, T((1,), "int32", [3]), count]
    body.tensors = [tensor(spec, f"b{n}", model.buffers) for n, spec in enumerate(specs)]
    model.subgraphs = [main, condition, body]
    yield "while", pack(model)


def quantized(dtype: str) -> Any:
    """A maker of tensors of that type: with a scale unless they hold plain numbers."""
    scale = None if dtype in ("float32", "float16", "int32", "int64", "bool") else 0.02

    def make(
        *shape: int, data: Any = None, weights: bool = False, bias: bool = False, scale_: float = 0.0
    ) -> T:
        if bias and scale is not None:
            return T(shape, "int64" if dtype == "int16" else "int32", data, scale=0.0004)
        kind = "int8" if weights and dtype == "int16" else dtype
        if scale is None:
            return T(shape, kind, data)
        zero_point = -128 if scale_ == 1 / 256 and dtype == "int8" else 0
        return T(shape, kind, data, scale=scale_ or scale, zero_point=zero_point)

    return make


def shape_of(*values: int, dtype: str = "int32") -> T:
    """A constant list of integers."""
    return T((len(values),), dtype, values)


def convolutions(t: Any) -> Iterator[tuple[str, bytes]]:
    """Operators with weights."""
    image, out = t(1, 6, 6, 4), t(1, 6, 6, 8)
    weights, bias = t(8, 3, 3, 4, data=1, weights=True), t(8, data=3, bias=True)
    strides = {"strideW": 1, "strideH": 1, "padding": 0}
    yield "conv", one("CONV_2D", [image, weights, bias], [out], "Conv2D", **strides)
    yield (
        "conv_dilated",
        one(
            "CONV_2D", [image, weights, bias], [t(1, 2, 2, 8)], "Conv2D", strideW=1, strideH=1, padding=1,
            dilationWFactor=2, dilationHFactor=2, fusedActivationFunction=1,
        ),
    )  # fmt: skip
    yield "conv_no_bias", one("CONV_2D", [image, weights, None], [out], "Conv2D", **strides)
    depth = t(1, 3, 3, 8, data=1, weights=True)
    yield (
        "depthwise",
        one("DEPTHWISE_CONV_2D", [image, depth, bias], [t(1, 3, 3, 8)], "DepthwiseConv2D", strideW=2,
            strideH=2, padding=0, depthMultiplier=2),
    )  # fmt: skip
    yield (
        "depthwise_no_bias",
        one("DEPTHWISE_CONV_2D", [image, depth, None], [t(1, 3, 3, 8)], "DepthwiseConv2D", strideW=2,
            strideH=2, padding=0, depthMultiplier=2),
    )  # fmt: skip
    yield (
        "depthwise_two_inputs",
        one("DEPTHWISE_CONV_2D", [image, depth], [t(1, 3, 3, 8)], "DepthwiseConv2D", strideW=2,
            strideH=2, padding=0, depthMultiplier=2),
    )  # fmt: skip
    yield "conv_two_inputs", one("CONV_2D", [image, weights], [out], "Conv2D", **strides)
    yield (
        "dense_two_inputs",
        one("FULLY_CONNECTED", [t(2, 4), t(5, 4, data=1, weights=True)], [t(2, 5)], "FullyConnected"),
    )
    dense = t(5, 4, data=1, weights=True)
    yield (
        "dense",
        one("FULLY_CONNECTED", [t(2, 4), dense, t(5, data=1, bias=True)], [t(2, 5)], "FullyConnected"),
    )
    yield "dense_no_bias", one("FULLY_CONNECTED", [t(2, 4), dense, None], [t(2, 5)], "FullyConnected")
    yield (
        "transpose_conv",
        one("TRANSPOSE_CONV", [shape_of(1, 12, 12, 8), weights, image, bias], [t(1, 12, 12, 8)],
            "TransposeConv", strideW=2, strideH=2, padding=0),
    )  # fmt: skip
    yield "batch_matmul", one("BATCH_MATMUL", [t(2, 3, 4), t(2, 4, 5)], [t(2, 3, 5)], "BatchMatMul")
    yield "prelu", one("PRELU", [image, t(1, 1, 4, data=1)], [image])


def elementwise(t: Any) -> Iterator[tuple[str, bytes]]:
    """Operators that keep the shape."""
    x, row = t(1, 4, 4, 3), t(3, data=1)
    for kind, options in (("ADD", "Add"), ("SUB", "Sub"), ("MUL", "Mul"), ("DIV", "Div")):
        yield kind.lower(), one(kind, [x, x], [x], options)
        yield kind.lower() + "_row", one(kind, [x, row], [x], options)
    for kind in ("MAXIMUM", "MINIMUM"):
        yield kind.lower(), one(kind, [x, row], [x], "MaximumMinimum")
    for kind in ("LESS", "GREATER", "LESS_EQUAL", "GREATER_EQUAL", "EQUAL", "NOT_EQUAL"):
        yield kind.lower(), one(kind, [x, x], [T((1, 4, 4, 3), "bool")])
    for kind in (
        "RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "TANH", "ELU", "HARD_SWISH", "GELU", "ABS", "NEG",
        "EXP", "LOG", "SQRT", "RSQRT", "SIN", "COS", "SQUARE", "FLOOR", "CEIL", "ROUND", "SIGN", "ZEROS_LIKE",
        "LOG_SOFTMAX",
        "L2_NORMALIZATION", "RELU_0_TO_1",
    ):  # fmt: skip
        final = {"LOGISTIC": 1 / 256, "TANH": 1 / 128}.get(kind, 0.0)
        yield kind.lower(), one(kind, [x], [t(1, 4, 4, 3, scale_=final)])
    for kind in ("SQUARED_DIFFERENCE", "FLOOR_DIV", "FLOOR_MOD", "POW", "ATAN2"):
        yield kind.lower(), one(kind, [x, x], [x])
    yield "softmax", one("SOFTMAX", [t(2, 7)], [t(2, 7, scale_=1 / 256)], "Softmax", beta=1.0)
    yield "leaky_relu", one("LEAKY_RELU", [x], [x], "LeakyRelu", alpha=0.2)
    yield (
        "lrn",
        one(
            "LOCAL_RESPONSE_NORMALIZATION",
            [x],
            [x],
            "LocalResponseNormalization",
            radius=2,
            bias=1.0,
            alpha=1.0,
            beta=0.5,
        ),
    )
    yield "add_n", one("ADD_N", [x, x, x], [x], "AddN")
    yield "cumsum", one("CUMSUM", [x, T((), "int32", 1)], [x], "Cumsum")
    for kind in ("LOGICAL_AND", "LOGICAL_OR"):
        yield kind.lower(), one(kind, [x, x], [x])
    yield "logical_not", one("LOGICAL_NOT", [x], [x])
    yield "select", one("SELECT", [T((1, 4, 4, 3), "bool"), x, x], [x], "Select")
    yield "select_v2", one("SELECT_V2", [T((1, 4, 4, 3), "bool"), x, row], [x], "SelectV2")
    yield "cast", one("CAST", [x], [T((1, 4, 4, 3), "float32")], "Cast")
    yield "quantize", one("QUANTIZE", [x], [T((1, 4, 4, 3), "int8", scale=0.03)], "Quantize")
    yield "dequantize", one("DEQUANTIZE", [x], [T((1, 4, 4, 3), "float32")], "Dequantize")
    yield "fake_quant", one("FAKE_QUANT", [x], [x], "FakeQuant", min=-1.0, max=1.0, numBits=8)


def windows(t: Any) -> Iterator[tuple[str, bytes]]:
    """Pooling, reduction, resizing, padding."""
    x = t(1, 6, 6, 4)
    for kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"):
        yield (
            kind.lower(),
            one(
                kind,
                [x],
                [t(1, 3, 3, 4)],
                "Pool2D",
                strideW=2,
                strideH=2,
                filterWidth=2,
                filterHeight=2,
                padding=1,
            ),
        )
    for kind in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL"):
        yield kind.lower(), one(kind, [x, shape_of(1, 2)], [t(1, 4)], "Reducer")
        yield (
            kind.lower() + "_keep",
            one(kind, [x, shape_of(1, 2)], [t(1, 1, 1, 4)], "Reducer", keepDims=True),
        )
    for kind, options in (
        ("RESIZE_BILINEAR", "ResizeBilinear"),
        ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighbor"),
    ):
        yield kind.lower(), one(kind, [x, shape_of(9, 9)], [t(1, 9, 9, 4)], options, halfPixelCenters=True)
    pads = T((4, 2), "int32", [[0, 0], [1, 1], [2, 0], [0, 0]])
    yield "pad", one("PAD", [x, pads], [t(1, 8, 8, 4)], "Pad")
    yield "padv2", one("PADV2", [x, pads, t(1, data=1)], [t(1, 8, 8, 4)], "PadV2")
    yield "mirror_pad", one("MIRROR_PAD", [x, pads], [t(1, 8, 8, 4)], "MirrorPad", mode=0)
    for kind, options in (("ARG_MAX", "ArgMax"), ("ARG_MIN", "ArgMin")):
        yield kind.lower(), one(kind, [x, T((), "int32", 3)], [T((1, 6, 6), "int32")], options, outputType=2)
    yield "topk", one("TOPK_V2", [t(2, 7), T((), "int32", 3)], [t(2, 3), T((2, 3), "int32")], "TopKV2")


def arrangements(t: Any) -> Iterator[tuple[str, bytes]]:
    """Operators that only move values."""
    x = t(1, 4, 4, 4)
    yield "reshape", one("RESHAPE", [x, shape_of(1, 64)], [t(1, 64)], "Reshape", newShape=[1, 64])
    yield "reshape_old", one("RESHAPE", [x], [t(1, 64)], "Reshape", newShape=[1, 64])
    yield "squeeze", one("SQUEEZE", [x], [t(4, 4, 4)], "Squeeze", squeezeDims=[0])
    yield "expand_dims", one("EXPAND_DIMS", [x, T((), "int32", 1)], [t(1, 1, 4, 4, 4)], "ExpandDims")
    yield "transpose", one("TRANSPOSE", [x, shape_of(0, 3, 1, 2)], [x], "Transpose")
    yield "concatenation", one("CONCATENATION", [x, x], [t(1, 4, 4, 8)], "Concatenation", axis=3)
    halves = [t(1, 4, 4, 2), t(1, 4, 4, 2)]
    yield "split", one("SPLIT", [T((), "int32", 3), x], halves, "Split", numSplits=2)
    yield (
        "split_v",
        one(
            "SPLIT_V",
            [x, shape_of(1, 3), T((), "int32", 3)],
            [t(1, 4, 4, 1), t(1, 4, 4, 3)],
            "SplitV",
            numSplits=2,
        ),
    )
    yield "slice", one("SLICE", [x, shape_of(0, 1, 1, 0), shape_of(1, 2, 2, 4)], [t(1, 2, 2, 4)], "Slice")
    corners = [shape_of(0, 1, 0, 0), shape_of(1, 4, 4, 4), shape_of(1, 2, 1, 1)]
    yield "strided_slice", one("STRIDED_SLICE", [x, *corners], [t(1, 2, 4, 4)], "StridedSlice", beginMask=1)
    yield "gather", one("GATHER", [x, shape_of(0, 3)], [t(1, 4, 4, 2)], "Gather", axis=3)
    yield "gather_nd", one("GATHER_ND", [x, T((1, 2), "int32", [[0, 1]])], [t(1, 4, 4)], "GatherNd")
    yield "space_to_depth", one("SPACE_TO_DEPTH", [x], [t(1, 2, 2, 16)], "SpaceToDepth", blockSize=2)
    yield "depth_to_space", one("DEPTH_TO_SPACE", [x], [t(1, 8, 8, 1)], "DepthToSpace", blockSize=2)
    crops = T((2, 2), "int32", 0)
    yield (
        "space_to_batch",
        one("SPACE_TO_BATCH_ND", [x, shape_of(2, 2), crops], [t(4, 2, 2, 4)], "SpaceToBatchND"),
    )
    yield (
        "batch_to_space",
        one("BATCH_TO_SPACE_ND", [t(4, 2, 2, 4), shape_of(2, 2), crops], [x], "BatchToSpaceND"),
    )
    yield "tile", one("TILE", [x, shape_of(1, 2, 1, 1)], [t(1, 8, 4, 4)], "Tile")
    yield "pack", one("PACK", [x, x], [t(2, 1, 4, 4, 4)], "Pack", valuesCount=2, axis=0)
    yield "unpack", one("UNPACK", [x], [t(1, 4, 4)] * 4, "Unpack", num=4, axis=1)
    yield "broadcast_to", one("BROADCAST_TO", [x, shape_of(2, 4, 4, 4)], [t(2, 4, 4, 4)], "BroadcastTo")
    yield "reverse", one("REVERSE_V2", [x, shape_of(1)], [x], "ReverseV2")
    yield "fill", one("FILL", [shape_of(2, 3), t(data=1)], [t(2, 3)], "Fill")
    yield "shape", one("SHAPE", [x], [T((4,), "int32")], "Shape", outType=2)
    yield "rank", one("RANK", [x], [T((), "int32")], "Rank")
    yield "where", one("WHERE", [T((3, 3), "bool")], [T((9, 2), "int64")], "Where")
    yield (
        "one_hot",
        one(
            "ONE_HOT",
            [T((3,), "int32"), T((), "int32", 5), t(data=1), t(data=0)],
            [t(3, 5)],
            "OneHot",
            axis=-1,
        ),
    )
    yield "range", one("RANGE", [T((), "int32", 0), T((), "int32", 5), T((), "int32", 1)], [T((5,), "int32")])
    yield "embedding", one("EMBEDDING_LOOKUP", [T((3,), "int32"), t(5, 4, data=1)], [t(3, 4)])
    yield (
        "scatter",
        one("SCATTER_ND", [T((2, 1), "int32", [[0], [2]]), t(2, 4), shape_of(5, 4)], [t(5, 4)], "ScatterNd"),
    )
    yield (
        "reverse_sequence",
        one("REVERSE_SEQUENCE", [x, T((1,), "int32", [3])], [x], "ReverseSequence", seqDim=1, batchDim=0),
    )
    yield "unique", one("UNIQUE", [t(5)], [t(5), T((5,), "int32")], "Unique", idxOutType=2)
    yield (
        "update_slice",
        one("DYNAMIC_UPDATE_SLICE", [x, t(1, 2, 2, 4), T((4,), "int32", 0)], [x], "DynamicUpdateSlice"),
    )


def network(dtype: str) -> bytes:
    """A small detector-like network, so that operators can be wired to each other's tensors."""
    t = quantized(dtype)
    specs = {
        "image": t(1, 16, 16, 3), "w1": t(8, 3, 3, 3, data=1, weights=True), "b1": t(8, data=1, bias=True),
        "a": t(1, 8, 8, 8), "w2": t(1, 3, 3, 8, data=1, weights=True), "b": t(1, 8, 8, 8),
        "w3": t(8, 1, 1, 8, data=1, weights=True), "c": t(1, 8, 8, 8), "d": t(1, 8, 8, 8),
        "pads": T((4, 2), "int32", [[0, 0], [0, 1], [0, 1], [0, 0]]), "e": t(1, 9, 9, 8), "f": t(1, 4, 4, 8),
        "size": shape_of(8, 8), "g": t(1, 8, 8, 8), "h": t(1, 8, 8, 16), "axis": T((), "int32", 3),
        "i": t(1, 8, 8, 8), "j": t(1, 8, 8, 8), "k": t(1, 8, 8, 8), "axes": shape_of(1, 2), "l": t(1, 8),
        "w4": t(5, 8, data=1, weights=True), "b4": t(5, data=1, bias=True), "m": t(1, 5),
        "n": t(1, 5, scale_=1 / 256), "list": shape_of(-1, 16), "o": t(4, 16), "p": t(4, 16, scale_=1 / 256),
        "w5": t(4, 3, 3, 8, data=1, weights=True), "big": shape_of(1, 16, 16, 4), "q": t(1, 16, 16, 4),
        "begin": shape_of(0, 2, 2, 0), "end": shape_of(1, 6, 6, 4), "steps": shape_of(1, 2, 2, 1),
        "r": t(1, 2, 2, 4), "order": shape_of(0, 3, 1, 2), "s": t(1, 4, 2, 2),
        "u": t(1, 4, 2, 2, scale_=1 / 256), "b5": t(4, data=1, bias=True), "v": t(1, 64),
    }  # fmt: skip
    conv = {"strideW": 1, "strideH": 1, "padding": 0}
    halving = {"strideW": 2, "strideH": 2, "padding": 0}
    rows = [
        ("CONV_2D", "image w1 b1", "a", "Conv2D", {**halving, "fusedActivationFunction": 1}),
        ("DEPTHWISE_CONV_2D", "a w2 b1", "b", "DepthwiseConv2D", {**conv, "depthMultiplier": 1}),
        ("CONV_2D", "b w3 b1", "c", "Conv2D", conv),
        ("ADD", "a c", "d", "Add", {}),
        ("PAD", "d pads", "e", "Pad", {}),
        ("MAX_POOL_2D", "e", "f", "Pool2D", {**halving, "filterWidth": 2, "filterHeight": 2, "padding": 1}),
        ("RESIZE_BILINEAR", "f size", "g", "ResizeBilinear", {"halfPixelCenters": True}),
        ("CONCATENATION", "d g", "h", "Concatenation", {"axis": 3}),
        ("SPLIT", "axis h", "i j", "Split", {"numSplits": 2}),
        ("MUL", "i j", "k", "Mul", {}),
        ("MEAN", "k axes", "l", "Reducer", {}),
        ("FULLY_CONNECTED", "l w4 b4", "m", "FullyConnected", {}),
        ("SOFTMAX", "m", "n", "Softmax", {"beta": 1.0}),
        ("RESHAPE", "v list", "o", "Reshape", {"newShape": [-1, 16]}),
        ("LOGISTIC", "o", "p", None, {}),
        ("TRANSPOSE_CONV", "big w5 k b5", "q", "TransposeConv", halving),
        ("STRIDED_SLICE", "q begin end steps", "r", "StridedSlice", {}),
        ("TRANSPOSE", "r order", "s", "Transpose", {}),
        ("LOGISTIC", "s", "u", None, {}),
    ]  # fmt: skip
    model = empty_model()
    graph = schema.SubGraphT(tensors=[], operators=[], name="main")
    places = {}
    for name, spec in specs.items():
        places[name] = len(graph.tensors)
        graph.tensors.append(tensor(spec, name, model.buffers))
    for kind, inputs, outputs, options, settings in rows:
        made = operator(model, kind, options, settings)
        made.inputs = [places[name] for name in inputs.split()]
        made.outputs = [places[name] for name in outputs.split()]
        graph.operators.append(made)
    graph.inputs = [places["image"], places["v"]]
    graph.outputs = [places[name] for name in ("n", "p", "u")]
    model.subgraphs = [graph]
    return pack(model)


def sparse() -> bytes:
    """Weights (4, 16) stored as blocks of 1 by 4, unpacked by DENSIFY, in a dense layer."""
    model = empty_model()
    graph = schema.SubGraphT(tensors=[], operators=[], inputs=[0], outputs=[3], name="main")
    specs = {"x": T((2, 16)), "packed": T((3, 4), data=1), "weights": T((4, 16)), "y": T((2, 4))}
    graph.tensors = [tensor(spec, name, model.buffers) for name, spec in specs.items()]
    dense, csr = schema.DimensionType.DENSE, schema.DimensionType.SPARSE_CSR
    numbers = schema.SparseIndexVector.Int32Vector
    rows = schema.Int32VectorT(values=[0, 1, 1, 2, 3])
    graph.tensors[1].shape = [4, 16]
    graph.tensors[1].sparsity = schema.SparsityParametersT(
        traversalOrder=[0, 1, 2],
        blockMap=[1],
        dimMetadata=[
            schema.DimensionMetadataT(format=dense, denseSize=4),
            schema.DimensionMetadataT(
                format=csr, arraySegmentsType=numbers, arraySegments=rows, arrayIndicesType=numbers,
                arrayIndices=schema.Int32VectorT(values=[0, 3, 2]),
            ),
            schema.DimensionMetadataT(format=dense, denseSize=4),
        ],
    )  # fmt: skip
    unpack = operator(model, "DENSIFY", "Densify", {})
    unpack.inputs, unpack.outputs = [1], [2]
    multiply = operator(model, "FULLY_CONNECTED", "FullyConnected", {})
    multiply.inputs, multiply.outputs = [0, 2, -1], [3]
    graph.operators = [unpack, multiply]
    model.subgraphs = [graph]
    return pack(model)


def models() -> Iterator[tuple[str, bytes]]:
    """Every model, whether the interpreter likes it or not."""
    yield from control_flow()
    yield "sparse", sparse()
    for dtype in ("float32", "int8", "uint8"):
        yield f"network_{dtype}", network(dtype)
    for dtype in ("float32", "int8", "uint8", "int16", "int32", "bool"):
        yield from of_type(dtype)


def of_type(dtype: str) -> Iterator[tuple[str, bytes]]:
    """Every operator's model in one type."""
    t = quantized(dtype)
    for family in (convolutions, elementwise, windows, arrangements):
        for name, content in family(t):
            yield f"{name}_{dtype}", content


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in models():
        (folder / f"{name}.tflite").write_bytes(content)
        print(name)
