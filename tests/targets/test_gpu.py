"""Which operators the GPU delegate takes."""

import pytest

from edgecnn.graph import read
from targets.gpu import UNIT, judge
from targets.partition import partitions
from targets.verdict import CPU


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("conv_float32", True),
        ("conv_float16", True),
        ("conv_int8", True),
        ("conv_int16", False),
        ("add_int32", False),
        ("mean_int8", True),
        ("squeeze_float32", False),
        ("arg_max_float32", False),
        ("less_float32", False),  # truth values that nothing reads
        ("logical_and_bool", True),
        ("pack_float32", False),  # five dimensions
        ("tile_float32", True),
        ("cast_float32", True),
        ("cast_int8", False),
        ("dequantize_int8", True),
        ("dequantize_int16", False),
        ("one_hot_float32", True),
        ("gather_nd_float32", False),
    ],
)
def test_we_know_what_the_gpu_takes(one_op_models, by_name, name, taken):
    content = by_name.get(name) or dict(one_op_models.of_type("float16"))[name]
    (verdict,) = judge(read(content, name))
    assert (verdict.unit == UNIT) is taken
    assert taken or (verdict.unit == CPU and verdict.reason and verdict.source)


@pytest.fixture
def edges(one_op_models):
    """Models on the edge of a rule: whether the GPU takes them, the file."""
    m = one_op_models
    image = m.T((1, 4, 4, 3))

    def joined(kind, one, other, made=image):
        return m.one(kind, [one, other], [made], kind.capitalize())

    def cut(made, **masks):
        ends = [m.shape_of(0, 1, 0, 0), m.shape_of(1, 2, 4, 3), m.shape_of(1, 1, 1, 1)]
        return m.one("STRIDED_SLICE", [image, *ends], [made], "StridedSlice", **masks)

    def reduced(axes):
        return m.one("MEAN", [image, axes], [m.T((1, 4, 3))], "Reducer")

    return {
        "a row added": (True, joined("ADD", image, m.T((3,), data=1))),
        "an image without batch added": (True, joined("ADD", image, m.T((4, 4, 3)))),
        "a matrix of another kind added": (False, joined("ADD", image, m.T((4, 3)))),
        "two constants subtracted": (False, joined("SUB", m.T((3,), data=1), m.T((3,), data=1), m.T((3,)))),
        "a cut": (True, cut(m.T((1, 1, 4, 3)))),
        "a cut that drops a dimension": (False, cut(m.T((1, 4, 3)), shrinkAxisMask=2)),
        "a constant axis": (True, reduced(m.shape_of(1))),
        "a computed axis": (False, reduced(m.T((1,), "int32"))),
        "padding of three": (
            True,
            m.one("PAD", [m.T((4, 4, 3)), m.T((3, 2), "int32", 1)], [m.T((6, 6, 5))], "Pad"),
        ),
        "padding of two": (False, m.one("PAD", [m.T((4, 3)), m.T((2, 2), "int32", 1)], [m.T((6, 5))], "Pad")),
        "softmax with beta": (False, m.one("SOFTMAX", [m.T((2, 7))], [m.T((2, 7))], "Softmax", beta=2.0)),
        "slices of vectors": (
            False,
            m.one("SLICE", [m.T((1, 4)), m.shape_of(0, 1), m.shape_of(1, 2)], [m.T((1, 2))], "Slice"),
        ),
        "a scalar": (False, m.one("ABS", [m.T(())], [m.T(())])),
        "a slope that is computed": (False, m.one("PRELU", [image, m.T((1, 1, 3))], [image])),
        "symmetric padding": (
            False,
            m.one("MIRROR_PAD", [image, m.T((4, 2), "int32", 0)], [image], "MirrorPad", mode=1),
        ),
    }


def test_rules_beyond_types_hold(edges):
    for what, (taken, content) in edges.items():
        (verdict,) = judge(read(content, what))
        assert (verdict.unit == UNIT) is taken, what


def test_only_the_largest_piece_goes_to_the_gpu(shared):
    graph = read(shared / "models/tasks/mobilenet_v1_0.25_224_1_metadata_1.tflite")
    verdicts = judge(graph)
    assert partitions(graph, verdicts, UNIT) == (29,)
    assert verdicts[-2].kind == "SQUEEZE"
    assert "RESHAPE" in verdicts[-2].remedy
    assert verdicts[-1].unit == CPU
    assert "smaller piece" in verdicts[-1].reason


def test_a_comparison_is_taken_where_a_cast_reads_it(one_op_models):
    m = one_op_models
    model = m.empty_model()
    graph = m.schema.SubGraphT(operators=[], name="main", inputs=[0, 1], outputs=[4])
    kinds = ("float32", "float32", "bool", "float32", "float32")
    graph.tensors = [m.tensor(m.T((1, 4), kind), f"t{n}", model.buffers) for n, kind in enumerate(kinds)]
    for kind, taken, made in (("LESS", [0, 1], [2]), ("CAST", [2], [3]), ("ABS", [3], [4])):
        op = m.operator(model, kind, "Less" if kind == "LESS" else "Cast" if kind == "CAST" else None, {})
        op.inputs, op.outputs = taken, made
        graph.operators.append(op)
    model.subgraphs = [graph]
    assert [verdict.unit for verdict in judge(read(m.pack(model), "masked"))] == [UNIT] * 3


def test_float16_weights_go_with_the_whole_model_or_stay(one_op_models):
    m = one_op_models
    for last, units in (("ABS", [UNIT, UNIT, UNIT]), ("CEIL", [CPU, UNIT, CPU])):
        model = m.empty_model()
        graph = m.schema.SubGraphT(operators=[], name="main", inputs=[0], outputs=[4])
        specs = [m.T((1, 4)), m.T((1, 4), "float16", 1), m.T((1, 4)), m.T((1, 4)), m.T((1, 4))]
        graph.tensors = [m.tensor(spec, f"t{n}", model.buffers) for n, spec in enumerate(specs)]
        for kind, options, taken, made in (
            ("DEQUANTIZE", "Dequantize", [1], [2]), ("ADD", "Add", [0, 2], [3]), (last, None, [3], [4]),
        ):  # fmt: skip
            op = m.operator(model, kind, options, {})
            op.inputs, op.outputs = taken, made
            graph.operators.append(op)
        model.subgraphs = [graph]
        assert [verdict.unit for verdict in judge(read(m.pack(model), last))] == units
