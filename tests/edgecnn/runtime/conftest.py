"""A tiny real model, made here: it says which colour an image is mostly."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

if "scripted" not in sys.modules:  # tests have no packages: `from scripted import Scripted` finds it here
    found = importlib.util.spec_from_file_location("scripted", Path(__file__).with_name("scripted.py"))
    sys.modules["scripted"] = importlib.util.module_from_spec(found)
    found.loader.exec_module(sys.modules["scripted"])

NAMES = ("red", "green", "blue")


def build(
    *,
    shape=(1, 8, 6, 3),
    signature=None,
    dtype="float32",
    quantization=None,
    classes=None,
    end="SOFTMAX",
    output_dtype=None,
    output_quantization=None,
    output_names=("scores",),
    description="",
    gain=4.0,
    weights=None,
):
    """A `.tflite` file: mean over the image, one score for each channel, `end` after it.

    Args:
        shape: of the input as stored.
        signature: of the input, -1 where it is free; None leaves it out.
        dtype: of input and, unless said otherwise, output.
        quantization: (scale, zero point) of the input.
        classes: rows of the weights; class k is channel k modulo the channels.
        end: "SOFTMAX", "LOGISTIC", "RESHAPE" (after a softmax), "CUSTOM" or None.
        output_dtype: of the output.
        output_quantization: (scale, zero point) of the output.
        output_names: several names give the same output several times, as different tensors.
        description: of the file.
        gain: weight of a channel.
        weights: float values instead of the identity.
    """
    channels = shape[1] if shape[1] in (1, 3) and shape[3] not in (1, 3) else shape[-1]
    if weights is not None:
        classes = len(weights)
    classes = channels if classes is None else classes
    types = {
        name.lower(): getattr(schema.TensorType, name) for name in dir(schema.TensorType) if name.isupper()
    }
    operators = schema.BuiltinOperator
    buffers, tensors, ops, codes = [b""], [], [], []

    def tensor(name, shape, dtype, quantization=None, data=None, signature=None):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, list(shape), types[dtype], 0
        made.shapeSignature = list(signature) if signature else None
        if data is not None:
            made.buffer = len(buffers)
            buffers.append(np.ascontiguousarray(data).tobytes())
        if quantization is not None:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [quantization[0]], [quantization[1]]
        tensors.append(made)
        return len(tensors) - 1

    def op(kind, inputs, outputs, options=None, options_type=None, custom=None):
        code = schema.OperatorCodeT()
        number = getattr(operators, kind)
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
        if dtype == "int8" and kind in ("MEAN", "SOFTMAX", "LOGISTIC"):
            code.version = 2
        if dtype == "int8" and kind == "FULLY_CONNECTED":
            code.version = 4
        code.customCode = custom
        codes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = len(codes) - 1, inputs, outputs
        if options is not None:
            made.builtinOptions, made.builtinOptionsType = (
                options,
                getattr(schema.BuiltinOptions, options_type),
            )
        ops.append(made)

    entrance = tensor("image", shape, dtype, quantization, signature=signature)
    axes = tensor("axes", (2,), "int32", data=np.array([1, 2], np.int32))
    means = tensor("means", (1, channels), dtype, quantization)
    reducer = schema.ReducerOptionsT()
    op("MEAN", [entrance, axes], [means], reducer, "ReducerOptions")

    values = np.zeros((classes, channels)) if weights is None else np.asarray(weights, np.float64)
    if weights is None:
        values[np.arange(classes), np.arange(classes) % channels] = gain
    logits_quantization = None
    if dtype == "float32":
        weight = tensor("weights", values.shape, dtype, data=values.astype(np.float32))
        bias = tensor("bias", (classes,), dtype, data=np.zeros(classes, np.float32))
    else:
        weight_quantization = (float(np.abs(values).max()) / 127, 128 if dtype == "uint8" else 0)
        stored = np.rint(values / weight_quantization[0]) + weight_quantization[1]
        weight = tensor("weights", values.shape, dtype, weight_quantization, data=stored.astype(dtype))
        bias_quantization = (weight_quantization[0] * quantization[0], 0)
        bias = tensor("bias", (classes,), "int32", bias_quantization, data=np.zeros(classes, np.int32))
        logits_quantization = (gain / 100, 128 if dtype == "uint8" else 0)
    last = [tensor(name, (1, classes), dtype, logits_quantization) for name in output_names]
    for made in last:
        op(
            "FULLY_CONNECTED",
            [means, weight, bias],
            [made],
            schema.FullyConnectedOptionsT(),
            "FullyConnectedOptions",
        )
    if end is not None:
        for made in last:
            tensors[made].name = f"logits of {tensors[made].name}"
        final_dtype = output_dtype or dtype
        standard = {"float32": None, "int8": (1 / 256, -128), "uint8": (1 / 256, 0)}[final_dtype]
        final = [
            tensor(name, (1, classes), final_dtype, output_quantization or standard) for name in output_names
        ]
        for source, target in zip(last, final, strict=True):
            if end == "RESHAPE":
                between = tensor("flat", (1, 1, 1, classes), final_dtype, output_quantization or standard)
                wide = tensor("wide", (1, 1, 1, classes), dtype, logits_quantization)
                for into, start, stop in (
                    ((1, 1, 1, classes), source, wide),
                    ((1, classes), between, target),
                ):
                    to = tensor("to", (len(into),), "int32", data=np.array(into, np.int32))
                    reshape = schema.ReshapeOptionsT()
                    reshape.newShape = list(into)
                    op("RESHAPE", [start, to], [stop], reshape, "ReshapeOptions")
                    if stop == wide:
                        softmax = schema.SoftmaxOptionsT()
                        softmax.beta = 1.0
                        op("SOFTMAX", [wide], [between], softmax, "SoftmaxOptions")
            elif end == "SOFTMAX":
                softmax = schema.SoftmaxOptionsT()
                softmax.beta = 1.0
                op("SOFTMAX", [source], [target], softmax, "SoftmaxOptions")
            elif end == "CUSTOM":
                op("CUSTOM", [source], [target], custom=description)
            else:
                op(end, [source], [target])
        last = final

    graph = schema.SubGraphT()
    graph.name, graph.tensors, graph.operators, graph.inputs, graph.outputs = (
        "main",
        tensors,
        ops,
        [entrance],
        last,
    )
    model = schema.ModelT()
    model.version, model.description, model.subgraphs, model.operatorCodes = 3, description, [graph], codes
    model.buffers = []
    for data in buffers:
        made_buffer = schema.BufferT()
        made_buffer.data = np.frombuffer(data, np.uint8) if data else None
        model.buffers.append(made_buffer)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.fixture(scope="session")
def tflite() -> Callable[..., bytes]:
    """`build`, the maker of a tiny model."""
    return build


@pytest.fixture
def model_file(tmp_path, tflite):
    """Write a tiny model made by `build` and give its path."""

    def write(name="colour.tflite", **what):
        path = tmp_path / name
        path.write_bytes(tflite(**what))
        return path

    return write


@pytest.fixture(scope="session")
def coloured():
    """An image of one colour: `coloured("red", height=.., width=..)`, uint8 BGR."""

    def make(name, height=48, width=64):
        image = np.full((height, width, 3), 20, np.uint8)
        image[..., 2 - NAMES.index(name)] = 230
        return image

    return make
