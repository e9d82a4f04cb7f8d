"""A stranger's float `.tflite` as today's tools want it: one image, fixed sizes, float32, a signature.

Old files know operators only by a one-byte code, leave the batch open, have no signature, may hold half-
precision weights or names that occur twice. What cannot be had again (weights that were rounded to integers)
is refused. What the numbers mean is found elsewhere: `edgecnn.runtime.meaning`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from calibration import editable
from converters import float_source
from converters.input_shape import INPUT, SIGNATURE
from edgecnn.errors import ConversionError
from edgecnn.graph import Graph, check, read
from edgecnn.runtime.stranger_postprocess import OPERATOR

_LAST_SHORT_CODE: Final = 127
"""Operators above it are named by `builtin_code` alone (schema.fbs, OperatorCode)."""

_TYPES: Final = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
    schema.TensorType.BOOL: np.bool_,
}
_SHAPE_TYPES: Final = (schema.TensorType.INT32, schema.TensorType.INT64, schema.TensorType.BOOL)


def check_float(graph: Graph) -> None:
    """Refuse a model that computes or keeps its weights in integers, or that cannot be rewritten.

    Raises:
        ConversionError: says what was found, and what to convert from instead.
    """
    # the largest constant first: weights rather than a bias, a bias rather than what goes by
    for tensor in sorted(graph.tensors, key=lambda one: one.elements if one.is_constant else 0, reverse=True):
        if tensor.is_quantized and "int" in tensor.dtype:
            what = "weights" if tensor.is_constant else "values"
            raise ConversionError(
                f"{graph.name}: is quantized already ({tensor.dtype} {what}); convert from the float file it "
                "came from"
            )
        if tensor.is_sparse:
            raise ConversionError(
                f"{graph.name}: {tensor.name!r} is stored sparse, which is not read. Convert from the file "
                "before pruning was packed."
            )
    if any(operator.custom_code == OPERATOR for operator in graph.ops):
        # it is float whatever the scheme, and leaves rows that it does not fill as they are
        raise ConversionError(
            f"{graph.name}: ends in {OPERATOR}, which has no int8 form. Export the network without it, with "
            "boxes and scores as outputs, and convert that."
        )
    if len(graph.subgraphs) > 1:
        kinds = [
            op.kind for op in graph.ops if op.kind in ("IF", "WHILE", "CALL_ONCE", "STABLEHLO_COMPOSITE")
        ]
        raise ConversionError(
            f"{graph.name}: has {len(graph.subgraphs)} subgraphs ({', '.join(kinds) or 'no call'}); a "
            "network with branches or loops cannot be converted. Build it without them."
        )
    for index in (*graph.inputs, *graph.outputs):
        tensor = graph.tensors[index]
        if tensor.dtype != "float32":
            raise ConversionError(
                f"{graph.name}: {tensor.name!r} is {tensor.dtype}; a float model takes and gives float32. "
                "Convert from the file before its inputs and outputs were changed."
            )


def float_file(content: bytes, name: str, *, shape: Sequence[int], roles: Mapping[str, int]) -> bytes:
    """The same network with a fixed input and the signature `serving_default`: image to roles.

    Args:
        content: a float `.tflite` file that `edgecnn.graph.check` found safe.
        name: what to call it in errors.
        shape: of the input, (1, height, width, channels).
        roles: role to the position of the output that plays it.

    Raises:
        ConversionError: see `check_float`; or a shape depends on more than the size of the input.
        ModelError: it cannot be run with such an input.
    """
    check_float(read(content, name))
    model = editable.read(content)
    _write_codes_in_full(model)
    model.signatureDefs = []  # one of our own comes at the end
    float_source.widen_halves(model)
    _give_names(model)
    if _is_open(model) or list(model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].shape) != list(shape):
        _fix_shapes(model, name, shape)
    _only_reshape(model)
    _sign(model, roles)
    made = editable.write(model)
    graph = read(made, name)
    check(graph)
    if left := [tensor for tensor in graph.tensors if tensor.is_dynamic or tensor.dtype == "float16"]:
        raise ConversionError(
            f"{name}: {left[0].name!r} ({left[0].dtype} {left[0].shape}) stays half or of open size. Convert "
            "the network again with batch size 1 and float32."
        )
    return made


def _write_codes_in_full(model: editable.Model) -> None:
    model.version = 3
    for code in model.operatorCodes:
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
        code.deprecatedBuiltinCode = min(code.builtinCode, _LAST_SHORT_CODE)
        code.version = max(code.version, 1)


def _fix_shapes(model: editable.Model, name: str, shape: Sequence[int]) -> None:
    """Every shape as it is for this input; what was computed from shapes alone becomes a constant."""
    graph = model.subgraphs[0]
    values = _values(editable.write(model), name, shape)
    known = {i for i, tensor in enumerate(graph.tensors) if _is_constant(model, tensor)}
    kept = []
    for operator in graph.operators:
        measures = _kind(model, operator) == schema.BuiltinOperator.SHAPE
        settled = measures or all(i in known for i in operator.inputs if i >= 0)
        if settled and all(graph.tensors[i].type in _SHAPE_TYPES for i in operator.outputs):
            for index in operator.outputs:
                _store(model, graph.tensors[index], values[index])
                known.add(index)
        else:
            kept.append(operator)
    graph.operators = kept
    for index, tensor in enumerate(graph.tensors):
        if index in values:
            tensor.shape = list(values[index].shape)
        tensor.shapeSignature = None
    editable.drop_unused(model)


def _values(content: bytes, name: str, shape: Sequence[int]) -> dict[int, npt.NDArray[Any]]:
    """Every tensor's value for an image of zeros, of that shape."""
    # The seam of the device floor reads outputs only; here every tensor counts, so without a delegate.
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        (entry,) = interpreter.get_input_details()
        interpreter.resize_tensor_input(entry["index"], list(shape))
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], np.zeros(shape, np.float32))
        interpreter.invoke()
        wanted = [details["index"] for details in interpreter.get_tensor_details() if details["name"]]
        return {index: interpreter.get_tensor(index) for index in wanted}
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConversionError(
            f"{name}: cannot run with one image of {tuple(shape[1:])}: {reason}. Say another size with "
            "--size."
        ) from None


