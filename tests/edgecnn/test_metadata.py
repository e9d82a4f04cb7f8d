import struct
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as generated
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn import metadata
from edgecnn.archive import read_entries
from edgecnn.errors import CardError
from edgecnn.graph import Graph, read
from edgecnn.metadata import TensorFacts

MODELS = (
    "coral/mobilenet_v1_0.25_128_quant",
    "coral/mobilenet_v1_0.25_128_quant_edgetpu",
    "coral/mobilenet_v2_1.0_224_quant",
    "coral/tf2_mobilenet_v2_1.0_224_ptq",
    "tasks/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29",
    "tasks/deeplabv3",
    "tasks/mobilenet_v1_0.25_224_1_metadata_1",
    "tasks/mobilenet_v1_0.25_224_quant",
)


def model(shared: Path, name: str) -> Path:
    return shared / "models" / f"{name}.tflite"


def test_a_model_without_metadata_has_none(shared: Path) -> None:
    assert metadata.read(read(model(shared, "coral/split_concat"))) is None


@pytest.mark.parametrize("name", MODELS)
def test_real_metadata_describes_an_image(shared: Path, name: str) -> None:
    graph = read(model(shared, name))
    facts = metadata.read(graph)
    assert facts is not None
    assert facts.name
    (image,) = facts.inputs
    assert (image.content, image.color_space) == ("image", "rgb")
    assert (image.mean, image.std) == ((127.5,), (127.5,))
    assert len(facts.outputs) == len(graph.outputs)


@pytest.mark.parametrize(
    ("name", "output", "count", "some"),
    [
        ("coral/mobilenet_v2_1.0_224_quant", 0, 1001, {0: "background", 934: "cheeseburger"}),
        ("tasks/mobilenet_v1_0.25_224_quant", 0, 1001, {0: "background", 89: "macaw"}),
        ("tasks/deeplabv3", 0, 21, {0: "background", 15: "person"}),
        ("tasks/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29", 1, 90, {0: "person", 16: "cat"}),
        ("tasks/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29", 0, 0, {}),
    ],
)
def test_labels_come_out_of_the_zip_behind_the_model(
    shared: Path, name: str, output: int, count: int, some: dict[int, str]
) -> None:
    path = model(shared, name)
    graph = read(path)
    facts = metadata.read(graph)
    assert facts is not None
    labels = metadata.labels(graph, facts, output, read_entries(path))
    assert len(labels) == count
    for place, label in some.items():
        assert labels[place] == label


def test_the_kinds_of_outputs_are_told(shared: Path) -> None:
    facts = metadata.read(read(model(shared, "tasks/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29")))
    assert facts is not None
    assert [output.content for output in facts.outputs] == ["bounding_box", "feature", "feature", "feature"]
    assert facts.outputs[1].label_file is not None
    assert facts.outputs[1].label_file.kind == "value_labels"


# ---- written by Google's builder, for what no real file says


class Writer:
    """TFLite Metadata of one image input and one output."""

    def __init__(self) -> None:
        self.b = flatbuffers.Builder(0)

    def floats(self, values: list[float]) -> Any:
        return self.b.CreateNumpyVector(np.array(values, np.float32))

    def vector(self, offsets: list[Any]) -> Any:
        self.b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.b.PrependUOffsetTRelative(offset)
        return self.b.EndVector()

    def table(self, slots: dict[int, tuple[str, Any]]) -> Any:
        self.b.StartObject(max(slots, default=-1) + 1)
        for slot, (kind, value) in slots.items():
            if kind == "table":
                self.b.PrependUOffsetTRelativeSlot(slot, value, 0)
            else:
                self.b.PrependUint8Slot(slot, value, 0)
        return self.b.EndObject()

    def normalization(self, mean: list[float], std: list[float], kind: int = 1) -> Any:
        numbers = {slot: ("table", self.floats(v)) for slot, v in ((0, mean), (1, std)) if v}
        options = self.table(numbers)
        return self.table({0: ("byte", kind), 1: ("table", options)})

    def file(self, name: str, kind: int) -> Any:
        text = self.b.CreateString(name)
        return self.table({0: ("table", text), 2: ("byte", kind)})

    def tensor(self, units: list[Any], files: list[Any], content: int = 2, color: int = 1) -> Any:
        properties = self.table({0: ("byte", color)})
        made = self.table({0: ("byte", content), 1: ("table", properties)})
        processes, names = self.vector(units), self.vector(files)
        return self.table({3: ("table", made), 4: ("table", processes), 6: ("table", names)})

    def finish(self, inputs: list[Any], outputs: list[Any]) -> bytes:
        sides = {2: ("table", self.vector(inputs)), 3: ("table", self.vector(outputs))}
        graphs = self.vector([self.table(sides)])
        self.b.Finish(self.table({3: ("table", graphs)}), b"M001")
        return bytes(self.b.Output())


def written(
    mean: list[float],
    std: list[float],
    *,
    files: tuple[tuple[str, int], ...] = (),
    inputs: int = 1,
    kind: int = 1,
) -> bytes:
    writer = Writer()
    units = [writer.normalization(mean, std, kind)]
    tensor = writer.tensor(units, [])
    made = writer.tensor([], [writer.file(name, number) for name, number in files], content=1)
    return writer.finish([tensor] * inputs, [made])


