import pytest

from edgecnn.graph.operators import macs


@pytest.mark.parametrize(
    ("kind", "inputs", "output", "options", "count"),
    [
        ("RELU", [(1, 8)], (1, 8), {}, 0),
        ("BUILTIN_999", [(1, 8)], (1, 8), {}, 0),
        # 112 x 112 x 32 values, each a sum over 3 x 3 x 3
        ("CONV_2D", [(1, 224, 224, 3), (32, 3, 3, 3), (32,)], (1, 112, 112, 32), {}, 10_838_016),
        ("CONV_2D", [(1, 8, 8, 4), (6, 1, 1, 2)], (1, 8, 8, 6), {}, 64 * 6 * 2),  # two groups
        ("DEPTHWISE_CONV_2D", [(1, 8, 8, 4), (1, 3, 3, 8), (8,)], (1, 4, 4, 8), {}, 16 * 8 * 9),
        ("FULLY_CONNECTED", [(2, 10), (5, 10), ()], (2, 5), {}, 100),
        ("FULLY_CONNECTED", [(2, 3, 10), (5, 10), ()], (2, 3, 5), {}, 300),
        ("TRANSPOSE_CONV", [(4,), (6, 3, 3, 4), (1, 8, 8, 4)], (1, 16, 16, 6), {}, 256 * 54),
        ("BATCH_MATMUL", [(7, 2, 3), (7, 3, 4)], (7, 2, 4), {}, 7 * 2 * 3 * 4),
        ("BATCH_MATMUL", [(7, 3, 2), (7, 3, 4)], (7, 2, 4), {"adjoint_x": True}, 7 * 2 * 3 * 4),
        ("CONV_3D", [(1, 4, 4, 4, 2), (3, 3, 3, 2, 5)], (1, 2, 2, 2, 5), {}, 8 * 5 * 54),
        # what the kernel would refuse costs nothing
        ("CONV_2D", [(1, 8, 8, 4)], (1, 8, 8, 6), {}, 0),
        ("CONV_2D", [(1, 8, 8, 4), (6, 1)], (1, 8, 8, 6), {}, 0),
        ("FULLY_CONNECTED", [(2, 10), ()], (2, 5), {}, 0),
        ("BATCH_MATMUL", [(3,), (3,)], (1,), {}, 0),
    ],
)
def test_multiply_accumulates_follow_the_shapes(
    kind: str, inputs: list[tuple[int, ...]], output: tuple[int, ...], options: dict[str, bool], count: int
) -> None:
    assert macs(kind, inputs, output, options) == count
