"""Strangers' float files, made as today's tools want them."""

from functools import cache

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from calibration import editable
from converters.from_tflite import check_float, float_file
from edgecnn.errors import ConversionError
from edgecnn.graph import check, read
from edgecnn.runtime.interpreter import open_interpreter

pytestmark = pytest.mark.tensorflow
ROLES = {"scores": 0}


@pytest.fixture(scope="module")
def converted(keras):
    """A function that converts a network with its batch left open, as people do."""
    from edgecnn.keras import tf

    @cache
    def make(layers, *, size=(8, 12), half=False, head=3):
        keras.utils.set_random_seed(3)
        image = keras.Input((*size, 3))
        x = image
        for layer in layers(keras.layers):
            x = layer(x)
        converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(image, keras.layers.Dense(head)(x)))
        if half:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        return bytes(converter.convert())

    return make


def convolved(layers):
    return [
        layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
        layers.DepthwiseConv2D(3),
        layers.GlobalAveragePooling2D(),
    ]


def reshaped(layers):
    """Its batch is counted while it runs: SHAPE, STRIDED_SLICE, PACK, RESHAPE."""
    return [layers.Conv2D(4, 3), layers.Reshape((-1, 2)), layers.Permute((2, 1)), layers.Flatten()]


def run(content, tensor, shape=None):
    interpreter = open_interpreter(content, "model", shapes={0: shape} if shape else None)
    interpreter.write(0, tensor)
    interpreter.invoke()
    return interpreter.read(0)


def assert_same(content, made, shape, tolerance=1e-5):
    for tensor in np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32):
        np.testing.assert_allclose(run(made, tensor), run(content, tensor, shape), atol=tolerance)


def changed(content, change):
    model = editable.read(content)
    change(model, model.subgraphs[0])
    return editable.write(model)


def test_a_file_without_operators_is_signed(converted):
    def empty(model, graph):
        graph.operators, graph.outputs = [], graph.inputs

    shape = (1, 8, 12, 3)
    made = float_file(changed(converted(convolved), empty), "empty", shape=shape, roles=ROLES)
    graph = read(made, "empty")
    assert graph.ops == ()
    assert dict(graph.signatures[0].outputs) == dict.fromkeys(["scores"], graph.inputs[0])


@pytest.mark.parametrize("layers", [convolved, reshaped])
@pytest.mark.parametrize("half", [False, True])
def test_an_open_batch_becomes_one_image_and_nothing_else_changes(converted, layers, half):
    content, shape = converted(layers, half=half), (1, 8, 12, 3)
    made = float_file(content, "net", shape=shape, roles=ROLES)
    graph = read(made, "net")
    check(graph)
    assert graph.tensors[graph.inputs[0]].shape == shape
    assert not any(tensor.is_dynamic for tensor in graph.tensors)
    assert {tensor.dtype for tensor in graph.tensors} <= {"float32", "int32"}
    assert not {operator.kind for operator in graph.ops} & {"SHAPE", "PACK", "STRIDED_SLICE", "DEQUANTIZE"}
    (signature,) = graph.signatures
    assert signature.key == "serving_default"
    assert dict(signature.inputs) == {"image": graph.inputs[0]}
    assert dict(signature.outputs) == {"scores": graph.outputs[0]}
    assert_same(content, made, shape)


@pytest.mark.parametrize("half", [False, True])
def test_an_open_size_becomes_the_one_asked_for(converted, half):
    content = converted(convolved, size=(None, None), half=half)
    for shape in ((1, 8, 12, 3), (1, 17, 9, 3)):
        made = float_file(content, "net", shape=shape, roles=ROLES)
        graph = read(made, "net")
        assert graph.tensors[graph.inputs[0]].shape == shape
        assert all(0 not in tensor.shape and not tensor.is_dynamic for tensor in graph.tensors)
        assert_same(content, made, shape)


def test_a_size_that_the_network_cannot_take_is_told(converted):
    content = converted(lambda layers: [layers.Conv2D(4, 5), layers.Flatten()], size=(8, 12))
    with pytest.raises(ConversionError, match=r"net: cannot run with one image of \(3, 3, 3\)"):
        float_file(content, "net", shape=(1, 3, 3, 3), roles=ROLES)


