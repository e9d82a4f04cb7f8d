"""The ways to make a float model smaller, as recipes for ai-edge-quantizer; nothing here runs it.

A recipe is a list of entries, later ones come first; an entry says what to do with one kind of operator, or
with all of them, wherever a pattern matches the names of their outputs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from edgecnn.errors import ConversionError
from edgecnn.graph import Graph, Operator

Io: TypeAlias = Literal["int8", "uint8", "int16", "float32"]
"""The type of an integer model's inputs and outputs."""

Weights: TypeAlias = Literal["channel", "convolution", "tensor"]
"""Whether weights have a scale for each output channel, only those of convolutions do (dense layers have one
for the whole layer, as NNAPI and the Edge TPU ask), or every tensor has one."""

Precision: TypeAlias = Literal["float32", "int16"]
"""What an operator computes in that is kept out of an int8 model."""

Keep: TypeAlias = Mapping[str, Precision]
"""Operators that are kept, by the name of their first output in the float model."""

Entry: TypeAlias = dict[str, Any]
"""One entry of a recipe, in its JSON form."""


@dataclass(frozen=True)
class Scheme:
    """One way to make a float model smaller.

    Attributes:
        summary: for people.
        recipe: with a scale for each channel of the weights where the runtimes can.
        ends: the types that inputs and outputs can have, the usual one first; none where they stay float32.
        warning: what to know before a file of it ships; "" where there is nothing.
    """

    summary: str
    recipe: tuple[Entry, ...]
    ends: tuple[Io, ...] = ()
    warning: str = ""

    @property
    def integer(self) -> bool:
        """Whether activations become integers too, for which their ranges must be known."""
        return bool(self.ends)


def _entry(operation: str, algorithm: str, **config: Any) -> Entry:
    return {"regex": ".*", "operation": operation, "algorithm_key": algorithm, "op_config": config}


_MINMAX: Final = "min_max_uniform_quantize"
_INT8_CHANNELS: Final = {"num_bits": 8, "symmetric": True, "granularity": "CHANNELWISE", "dtype": "INT"}
_INT8_TENSOR: Final = {**_INT8_CHANNELS, "granularity": "TENSORWISE"}
_INT8: Final = {"num_bits": 8, "symmetric": False, "granularity": "TENSORWISE", "dtype": "INT"}
_INT16: Final = {"num_bits": 16, "symmetric": True, "granularity": "TENSORWISE", "dtype": "INT"}
_FLOAT16: Final = {"num_bits": 16, "symmetric": True, "granularity": "TENSORWISE", "dtype": "FLOAT"}
_WEIGHTED: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "CONV_2D_TRANSPOSE")
_INTEGER: Final = {"compute_precision": "INTEGER", "explicit_dequantize": False}
_FLOAT: Final = {"compute_precision": "FLOAT", "explicit_dequantize": True}


def _integer(activations: Mapping[str, Any]) -> dict[str, Any]:
    return {"activation_tensor_config": activations, "weight_tensor_config": _INT8_CHANNELS, **_INTEGER}


SCHEMES: Final[dict[str, Scheme]] = {
    "float16": Scheme(
        "weights in half precision, arithmetic in float: half the size, hardly a difference",
        tuple(_entry(kind, "float_casting", weight_tensor_config=_FLOAT16, **_FLOAT) for kind in _WEIGHTED),
    ),
    "dynamic": Scheme(
        "int8 weights, activations quantized while running: a quarter of the size, no calibration",
        (
            _entry("*", _MINMAX, weight_tensor_config=_INT8_CHANNELS, **_INTEGER),
            # From dense weights with a scale per channel tflite-runtime 2.14 computes zeros and no error.
            _entry("FULLY_CONNECTED", _MINMAX, weight_tensor_config=_INT8_TENSOR, **_INTEGER),
        ),
    ),
    "weight_only": Scheme(
        "int8 weights, arithmetic in float: a quarter of the size, no calibration, as slow as float",
        tuple(_entry(kind, _MINMAX, weight_tensor_config=_INT8_CHANNELS, **_FLOAT) for kind in _WEIGHTED),
    ),
    "int8": Scheme(
        "everything in integers: a quarter of the size, the fastest on most devices; needs images",
        (_entry("*", _MINMAX, **_integer(_INT8)),),
        ends=("int8", "uint8", "float32"),
    ),
    "int16x8": Scheme(
        "int8 weights, int16 activations: a quarter of the size, near to float; needs images",
        (_entry("*", _MINMAX, **_integer(_INT16)),),
        ends=("int16", "float32"),
        warning=(
            "int16x8 runs on reference kernels, measured 34 to 75 times slower than int8 on x86: measure it "
            "on the device before it ships"
        ),
    ),
}

