import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as generated
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.errors import ModelError
from edgecnn.graph import Graph, check, read
from edgecnn.graph import schema as ours

MODELS = (
    "coral/deeplabv3_mnv2_dm05_pascal_quant",
    "coral/keras_lstm_mnist_ptq",
    "coral/keras_lstm_mnist_ptq_edgetpu",
    "coral/mobilenet_v1_0.25_128_quant",
    "coral/mobilenet_v2_1.0_224_quant",
    "coral/model_invoking_error",
    "coral/posenet_mobilenet_v1_075_353_481_16_quant_decoder",
    "coral/split_concat",
    "coral/tf2_mobilenet_v2_1.0_224_ptq",
    "tasks/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29",
    "tasks/deeplabv3",
    "tasks/mobilenet_v1_0.25_224_1_metadata_1",
    "tasks/mobilenet_v1_0.25_224_quant",
)


def model(shared: Path, name: str) -> Path:
    return shared / "models" / f"{name}.tflite"


def text(value: Any) -> str:
    return (value or b"").decode()


def listed(vector: Any) -> list[Any]:
    return [] if vector is None else list(vector)


@pytest.fixture
def tiny(write: ModuleType) -> bytes:
    content: bytes = write.one("RELU", [write.T((1, 2))], [write.T((1, 2))])
    return content


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(b"")
    with pytest.raises(ModelError, match=r"a\.tflite: the file is empty"):
        read(tmp_path / "a.tflite")


@pytest.mark.parametrize("name", ["nothing.tflite", "."])
def test_what_cannot_be_opened_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a .tflite file"),
        (b"TFL3", "not a .tflite file"),
        (b"PK\x03\x04 and more", r"a zip, perhaps a \.keras"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"0123456789", "bytes 4 to 7 are b'4567' instead of b'TFL3'"),
    ],
)
def test_another_kind_of_file_is_recognized(content: bytes, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        read(content)


@pytest.mark.parametrize("name", MODELS)
def test_everything_read_is_what_the_generated_schema_reads(shared: Path, name: str) -> None:
    content = model(shared, name).read_bytes()
    graph = read(content)
    oracle = generated.ModelT.InitFromObj(generated.Model.GetRootAs(content, 0))
    assert graph.description == text(oracle.description)
    assert len(graph.subgraphs) == len(oracle.subgraphs)
    assert [s.key for s in graph.signatures] == [text(s.signatureKey) for s in listed(oracle.signatureDefs)]
    assert set(graph.metadata) == {text(entry.name) for entry in listed(oracle.metadata)}
    for entry in listed(oracle.metadata):
        assert graph.metadata[text(entry.name)].tobytes() == oracle.buffers[entry.buffer].data.tobytes()
    for subgraph, theirs in zip(graph.subgraphs, oracle.subgraphs, strict=True):
        assert list(subgraph.inputs) == listed(theirs.inputs)
        assert list(subgraph.outputs) == listed(theirs.outputs)
        assert_tensors(graph, subgraph.tensors, theirs.tensors, oracle)
        assert_operators(subgraph.ops, theirs.operators, oracle)


def assert_tensors(graph: Graph, tensors: Any, theirs: Any, oracle: Any) -> None:
    for tensor, other in zip(tensors, theirs, strict=True):
        assert tensor.name == text(other.name)
        assert list(tensor.shape) == listed(other.shape)
        assert tensor.dtype == list(ours.TENSOR_TYPES)[other.type]
        assert list(tensor.shape_signature or ()) == listed(other.shapeSignature)
        assert tensor.is_variable == other.isVariable
        quantization = other.quantization
        assert tensor.scale.tolist() == listed(quantization and quantization.scale)
        assert tensor.zero_point.tolist() == listed(quantization and quantization.zeroPoint)
        assert tensor.quantized_dimension == (quantization.quantizedDimension if quantization else 0)
        data = oracle.buffers[other.buffer].data if oracle.buffers else None
        assert tensor.is_constant == (data is not None and len(data) > 0)
        if tensor.is_constant:
            values = graph.data(tensor)
            assert values.tobytes() == data.tobytes()
            assert values.shape == tensor.shape
            assert not values.flags.writeable


def assert_operators(ops: Any, theirs: Any, oracle: Any) -> None:
    for operator, other in zip(ops, theirs, strict=True):
        code = oracle.operatorCodes[other.opcodeIndex]
        assert operator.kind == ours.OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]
        assert operator.version == code.version
        assert (operator.custom_code or "") == text(code.customCode)
        assert list(operator.inputs) == listed(other.inputs)
        assert list(operator.outputs) == listed(other.outputs)
        assert list(operator.intermediates) == listed(other.intermediates)
        assert operator.custom_options.tolist() == listed(other.customOptions)
        if other.builtinOptions is None:
            assert operator.options_kind is None
            continue
        assert type(other.builtinOptions).__name__ == f"{operator.options_kind}OptionsT"
        # fields of old files that the generated schema no longer shows come first (ResizeBilinear)
        fields = vars(other.builtinOptions)
        for mine, value in zip(
            list(operator.options.values())[::-1], list(fields.values())[::-1], strict=False
        ):
            if isinstance(mine, str):
                names = ours.PADDINGS if mine in ours.PADDINGS else ours.ACTIVATIONS
                assert names.index(mine) == value
            else:
                assert np.array_equal(mine, [] if value is None else value)


