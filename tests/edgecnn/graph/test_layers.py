import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.graph.layers import Layer, Network, Value, layer_table, live_bytes
from edgecnn.graph.lecture import receptive_field


def image(number: int, side: int, channels: int = 1, bytes_: int | None = None) -> Value:
    shape = (1, side, side, channels)
    return Value(number, shape, side * side * channels if bytes_ is None else bytes_)


def given_image(side: int) -> Layer:
    return Layer("image", "input", (), (image(0, side),))


def conv(
    number: int, inputs: tuple[int, ...], side: int, f: int, s: int = 1, p: int = 0, **more: object
) -> Layer:
    return Layer(
        f"layer{number}", "CONV_2D", inputs, (image(number, side),), kernel=(f, f), stride=(s, s),
        padding=((p, p), (p, p)), **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_network_of_nothing_costs_nothing() -> None:
    table = layer_table(Network((), ()))
    assert (table.rows, table.parameters, table.macs, table.peak_bytes) == ((), 0, 0, 0)


def test_sums_are_those_of_the_rows() -> None:
    layers = (
        given_image(5),
        conv(1, (0,), 3, 3, parameters=20, macs=18),
        conv(2, (1,), 1, 3, parameters=7, macs=5),
    )
    table = layer_table(Network(layers, (2,)))
    assert (table.parameters, table.macs) == (27, 23)
    assert [row.in_shape for row in table.rows] == [(), (1, 5, 5, 1), (1, 3, 3, 1)]
    assert [row.activation_bytes for row in table.rows] == [25, 9, 1]


@pytest.mark.parametrize(("stride", "side", "rest"), [(1, 5, 0), (2, 3, 0), (3, 2, 1)])
def test_positions_that_no_window_reaches_are_told(stride: int, side: int, rest: int) -> None:
    table = layer_table(Network((given_image(7), conv(1, (0,), side, 3, stride)), (1,)))
    assert table.rows[1].rest == (rest, rest)


def test_the_receptive_field_of_a_chain_is_the_lectures() -> None:
    chain = [(3, 1), (3, 2), (2, 2), (5, 1)]
    layers, side = [given_image(64)], 64
    for number, (f, s) in enumerate(chain, 1):
        side = (side - f) // s + 1
        layers.append(conv(number, (number - 1,), side, f, s))
    row = layer_table(Network(tuple(layers), (len(chain),))).rows[-1]
    assert row.receptive_field == (receptive_field(chain),) * 2
    assert row.jump == (4, 4)


@settings(deadline=None)
@given(
    side=st.integers(8, 20),
    chain=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(0, 1)), max_size=3),
)
def test_the_receptive_field_is_what_a_pixel_really_sees(
    side: int, chain: list[tuple[int, int, int]]
) -> None:
    """Brute force: follow which inputs reach each output, and how far apart they lie."""
    layers, sees = [given_image(side)], [{place} for place in range(side)]
    for number, (f, s, p) in enumerate(chain, 1):
        padded = [set[int]()] * p + sees + [set[int]()] * p
        if len(padded) < f:
            return
        sees = [set().union(*padded[at : at + f]) for at in range(0, len(padded) - f + 1, s)]
        layers.append(conv(number, (number - 1,), len(sees), f, s, p))
    row = layer_table(Network(tuple(layers), (len(chain),))).rows[-1]
    largest = max(max(seen) - min(seen) + 1 for seen in sees if seen)
    assert largest <= row.receptive_field[0]
    if all(p == 0 for _, _, p in chain):
        assert largest == row.receptive_field[0]


def test_branches_count_with_their_largest_field() -> None:
    layers = (
        given_image(9),
        conv(1, (0,), 9, 5, p=2),
        conv(2, (0,), 9, 3, p=1),
        Layer("sum", "ADD", (1, 2), (image(3, 9),)),
    )
    assert layer_table(Network(layers, (3,))).rows[-1].receptive_field == (5, 5)


def test_a_dilated_kernel_reaches_further() -> None:
    table = layer_table(Network((given_image(9), conv(1, (0,), 5, 3, dilation=(2, 2))), (1,)))
    assert table.rows[1].receptive_field == (5, 5)


