"""What single kernels take for granted: the table of rules, and the rules about options and types.

Rules stand here only for what ends the process; what a kernel reports as an error is left to the kernel.
"""

from typing import Final

from edgecnn.graph.safety import recurrent, scales, shapes
from edgecnn.graph.safety.call import Call, Rule, Unsafe, called
from edgecnn.graph.safety.custom import check_custom

_PLAIN: Final = ("float32", "int8", "uint8", "int16", "int32", "int64")


def check_kernel(call: Call) -> None:
    """Refuse an operator on which its kernel would end the process."""
    _check_empty(call)
    _check_strings(call)
    for rule in _RULES.get(call.operator.kind, ()):
        rule(call)


def _check_empty(call: Call) -> None:
    """A tensor that never holds a number is no part of a network, and few kernels expect one."""
    if call.operator.kind in ("CONCATENATION", "RESHAPE", "SHAPE", "CUSTOM"):
        return
    for given in call.inputs:
        if given is not None and len(given.shape) > 1 and not given.elements and not given.is_dynamic:
            raise Unsafe(f"{called(given)} of shape {given.shape} is empty")


def _check_strings(call: Call) -> None:
    """Strings are no numbers of fixed size: only what reads strings may give them."""
    if call.operator.kind in ("CUSTOM", "READ_VARIABLE", "HASHTABLE_FIND"):
        return
    if any(given is not None and given.dtype == "string" for given in call.inputs):
        return
    for made in call.outputs:
        if made.dtype == "string":
            raise Unsafe(f"it gives {called(made)} of type string, but reads no strings")


def _at_least(least: int, *names: str) -> Rule:
    """Options that divide, step or count must not fall below `least`; without options they are 0."""

    def rule(call: Call) -> None:
        for name in names:
            value = call.operator.options.get(name, 0)
            if value < least:
                raise Unsafe(f"its {name} is {value}, not {least} or more")

    return rule


def _counts(option: str, side: str) -> Rule:
    """An option that repeats how many tensors there are must be right."""

    def rule(call: Call) -> None:
        stated, actual = call.operator.options.get(option, 0), len(getattr(call.operator, side))
        if stated != actual:
            raise Unsafe(f"its {option} is {stated}, but it has {actual} {side}")

    return rule


def _type_in(*types: str) -> Rule:
    """The first input's type."""

    def rule(call: Call) -> None:
        first = call.inputs[0]
        if first is not None and first.dtype not in types:
            raise Unsafe(f"its input is {first.dtype}, not one of {', '.join(types)}")

    return rule


def _moves(place: int) -> Rule:
    """Values are copied from input `place` byte by byte, so every output has its type."""

    def rule(call: Call) -> None:
        given = call.inputs[place]
        for made in call.outputs:
            if given is not None and given.dtype != made.dtype:
                raise Unsafe(f"it moves {given.dtype} into {called(made)} of type {made.dtype}")

    return rule


def _looks_up(call: Call) -> None:
    table, made = call.inputs[1], call.outputs[0]
    if table is not None and made.dtype not in (table.dtype, "float32"):
        raise Unsafe(f"it looks up {table.dtype} and gives {made.dtype}")


def _divides(call: Call) -> None:
    divisor = call.inputs[1]
    if divisor is None or not divisor.is_constant or divisor.is_sparse:
        return
    values = call.graph.data(divisor)
    if values.dtype.kind in "iu" and not divisor.is_quantized and not values.all():
        raise Unsafe(f"it divides by {called(divisor)}, which holds a 0")


def _each(kinds: str, *rules: Rule) -> dict[str, tuple[Rule, ...]]:
    return dict.fromkeys(kinds.split(), rules)


_WINDOW: Final = _at_least(1, "stride_width", "stride_height")
_DILATED: Final = _at_least(1, "dilation_width", "dilation_height")
_WINDOWED: Final = shapes.shaped_by(shapes.windowed)
_FILTER: Final = _at_least(1, "filter_width", "filter_height")
_BROADCAST: Final = shapes.shaped_by(shapes.broadcast)
_KEPT: Final = shapes.shaped_by(shapes.kept)
_PADDED: Final = shapes.shaped_by(shapes.padded)
_LIST: Final = shapes.short_list(1)
_COMPARED: Final = (scales.scaled, scales.comparable, shapes.at_most_dimensions(4), _BROADCAST)
_RESIZED: Final = (_LIST, shapes.shaped_by(shapes.resized), _moves(0))


def _sized(place: int) -> tuple[Rule, Rule]:
    """Input `place` is the output's shape."""
    return shapes.short_list(place), shapes.shaped_by(shapes.stated(place))


