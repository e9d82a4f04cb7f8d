"""Pieces that a delegate gets."""

import pytest

from edgecnn.graph import read
from targets.partition import limited, partitions, pieces
from targets.verdict import CPU, Verdict

UNIT = "npu"


@pytest.fixture
def wired(one_op_models):
    """A model from rows of operators: ("RELU", "x", "y"); what nothing makes is an input."""

    def make(rows):
        models = one_op_models
        model, names = models.empty_model(), []
        graph = models.schema.SubGraphT(operators=[], name="main")
        for kind, read_names, made in rows:
            op = models.operator(model, kind, None, {})
            for name in (*read_names.split(), *made.split()):
                if name not in names:
                    names.append(name)
            op.inputs = [names.index(name) for name in read_names.split()]
            op.outputs = [names.index(name) for name in made.split()]
            graph.operators.append(op)
        graph.tensors = [models.tensor(models.T((1, 4)), name, model.buffers) for name in names]
        made = {index for op in graph.operators for index in op.outputs}
        graph.inputs = [index for index in range(len(names)) if index not in made]
        graph.outputs = list(graph.operators[-1].outputs)
        model.subgraphs = [graph]
        return read(models.pack(model), "wired")

    return make


def verdicts(graph, on):
    return tuple(
        Verdict(op.index, op.kind, UNIT if place in on else CPU) for place, op in enumerate(graph.ops)
    )


CHAIN = [("ABS", "a", "b"), ("NEG", "b", "c"), ("EXP", "c", "d"), ("LOG", "d", "e"), ("SIN", "e", "f")]
FORK = [("ABS", "a", "b"), ("GATHER", "b", "c"), ("NEG", "b", "d"), ("ADD", "c d", "e")]


@pytest.mark.parametrize(
    ("rows", "on", "expected"),
    [
        (CHAIN, (), ()),
        (CHAIN, (0, 1, 2, 3, 4), ((0, 1, 2, 3, 4),)),
        (CHAIN, (0, 1, 3), ((0, 1), (3,))),
        (CHAIN, (1, 3), ((1,), (3,))),
        # NEG waits for nobody, so it joins ABS although GATHER comes first in the file
        (FORK, (0, 2, 3), ((0, 2), (3,))),
        # what is left behind is walked in epochs too: GATHER and then ADD, not each for itself
        (FORK, (2,), ((2,),)),
    ],
)
def test_operators_that_can_run_together_are_one_piece(wired, rows, on, expected):
    graph = wired(rows)
    assert pieces(graph, verdicts(graph, on), UNIT) == expected
    assert partitions(graph, verdicts(graph, on), UNIT) == tuple(len(piece) for piece in expected)


def test_two_branches_that_meet_later_are_walked_once(wired):
    rows = [
        ("ABS", "a", "b"),
        ("NEG", "x", "y"),
        ("GATHER", "b", "c"),
        ("EXP", "y", "z"),
        ("ADD", "c z", "o"),
    ]
    graph = wired(rows)
    assert pieces(graph, verdicts(graph, (0, 1, 3, 4)), UNIT) == ((0, 1, 3), (4,))


def test_only_the_largest_pieces_are_taken(wired):
    graph = wired(CHAIN)
    found = verdicts(graph, (0, 2, 3))
    assert pieces(graph, found, UNIT, most=1) == ((2, 3),)
    assert pieces(graph, found, UNIT, least=2) == ((2, 3),)
    assert pieces(graph, found, UNIT, least=3) == ()
    assert pieces(graph, found, UNIT, most=2) == ((0,), (2, 3))


def test_what_is_left_out_says_so(wired):
    graph = wired(CHAIN)
    found = limited(graph, verdicts(graph, (0, 2, 3)), UNIT, most=1)
    assert [one.unit for one in found] == [CPU, CPU, UNIT, UNIT, CPU]
    assert "smaller piece" in found[0].reason
    assert found[0].remedy
    assert found[0].source
    assert partitions(graph, found, UNIT) == (2,)
    (short, *_) = limited(graph, verdicts(graph, (0, 2, 3)), UNIT, least=2)
    assert "fewer than 2 operators" in short.reason


def test_the_largest_comes_first_where_two_are_alike(wired):
    graph = wired(CHAIN)
    assert pieces(graph, verdicts(graph, (0, 2, 4)), UNIT, most=2) == ((0,), (2,))


def test_operators_with_effects_keep_their_order(by_name):
    graph = read(by_name["while"], "while")
    assert partitions(graph, verdicts(graph, (0,)), UNIT) == (1,)