@pytest.mark.parametrize("name", MODELS)
def test_the_interpreter_sees_the_same_tensors(shared: Path, name: str) -> None:
    from ai_edge_litert.interpreter import Interpreter

    graph = read(model(shared, name))
    interpreter = Interpreter(str(model(shared, name)))
    assert [details["index"] for details in interpreter.get_input_details()] == list(graph.inputs)
    assert [details["index"] for details in interpreter.get_output_details()] == list(graph.outputs)
    for details in interpreter.get_tensor_details()[: len(graph.tensors)]:
        tensor = graph.tensors[details["index"]]
        assert details["name"] == tensor.name
        assert tuple(details["shape"]) == tensor.shape
        assert np.dtype(details["dtype"]) == np.dtype(tensor.dtype)


def test_an_operator_newer_than_we_are_has_a_number(write: ModuleType) -> None:
    made = write.empty_model()
    made.operatorCodes = [generated.OperatorCodeT(deprecatedBuiltinCode=127, builtinCode=4711, version=2)]
    operator = generated.OperatorT(inputs=[0], outputs=[1])
    tensors = [write.tensor(write.T((2,)), name, made.buffers) for name in "ab"]
    made.subgraphs = [generated.SubGraphT(tensors=tensors, inputs=[0], outputs=[1], operators=[operator])]
    graph = read(write.pack(made))
    assert (graph.ops[0].kind, graph.ops[0].version) == ("BUILTIN_4711", 2)


def test_an_old_file_has_only_the_short_code(write: ModuleType) -> None:
    made = write.empty_model()
    made.operatorCodes = [generated.OperatorCodeT(deprecatedBuiltinCode=19)]
    operator = generated.OperatorT(inputs=[0], outputs=[1])
    tensors = [write.tensor(write.T((2,)), name, made.buffers) for name in "ab"]
    made.subgraphs = [generated.SubGraphT(tensors=tensors, inputs=[0], outputs=[1], operators=[operator])]
    assert read(write.pack(made)).ops[0].kind == "RELU"


def test_constants_are_views_into_the_file(shared: Path) -> None:
    content = model(shared, "coral/split_concat").read_bytes()
    graph = read(content)
    constant = next(tensor for tensor in graph.tensors if tensor.is_constant)
    assert np.shares_memory(graph.data(constant), np.frombuffer(content, np.uint8))
    assert graph.size_bytes == len(content)


def test_a_tensor_without_values_has_no_data(tiny: bytes) -> None:
    graph = read(tiny)
    assert len(graph.data(graph.tensors[0])) == 0


