"""TFLite to TFLite: float weights become smaller ones, activations integers where the scheme says so.

ai-edge-quantizer rewrites the file (`schemes` has its recipes); the ranges are ours (`calibration`), because
its own "min-max" forgets. What it leaves undone is done or checked here: biases that would not fit, operator
versions, buffers inside the FlatBuffer, and that nothing computes in another type behind anyone's back.
"""

import contextlib
import io as text
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from calibration import editable
from calibration.ranges import Ranges
from converters import bias, float_source, precision, schemes, versions
from converters.schemes import SCHEMES, Entry, Io, Keep, Scheme, Weights, check_ends, known
from edgecnn.errors import ConversionError, MissingExtra
from edgecnn.graph import Graph, read

__all__ = ["SCHEMES", "Io", "Keep", "Scheme", "Weights", "check_ends", "known", "quantize", "unsupported"]

_DEAD = 1e-9
"""A range narrower than this is that of a tensor that never moved from zero."""


def quantize(
    content: bytes,
    scheme: str,
    *,
    name: str = "the model",
    ranges: Ranges | None = None,
    io: Io | None = None,
    weights: Weights = "channel",
    keep: Keep | None = None,
) -> bytes:
    """Rewrite a float model.

    Operators that are kept are met by QUANTIZE and DEQUANTIZE; none lies between two that are kept in the
    same precision. In float32 the delegate runs them, from float32 weights. In int16 their weights are int8
    and reference kernels run them, because XNNPACK has no int16 convolution: with three convolutions of
    ResNet-8 kept, an image took 2.3 ms in int16 and 0.2 ms in float32. They repair activations only, and only
    those between two kept operators.

    Args:
        content: a float `.tflite` file; float16 weights are widened first.
        scheme: a key of SCHEMES.
        name: what to call the model in errors.
        ranges: of every activation, inputs included; an integer scheme needs them, others don't look.
        io: type of inputs and outputs of an integer scheme, None for its own integers; float32 puts QUANTIZE
            and DEQUANTIZE at the ends.
        weights: whether int8 weights have a scale for each output channel, or one for the whole tensor, which
            old drivers want and which ruins most depthwise networks. In `dynamic`, dense weights always have
            one and depthwise ones never: the kernels know nothing else.
        keep: operators that stay out of the scheme, by the name of their first output, and what they compute
            in: float32; in an int8 model int16 too, which tflite-runtime 2.14 refuses to load.

    Raises:
        ConversionError: the model is quantized already, an unknown scheme, io or operator to keep, missing
            ranges, an operator that has no integer version, or a bias that cannot be stored.
        MissingExtra: ai-edge-quantizer is not installed.
    """
    chosen = known(scheme)
    check_ends(io, scheme)
    kept = dict(keep or {})
    content = float_source.to_float32(content, name)
    source = read(content, name)
    entries = schemes.recipe(scheme, io=io, weights=weights)
    entries += schemes.exceptions(source, kept, scheme, weights=weights)
    if not chosen.integer:
        return _finished(_rewritten(content, entries, {}, source))
    if ranges is None:
        raise ConversionError(
            f"{name}: {scheme} needs the ranges of the activations. Give images with --data."
        )
    statistics = _statistics(source, ranges)
    made = _rewritten(content, entries, statistics, source)
    if layers := bias.too_large(read(made, name), source):
        ranks = {tensor.name: len(tensor.shape) for tensor in source.tensors}
        statistics |= {layer.weights: bias.widened(layer, ranks[layer.weights]) for layer in layers}
        made = _rewritten(content, entries, statistics, source)
    finished = _finished(made)
    graph = read(finished, name)
    precision.check(graph, source, chosen.ends[0], kept)
    if layers := bias.too_large(graph, source):
        raise ConversionError(
            f"{name}: the bias beside {layers[0].weights} does not fit its integers even with coarser "
            "weights. Its channel is broken: check the training."
        )
    return finished


def unsupported(
    content: bytes, scheme: str, *, name: str = "the model", ranges: Ranges | None = None
) -> tuple[str, ...]:
    """The operators that have no version in an integer scheme, by the name of their first output.

    `quantize` refuses a model that has some, unless they are kept.

    Raises:
        ConversionError: as `quantize` does.
        MissingExtra: ai-edge-quantizer is not installed.
    """
    if not known(scheme).integer:
        return ()
    content = float_source.to_float32(content, name)
    source = read(content, name)
    if ranges is None:
        raise ConversionError(
            f"{name}: {scheme} needs the ranges of the activations. Give images with --data."
        )
    entries = schemes.recipe(scheme, io=None, weights="channel")
    made = _rewritten(content, entries, _statistics(source, ranges), source)
    return precision.in_float(read(made, name), source)


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
    content: bytes, recipe: tuple[Entry, ...], statistics: Mapping[str, Any], source: Graph
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


def _finished(content: bytes) -> bytes:
    """Every buffer inside the FlatBuffer, and versions that are true."""
    model = editable.read(content)
    versions.settle(model)
    # It names the runtime that the float file needed.
    model.metadata = [entry for entry in model.metadata or () if entry.name != b"min_runtime_version"]
    return editable.write(model)
