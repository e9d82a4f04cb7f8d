"""A .tflite file as objects, and back."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from calibration import editable
from edgecnn.graph import read
from edgecnn.runtime.interpreter import open_interpreter

pytestmark = pytest.mark.tensorflow


def run(content, tensor):
    interpreter = open_interpreter(content, "model")
    interpreter.write(0, tensor)
    interpreter.invoke()
    return interpreter.read(0)


def test_a_file_read_and_written_again_computes_the_same(float_model):
    image = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    again = editable.write(editable.read(float_model))
    np.testing.assert_array_equal(run(again, image), run(float_model, image))


def test_every_buffer_is_aligned_to_16_bytes(float_model):
    content = editable.write(editable.read(float_model))
    start = np.frombuffer(content, np.uint8).ctypes.data
    buffers = [buffer for buffer in read(content, "model").buffers if len(buffer)]
    assert len(buffers) > 5
    assert {(buffer.ctypes.data - start) % 16 for buffer in buffers} == {0}


def test_buffers_behind_the_flatbuffer_are_taken_inside(float_model):
    model = editable.read(float_model)
    largest = max(model.buffers, key=lambda buffer: 0 if buffer.data is None else len(buffer.data))
    behind, largest.data = bytes(largest.data), None
    largest.offset, largest.size = 0x0BADBAD0, 0x0BADBAD1  # replaced below, when the place is known
    content = editable.write(model)
    place = len(content) + -len(content) % 16
    for mark, number in ((0x0BADBAD0, place), (0x0BADBAD1, len(behind))):
        assert content.count(mark.to_bytes(8, "little")) == 1
        content = content.replace(mark.to_bytes(8, "little"), number.to_bytes(8, "little"))
    content = content.ljust(place, b"\0") + behind
    inside = editable.write(editable.read(content))
    root = schema.Model.GetRootAs(inside)
    assert {root.Buffers(number).Offset() for number in range(root.BuffersLength())} == {0}
    image = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    np.testing.assert_array_equal(run(inside, image), run(float_model, image))
    np.testing.assert_array_equal(run(content, image), run(float_model, image))