def test_an_old_file_is_brought_up_to_date(converted):
    """Codes of one byte, no signature, no names, the same name for several tensors."""

    def age(model, graph):
        for code in model.operatorCodes:
            code.builtinCode, code.version = 0, 1
        model.signatureDefs = model.metadata = None
        for index, tensor in enumerate(graph.tensors):
            tensor.name = b"same" if index % 2 else None

    content, shape = converted(convolved), (1, 8, 12, 3)
    made = float_file(changed(content, age), "old", shape=shape, roles=ROLES)
    model = editable.read(made)
    assert all(code.builtinCode == code.deprecatedBuiltinCode for code in model.operatorCodes)
    names = [tensor.name for tensor in model.subgraphs[0].tensors]
    assert len(set(names)) == len(names)
    assert None not in names
    assert_same(content, made, shape)


def test_squeezing_becomes_reshaping_so_that_it_can_be_quantized(converted):
    def squeeze(model, graph):
        """A 1 is put into the shape of the scores and taken out again."""
        (scores,) = graph.outputs
        for kind in (schema.BuiltinOperator.EXPAND_DIMS, schema.BuiltinOperator.SQUEEZE):
            code = schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = kind
            code.version = 1
            model.operatorCodes.append(code)
        axis = schema.BufferT()
        axis.data = np.frombuffer(np.array([1], np.int32).tobytes(), np.uint8)
        model.buffers.append(axis)
        for name, shape, dtype, buffer in (
            (b"axis", [1], schema.TensorType.INT32, len(model.buffers) - 1),
            (b"wide", [1, 1, 3], schema.TensorType.FLOAT32, 0),
            (b"narrow", [1, 3], schema.TensorType.FLOAT32, 0),
        ):
            tensor = schema.TensorT()
            tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, dtype, buffer
            graph.tensors.append(tensor)
        first = len(graph.tensors) - 3
        wide, narrow = schema.OperatorT(), schema.OperatorT()
        wide.opcodeIndex = len(model.operatorCodes) - 2
        wide.inputs, wide.outputs = [scores, first], [first + 1]
        wide.builtinOptionsType = schema.BuiltinOptions.ExpandDimsOptions
        wide.builtinOptions = schema.ExpandDimsOptionsT()
        narrow.opcodeIndex = len(model.operatorCodes) - 1
        narrow.inputs, narrow.outputs = [first + 1], [first + 2]
        narrow.builtinOptionsType = schema.BuiltinOptions.SqueezeOptions
        narrow.builtinOptions = schema.SqueezeOptionsT()
        narrow.builtinOptions.squeezeDims = [1]
        graph.operators += [wide, narrow]
        graph.outputs = [first + 2]

    shape = (1, 8, 12, 3)
    content = changed(converted(convolved), squeeze)
    assert [op.kind for op in read(content, "net").ops][-2:] == ["EXPAND_DIMS", "SQUEEZE"]
    made = float_file(content, "net", shape=shape, roles=ROLES)
    graph = read(made, "net")
    assert [op.kind for op in graph.ops][-2:] == ["RESHAPE", "RESHAPE"]
    check(graph)
    assert_same(content, made, shape)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("coral/mobilenet_v2_1.0_224_quant", "uint8 weights"),
        ("coral/tf2_mobilenet_v2_1.0_224_ptq", "int8 weights"),
        ("coral/keras_lstm_mnist_ptq", "int8 weights"),
        ("tasks/mobilenet_v1_0.25_224_quant", "uint8 weights"),
    ],
)
def test_quantized_files_are_refused_in_one_line(shared, name, found):
    path = shared / "models" / f"{name}.tflite"
    with pytest.raises(ConversionError, match=rf"is quantized already \({found}\); convert from the float"):
        check_float(read(path))


def test_weights_in_int8_between_floats_are_quantized_too(converted, keras):
    from converters.quantize import quantize

    content = float_file(converted(convolved), "net", shape=(1, 8, 12, 3), roles=ROLES)
    with pytest.raises(ConversionError, match="is quantized already"):
        check_float(read(quantize(content, "dynamic"), "dynamic"))


def test_inputs_of_integers_are_refused(converted):
    def integers(model, graph):
        graph.tensors[graph.inputs[0]].type = schema.TensorType.UINT8

    with pytest.raises(ConversionError, match="is uint8; a float model takes and gives float32"):
        check_float(read(changed(converted(convolved), integers), "net"))


def test_branches_are_refused(converted):
    def twice(model, graph):
        model.subgraphs = [graph, graph]

    with pytest.raises(ConversionError, match=r"has 2 subgraphs \(no call\)"):
        check_float(read(changed(converted(convolved), twice), "net"))
