"""Pairing needs a graph's wiring only, so the graphs here are drawn by hand."""

import numpy as np
import pytest

from calibration.pairing import nodes_of, pair
from edgecnn.graph.view import Graph, Operator, Subgraph, Tensor

KERNEL = (4, 3, 3, 4)


def tensor(index, name, dtype, constant=False):
    scale = np.array([0.5] if dtype == "int8" else [], np.float32)
    zero = np.array([0] if dtype == "int8" else [], np.int64)
    shape = KERNEL if constant else (1, 8, 8, 4)
    return Tensor(index, name, shape, None, dtype, scale, zero, 0, 0, 0, constant, False, None)


def graph(operators, *, dtype="float32", inputs=("image",)):
    """Operators as (kind, names of inputs, name of the output, activation); "w..." are weights."""
    names = dict.fromkeys([*inputs, *(name for _, read, made, _ in operators for name in (*read, made))])
    ends = {made for kind, _, made, _ in operators if kind == "DEQUANTIZE"}
    ends |= {read[0] for kind, read, _, _ in operators if kind == "QUANTIZE"}
    tensors = tuple(
        tensor(i, name, "float32" if name in ends else dtype, name.startswith("w"))
        for i, name in enumerate(names)
    )
    index = {one.name: one.index for one in tensors}
    ops = tuple(
        Operator(
            i, kind, 1, tuple(index[n] for n in read), (index[made],), (),
            {"activation": activation or "NONE"}, None, None, np.empty(0, np.uint8), 0,
        )
        for i, (kind, read, made, activation) in enumerate(operators)
    )  # fmt: skip
    main = Subgraph(0, "main", tensors, ops, tuple(index[n] for n in inputs), (len(tensors) - 1,))
    return Graph("graph", 3, "", (main,), (), {}, (), memoryview(b""))


def paired(reference, made):
    shapes = [{node.tensor: (1, 8, 8, 4) for node in nodes_of(one)} for one in (reference, made)]
    pairs, lonely, lonely_reference = pair(reference, made, *shapes)
    return (
        {made.tensors[p.made].name: (reference.tensors[p.reference].name, p.by) for p in pairs},
        [made.tensors[node.tensor].name for node in lonely],
        [reference.tensors[node.tensor].name for node in lonely_reference],
    )


def test_a_graph_without_operators_pairs_its_images():
    assert paired(graph([]), graph([])) == ({"image": ("image", "name")}, [], [])


CHAIN = [("CONV_2D", ("image", "w1"), "a", "RELU"), ("CONV_2D", ("a", "w2"), "b", "")]


def test_the_same_operators_under_other_names_are_paired_by_structure():
    renamed = [("CONV_2D", ("image", "w1"), "x", "RELU"), ("CONV_2D", ("x", "w2"), "y", "")]
    found, lonely, missing = paired(graph(CHAIN), graph(renamed, dtype="int8"))
    assert found == {"image": ("image", "name"), "x": ("a", "structure"), "y": ("b", "structure")}
    assert (lonely, missing) == ([], [])


def test_names_that_belong_to_another_layer_are_not_believed():
    swapped = [("CONV_2D", ("image", "w1"), "b", "RELU"), ("CONV_2D", ("b", "w2"), "a", "")]
    found, _, _ = paired(graph(CHAIN), graph(swapped))
    assert found == {"image": ("image", "name"), "b": ("a", "structure"), "a": ("b", "structure")}


def test_names_decide_between_twins():
    twins = [("CONV_2D", ("image", "w1"), "left", ""), ("CONV_2D", ("image", "w2"), "right", "")]
    found, _, _ = paired(graph(twins), graph(twins[::-1]))
    assert found["left"] == ("left", "name")
    assert found["right"] == ("right", "name")


def test_types_at_the_ends_are_no_layers():
    ends = [
        ("QUANTIZE", ("image",), "inside", ""),
        ("CONV_2D", ("inside", "w1"), "x", "RELU"),
        ("CONV_2D", ("x", "w2"), "y", ""),
        ("DEQUANTIZE", ("y",), "b", ""),
    ]
    found, lonely, missing = paired(graph(CHAIN), graph(ends, dtype="int8"))
    assert found == {"image": ("image", "name"), "x": ("a", "structure"), "y": ("b", "name")}
    assert (lonely, missing) == ([], [])


def test_an_activation_that_was_fused_is_paired_with_the_operator_it_was():
    loose = [
        ("CONV_2D", ("image", "w1"), "before", ""),
        ("RELU", ("before",), "after", ""),
        ("CONV_2D", ("after", "w2"), "b", ""),
    ]
    found, lonely, missing = paired(graph(loose), graph(CHAIN))
    assert found["a"] == ("after", "structure")
    assert found["b"] == ("b", "name")
    assert (lonely, missing) == ([], ["before"])


@pytest.mark.parametrize("where", [0, 1])
def test_what_only_one_file_has_is_listed_and_the_rest_still_paired(where):
    """An operator without a partner cuts the thread; the next one with weights takes it up again."""
    longer = [
        ("CONV_2D", ("image", "w1"), "x", "RELU"),
        ("LOGISTIC", ("x",), "odd", ""),
        ("CONV_2D", ("odd", "w2"), "y", ""),
        ("TANH", ("y",), "z", ""),
    ]
    shorter = [
        ("CONV_2D", ("image", "w1"), "a", "RELU"),
        ("CONV_2D", ("a", "w2"), "b", ""),
        ("TANH", ("b",), "c", ""),
    ]
    both = [graph(shorter), graph(longer)]
    found, lonely, missing = paired(both[where], both[1 - where])
    forth = {"a": "x", "b": "y", "c": "z"}
    expected = forth if where else {long: short for short, long in forth.items()}
    assert {made: reference for made, (reference, _) in found.items() if made != "image"} == expected
    assert (lonely, missing) == (([], ["odd"]) if where else (["odd"], []))
