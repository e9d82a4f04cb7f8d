"""Verdicts beside delegate_ops.csv: what the delegates' pages and sources say, read without our tables.

Every operator that has a row and a one-operator model, in each type, on each API level: those of our zoo, and
more. Where a delegate's code says otherwise than the row, the code was believed, and DIFFERS says why.
"""

import csv
import re

import pytest

from edgecnn.graph import read
from targets import core_ml, gpu, nnapi, xnnpack
from targets.delegate_rules import Node

DTYPES = ("float32", "float16", "int8", "uint8", "int16")
LEVELS = (27, 28, 29, 30, 31, 33, 34)

ZOO = {
    "ADD": "add", "AVERAGE_POOL_2D": "average_pool_2d", "CONCATENATION": "concatenation", "CONV_2D": "conv",
    "DEPTHWISE_CONV_2D": "depthwise", "DEQUANTIZE": "dequantize", "FULLY_CONNECTED": "dense",
    "HARD_SWISH": "hard_swish", "LOGISTIC": "logistic", "MAX_POOL_2D": "max_pool_2d", "MEAN": "mean",
    "MUL": "mul", "PAD": "pad", "QUANTIZE": "quantize", "RELU": "relu", "RELU6": "relu6",
    "RESHAPE": "reshape", "RESIZE_NEAREST_NEIGHBOR": "resize_nearest_neighbor", "SOFTMAX": "softmax",
}  # fmt: skip
"""Operators of the zoo's files, and those that adopted files have in their place."""

OTHERS = {
    "ABS": "abs", "BATCH_MATMUL": "batch_matmul", "COS": "cos", "DEPTH_TO_SPACE": "depth_to_space",
    "DIV": "div", "ELU": "elu", "EXP": "exp", "FLOOR": "floor", "GELU": "gelu", "LEAKY_RELU": "leaky_relu",
    "LOG": "log", "MAXIMUM": "maximum", "MINIMUM": "minimum", "MIRROR_PAD": "mirror_pad", "NEG": "neg",
    "PRELU": "prelu", "REDUCE_MAX": "reduce_max", "REDUCE_MIN": "reduce_min", "RELU_N1_TO_1": "relu_n1_to_1",
    "RESIZE_BILINEAR": "resize_bilinear", "ROUND": "round", "RSQRT": "rsqrt", "SIN": "sin", "SLICE": "slice",
    "SPACE_TO_DEPTH": "space_to_depth", "SPLIT": "split", "SQRT": "sqrt", "SQUARE": "square",
    "SQUARED_DIFFERENCE": "squared_difference", "SQUEEZE": "squeeze", "SUB": "sub", "SUM": "sum",
    "TANH": "tanh", "TRANSPOSE": "transpose", "TRANSPOSE_CONV": "transpose_conv",
}  # fmt: skip

KINDS = {**ZOO, **OTHERS}
TYPES = {"fp32": ("float32",), "fp16": ("float16",), "fp": ("float32", "float16"), "8-bit": ("int8", "uint8")}
TYPES |= {name: (name,) for name in ("int8", "uint8", "int16", "int32")}
ALIASES = {"RELU_N1_TO_1": ("RELU1",), "SUM": ("REDUCE_SUM",), "REDUCE_MIN": ("MIN",)}

UNCHECKED = "no type is checked from API level 29 on; the specification has it"
SAME_SIGN = "the row is about what comes out; in our model something else goes in"
DIFFERS = {
    **dict.fromkeys(
        (("xnnpack", kind, "float16") for kind in ("MAX_POOL_2D", "RESIZE_BILINEAR", "SPACE_TO_DEPTH")),
        "fp16 is what it computes in; a float16 tensor it leaves alone",
    ),
    ("xnnpack", "TRANSPOSE_CONV", "float16"): "LiteRT does not load such a file",
    ("xnnpack", "QUANTIZE", "uint8"): SAME_SIGN,
    ("xnnpack", "QUANTIZE", "int16"): SAME_SIGN,
    **dict.fromkeys(
        (
            ("nnapi", kind, "float16")
            for kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE", "TRANSPOSE_CONV")
        ),
        UNCHECKED,
    ),
    ("nnapi", "DEPTHWISE_CONV_2D", "int8"): UNCHECKED,
    ("nnapi", "CONCATENATION", "float16"): "the specification has float16 from API level 29 on",
    ("nnapi", "SQUEEZE", "float16"): "the specification has float16 from API level 29 on",
    ("nnapi", "SQUEEZE", "int16"): "the specification has no int16",
    ("nnapi", "NEG", "float16"): "the delegate takes float32 and int32",
    ("nnapi", "RESIZE_BILINEAR", "int8"): "the row names float32; the code takes 8 bits from API level 29 on",
    (
        "nnapi",
        "RESIZE_BILINEAR",
        "uint8",
    ): "the row names float32; the code takes 8 bits from API level 29 on",
    ("nnapi", "DEQUANTIZE", "float16"): "the code takes it from API level 30 on, weights on any",
    ("nnapi", "QUANTIZE", "float16"): SAME_SIGN,
    ("nnapi", "QUANTIZE", "int16"): SAME_SIGN,
}


