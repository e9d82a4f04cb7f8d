from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="module")
def models(write: ModuleType) -> dict[str, bytes]:
    return {name: content for name, content in write.models() if name.endswith("_float32")}


def shape(index: int, *sizes: int) -> Callable[[Any], None]:
    return lambda made: setattr(made.subgraphs[0].tensors[index], "shape", list(sizes))


def numbers(buffer: int, values: Sequence[int]) -> Callable[[Any], None]:
    data = np.frombuffer(np.array(values, np.int32).tobytes(), np.uint8)
    return lambda made: setattr(made.buffers[buffer], "data", data)


def option(name: str, value: Any) -> Callable[[Any], None]:
    return lambda made: setattr(made.subgraphs[0].operators[0].builtinOptions, name, value)


def both(*changes: Callable[[Any], None]) -> Callable[[Any], None]:
    return lambda made: [change(made) for change in changes]  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        # a convolution and a pool: 6 x 6 image, 3 x 3 and 2 x 2 windows
        ("conv", shape(3, 1, 5, 6, 8), "an output of shape (1, 6, 6, 8), but the file states (1, 5, 6, 8)"),
        ("conv", option("padding", 7), "its padding is UNKNOWN_7"),
        ("conv_dilated", option("dilationHFactor", 3), "its window of (3, 3) does not fit into (6, 6)"),
        ("depthwise", shape(3, 1, 3, 3, 9), "(1, 3, 3, 8), but the file states (1, 3, 3, 9)"),
        ("max_pool_2d", option("filterWidth", 30), "its window of (2, 30) does not fit into (6, 6)"),
        ("average_pool_2d", option("filterHeight", 3), "(1, 2, 3, 4), but the file states (1, 3, 3, 4)"),
        # constants that decide a shape
        ("pad", numbers(1, [0, 0, 1, 1, 2, 1, 0, 0]), "(1, 8, 9, 4), but the file states (1, 8, 8, 4)"),
        ("pad", numbers(1, [0, 0, 1, 1, 2, -1, 0, 0]), "(0, 0, 1, 1, 2, -1, 0, 0)"),
        ("pad", numbers(1, [2**31 - 1] * 2 + [0] * 6), "its inputs ask for an output of shape"),
        ("tile", numbers(1, [1, 2**20, 2**20, 1]), "its inputs ask for"),
        ("resize_bilinear", numbers(1, [9, 10]), "(1, 9, 10, 4), but the file states (1, 9, 9, 4)"),
        ("resize_nearest_neighbor", numbers(1, [-9, 9]), "(1, -9, 9, 4)"),
        ("resize_nearest_neighbor", shape(0, 1, 6, 0, 4), "tensor 0 (in0) of shape (1, 6, 0, 4) is empty"),
        ("fill", numbers(1, [2, 2]), "(2, 2), but the file states (2, 3)"),
        ("scatter", numbers(2, [6, 4]), "(6, 4), but the file states (5, 4)"),
        ("broadcast_to", numbers(1, [3, 4, 4, 4]), "(3, 4, 4, 4), but the file states (2, 4, 4, 4)"),
        ("transpose_conv", numbers(1, [1, 12, 12, 9]), "(1, 12, 12, 9), but"),
        ("one_hot", numbers(1, [10**9]), "its inputs ask for an output of shape (3, 1000000000)"),
        ("range", numbers(2, [10**9]), "(1000000000,), but the file states (5,)"),
        ("range", numbers(3, [0]), "its inputs ask for an output of shape (-1,)"),
        # shapes that follow from others
        ("relu", shape(1, 1, 4, 4, 4), "(1, 4, 4, 3), but the file states (1, 4, 4, 4)"),
        ("add_row", shape(2, 1, 4, 4, 1), "(1, 4, 4, 3), but the file states (1, 4, 4, 1)"),
        # parameters of one number, lists that are short
        ("split", both(shape(0, 2), numbers(1, [3, 3])), "tensor 0 (in0) of shape (2,) should be one number"),
        ("topk", both(shape(1, 0), numbers(1, [])), "tensor 1 (in1) of shape (0,)"),
        ("reshape", both(shape(1, 17), numbers(1, [1] * 17)), "int32 (17,), is no list of sizes or axes"),
        (
            "reshape",
            lambda made: setattr(made.subgraphs[0].tensors[1], "type", 15),
            "uint32 (2,), is no list",
        ),
        ("reverse", shape(0, 1, 4, 0, 4), "is empty"),
        ("transpose", numbers(1, [0, 3, 1, 1]), "it orders 4 dimensions as (0, 3, 1, 1)"),
        ("transpose", numbers(1, [0, 3, 1, 9]), "it orders 4 dimensions as (0, 3, 1, 9)"),
        ("topk", numbers(1, [0]), "it takes the 0 best of 7"),
        ("topk", numbers(1, [8]), "it takes the 8 best of 7"),
        (
            "transpose_conv",
            option("strideW", 65536),
            "it turns (1, 6, 6, 4) into (1, 12, 12, 8) with weights",
        ),
        ("transpose_conv", option("padding", 1), "it turns (1, 6, 6, 4) into (1, 12, 12, 8) with weights"),
        ("transpose_conv", shape(2, 17, 6, 6, 4), "it turns (17, 6, 6, 4) into"),
        ("conv", shape(0, 1, 6, 6, 6), "its weights (8, 3, 3, 4) do not fit 6 channels"),
        ("conv", shape(0, 1, 6, 6, 12), "its weights (8, 3, 3, 4) do not fit 12 channels"),
        ("depthwise", shape(0, 1, 6, 6, 3), "its weights (1, 3, 3, 8) do not fit 3 channels"),
        ("add", shape(0, 1, 4, 4, 2), "its inputs (1, 4, 4, 2) and (1, 4, 4, 3) do not fit each other"),
        ("less", shape(0, 1, 1, 1, 4, 3), "have more than 4 dimensions"),
    ],
)
def test_a_shape_that_leads_outside_is_named(
    models: dict[str, bytes],
    refusal: Callable[..., str],
    name: str,
    change: Callable[[Any], None],
    reason: str,
) -> None:
    content = models[f"{name}_float32"]
    assert refusal(content) == ""
    assert reason in refusal(content, change)