_RULES: Final[dict[str, tuple[Rule, ...]]] = {
    **_each("CONV_2D DEPTHWISE_CONV_2D", _WINDOW, _DILATED, _WINDOWED),
    **_each("TRANSPOSE_CONV", _WINDOW, *_sized(0), shapes.enlarged),
    **_each("AVERAGE_POOL_2D MAX_POOL_2D L2_POOL_2D", _WINDOW, _FILTER, _WINDOWED, _moves(0)),
    **_each("LOCAL_RESPONSE_NORMALIZATION", _at_least(0, "radius"), _KEPT),
    **_each("SPLIT", _counts("num_splits", "outputs"), shapes.one_number(0), _moves(1)),
    **_each("SPLIT_V", _counts("num_splits", "outputs"), shapes.one_number(2), _moves(0)),
    **_each("UNPACK", _counts("num", "outputs"), _moves(0)),
    **_each("PACK", _counts("values_count", "inputs"), _moves(0)),
    **_each("PAD MIRROR_PAD", _LIST, _PADDED, _moves(0)),
    **_each("PADV2", _LIST, _PADDED, shapes.one_number(2), _moves(0)),
    **_each("TILE", _LIST, shapes.shaped_by(shapes.tiled), _moves(0)),
    **_each("RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR", *_RESIZED),
    **_each("BROADCAST_TO", *_sized(1), _moves(0)),
    **_each("FILL", *_sized(0), shapes.one_number(1), _moves(1)),
    **_each("SCATTER_ND", *_sized(2), _moves(1)),
    **_each("SPARSE_TO_DENSE", *_sized(1), _moves(2)),
    **_each("RANDOM_UNIFORM RANDOM_STANDARD_NORMAL", *_sized(0)),
    **_each("SPACE_TO_DEPTH DEPTH_TO_SPACE", _at_least(1, "block_size"), _moves(0)),
    **_each("SQUEEZE CONCATENATION GATHER GATHER_ND REVERSE_SEQUENCE DYNAMIC_UPDATE_SLICE", _moves(0)),
    **_each("RESHAPE", _LIST, _moves(0)),
    **_each("TRANSPOSE", _LIST, shapes.shaped_by(shapes.permuted), _moves(0)),
    **_each("MEAN SUM REDUCE_PROD REDUCE_ANY REDUCE_ALL", _LIST),
    **_each("REDUCE_MAX REDUCE_MIN", _LIST, _moves(0)),
    **_each("REVERSE_V2", _LIST, _moves(0)),
    **_each("BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND", shapes.short_list(1, 2), _moves(0)),
    **_each("SLICE", shapes.short_list(1, 2), shapes.shaped_by(shapes.sliced), _moves(0)),
    **_each("STRIDED_SLICE", shapes.short_list(1, 2, 3), shapes.shaped_by(shapes.strided), _moves(0)),
    **_each("EXPAND_DIMS CUMSUM", shapes.one_number(1), _moves(0)),
    **_each("TOPK_V2", shapes.one_number(1), shapes.shaped_by(shapes.best)),
    **_each("ARG_MAX ARG_MIN", shapes.one_number(1)),
    **_each("RANGE", shapes.one_number(0, 1, 2), shapes.shaped_by(shapes.counted), _moves(0)),
    **_each("ONE_HOT", shapes.one_number(1, 2, 3), shapes.shaped_by(shapes.inserted), _moves(2)),
    **_each("SELECT SELECT_V2", _moves(1)),
    **_each("EMBEDDING_LOOKUP", _looks_up),
    **_each("UNIDIRECTIONAL_SEQUENCE_LSTM", shapes.dimensions(3), recurrent.gated(1)),
    **_each("BIDIRECTIONAL_SEQUENCE_LSTM", shapes.dimensions(3), recurrent.gated(1, 18)),
    **_each("UNIDIRECTIONAL_SEQUENCE_RNN BIDIRECTIONAL_SEQUENCE_RNN", shapes.dimensions(3)),
    **_each("LSTM", shapes.dimensions(2), recurrent.gated(1)),
    **_each("RNN SVDF", shapes.dimensions(2)),
    **_each("FAKE_QUANT", _type_in("float32")),
    **_each("MATRIX_DIAG MATRIX_SET_DIAG", _type_in(*_PLAIN), _moves(0)),
    **_each("MAXIMUM MINIMUM", _BROADCAST, _moves(0)),
    **_each("ADD SUB SQUARED_DIFFERENCE", scales.scaled, scales.addable, _BROADCAST, _moves(0)),
    **_each("MUL", scales.scaled, _BROADCAST, _moves(0)),
    **_each("DIV", scales.scaled, _BROADCAST, _moves(0), _divides),
    **_each("EXP LOG SQRT RSQRT SIN COS LOGISTIC TANH ELU GELU HARD_SWISH LEAKY_RELU", scales.tabled, _KEPT),
    **_each("SOFTMAX LOG_SOFTMAX ABS", scales.tabled, _KEPT),
    **_each(
        "QUANTIZE DEQUANTIZE CAST RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1 PRELU FLOOR CEIL ROUND NEG SIGN", _KEPT
    ),
    **_each("SQUARE L2_NORMALIZATION ZEROS_LIKE LOGICAL_NOT", _KEPT),
    **_each("DENSIFY", _KEPT, _moves(0)),
    **_each("LESS LESS_EQUAL GREATER GREATER_EQUAL EQUAL NOT_EQUAL", *_COMPARED),
    **_each("POW ATAN2 LOGICAL_AND LOGICAL_OR", _BROADCAST, _moves(0)),
    **_each("FLOOR_DIV FLOOR_MOD", _BROADCAST, _moves(0), _divides),
    **_each("STABLEHLO_ADD STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_MINIMUM", _BROADCAST, _moves(0)),
    **_each("CUSTOM", check_custom),
}