def with_metadata(content: bytes) -> Graph:
    """A classifier of 3 classes, (1, 2, 2, 3) to (1, 3), that carries this metadata."""
    axes = np.frombuffer(np.array([1, 2], np.int32), np.uint8)
    tensors = [
        generated.TensorT(shape=[1, 2, 2, 3], name="image"),
        generated.TensorT(shape=[2], type=generated.TensorType.INT32, buffer=1),
        generated.TensorT(shape=[1, 3], name="scores"),
    ]
    mean = generated.OperatorT(inputs=[0, 1], outputs=[2])
    made = generated.ModelT(
        version=3,
        operatorCodes=[generated.OperatorCodeT(deprecatedBuiltinCode=40, builtinCode=40)],
        subgraphs=[generated.SubGraphT(tensors=tensors, inputs=[0], outputs=[2], operators=[mean])],
        buffers=[generated.BufferT(data=data) for data in (None, axes, np.frombuffer(content, np.uint8))],
        metadata=[generated.MetadataT(name="TFLITE_METADATA", buffer=2)],
    )
    builder = flatbuffers.Builder(0)
    builder.Finish(made.Pack(builder), b"TFL3")
    return read(bytes(builder.Output()))


def facts_of(content: bytes) -> TensorFacts:
    facts = metadata.read(with_metadata(content))
    assert facts is not None
    return facts.inputs[0]


@pytest.mark.parametrize(
    ("mean", "std"),
    [([], []), ([0.0], [1.0]), ([127.5], [127.5]), ([123.5, 116.25, 103.5], [58.5, 57.0, 57.5])],
)
def test_normalization_comes_back_as_written(mean: list[float], std: list[float]) -> None:
    facts = facts_of(written(mean, std))
    assert (list(facts.mean), list(facts.std)) == (mean, std)
    assert (facts.content, facts.color_space) == ("image", "rgb")


def test_another_process_unit_is_no_normalization() -> None:
    assert facts_of(written([1.0], [2.0], kind=3)).mean == ()


@pytest.mark.parametrize(
    ("mean", "std", "reason"),
    [
        ([0.0], [0.0], "a standard deviation of 0"),
        ([0.0], [-1.0], "a standard deviation of -1"),
        ([0.0], [float("nan")], "a standard deviation of nan"),
        ([0.0], [1e30], r"a standard deviation of 1e\+30"),
        ([float("inf")], [1.0], "a mean of inf"),
        ([-1e30], [1.0], r"a mean of -1e\+30"),
        ([0.0, 0.0], [1.0], "a mean of 2 numbers for 3 channels"),
        ([0.0], [1.0] * 4, "a standard deviation of 4 numbers for 3 channels"),
        ([0.0], [], "only one of mean and standard deviation"),
        ([], [1.0], "only one of mean and standard deviation"),
    ],
)
def test_impossible_normalization_is_named(mean: list[float], std: list[float], reason: str) -> None:
    with pytest.raises(CardError, match=rf"^model: the metadata of input 0 (has|states) {reason}"):
        facts_of(written(mean, std))


def test_metadata_may_describe_no_tensor() -> None:
    writer = Writer()
    facts = metadata.read(with_metadata(writer.finish([], [])))
    assert facts is not None
    assert (facts.inputs, facts.outputs) == ((), ())


def test_metadata_of_another_number_of_inputs_is_refused() -> None:
    with pytest.raises(CardError, match="describes 2 inputs, but the model has 1"):
        facts_of(written([0.0], [1.0], inputs=2))


@pytest.mark.parametrize(
    ("files", "entries", "labels"),
    [
        ((), {"labels.txt": b"a\nb\nc"}, ()),
        ((("readme.txt", 1),), {"readme.txt": b"a"}, ()),
        ((("labels.txt", 2),), {"labels.txt": b"a\nb\nc\n"}, ("a", "b", "c")),
        ((("labels.txt", 2),), {"labels.txt": "\ufeffä\r\nb\r\nc d\r\n\r\n".encode()}, ("ä", "b", "c d")),
        ((("values.txt", 3),), {"values.txt": b"a\nb"}, ("a", "b")),
        ((("r.txt", 1), ("de.txt", 2), ("en.txt", 2)), {"de.txt": b"a\nb\nc"}, ("a", "b", "c")),
    ],
)
def test_the_label_file_is_the_first_of_its_kind(
    files: tuple[tuple[str, int], ...], entries: dict[str, bytes], labels: tuple[str, ...]
) -> None:
    graph = with_metadata(written([], [], files=files))
    facts = metadata.read(graph)
    assert facts is not None
    assert metadata.labels(graph, facts, 0, entries) == labels


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({}, "names the label file 'labels.txt', which is not in it"),
        ({"../labels.txt": b"a\nb\nc"}, "which is not in it"),
        ({"labels.txt": b"a\nb"}, "labels.txt lists 2 labels, but output 0 has 3"),
        ({"labels.txt": b""}, "lists 0 labels, but output 0 has 3"),
        ({"labels.txt": b"a\n\xff\nc"}, "labels.txt: not UTF-8 at byte 2"),
    ],
)
def test_labels_that_do_not_fit_are_refused(entries: dict[str, bytes], reason: str) -> None:
    graph = with_metadata(written([], [], files=(("labels.txt", 2),)))
    facts = metadata.read(graph)
    assert facts is not None
    with pytest.raises(CardError, match=reason):
        metadata.labels(graph, facts, 0, entries)


@pytest.mark.parametrize(
    "content", [b"\0", b"0123M002", b"\xff\xff\xff\x7fM001", struct.pack("<I", 8) + b"M001"]
)
def test_what_is_no_metadata_is_refused(content: bytes) -> None:
    with pytest.raises(CardError, match="model: the TFLite Metadata cannot be read") as caught:
        metadata.read(with_metadata(content))
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(data=st.data())
def test_damage_raises_nothing_but_a_card_error(data: st.DataObject) -> None:
    content = bytearray(written([127.5], [127.5], files=(("labels.txt", 2),)))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    message = ""
    try:
        metadata.read(with_metadata(bytes(content)))
    except CardError as error:
        message = str(error)
    assert "\n" not in message