@pytest.mark.parametrize(
    ("size", "window", "stride", "padding", "places"),
    [
        (7, 3, 1, 1, 5),
        (7, 3, 2, 1, 3),
        (7, 3, 3, 1, 2),
        (7, 3, 2, 0, 4),
        (8, 3, 2, 0, 4),
        (2, 3, 1, 0, 2),
    ],
)
def test_a_window_has_as_many_places_as_the_interpreter_gives(
    write: ModuleType,
    refusal: Callable[..., str],
    size: int,
    window: int,
    stride: int,
    padding: int,
    places: int,
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    settings = {"strideW": stride, "strideH": stride, "padding": padding, "filterWidth": window}
    content = write.one(
        "MAX_POOL_2D", [write.T((1, size, size, 1))], [write.T((1, places, places, 1))], "Pool2D",
        filterHeight=window, **settings,
    )  # fmt: skip
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    assert interpreter.get_output_details()[0]["shape"].tolist() == [1, places, places, 1]
    assert refusal(content) == ""
    assert "but the file states" in refusal(content, shape(1, 1, places + 1, places, 1))


@pytest.mark.parametrize("case", range(60))
def test_a_strided_slice_has_the_shape_the_interpreter_gives(
    write: ModuleType, refusal: Callable[..., str], case: int
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    random = np.random.default_rng(case)
    t = write.T
    begin, end = random.integers(-6, 7, 3), random.integers(-6, 7, 3)
    step = random.choice([-2, -1, 1, 2, 3], 3)
    shrink = int(random.choice([0, 0, 1, 2]))
    shrunk = [bool(shrink >> axis & 1) for axis in range(3)]
    step[shrunk], begin[shrunk] = 1, random.integers(-3, 3)
    masks = {
        "beginMask": int(random.integers(8)),
        "endMask": int(random.integers(8)),
        "shrinkAxisMask": shrink,
    }
    lists = [write.shape_of(*map(int, values)) for values in (begin, end, step)]
    content = write.one("STRIDED_SLICE", [t((3, 4, 5)), *lists], [t(())], "StridedSlice", **masks)
    interpreter = Interpreter(model_content=content)
    try:
        interpreter.allocate_tensors()
    except RuntimeError:  # the kernel says so itself: a place outside the dimension
        return
    found = interpreter.get_output_details()[0]["shape"].tolist()
    assert refusal(content, shape(4, *found)) == ""
    assert "but the file states" in refusal(content, shape(4, *found, 9))


@pytest.mark.parametrize(
    ("begin", "size", "reason"),
    [
        ((0, 1), (2, -1), ""),
        ((0, 1), (2, 2), ""),
        ((0, 1), (2, 3), "it takes 3 from 1 of a dimension of 3"),
        ((-1, 1), (2, 2), "it takes 2 from -1 of a dimension of 2"),
        ((0, 1), (2, -2), "it takes -2 from 1 of a dimension of 3"),
        ((0, 4), (2, -1), "it takes -1 from 4 of a dimension of 3"),
    ],
)
def test_a_slice_stays_inside(
    write: ModuleType, refusal: Callable[..., str], begin: tuple[int, ...], size: tuple[int, ...], reason: str
) -> None:
    t = write.T
    content = write.one(
        "SLICE", [t((2, 3)), write.shape_of(*begin), write.shape_of(*size)], [t((2, 2))], "Slice"
    )
    found = refusal(content)
    assert reason in found if reason else found == ""


@pytest.mark.parametrize(
    ("kind", "lists", "reason"),
    [
        ("SLICE", ([0, 0], [1, 1]), "its list of 2 numbers does not fit tensor 0 (in0) of (2, 3, 4)"),
        ("TILE", ([1, 1],), "its list of 2 numbers does not fit"),
        (
            "STRIDED_SLICE",
            ([0] * 4, [1] * 4, [1] * 4),
            "its lists of 4, 4 and 4 numbers do not fit (2, 3, 4)",
        ),
        ("STRIDED_SLICE", ([0], [1, 1], [1]), "its lists of 1, 2 and 1 numbers"),
        ("STRIDED_SLICE", ([0, 0, 0], [1, 1, 1], [1, 0, 1]), "it steps by 0"),
        ("STRIDED_SLICE", ([0], [1], [1]), ""),
    ],
)
def test_lists_of_another_length_are_named(
    write: ModuleType, refusal: Callable[..., str], kind: str, lists: tuple[list[int], ...], reason: str
) -> None:
    options = {"SLICE": "Slice", "TILE": "Tile", "STRIDED_SLICE": "StridedSlice"}[kind]
    inputs = [write.T((2, 3, 4)), *(write.shape_of(*values) for values in lists)]
    found = refusal(write.one(kind, inputs, [write.T((1, 3, 4))], options))
    assert reason in found if reason else found == ""


def test_a_shape_that_an_old_converter_left_out_is_left_to_the_kernel(
    write: ModuleType, refusal: Callable[..., str]
) -> None:
    t = write.T
    assert refusal(write.one("RELU", [t(())], [t((1, 2))])) == ""
    assert refusal(write.one("ADD", [t(()), t((2,))], [t((2, 2))], "Add")) == ""


def test_what_is_only_known_at_run_time_is_left_to_the_kernel(
    write: ModuleType, refusal: Callable[..., str]
) -> None:
    t = write.T
    content = write.one("PAD", [t((1, 2, 2, 1)), t((4, 2), "int32")], [t((1, 9, 9, 1))], "Pad")
    assert refusal(content) == ""


def test_a_free_dimension_is_left_to_the_kernel(
    models: dict[str, bytes], refusal: Callable[..., str]
) -> None:
    def change(made: Any) -> None:
        made.subgraphs[0].tensors[3].shapeSignature = [-1, -1, -1, 8]
        made.subgraphs[0].tensors[3].shape = [1, 1, 1, 8]

    assert refusal(models["conv_float32"], change) == ""