def _only_reshape(model: editable.Model) -> None:
    """Whatever only gives a tensor another shape becomes a RESHAPE: quantizers know no SQUEEZE."""
    graph = model.subgraphs[0]
    kinds = schema.BuiltinOperator
    code = next((i for i, one in enumerate(model.operatorCodes) if one.builtinCode == kinds.RESHAPE), None)
    for operator in graph.operators:
        if _kind(model, operator) not in (kinds.SQUEEZE, kinds.EXPAND_DIMS):
            continue
        if code is None:
            code = len(model.operatorCodes)
            model.operatorCodes.append(_reshape_code())
        shape = np.array(graph.tensors[operator.outputs[0]].shape, np.int32)
        wanted = schema.TensorT()
        wanted.name = b"%s#shape" % graph.tensors[operator.outputs[0]].name
        wanted.shape, wanted.type = [len(shape)], schema.TensorType.INT32
        _store(model, wanted, shape)
        graph.tensors.append(wanted)
        operator.opcodeIndex = code
        operator.inputs = [operator.inputs[0], len(graph.tensors) - 1]
        operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
        operator.builtinOptions = schema.ReshapeOptionsT()
        operator.builtinOptions.newShape = shape
    editable.drop_unused(model)


def _reshape_code() -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RESHAPE
    code.version = 1
    return code


def _give_names(model: editable.Model) -> None:
    """Every tensor a name of its own: ranges and quantization go by names."""
    tensors = model.subgraphs[0].tensors
    taken = Counter(tensor.name or b"" for tensor in tensors)
    for index, tensor in enumerate(tensors):
        if not tensor.name or taken[tensor.name] > 1:
            name = tensor.name or b"tensor"
            taken[name] -= 1
            tensor.name = name + b"#%d" % index
            taken[tensor.name] += 1


def _sign(model: editable.Model, roles: Mapping[str, int]) -> None:
    graph = model.subgraphs[0]
    graph.outputs = [graph.outputs[position] for position in roles.values()]
    signature = schema.SignatureDefT()
    signature.signatureKey = SIGNATURE
    signature.subgraphIndex = 0
    signature.inputs = [_entry(INPUT, graph.inputs[0])]
    signature.outputs = [_entry(role, index) for role, index in zip(roles, graph.outputs, strict=True)]
    model.signatureDefs = [signature]
    # Both describe the file as it was: which runtime it needs, and (now the card's part) what goes in.
    model.metadata = []
    model.metadataBuffer = None


def _entry(name: str, tensor: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, int(tensor)
    return entry


def _kind(model: editable.Model, operator: Any) -> int:
    return int(model.operatorCodes[operator.opcodeIndex].builtinCode)


def _is_constant(model: editable.Model, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _is_open(model: editable.Model) -> bool:
    signatures = [tensor.shapeSignature for tensor in model.subgraphs[0].tensors]
    return any(-1 in list(signature) for signature in signatures if signature is not None)


def _store(model: editable.Model, tensor: Any, values: npt.NDArray[Any]) -> None:
    """Make a tensor a constant."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(values, _TYPES[tensor.type]).tobytes(), np.uint8)
    tensor.buffer = len(model.buffers)
    model.buffers.append(buffer)
