from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as generated


def option(name: str, value: Any) -> Callable[[Any], None]:
    return lambda made: setattr(made.subgraphs[0].operators[0].builtinOptions, name, value)


def no_options(made: Any) -> None:
    operator = made.subgraphs[0].operators[0]
    operator.builtinOptions, operator.builtinOptionsType = None, 0


def dtype(index: int, name: str) -> Callable[[Any], None]:
    return lambda made: setattr(made.subgraphs[0].tensors[index], "type", getattr(generated.TensorType, name))


@pytest.fixture(scope="module")
def models(write: ModuleType) -> dict[str, bytes]:
    return dict(write.models())


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("conv", option("strideW", 0), "its stride_width is 0, not 1 or more"),
        ("conv", option("strideH", -1), "its stride_height is -1"),
        ("conv", option("dilationHFactor", 0), "its dilation_height is 0"),
        ("conv", no_options, "its stride_width is 0"),
        ("depthwise", option("dilationWFactor", 0), "its dilation_width is 0"),
        ("transpose_conv", option("strideH", 0), "its stride_height is 0"),
        ("max_pool_2d", option("filterWidth", 0), "its filter_width is 0"),
        ("average_pool_2d", no_options, "its stride_width is 0"),
        ("average_pool_2d", dtype(1, "INT64"), "it moves float32 into tensor 1 (out0) of type int64"),
        ("lrn", option("radius", -1), "its radius is -1, not 0 or more"),
        ("split", option("numSplits", 3), "its num_splits is 3, but it has 2 outputs"),
        ("split", no_options, "its num_splits is 0"),
        ("split_v", option("numSplits", 1), "its num_splits is 1"),
        ("unpack", option("num", 5), "its num is 5, but it has 4 outputs"),
        ("pack", option("valuesCount", 9), "its values_count is 9, but it has 2 inputs"),
        ("space_to_depth", option("blockSize", 0), "its block_size is 0"),
        ("depth_to_space", option("blockSize", -2), "its block_size is -2"),
        ("reshape", dtype(2, "COMPLEX128"), "it moves float32 into tensor 2 (out0) of type complex128"),
        ("transpose", dtype(2, "INT8"), "it moves float32 into"),
        ("embedding", dtype(2, "INT8"), "it looks up float32 and gives int8"),
        ("fake_quant", dtype(0, "INT32"), "its input is int32, not one of float32"),
        ("softmax", dtype(1, "STRING"), "of type string, but reads no strings"),
    ],
)
def test_what_would_end_the_process_is_named(
    models: dict[str, bytes],
    refusal: Callable[..., str],
    name: str,
    change: Callable[[Any], None],
    reason: str,
) -> None:
    content = models[f"{name}_float32"]
    assert refusal(content) == ""
    assert reason in refusal(content, change)


@pytest.mark.parametrize(("divisor", "reason"), [([1, 2], ""), ([1, 0], "it divides by tensor 1 (in1)")])
def test_a_constant_zero_divides_nothing(
    write: ModuleType, refusal: Callable[..., str], divisor: list[int], reason: str
) -> None:
    t = write.T
    found = refusal(
        write.one("DIV", [t((2,), "int32"), t((2,), "int32", divisor)], [t((2,), "int32")], "Div")
    )
    assert reason in found if reason else found == ""


def test_an_operator_without_rules_passes(models: dict[str, bytes], refusal: Callable[..., str]) -> None:
    assert refusal(models["where_float32"]) == ""
