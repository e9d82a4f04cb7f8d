"""TFLite to TFLite: float weights become smaller ones, activations integers where the scheme says so.

ai-edge-quantizer rewrites the file; the ranges are ours (`calibration`), because its own "min-max" forgets.
What it leaves undone is done or checked here: biases that would not fit 32 bits, operator versions, buffers
inside the FlatBuffer, and that nothing stayed float behind anyone's back.
"""

import contextlib
import io as text
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from calibration import editable
from calibration.ranges import Ranges
from converters import bias
from edgecnn.errors import ConversionError, MissingExtra
from edgecnn.graph import Graph, read

Io: TypeAlias = Literal["int8", "uint8", "float32"]
"""The type of an int8 model's inputs and outputs."""

_Entry: TypeAlias = dict[str, Any]
"""One entry of an ai-edge-quantizer recipe, in its JSON form."""


@dataclass(frozen=True)
class Scheme:
    """One way to make a float model smaller.

    Attributes:
        summary: for people.
        integer: activations become integers too, for which their ranges must be known.
        recipe: for ai-edge-quantizer; later entries come first.
    """

    summary: str
    integer: bool
    recipe: tuple[_Entry, ...]


def _entry(operation: str, algorithm: str, **config: Any) -> _Entry:
    return {"regex": ".*", "operation": operation, "algorithm_key": algorithm, "op_config": config}


_MINMAX: Final = "min_max_uniform_quantize"
_INT8_CHANNELS: Final = {"num_bits": 8, "symmetric": True, "granularity": "CHANNELWISE", "dtype": "INT"}
_INT8_TENSOR: Final = {**_INT8_CHANNELS, "granularity": "TENSORWISE"}
_ACTIVATIONS: Final = {"num_bits": 8, "symmetric": False, "granularity": "TENSORWISE", "dtype": "INT"}
_FLOAT16: Final = {"num_bits": 16, "symmetric": True, "granularity": "TENSORWISE", "dtype": "FLOAT"}
_WEIGHTED: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "CONV_2D_TRANSPOSE")
_INTEGER: Final = {"compute_precision": "INTEGER", "explicit_dequantize": False}

SCHEMES: Final[dict[str, Scheme]] = {
    "float16": Scheme(
        "weights in half precision, arithmetic in float: half the size, hardly a difference",
        integer=False,
        recipe=tuple(
            _entry(
                kind,
                "float_casting",
                weight_tensor_config=_FLOAT16,
                compute_precision="FLOAT",
                explicit_dequantize=True,
            )
            for kind in _WEIGHTED
        ),
    ),
    "dynamic": Scheme(
        "int8 weights, activations quantized while running: a quarter of the size, no calibration",
        integer=False,
        recipe=(
            _entry("*", _MINMAX, weight_tensor_config=_INT8_CHANNELS, **_INTEGER),
            # From dense weights with a scale per channel tflite-runtime 2.14 computes zeros and no error.
            _entry("FULLY_CONNECTED", _MINMAX, weight_tensor_config=_INT8_TENSOR, **_INTEGER),
        ),
    ),
    "int8": Scheme(
        "everything in integers: a quarter of the size, the fastest on most devices; needs images",
        integer=True,
        recipe=(
            _entry(
                "*",
                _MINMAX,
                activation_tensor_config=_ACTIVATIONS,
                weight_tensor_config=_INT8_CHANNELS,
                **_INTEGER,
            ),
        ),
    ),
}

_ENDS: Final[dict[str, tuple[_Entry, ...]]] = {
    "int8": (),
    "uint8": tuple(
        _entry(
            end,
            _MINMAX,
            activation_tensor_config={**_ACTIVATIONS, "dtype": "UINT"},
            weight_tensor_config=_INT8_CHANNELS,
            **_INTEGER,
        )
        for end in ("INPUT", "OUTPUT")
    ),
    "float32": tuple(_entry(end, "no_quantize") for end in ("INPUT", "OUTPUT")),
}

