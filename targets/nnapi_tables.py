"""Which operators the NNAPI delegate knows: since which API level, in which types, up to which version.

Source: NNAPIDelegateKernel::Validate in LiteRT's nnapi_delegate.cc; types of operators
that it does not check, from NeuralNetworksTypes.h of Android.
"""

from collections.abc import Mapping
from typing import Final

_COMPARED: Final = ("LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "EQUAL", "NOT_EQUAL")
_LOGICAL: Final = ("LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT")

SINCE: Final[Mapping[str, int]] = {
    **dict.fromkeys((
        "BATCH_TO_SPACE_ND", "DIV", "MEAN", "PAD", "SPACE_TO_BATCH_ND", "SQUARED_DIFFERENCE",
        "SQUEEZE", "STRIDED_SLICE", "SUB", "TRANSPOSE",
    ), 28),
    **dict.fromkeys((
        "ABS", "ARG_MAX", "ARG_MIN", "CAST", "COS", "EXP", "EXPAND_DIMS", "GATHER", "LEAKY_RELU", "LOG",
        "LOG_SOFTMAX", "MAXIMUM", "MINIMUM", "NEG", "PADV2", "POW", "PRELU", "QUANTIZE", "REDUCE_ANY",
        "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SELECT", "SIN",
        "SLICE", "SPLIT", "SQRT", "SUM", "TILE", "TOPK_V2", "TRANSPOSE_CONV", "UNIDIRECTIONAL_SEQUENCE_LSTM",
        *_COMPARED, *_LOGICAL,
    ), 29),
    **dict.fromkeys(("ELU", "FILL", "PACK", "SPLIT_V", "UNPACK"), 30),
    "BATCH_MATMUL": 32, "MIRROR_PAD": 33, "REVERSE_V2": 33,
}  # fmt: skip
"""First API level that has an operator; the others are as old as NNAPI, level 27."""

_F: Final = {"float32": 27}
_FQ: Final = {"float32": 27, "uint8": 27, "int8": 27}
_SPEC: Final = {"float32": 27, "uint8": 27, "int8": 29, "float16": 29}
_MOVED: Final = {"float32": 27, "uint8": 27, "int8": 27, "float16": 29}
_FQI: Final = {**_FQ, "int32": 27}
_FQI_HALF: Final = {**_FQI, "float16": 29}
_FQI_BOOL: Final = {**_FQI, "bool": 29}
_FQ_INT32: Final = {**_FQ, "int32": 30}
_HALF: Final = {"float32": 27, "float16": 29}
_PADDED: Final = {"float32": 28, "uint8": 29, "int8": 29}
_BOOL: Final = {"bool": 29}

TYPES: Final[Mapping[str, Mapping[str, int]]] = {
    **dict.fromkeys((
        "AVERAGE_POOL_2D", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MAX_POOL_2D", "PRELU", "REDUCE_MAX",
        "REDUCE_MIN", "RELU", "RELU6", "RELU_N1_TO_1", "RESIZE_NEAREST_NEIGHBOR", "SOFTMAX",
        "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "STRIDED_SLICE", "UNPACK",
    ), _FQ),
    **dict.fromkeys((
        "ABS", "COS", "DIV", "ELU", "EXP", "L2_POOL_2D", "LOG", "LOG_SOFTMAX", "POW", "REDUCE_PROD", "SIN",
        "SQRT", "SUM", "EMBEDDING_LOOKUP",
    ), _F),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"), _SPEC),
    **dict.fromkeys((
        "BATCH_TO_SPACE_ND", "CONCATENATION", "SPACE_TO_BATCH_ND", "SQUEEZE", "TRANSPOSE",
    ), _MOVED),
    **dict.fromkeys(("FLOOR", "LOCAL_RESPONSE_NORMALIZATION"), _HALF),
    **dict.fromkeys(("MAXIMUM", "MINIMUM", "SELECT", "SLICE", "TILE", "TOPK_V2", "SPLIT_V"), _FQI),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN", "EXPAND_DIMS", "GATHER"), _FQI_HALF),
    **dict.fromkeys(_COMPARED, _FQI_BOOL),
    **dict.fromkeys(_LOGICAL, _BOOL),
    **dict.fromkeys(("ADD", "MUL"), _FQ_INT32),
    **dict.fromkeys(("MIRROR_PAD", "REVERSE_V2"), _FQI),
    **dict.fromkeys(("PAD", "PADV2", "MEAN"), _PADDED),
    "SUB": {"float32": 28, "uint8": 29, "int8": 29, "int32": 30},
    "TANH": {"float32": 27, "uint8": 29, "int8": 29},
    "RESIZE_BILINEAR": {"float32": 27, "uint8": 29, "int8": 29},
    "L2_NORMALIZATION": {"float32": 27, "uint8": 29, "int8": 29, "float16": 29},
    "RESHAPE": {**_FQ, "int32": 32},
    "RSQRT": {"float32": 29, "uint8": 33, "int8": 33},
    "NEG": {"float32": 29, "int32": 29},
    "CAST": {"float32": 29, "int32": 29, "uint8": 29, "int8": 30},
    "SPLIT": {"float32": 29, "uint8": 29, "int32": 29, "int8": 30},
    "PACK": {"float32": 30, "int8": 30, "uint8": 32, "int32": 32},
    "SQUARED_DIFFERENCE": {"float32": 28, "uint8": 29, "int8": 30, "int32": 30},
    "BATCH_MATMUL": {"float32": 32, "int8": 32, "int32": 32},
    "FILL": {"float32": 30, "int32": 30, "int64": 30},
    "QUANTIZE": {"uint8": 29, "int8": 30},
    "DEQUANTIZE": {"uint8": 27, "int8": 29, "float16": 30},
    "REDUCE_ANY": _BOOL,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": {"float32": 29},
}  # fmt: skip
"""Types of the tensor that decides, with the API level that each needs: of QUANTIZE what it makes."""

NEWEST: Final[Mapping[str, int]] = {
    **dict.fromkeys((
        "ABS", "CAST", "COS", "DIV", "ELU", "EMBEDDING_LOOKUP", "EXP", "EXPAND_DIMS", "FILL", "FLOOR",
        "L2_POOL_2D", "LEAKY_RELU", "LOCAL_RESPONSE_NORMALIZATION", "LOG", "LOG_SOFTMAX", "POW", "PRELU",
        "REDUCE_PROD", "RESHAPE", "SIN", "SQRT", "SQUEEZE", "SUM", "TILE", *_LOGICAL,
    ), 1),
    **dict.fromkeys((
        "DEPTHWISE_CONV_2D", "MAXIMUM", "MINIMUM", "MUL", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR",
        "REVERSE_V2", "SPLIT", "SUB",
    ), 3),
    "CONV_2D": 5, "FULLY_CONNECTED": 5, "TRANSPOSE_CONV": 4,
}  # fmt: skip
"""Newest version of an operator that the delegate knows; 2 of the others."""