def test_the_file_may_vanish_after_it_was_read(shared: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.tflite"
    path.write_bytes(model(shared, "coral/split_concat").read_bytes())
    graph = read(path)
    path.unlink()
    assert sum(int(graph.data(tensor).sum()) for tensor in graph.tensors if tensor.is_constant) >= 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: setattr(m, "version", 4), "schema version 4"),
        (lambda m: setattr(m, "subgraphs", []), "no subgraph"),
        (lambda m: setattr(m.subgraphs[0].tensors[0], "shape", [-1, 2]), r"tensor 0: shape \(-1, 2\)"),
        (
            lambda m: setattr(m.subgraphs[0].tensors[1], "shape", [2**31 - 1] * 3),
            "more than 2\\*\\*62 elements",
        ),
        (lambda m: setattr(m.subgraphs[0].tensors[1], "shape", [1] * 65), "65 dimensions"),
        (lambda m: setattr(m.subgraphs[0].tensors[1], "type", 99), "tensor 1: type 99"),
        (lambda m: setattr(m.subgraphs[0].tensors[1], "buffer", 9), "number 9, but there are only 1"),
        (lambda m: setattr(m.subgraphs[0].tensors[1], "externalBuffer", 1), "in another file"),
        (lambda m: setattr(m.subgraphs[0], "inputs", [2]), "an input is tensor 2, but there are only 2"),
        (lambda m: setattr(m.subgraphs[0], "outputs", [-1]), "an output is tensor -1"),
        (lambda m: setattr(m.subgraphs[0].operators[0], "inputs", [-2]), "operator 0: an input is tensor -2"),
        (lambda m: setattr(m.subgraphs[0].operators[0], "opcodeIndex", 7), "its code is number 7"),
        (lambda m: setattr(m.subgraphs[0].operators[0], "inputs", [0] * 99), "99 times an input"),
    ],
)
def test_what_leads_nowhere_is_named(tiny: bytes, write: ModuleType, change: Any, reason: str) -> None:
    made = generated.ModelT.InitFromObj(generated.Model.GetRootAs(tiny, 0))
    change(made)
    with pytest.raises(ModelError, match=reason) as caught:
        read(write.pack(made))
    assert "\n" not in str(caught.value)


def test_a_buffer_behind_the_flatbuffer_is_found(write: ModuleType) -> None:
    content = write.one("ADD", [write.T((2,)), write.T((2,), data=[1, 2])], [write.T((2,))], "Add")
    made = generated.ModelT.InitFromObj(generated.Model.GetRootAs(content, 0))
    made.buffers[1].data, made.buffers[1].offset, made.buffers[1].size = None, 4, 8
    length = len(write.pack(made))
    made.buffers[1].offset = length
    values = np.array([3, 4], np.float32).tobytes()
    graph = read(write.pack(made) + values)
    assert graph.data(graph.tensors[1]).tolist() == [3, 4]
    with pytest.raises(ModelError, match="buffer 1: 8 bytes at byte"):
        read(write.pack(made) + values[:7])


def survives(content: bytes) -> None:
    """Read and check; nothing but a ModelError of one line may come out."""
    message = ""
    try:
        check(read(content))
    except ModelError as error:
        message = str(error)
    assert "\n" not in message


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damaged_bytes_give_a_model_error_or_a_model(shared: Path, data: st.DataObject) -> None:
    content = bytearray(model(shared, "coral/split_concat").read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    survives(bytes(content))


def test_a_file_cut_off_anywhere_gives_a_model_error(shared: Path) -> None:
    content = model(shared, "coral/split_concat").read_bytes()
    refused = 0
    for length in range(0, len(content), 7):
        try:
            check(read(content[:length]))
        except ModelError:
            refused += 1
    assert refused > 0.9 * len(range(0, len(content), 7))


def test_a_large_network_is_read_and_checked_in_ten_milliseconds(shared: Path) -> None:
    path = model(shared, "coral/tf2_mobilenet_v2_1.0_224_ptq")
    times = []
    for _ in range(20):
        begin = time.process_time()
        check(read(path))
        times.append(time.process_time() - begin)
    assert min(times) < 0.010