def test_enlarging_halves_the_distance_between_values() -> None:
    layers = (given_image(8), conv(1, (0,), 4, 2, 2), conv(2, (1,), 8, 3, 2, zoom=(2.0, 2.0)))
    rows = layer_table(Network(layers, (2,))).rows
    assert rows[1].jump == (2, 2)
    # a value of a transposed convolution depends on ceil(3 / 2) = 2 of its inputs, 2 pixels apart
    assert (rows[2].jump, rows[2].receptive_field) == ((1, 1), (4, 4))


def test_a_dense_layer_sees_the_whole_image_even_flattened() -> None:
    layers = (
        given_image(8),
        conv(1, (0,), 4, 2, 2),
        Layer("flat", "RESHAPE", (1,), (Value(2, (1, 16), 16),)),
        Layer("dense", "FULLY_CONNECTED", (2,), (Value(3, (1, 10), 10),), sees_all=True),
        Layer("dense2", "FULLY_CONNECTED", (3,), (Value(4, (1, 5), 5),), sees_all=True),
    )
    rows = layer_table(Network(layers, (4,))).rows
    assert [row.receptive_field for row in rows] == [(1, 1), (2, 2), (2, 2), (8, 8), (8, 8)]


def test_memory_is_what_lives_at_once() -> None:
    # x (100) -> a (50) -> b (60) -> c (1), and a again into c: a lives through b
    layers = (
        Layer("x", "input", (), (Value(0, (), 100),)),
        Layer("a", "RELU", (0,), (Value(1, (), 50),)),
        Layer("b", "RELU", (1,), (Value(2, (), 60),)),
        Layer("c", "ADD", (1, 2), (Value(3, (), 1),)),
    )
    network = Network(layers, (3,), state_bytes=7)
    assert live_bytes(network) == [107, 157, 117, 118]
    table = layer_table(network)
    assert (table.peak_bytes, table.peak_row) == (157, 1)


def test_an_output_lives_to_the_end_and_what_nobody_reads_dies_at_once() -> None:
    layers = (
        Layer("x", "input", (), (Value(0, (), 10),)),
        Layer("split", "SPLIT", (0,), (Value(1, (), 5), Value(2, (), 6), Value(3, (), 7))),
        Layer("y", "RELU", (1,), (Value(4, (), 1),)),
    )
    assert live_bytes(Network(layers, (2, 4))) == [10, 28, 5 + 6 + 1]


def test_all_inputs_are_there_from_the_beginning() -> None:
    layers = (
        Layer("a", "input", (), (Value(0, (), 10),)),
        Layer("b", "input", (), (Value(1, (), 20),)),
        Layer("y", "ADD", (0, 1), (Value(2, (), 1),)),
    )
    assert live_bytes(Network(layers, (2,))) == [30, 30, 31]


@settings(deadline=None)
@given(data=st.data())
def test_memory_is_the_sum_over_lifetimes(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    sizes = [data.draw(st.integers(0, 99)) for _ in range(count)]
    reads = [
        data.draw(st.lists(st.integers(0, number - 1), max_size=3)) if number else []
        for number in range(count)
    ]
    outputs = data.draw(st.lists(st.integers(0, count - 1), max_size=3))
    layers = tuple(
        Layer("", "OP", tuple(reads[number]), (Value(number, (), sizes[number]),)) for number in range(count)
    )
    expected = []
    for now in range(count):
        alive = [
            value
            for value in range(now + 1)
            if value == now or value in outputs or any(value in reads[later] for later in range(now, count))
        ]
        expected.append(sum(sizes[value] for value in alive))
    assert live_bytes(Network(layers, tuple(outputs))) == expected


def test_the_table_is_json() -> None:
    table = layer_table(Network((given_image(7), conv(1, (0,), 3, 3, 2)), (1,)))
    row = json.loads(json.dumps(table.as_dict()))["rows"][1]
    assert (row["kernel"], row["stride"], row["padding"]) == ([3, 3], [2, 2], [[0, 0], [0, 0]])
    assert np.prod(row["out_shape"]) == 9