@pytest.fixture(scope="module")
def rows(shared):
    with (shared / "facts" / "delegate_ops.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def made(one_op_models):
    """Every one-operator model by type and name."""
    return {dtype: dict(one_op_models.of_type(dtype)) for dtype in DTYPES}


def of(rows, delegate, kind):
    names = {kind, *ALIASES.get(kind, ())}
    found = [row for row in rows if row["delegate"] == delegate and names & set(row["op"].split("/"))]
    return [row for row in found if "(NOT)" not in row["op"]]


def named(text):
    """Types that a cell names."""
    words = re.findall(r"uint8|int8|int16|int32|8-bit|fp16|fp32|fp\b", text)
    return {dtype for word in words for dtype in TYPES[word]} | (set(DTYPES) if text == "any" else set())


def api(text):
    """The API level in a cell; feature levels 6 and 7 came with Android 12L and 13."""
    number = int(re.search(r"\d+", text)[0])
    return number + 26 if text.startswith("FL") else number


def levels(row, kind):
    """Of each type that a row of the NNAPI delegate names: from which API level."""
    found = {}
    for clause in re.split(r"[;,()]", row["dtype"]):
        own = re.search(r"(?:API|FL) ?\d+", clause)
        for dtype in named(clause):
            found.setdefault(dtype, api(own[0] if own else row["min_level"]))
    for clause in re.split(r"[;,]", row["limits"]):
        own = re.search(r"(int8|uint8|8-bit|int32) from (API \d+|FL\d+)", clause)
        about = re.match(r"\s*([A-Z_]{4,}) ", clause)
        if own and (about is None or about[1] == kind):
            found |= dict.fromkeys(named(own[1]), api(own[2]))
    return found


def nnapi_says(rows, kind, dtype):
    """First API level on which the delegate takes a type; None where the table names none."""
    own = of(rows, "NNAPI (TFLite delegate)", kind)
    if not own:
        spec = of(rows, "NNAPI (spec)", kind)
        return min((api(row["min_level"]) for row in spec if dtype in named(row["dtype"])), default=None)
    found = {}
    for row in own:
        found |= levels(row, kind)
    late = re.search(r"half_pixel until (after )?API (\d+)", own[0]["limits"])  # our models have half pixels
    if dtype not in found or late is None:
        return found.get(dtype)
    return max(found[dtype], int(late[2]) + bool(late[1]))


def deciding(kind, dtype):
    """The type whose row decides: of QUANTIZE what it makes, which is int8 in our models."""
    return "int8" if kind == "QUANTIZE" else dtype


def compared(delegate, kind, dtype, ours, says):
    """Fail where verdict and table differ and no reason is known, or where the known reason is none."""
    if (delegate, kind, dtype) in DIFFERS:
        assert ours != says, f"{delegate} {kind} {dtype}: agrees now"
    else:
        assert ours == says, f"{delegate} {kind} {dtype}: we say {ours}, the table {says}"


@pytest.mark.parametrize("kind", KINDS)
def test_xnnpack(rows, made, kind):
    own = of(rows, "XNNPACK", kind)
    if any("see code" in row["dtype"] for row in own):
        own = []  # the table names the operator and no type: our rules are from the code and the interpreter
        assert xnnpack.judge(read(made["float32"][f"{KINDS[kind]}_float32"], kind))[0].unit == xnnpack.UNIT
        return
    for dtype in DTYPES:
        graph = read(made[dtype][f"{KINDS[kind]}_{dtype}"], kind)
        wanted = deciding(kind, dtype)
        says = any(
            wanted in named(row["dtype"]) and not (wanted == "uint8" and "int8 only" in row["limits"])
            for row in own
        )
        compared("xnnpack", kind, dtype, xnnpack.judge(graph)[0].unit == xnnpack.UNIT, says)


@pytest.mark.parametrize("kind", KINDS)
def test_nnapi(rows, made, kind):
    for dtype in DTYPES:
        graph = read(made[dtype][f"{KINDS[kind]}_{dtype}"], kind)
        start = nnapi_says(rows, kind, deciding(kind, dtype))
        ours = [level for level in LEVELS if nnapi.judge(graph, level)[0].unit == nnapi.UNIT]
        compared("nnapi", kind, dtype, ours, [level for level in LEVELS if start and level >= start])


@pytest.mark.parametrize("kind", KINDS)
def test_gpu(rows, made, kind):
    own = of(rows, "GPU", kind)
    eight = any(row["op"] == "(global) quantized" and "8-bit allowed" in row["limits"] for row in rows)
    for dtype in DTYPES:
        graph = read(made[dtype][f"{KINDS[kind]}_{dtype}"], kind)
        says = any(dtype in named(row["dtype"]) or (eight and dtype in ("int8", "uint8")) for row in own)
        compared("gpu", kind, dtype, gpu.judge(graph)[0].unit == gpu.UNIT, says)


@pytest.mark.parametrize("kind", KINDS)
def test_core_ml(rows, made, one_op_models, kind):
    m = one_op_models
    fitting = {  # the limits of the table: one row of inputs, dimensions that are kept, three or four of them
        "FULLY_CONNECTED": m.one(
            "FULLY_CONNECTED",
            [m.T((1, 4)), m.T((5, 4), data=1), m.T((5,), data=1)],
            [m.T((1, 5))],
            "FullyConnected",
        ),
        "MEAN": made["float32"]["mean_keep_float32"],
        "RESHAPE": m.one("RESHAPE", [m.T((1, 4, 4, 4)), m.shape_of(1, 16, 4)], [m.T((1, 16, 4))], "Reshape"),
    }
    own = of(rows, "CoreML", kind)
    for dtype in DTYPES:
        content = made[dtype][f"{KINDS[kind]}_{dtype}"]
        graph = read(fitting.get(kind, content) if dtype == "float32" else content, kind)
        # float16 is of weights: coreml_delegate.mm asks for float32 inputs
        says = dtype == "float32" and any(dtype in named(row["dtype"]) for row in own)
        compared("core_ml", kind, dtype, core_ml.refusal(Node(graph, graph.ops[0]), 2) is None, says)


def test_the_table_speaks_of_every_operator_of_the_zoo(rows):
    for kind in ZOO:
        assert of(rows, "NNAPI (TFLite delegate)", kind), kind
        assert of(rows, "GPU", kind), kind
