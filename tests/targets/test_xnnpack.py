"""What we say XNNPACK takes, beside what the interpreter gives it."""

import importlib.util
import sys
from pathlib import Path

import pytest

from edgecnn.graph import read
from targets.verdict import CPU
from targets.xnnpack import UNIT, judge

# Of every operator that our zoo uses, and of every rule that is more than a type.
KINDS = (
    "conv", "conv_dilated", "depthwise", "depthwise_two_inputs", "dense", "dense_no_bias", "transpose_conv",
    "batch_matmul", "prelu", "add", "sub_row", "mul", "div", "maximum", "mean", "reduce_max", "softmax",
    "logistic", "tanh", "relu", "relu6", "hard_swish", "elu", "leaky_relu", "average_pool_2d", "max_pool_2d",
    "reshape", "reshape_old", "squeeze", "pad", "concatenation", "split", "slice", "strided_slice",
    "transpose", "resize_bilinear", "resize_nearest_neighbor", "space_to_depth", "depth_to_space", "quantize",
    "dequantize",
)  # fmt: skip


@pytest.fixture(scope="module")
def benchmark_(one_op_models):
    """benchmarks/delegate_partitions.py, which asks the interpreter."""
    folder = Path(__file__).parents[2] / "benchmarks"
    sys.path.insert(0, str(folder))
    try:
        path = folder / "delegate_partitions.py"
        spec = importlib.util.spec_from_file_location("delegate_partitions", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8", "int16"])
def test_we_say_what_the_interpreter_does(one_op_models, benchmark_, dtype):
    tried = 0
    for name, content in one_op_models.of_type(dtype):
        if name.removesuffix(f"_{dtype}") not in KINDS:
            continue
        try:
            real = benchmark_.really(content)
        except (RuntimeError, ValueError):  # LiteRT has no kernel for that type
            continue
        tried += 1
        assert benchmark_.predicted(read(content, name)) == real, name
    assert tried > 25


@pytest.mark.parametrize(
    ("name", "expected"), [("network_float32", 2), ("network_int8", 2), ("network_uint8", 2), ("sparse", 1)]
)
def test_pieces_are_those_of_the_interpreter(by_name, benchmark_, name, expected):
    real = benchmark_.really(by_name[name])
    assert len(real) == expected
    assert benchmark_.predicted(read(by_name[name], name)) == real


def test_real_models_are_cut_as_predicted(shared, benchmark_):
    paths = sorted((shared / "models").rglob("*.tflite"))
    assert len(paths) > 10
    for path in paths:
        assert benchmark_.predicted(read(path)) == benchmark_.really(path.read_bytes()), path.name


@pytest.fixture
def edges(one_op_models):
    """Models on the edge of a rule: what is asked of the operator, and whether XNNPACK takes it."""
    m = one_op_models
    image, out = m.T((1, 6, 6, 4)), m.T((1, 6, 6, 8))
    filters, bias = m.T((8, 3, 3, 4), data=1), m.T((8,), data=1)
    conv = {"options": "Conv2D", "strideW": 1, "strideH": 1, "padding": 0}
    eight = m.T((1, 6, 6, 4), "int8", scale=0.02)

    def pool(window, stride, side):
        made = m.T((1, side, side, 4))
        words = {"filterWidth": window, "filterHeight": window, "strideW": stride, "strideH": stride}
        return m.one("MAX_POOL_2D", [image], [made], "Pool2D", padding=1, **words)

    def slices(sizes, made):
        return m.one("SLICE", [m.T((1, 4)), m.shape_of(0, 1), m.shape_of(*sizes)], [m.T(made)], "Slice")

    def joined(count):
        return m.one("CONCATENATION", [m.T((1, 2))] * count, [m.T((1, 2 * count))], "Concatenation", axis=1)

    def scaled(kind, scale):
        one, made = m.T((4,), "int8", scale=scale), m.T((4,), "int8", scale=0.1)
        return m.one(kind, [one, m.T((4,), "int8", scale=0.1)], [made], kind.capitalize())

    halves = [m.T((1, 2))] * 5
    return {
        "a convolution": (True, m.one("CONV_2D", [image, filters, bias], [out], **conv)),
        "int8 weights on float": (
            True,
            m.one("CONV_2D", [image, m.T((8, 3, 3, 4), "int8", 1, scale=0.1), bias], [out], **conv),
        ),
        "computed weights": (False, m.one("CONV_2D", [image, m.T((8, 3, 3, 4)), bias], [out], **conv)),
        "a bias without scale": (
            False,
            m.one(
                "CONV_2D",
                [eight, m.T((8, 3, 3, 4), "int8", 1, scale=0.1), m.T((8,), "int32", 1)],
                [m.T((1, 6, 6, 8), "int8", scale=0.1)],
                **conv,
            ),
        ),
        "tanh behind it": (
            False,
            m.one("CONV_2D", [image, filters, bias], [out], fusedActivationFunction=4, **conv),
        ),
        "a window as large as its stride": (True, pool(2, 2, 3)),
        "a window smaller than its stride": (False, pool(2, 4, 2)),
        "a slice of a size": (True, slices((1, 2), (1, 2))),
        "a slice to the end": (False, slices((1, -1), (1, 3))),
        "five joined": (True, joined(5)),
        "six joined": (False, joined(6)),
        "five pieces": (
            False,
            m.one("SPLIT", [m.T((), "int32", 1), m.T((1, 10))], halves, "Split", numSplits=5),
        ),
        "scales near each other": (True, scaled("ADD", 1.0)),
        "scales far from each other": (False, scaled("ADD", 100.0)),
        "a product far from its scale": (False, scaled("MUL", 1000.0)),
        "softmax with beta": (False, m.one("SOFTMAX", [m.T((2, 7))], [m.T((2, 7))], "Softmax", beta=2.0)),
        "seven dimensions": (False, m.one("ABS", [m.T((1,) * 7)], [m.T((1,) * 7)])),
        "nothing at all": (False, m.one("ADD", [m.T((0, 4))] * 2, [m.T((0, 4))], "Add")),
        "a slope of nothing": (
            False,
            m.one("LEAKY_RELU", [m.T((4,))], [m.T((4,))], "LeakyRelu", alpha=0.0),
        ),
        "signed to unsigned": (
            False,
            m.one("QUANTIZE", [eight], [m.T((1, 6, 6, 4), "uint8", scale=0.02)], "Quantize"),
        ),
        "a mean over nothing": (
            False,
            m.one("MEAN", [image, m.T((0,), "int32", [])], [image], "Reducer", keepDims=True),
        ),
    }


def test_we_and_the_interpreter_stop_at_the_same_edge(edges, benchmark_):
    for what, (taken, content) in edges.items():
        (verdict,) = judge(read(content, what))
        assert (verdict.unit == UNIT) is taken, what
        assert bool(benchmark_.really(content)) is taken, what
        assert verdict.unit == UNIT or (verdict.unit == CPU and verdict.reason and verdict.source), what


@pytest.mark.parametrize(
    ("name", "reason", "remedy"),
    [
        ("softmax_int8", "takes float32, float16, not int8", "at the logits"),
        ("hard_swish_int8", "takes float32, float16, not int8", "RELU6"),
        ("add_int16", "not int16", "int8"),
        ("resize_nearest_neighbor_int8", "does not know it", "RESIZE_BILINEAR"),
        ("depthwise_two_inputs_float32", "no bias", "zeros will do"),
        ("strided_slice_float32", "strides other than 1", "pooling"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(by_name, name, reason, remedy):
    (verdict,) = judge(read(by_name[name], name))
    assert verdict.unit == CPU
    assert reason in verdict.reason
    assert remedy in verdict.remedy
    assert verdict.source


@pytest.fixture
def chained(one_op_models):
    """A model from tensors by name and rows of (kind, inputs, outputs, options table, settings)."""

    def make(tensors, rows, ins, outs):
        m, places = one_op_models, {name: place for place, name in enumerate(tensors)}
        model = m.empty_model()
        graph = m.schema.SubGraphT(operators=[], name="main")
        graph.tensors = [m.tensor(spec, name, model.buffers) for name, spec in tensors.items()]
        for kind, taken, made, options, settings in rows:
            op = m.operator(model, kind, options, settings)
            op.inputs = [places[name] for name in taken.split()]
            op.outputs = [places[name] for name in made.split()]
            graph.operators.append(op)
        graph.inputs = [places[name] for name in ins.split()]
        graph.outputs = [places[name] for name in outs.split()]
        model.subgraphs = [graph]
        return m.pack(model)

    return make


CONV = ("CONV_2D", "i w b", "o", "Conv2D", {"strideW": 1, "strideH": 1, "padding": 0})
UNPACKED = ("DEQUANTIZE", "half", "w", "Dequantize", {})
GATHERED = ("GATHER", "w first", "g", "Gather", {})
UNPACKED_BIAS = ("DEQUANTIZE", "thin", "b", "Dequantize", {})


@pytest.mark.parametrize(
    ("rows", "outs", "on"),
    [
        ((UNPACKED, CONV), "o", (True, True)),
        ((UNPACKED, UNPACKED_BIAS, CONV), "o", (True, True, True)),
        # who stays behind needs the unpacked weights, so the processor unpacks them
        ((UNPACKED, CONV, GATHERED), "o g", (False, True, False)),
        ((UNPACKED, UNPACKED_BIAS, CONV, GATHERED), "o g", (False, False, False, False)),
        ((UNPACKED_BIAS, CONV), "o", (False, False)),
    ],
)
def test_float16_weights_are_unpacked_by_who_reads_them(chained, one_op_models, benchmark_, rows, outs, on):
    m = one_op_models
    made = {name for row in rows for name in row[2].split()}
    tensors = {
        "i": m.T((1, 6, 6, 4)), "half": m.T((8, 3, 3, 4), "float16", 1), "thin": m.T((8,), "float16", 1),
        "w": m.T((8, 3, 3, 4), data=None if "w" in made else 1), "o": m.T((1, 6, 6, 8)),
        "b": m.T((8,), data=None if "b" in made else 1), "first": m.shape_of(0), "g": m.T((1, 3, 3, 4)),
    }  # fmt: skip
    content = chained(tensors, rows, "i", outs)
    graph = read(content, "half")
    assert tuple(verdict.unit == UNIT for verdict in judge(graph)) == on
    assert benchmark_.predicted(graph) == benchmark_.really(content)


def test_a_size_known_only_at_run_time_stops_nothing_else(chained, one_op_models, benchmark_):
    m = one_op_models
    tensors = {
        "x": m.T((1, 4)), "r": m.T((1, 4)), "s": m.T((1,), "int32"), "z": m.T((4,)), "y": m.T((4,)),
    }  # fmt: skip
    rows = (("RELU", "x", "r", None, {}), ("RESHAPE", "r s", "z", "Reshape", {}), ("ABS", "z", "y", None, {}))
    content = chained(tensors, rows, "x s", "y")
    graph = read(content, "open")
    assert [verdict.unit for verdict in judge(graph)] == [UNIT, CPU, UNIT]
    assert benchmark_.predicted(graph) == benchmark_.really(content)


@pytest.mark.parametrize("dtype", ["float32", "int8", "int32"])
def test_variables_are_taken_with_those_who_read_them(one_op_models, benchmark_, dtype):
    m = one_op_models
    model = m.empty_model()
    graph = m.schema.SubGraphT(operators=[], name="main", inputs=[0], outputs=[3])
    spec = m.T((1, 4), dtype, scale=0.02 if dtype == "int8" else None)
    graph.tensors = [m.tensor(spec, f"t{place}", model.buffers) for place in range(4)]
    graph.tensors[1] = m.schema.TensorT(shape=[], type=m.schema.TensorType.RESOURCE, name="variable")
    for kind, options, taken, made in (
        ("VAR_HANDLE", "VarHandle", [], [1]),
        ("READ_VARIABLE", "ReadVariable", [1], [2]),
        ("ADD", "Add", [0, 2], [3]),
        ("ASSIGN_VARIABLE", "AssignVariable", [1, 3], []),
    ):
        op = m.operator(model, kind, options, {"sharedName": "v"} if kind == "VAR_HANDLE" else {})
        op.inputs, op.outputs = taken, made
        graph.operators.append(op)
    model.subgraphs = [graph]
    content = m.pack(model)
    graph = read(content, "variable")
    assert {verdict.unit for verdict in judge(graph)} == {CPU if dtype == "int32" else UNIT}
    assert benchmark_.predicted(graph) == benchmark_.really(content)
