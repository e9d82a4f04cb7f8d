"""How many tensors each operator takes and gives, which may be left out, and which options it carries.

In a signature every letter is one tensor: `r` must be there, `o` may be -1; what stands in parentheses may be
absent, and `+` repeats the letter before it any number of times. `rr(o)>r` is a convolution: image, weights,
perhaps a bias.

Source: the kernels' Prepare functions in tensorflow/lite/kernels. They trust what stands here.
"""

import re
from dataclasses import dataclass
from typing import Final

from edgecnn.graph import schema
from edgecnn.graph.safety.call import Unsafe
from edgecnn.graph.view import Operator

_SIGNATURES: Final = """
r>r: AVERAGE_POOL_2D DEPTH_TO_SPACE DEQUANTIZE FLOOR L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION
r>r: LOGISTIC
r>r: MAX_POOL_2D RELU RELU_N1_TO_1 RELU6 SOFTMAX SPACE_TO_DEPTH TANH SQUEEZE EXP LOG_SOFTMAX CAST NEG SIN LOG
r>r: SQRT RSQRT
r>r: SHAPE FAKE_QUANT LOGICAL_NOT SQUARE ZEROS_LIKE LEAKY_RELU ABS CEIL COS WHERE RANK ELU MATRIX_DIAG
r>r: QUANTIZE ROUND
r>r: HARD_SWISH DENSIFY IMAG REAL COMPLEX_ABS BUCKETIZE GELU RELU_0_TO_1 SIGN BITCAST READ_VARIABLE
r>r: HASHTABLE_SIZE
r>r: RANDOM_STANDARD_NORMAL RANDOM_UNIFORM SKIP_GRAM
r>r: STABLEHLO_LOGISTIC STABLEHLO_RESHAPE STABLEHLO_BROADCAST_IN_DIM STABLEHLO_SLICE STABLEHLO_ABS
r>r: STABLEHLO_COSINE
r>r: STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_NEGATE STABLEHLO_RSQRT STABLEHLO_TANH
r>r: STABLEHLO_CONVERT STABLEHLO_TRANSPOSE STABLEHLO_CBRT
rr>r: ADD MUL SUB DIV EMBEDDING_LOOKUP PAD GATHER TRANSPOSE MEAN PRELU MAXIMUM ARG_MAX MINIMUM LESS GREATER
rr>r: GREATER_EQUAL
rr>r: LESS_EQUAL EQUAL NOT_EQUAL SUM POW ARG_MIN REDUCE_PROD REDUCE_MAX LOGICAL_OR LOGICAL_AND REDUCE_MIN
rr>r: FLOOR_DIV
rr>r: REDUCE_ANY FILL FLOOR_MOD SQUARED_DIFFERENCE MIRROR_PAD REVERSE_V2 GATHER_ND REVERSE_SEQUENCE
rr>r: MATRIX_SET_DIAG
rr>r: SEGMENT_SUM BATCH_MATMUL CUMSUM BROADCAST_TO RFFT2D REDUCE_ALL BROADCAST_ARGS MULTINOMIAL ATAN2
rr>r: BITWISE_XOR
rr>r: RIGHT_SHIFT RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR TILE EXPAND_DIMS
rr>r: STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_AND STABLEHLO_MINIMUM
rr>r: STABLEHLO_OR
rr>r: STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_SUBTRACT STABLEHLO_COMPARE STABLEHLO_PAD
rr>r: STABLEHLO_DOT_GENERAL
rr>r: STABLEHLO_REDUCE_WINDOW STABLEHLO_GATHER STABLEHLO_CONVOLUTION STABLEHLO_SHIFT_LEFT
rrr>r: BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND PADV2 SELECT SLICE RANGE SCATTER_ND SELECT_V2 HASHTABLE_FIND DILATE
rrr>r: UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM UNSORTED_SEGMENT_MIN
rrr>r: DYNAMIC_UPDATE_SLICE
rrr>r: STABLEHLO_CLAMP STABLEHLO_SELECT STABLEHLO_SCATTER
rrrr>r: STRIDED_SLICE SPARSE_TO_DENSE ONE_HOT
r(r)>r: RESHAPE
rr(o)>r: CONV_2D CONV_3D
rro>r: DEPTHWISE_CONV_2D
rrr(o)>r: TRANSPOSE_CONV CONV_3D_TRANSPOSE
rr(o)>r(r): FULLY_CONNECTED
r+>r: CONCATENATION PACK ADD_N STABLEHLO_CONCATENATE
rr>r+: SPLIT
rrr>r+: SPLIT_V
r>r+: UNPACK
rr>rr: TOPK_V2
r>rr: UNIQUE
rrr>rr: HASHTABLE_LOOKUP
rrrrr>rr: NON_MAX_SUPPRESSION_V4
rrrrrr>rrr: NON_MAX_SUPPRESSION_V5
rrrrr>r: RNN UNIDIRECTIONAL_SEQUENCE_RNN REDUCE_WINDOW EMBEDDING_LOOKUP_SPARSE
rrror>r: SVDF
rorrrorrroooorrroorr(oooo)>r: UNIDIRECTIONAL_SEQUENCE_LSTM
rorrrorrroooorrroorr(oooo)>r(rrr): LSTM
rrrrr>rrrr: BASIC_LSTM
rorrrorrroooorrrooorrrorrroooorrroorrrrooooooooo>r(r): BIDIRECTIONAL_SEQUENCE_LSTM
rrrrrrrrrooo>r(r): BIDIRECTIONAL_SEQUENCE_RNN
rr(r)>r: LSH_PROJECTION
>: CALL_ONCE
>r: VAR_HANDLE HASHTABLE
rr>: ASSIGN_VARIABLE
rrr>: HASHTABLE_IMPORT
"""
# BASIC_LSTM is the older of the two kernels of LSTM. IF, WHILE and their like take what their subgraphs take.


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a signature: at least, at most (None: any number), and what may be -1."""

    least: int
    most: int | None
    optional: frozenset[int]

    def __str__(self) -> str:
        if self.most is None:
            return f"{self.least} or more"
        return str(self.least) if self.least == self.most else f"{self.least} to {self.most}"


def check_arity(operator: Operator) -> None:
    """Refuse an operator with too few or too many tensors, one left out, or foreign options.

    Operators that are not in the table may have any number of tensors, but none left out.
    """
    kind = operator.kind
    if kind == "LSTM" and operator.options.get("kernel_type"):
        kind = "BASIC_LSTM"
    takes, gives = _ARITY.get(kind, _ANY)
    if kind != "CUSTOM":
        _check_side(operator.inputs, takes, "input")
        _check_side(operator.outputs, gives, "output")
    expected = schema.options_name(operator.kind)
    if operator.options_kind not in (None, expected):
        raise Unsafe(f"it carries the options of {operator.options_kind}, not of {expected or 'none'}")


def _check_side(indices: tuple[int, ...], side: _Side, what: str) -> None:
    if len(indices) < side.least or (side.most is not None and len(indices) > side.most):
        raise Unsafe(f"it has {len(indices)} {what}s instead of {side}")
    if -1 in indices:
        for place, index in enumerate(indices):
            if index < 0 and place not in side.optional:
                raise Unsafe(f"{what} {place} is left out")


def _side(text: str) -> _Side:
    letters = re.sub(r"[()+]", "", text)
    must = re.sub(r"\(.*\)", "", text).replace("+", "")
    optional = frozenset(place for place, letter in enumerate(letters) if letter == "o")
    return _Side(len(must), None if "+" in text else len(letters), optional)


def _parse() -> dict[str, tuple[_Side, _Side]]:
    arity = {}
    for line in _SIGNATURES.strip().splitlines():
        signature, _, kinds = line.partition(": ")
        takes, _, gives = signature.partition(">")
        arity.update(dict.fromkeys(kinds.split(), (_side(takes), _side(gives))))
    return arity


_ARITY: Final = _parse()
_ANY: Final = (_Side(0, None, frozenset()), _Side(0, None, frozenset()))