_ENDS: Final[dict[str, tuple[Entry, ...]]] = {
    "int8": (),
    "int16": (),
    "uint8": tuple(
        _entry(end, _MINMAX, **_integer({**_INT8, "dtype": "UINT"})) for end in ("INPUT", "OUTPUT")
    ),
    "float32": tuple(_entry(end, "no_quantize") for end in ("INPUT", "OUTPUT")),
}

_DENSE: Final = "FULLY_CONNECTED"

_NAMES: Final = {"TRANSPOSE_CONV": "CONV_2D_TRANSPOSE"}
"""Operators that ai-edge-quantizer calls otherwise than the schema does."""


def known(scheme: str) -> Scheme:
    """The scheme of that name.

    Raises:
        ConversionError: there is none; lists those there are.
    """
    if scheme not in SCHEMES:
        raise ConversionError(f"no scheme is called {scheme!r}. There are: float32, {', '.join(SCHEMES)}.")
    return SCHEMES[scheme]


def check_ends(io: str | None, scheme: str = "int8") -> None:
    """Refuse a type that inputs and outputs of an integer scheme cannot have; None is the usual one.

    Raises:
        ConversionError: it is none of the scheme's.
    """
    ends = known(scheme).ends
    if ends and io is not None and io not in ends:
        raise ConversionError(f"inputs and outputs of {scheme} can be {', '.join(ends)}, not {io!r}")


def recipe(scheme: str, *, io: Io | None, weights: Weights) -> tuple[Entry, ...]:
    """The entries of a scheme with the given ends and weights; schemes without integers ignore `io`."""
    chosen = known(scheme)
    entries = chosen.recipe + (_ENDS[io or chosen.ends[0]] if chosen.integer else ())
    if weights == "convolution":
        entries += tuple(
            _per_tensor({**entry, "operation": _DENSE})
            for entry in chosen.recipe
            if entry["operation"] in ("*", _DENSE)
        )
    if weights == "tensor":
        entries = tuple(map(_per_tensor, entries))
        if scheme == "dynamic":
            # The kernels that quantize while running read one scale per channel here, whatever is there.
            entries += (
                _entry("DEPTHWISE_CONV_2D", _MINMAX, weight_tensor_config=_INT8_CHANNELS, **_INTEGER),
            )
    return entries


def exceptions(source: Graph, keep: Keep, scheme: str, *, weights: Weights) -> tuple[Entry, ...]:
    """The entries that keep operators out of a scheme.

    Raises:
        ConversionError: an operator that the model does not have, or a precision that the scheme cannot mix.
    """
    operators = {source.tensors[operator.outputs[0]].name: operator for operator in source.ops}
    for tensor, precision in keep.items():
        if tensor not in operators:
            raise ConversionError(f"{source.name}: no operator computes {tensor!r}, so it cannot be kept")
        if precision != "float32" and (precision != "int16" or scheme != "int8"):
            other = " or int16" if scheme == "int8" else ""
            raise ConversionError(
                f"{source.name}: an operator of {scheme} can be kept in float32{other}, not {precision!r}"
            )
    return tuple(_exception(source, operators[tensor], keep[tensor], weights) for tensor in keep)


def _exception(source: Graph, operator: Operator, precision: Precision, weights: Weights) -> Entry:
    names = "".join(f"{source.tensors[index].name};" for index in operator.outputs)
    # By kind too: what the outputs of the whole model become has entries of its own under the same names.
    where = {"regex": f"^{re.escape(names)}$", "operation": _NAMES.get(operator.kind, operator.kind)}
    if precision == "float32":
        return {**where, "algorithm_key": "no_quantize", "op_config": {}}
    entry = {**where, "algorithm_key": _MINMAX, "op_config": _integer(_INT16)}
    whole = weights == "tensor" or (weights == "convolution" and operator.kind == _DENSE)
    return _per_tensor(entry) if whole else entry


def _per_tensor(entry: Entry) -> Entry:
    config = entry["op_config"]
    if "weight_tensor_config" not in config:
        return entry
    one = {**config["weight_tensor_config"], "granularity": "TENSORWISE"}
    return {**entry, "op_config": {**config, "weight_tensor_config": one}}
