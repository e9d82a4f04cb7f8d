"""What MediaPipe's DETECTOR_METADATA says is read; what cannot be is refused."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration import editable
from converters.flatbuffer_tables import Scalar, table, written
from edgecnn import detector_metadata
from edgecnn.errors import CardError
from edgecnn.graph import read
from edgecnn.metadata import BUFFER


def numbers(**values):
    return table(**{slot: Scalar("float32", value) for slot, value in values.items()})


ANCHOR = numbers(s0=0.25, s1=0.75, s2=0.5, s3=0.125)
FIXED = table(s0=table(s0=[ANCHOR, ANCHOR]))
SCALES = {"s6": 4.0, "s7": 5.0, "s8": 1.0, "s9": 2.0}


def decoding(**others):
    floats = {slot: Scalar("float32", value) for slot, value in {**SCALES, **others}.items()}
    return table(s0=Scalar("int32", 3), s1=Scalar("int32", 2), **floats, s10=Scalar("bool", 1))


def model(options, *, boxes=2, name="DETECTOR_METADATA"):
    """A model with two outputs of so many boxes; `options` are the bytes, or None for no metadata."""

    def tensor(shape):
        made = schema.TensorT()
        made.name, made.shape, made.buffer, made.type = "t", shape, 0, schema.TensorType.FLOAT32
        return made

    made, graph = schema.ModelT(), schema.SubGraphT()
    graph.tensors = [tensor([1, 4, 4, 3]), tensor([1, boxes, 4]), tensor([1, boxes, 3])]
    graph.operators, graph.inputs, graph.outputs = [], [0], [1, 2]
    made.version, made.operatorCodes, made.subgraphs, made.buffers = 3, [], [graph], [schema.BufferT()]
    if options is not None:
        buffer, entry = schema.BufferT(), schema.MetadataT()
        subgraph = table(s9=[table(s0="another", s1=b"?"), table(s0=name, s1=options)])
        buffer.data = np.frombuffer(written(table(s3=[subgraph]), b"M001"), np.uint8)
        entry.name, entry.buffer = BUFFER, 1
        made.buffers.append(buffer)
        made.metadata = [entry]
    return read(editable.write(made), "things.tflite")


def test_a_model_without_it_has_none():
    assert detector_metadata.read(model(None)) is None
    assert detector_metadata.read(model(b"whatever", name="SEGMENTER_METADATA")) is None


def test_what_it_says_is_reported():
    found = detector_metadata.read(model(written(table(s1=FIXED, s2=decoding()), b"V001")))
    np.testing.assert_array_equal(found.anchors, np.array([[0.25, 0.75, 0.5, 0.125]] * 2, np.float32))
    assert (found.classes, found.scale_yxhw) == (3, (5.0, 4.0, 2.0, 1.0))
    assert (found.is_exponential, found.is_logit) == (True, False)


@pytest.mark.parametrize(
    ("options", "boxes", "reason"),
    [
        (b"", 2, "only 0 bytes"),
        (written(table(s1=FIXED, s2=decoding()), b"V002"), 2, "V002"),
        (written(table(s2=decoding()), b"V001"), 2, "no anchors"),
        (written(table(s1=table(), s2=decoding()), b"V001"), 2, "no anchors"),
        (written(table(s1=FIXED), b"V001"), 2, "does not say how to use them"),
        (written(table(s1=FIXED, s2=decoding()), b"V001"), 3, "2 anchors, not one a box"),
        (written(table(s1=FIXED, s2=decoding(s6=0.0)), b"V001"), 2, "no usable number"),
        (written(table(s1=FIXED, s2=decoding(s9=float("nan"))), b"V001"), 2, "no usable number"),
        (written(table(s1=table(s0=table(s0=[ANCHOR, numbers(s0=float("inf"))])), s2=decoding()), b"V001"), 2,
         "no usable number"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(options, boxes, reason):
    with pytest.raises(CardError, match=rf"^things.tflite: its DETECTOR_METADATA .*{reason}.*Attach a card"):
        detector_metadata.read(model(options, boxes=boxes))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_byte_never_ends_in_another_error(data):
    content = bytearray(written(table(s0="1.0.0", s1=FIXED, s2=decoding()), b"V001"))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        detector_metadata.read(model(bytes(content)))
    except CardError:
        return