# The first version of an operator that takes int8 (tensorflow/lite/tools/versioning/op_version.cc). Runtimes
# forgive a lower number, tools that ask for the runtime a file needs do not.
_INT8_VERSIONS: Final = {
    **dict.fromkeys(
        ("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "DEQUANTIZE", "LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL"), 2
    ),
    **dict.fromkeys(("PAD", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SOFTMAX", "SUB", "TRANSPOSE"), 2),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), 3),
    "FULLY_CONNECTED": 4,
}

_DEAD = 1e-9
"""A range narrower than this is that of a tensor that never moved from zero."""


def known(scheme: str) -> Scheme:
    """The scheme of that name.

    Raises:
        ConversionError: there is none; lists those there are.
    """
    if scheme not in SCHEMES:
        raise ConversionError(f"no scheme is called {scheme!r}. There are: float32, {', '.join(SCHEMES)}.")
    return SCHEMES[scheme]


def check_ends(io: str) -> None:
    """Refuse a type that inputs and outputs cannot have.

    Raises:
        ConversionError: it is none of `Io`.
    """
    if io not in get_args(Io):
        raise ConversionError(f"inputs and outputs can be {', '.join(get_args(Io))}, not {io!r}")


def quantize(
    content: bytes, scheme: str, *, name: str = "the model", ranges: Ranges | None = None, io: Io = "int8"
) -> bytes:
    """Rewrite a float model.

    Args:
        content: a float32 `.tflite` file.
        scheme: a key of SCHEMES.
        name: what to call the model in errors.
        ranges: of every activation, inputs included; an integer scheme needs them, others don't look.
        io: type of inputs and outputs of an integer scheme; float32 puts QUANTIZE and DEQUANTIZE at the ends.

    Raises:
        ConversionError: an unknown scheme or io, missing ranges, an operator that has no integer version, or
            a bias that cannot be stored.
        MissingExtra: ai-edge-quantizer is not installed.
    """
    chosen = known(scheme)
    check_ends(io)
    source = read(content, name)
    if not chosen.integer:
        return _finished(_rewritten(content, chosen.recipe, {}, source), chosen)
    if ranges is None:
        raise ConversionError(
            f"{name}: {scheme} needs the ranges of the activations. Give images with --data."
        )
    recipe = (*chosen.recipe, *_ENDS[io])
    statistics = _statistics(source, ranges)
    made = _rewritten(content, recipe, statistics, source)
    if layers := bias.too_large(read(made, name), source):
        ranks = {tensor.name: len(tensor.shape) for tensor in source.tensors}
        statistics |= {layer.weights: bias.widened(layer, ranks[layer.weights]) for layer in layers}
        made = _rewritten(content, recipe, statistics, source)
    finished = _finished(made, chosen)
    _check_integer(read(finished, name), source)
    return finished


def _statistics(source: Graph, ranges: Ranges) -> dict[str, dict[str, Any]]:
    """The ranges as ai-edge-quantizer takes them: arrays of the tensor's rank."""
    statistics = {}
    for tensor in source.tensors:
        if tensor.is_constant or tensor.dtype != "float32":
            continue
        if tensor.name not in ranges.low_high:
            raise ConversionError(f"{source.name}: the range of {tensor.name} is not known. Calibrate again.")
        low, high = ranges.low_high[tensor.name]
        if max(high, 0.0) - min(low, 0.0) < _DEAD:
            low, high = 0.0, 1.0  # a scale of 1e-12 would overflow whatever is multiplied by it
        shape = (1,) * len(tensor.shape)
        statistics[tensor.name] = {
            "min": np.full(shape, low, np.float32),
            "max": np.full(shape, high, np.float32),
        }
    return statistics


def _rewritten(
    content: bytes, recipe: tuple[_Entry, ...], statistics: Mapping[str, Any], source: Graph
) -> bytes:
    try:
        from ai_edge_quantizer.quantizer import Quantizer
    except ModuleNotFoundError as error:
        raise MissingExtra("ai-edge-quantizer", "convert") from error
    try:
        # A progress bar that no option turns off, and a warning about how it looks at tensor names.
        with contextlib.redirect_stderr(text.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = Quantizer(content, list(recipe)).quantize(
                dict(statistics) or None, enable_progress_bar=False, enable_progress_report=False
            )
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ConversionError(f"{source.name}: ai-edge-quantizer cannot rewrite it: {reason}") from None
    return bytes(result.quantized_model)


def _finished(content: bytes, scheme: Scheme) -> bytes:
    """Every buffer inside the FlatBuffer, and versions that are true."""
    model = editable.read(content)
    if scheme.integer:
        codes = {getattr(schema.BuiltinOperator, kind): version for kind, version in _INT8_VERSIONS.items()}
        for code in model.operatorCodes:
            code.version = max(code.version, codes.get(code.builtinCode, 1))
    # It names the runtime that the float file needed.
    model.metadata = [entry for entry in model.metadata or () if entry.name != b"min_runtime_version"]
    return editable.write(model)


def _check_integer(made: Graph, source: Graph) -> None:
    """Nothing computes in float but QUANTIZE and DEQUANTIZE at the ends, and no bias is clipped.

    Raises:
        ConversionError: an operator stayed float, or a bias does not fit.
    """
    ends = {*made.inputs, *made.outputs}
    floating = [
        operator
        for operator in made.ops
        for index in (*operator.inputs, *operator.outputs)
        if index >= 0 and made.tensors[index].dtype == "float32"
        if not (operator.kind in ("QUANTIZE", "DEQUANTIZE") and index in ends)
    ]
    if floating:
        # The operator itself rather than the QUANTIZE and DEQUANTIZE around it.
        named = next((one for one in floating if one.kind not in ("QUANTIZE", "DEQUANTIZE")), floating[0])
        raise ConversionError(
            f"{source.name}: {named.label} ({made.tensors[named.outputs[0]].name}) has no int8 version in "
            "ai-edge-quantizer, so the model would stay partly float. Replace it, or use --float16."
        )
    if layers := bias.too_large(made, source):
        raise ConversionError(
            f"{source.name}: the bias beside {layers[0].weights} does not fit 32 bits even with coarser "
            "weights. Its channel is broken: check the training."
        )
