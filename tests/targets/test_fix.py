"""Changes to a file, seen by running the file before and after."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from calibration import editable
from edgecnn.errors import TargetError
from edgecnn.graph import check, read
from targets.fix import FIXES, fix


def run(content, value):
    check(read(content))
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.fixture
def ends(chain, one_op_models):
    """Float at both ends, int8 between."""
    t = one_op_models.T
    inside = {"scale": 0.05, "zero_point": 3}
    return chain(
        {
            "image": t((1, 4, 4, 2)), "q": t((1, 4, 4, 2), "int8", **inside),
            "r": t((1, 4, 4, 2), "int8", **inside), "scores": t((1, 4, 4, 2)),
        },
        [
            ("QUANTIZE", None, {}, ["image"], ["q"]),
            ("RELU", None, {}, ["q"], ["r"]),
            ("DEQUANTIZE", None, {}, ["r"], ["scores"]),
        ],
        inputs=["image"], outputs=["scores"],
    )  # fmt: skip


def test_float_ends_are_left_to_the_caller(ends):
    made, done = fix(ends, ["int8-io"])
    graph = read(made)
    assert [op.kind for op in graph.ops] == ["RELU"]
    assert {graph.tensors[index].dtype for index in (*graph.inputs, *graph.outputs)} == {"int8"}
    assert len(done) == 2
    steps = np.random.default_rng(0).integers(-128, 128, (1, 4, 4, 2), np.int8)
    real = (steps.astype(np.float32) - 3) * np.float32(0.05)
    ours = (run(made, steps).astype(np.float32) - 3) * np.float32(0.05)
    np.testing.assert_array_equal(run(ends, real), ours)


def test_nothing_to_mend_gives_the_same_bytes(by_name):
    content = by_name["conv_int8"]
    made, done = fix(content, tuple(FIXES))
    assert (made, done) == (content, ())


def test_an_unknown_fix_is_refused(ends):
    with pytest.raises(TargetError, match="no fix is called 'magic'"):
        fix(ends, ["magic"])


def test_an_open_batch_becomes_one(chain, one_op_models):
    t = one_op_models.T
    content = chain(
        {"a": t((1, 4)), "b": t((1, 4))}, [("RELU", None, {}, ["a"], ["b"])],
        inputs=["a"], outputs=["b"], open_batch=("a", "b"),
    )  # fmt: skip
    assert read(content).tensors[0].is_dynamic
    made, done = fix(content, ["static-batch"])
    assert done == ("batch fixed to 1",)
    assert not any(tensor.is_dynamic for tensor in read(made).tensors)
    value = np.array([[-1, 2, -3, 4]], np.float32)
    np.testing.assert_array_equal(run(made, value), run(content, value))


@pytest.mark.parametrize(("size", "mended"), [((8, 12), True), ((8, 10), False)])
def test_half_pixels_are_dropped_where_they_change_nothing(chain, one_op_models, size, mended):
    t = one_op_models.T
    content = chain(
        {
            "a": t((1, 4, 4, 1)), "to": t((2,), "int32", data=np.array(size, np.int32)),
            "b": t((1, *size, 1)),
        },
        [
            (
                "RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighbor", {"halfPixelCenters": True},
                ["a", "to"], ["b"],
            )
        ],
        inputs=["a"], outputs=["b"],
    )  # fmt: skip
    made, done = fix(content, ["resize"])
    assert bool(done) == mended
    assert read(made).ops[0].options["half_pixel_centers"] is not mended
    value = np.random.default_rng(0).random((1, 4, 4, 1), np.float32)
    np.testing.assert_array_equal(run(made, value), run(content, value))


def test_a_resize_to_the_same_size_goes(chain, one_op_models):
    t = one_op_models.T
    content = chain(
        {
            "a": t((1, 4, 4, 1)), "to": t((2,), "int32", data=np.array((4, 4), np.int32)),
            "b": t((1, 4, 4, 1)), "c": t((1, 4, 4, 1)),
        },
        [
            ("RESIZE_BILINEAR", "ResizeBilinear", {"alignCorners": True}, ["a", "to"], ["b"]),
            ("RELU", None, {}, ["b"], ["c"]),
        ],
        inputs=["a"], outputs=["c"],
    )  # fmt: skip
    made, done = fix(content, ["resize"])
    assert len(done) == 1
    assert [op.kind for op in read(made).ops] == ["RELU"]
    value = np.random.default_rng(0).standard_normal((1, 4, 4, 1)).astype(np.float32)
    np.testing.assert_array_equal(run(made, value), run(content, value))


def test_dense_weights_get_one_scale_and_compute_nearly_the_same(chain, one_op_models):
    t, random = one_op_models.T, np.random.default_rng(0)
    scales = np.array([0.01, 0.02, 0.005], np.float64)
    weights = random.integers(-127, 128, (3, 16), np.int8)
    bias = random.integers(-2000, 2000, 3, np.int32)
    content = chain(
        {
            "a": t((1, 16), "int8", scale=0.1),
            "w": t((3, 16), "int8", data=weights, scale=list(scales), zero_point=[0] * 3),
            "bias": t((3,), "int32", data=bias, scale=list(0.1 * scales), zero_point=[0] * 3),
            "b": t((1, 3), "int8", scale=0.3),
        },
        [("FULLY_CONNECTED", "FullyConnected", {}, ["a", "w", "bias"], ["b"])],
        inputs=["a"], outputs=["b"],
    )  # fmt: skip
    made, done = fix(content, ["dense-per-tensor"])
    assert len(done) == 1
    graph = read(made)
    after = graph.tensors[graph.ops[0].inputs[1]]
    assert after.scale.tolist() == pytest.approx([0.02])
    real = graph.data(after) * after.scale[0]
    np.testing.assert_allclose(real, weights * scales[:, None], atol=0.02 / 2 + 1e-6)
    stored = graph.tensors[graph.ops[0].inputs[2]]
    np.testing.assert_allclose(graph.data(stored) * stored.scale[0], bias * 0.1 * scales, atol=0.002)
    value = random.integers(-128, 128, (1, 16), np.int8)
    real = value.astype(np.float64) * 0.1 @ (weights * scales[:, None]).T + bias * 0.1 * scales
    expected = np.clip(np.rint(real / 0.3), -128, 127)
    assert np.abs(run(made, value) - expected).max() <= 4


def test_a_float_output_that_is_read_again_keeps_its_dequantize(chain, one_op_models):
    t = one_op_models.T
    content = chain(
        {"q": t((1, 4), "int8", scale=0.1), "real": t((1, 4)), "b": t((1, 4))},
        [("DEQUANTIZE", None, {}, ["q"], ["real"]), ("RELU", None, {}, ["real"], ["b"])],
        inputs=["q"], outputs=["real", "b"],
    )  # fmt: skip
    assert fix(content, ["int8-io"]) == (content, ())


def test_a_float_input_that_is_an_output_too_keeps_its_quantize(chain, one_op_models):
    t = one_op_models.T
    inside = {"scale": 0.1, "zero_point": 0}
    content = chain(
        {"real": t((1, 4)), "q": t((1, 4), "int8", **inside), "b": t((1, 4), "int8", **inside)},
        [("QUANTIZE", None, {}, ["real"], ["q"]), ("RELU", None, {}, ["q"], ["b"])],
        inputs=["real"], outputs=["real", "b"],
    )  # fmt: skip
    assert fix(content, ["int8-io"]) == (content, ())


@pytest.mark.parametrize("half", [True, False])
def test_a_resize_of_an_open_size_stays(chain, one_op_models, half):
    t = one_op_models.T
    content = chain(
        {
            "a": t((1, 1, 1, 1)), "to": t((2,), "int32", data=np.array((1, 1), np.int32)),
            "b": t((1, 1, 1, 1)), "c": t((1, 1, 1, 1)),
        },
        [
            (
                "RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighbor", {"halfPixelCenters": half},
                ["a", "to"], ["b"],
            ),
            ("RELU", None, {}, ["b"], ["c"]),
        ],
        inputs=["a"], outputs=["c"],
    )  # fmt: skip
    model = editable.read(content)
    model.subgraphs[0].tensors[0].shapeSignature = np.array([1, -1, -1, 1], np.int32)
    open_size = editable.write(model)
    assert len(fix(content, ["resize"])[1]) == 1
    assert fix(open_size, ["resize"]) == (open_size, ())


@pytest.mark.parametrize("missing", ["weights", "bias scale"])
def test_dense_weights_that_cannot_be_rescaled_stay(chain, one_op_models, missing):
    t = one_op_models.T
    stored = None if missing == "weights" else np.ones((3, 16), np.int8)
    content = chain(
        {
            "a": t((1, 16), "int8", scale=0.1),
            "w": t((3, 16), "int8", data=stored, scale=[0.1, 0.2, 0.3], zero_point=[0] * 3),
            "bias": t((3,), "int32", data=np.ones(3, np.int32)),
            "b": t((1, 3), "int8", scale=0.3),
        },
        [("FULLY_CONNECTED", "FullyConnected", {}, ["a", "w", "bias"], ["b"])],
        inputs=["a"], outputs=["b"],
    )  # fmt: skip
    assert fix(content, ["dense-per-tensor"]) == (content, ())


def test_lists_that_a_file_leaves_out_are_empty(by_name):
    model = editable.read(by_name["relu_int8"])
    graph = model.subgraphs[0]
    graph.outputs = None
    for tensor in graph.tensors:
        tensor.shape = None
    content = editable.write(model)
    assert fix(content, tuple(FIXES)) == (content, ())
