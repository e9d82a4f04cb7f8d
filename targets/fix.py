"""Changes to a file that lift what stops a delegate, without touching what the network computes.

Each is named by the verdicts that it lifts (`targets.verdict.Verdict.fix`). All but "dense-per-tensor" keep
every number; that one rounds dense weights again, and how far the outputs moved is measured, not assumed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from calibration import editable
from edgecnn.errors import TargetError

_T: Final = schema.TensorType
_OP: Final = schema.BuiltinOperator
_INT8: Final = (_T.INT8, _T.UINT8)
_LOWEST: Final = -127
_IMAGE: Final = 4  # dimensions: batch, height, width, channels
_MATRIX: Final = 2  # likewise: outputs, inputs


def fix(content: bytes, names: Sequence[str]) -> tuple[bytes, tuple[str, ...]]:
    """Apply changes to a model.

    Args:
        content: the `.tflite`, checked, without its card.
        names: keys of FIXES.

    Returns:
        The new file, and what was done, one sentence each; () where nothing could be.

    Raises:
        TargetError: there is no fix of a name.
    """
    if unknown := [name for name in names if name not in FIXES]:
        raise TargetError(f"no fix is called {unknown[0]!r}. There are: {', '.join(FIXES)}.")
    model = editable.read(content)
    _fill_lists(model.subgraphs[0])
    done = tuple(said for name in FIXES if name in names for said in FIXES[name](model))
    if not done:
        return content, ()
    editable.drop_unused(model)
    return editable.write(model), done


def _fill_lists(graph: Any) -> None:
    """A list that a file leaves out is an empty one."""
    for each, names in (
        (graph, ("inputs", "outputs", "operators")),
        *((operator, ("inputs", "outputs")) for operator in graph.operators or ()),
        *((tensor, ("shape",)) for tensor in graph.tensors or ()),
    ):
        for name in names:
            if getattr(each, name) is None:
                setattr(each, name, [])


def _static_batch(model: Any) -> list[str]:
    """A batch that is open becomes 1; the stored shapes have a 1 there already."""
    graph = model.subgraphs[0]
    inputs = [graph.tensors[index] for index in graph.inputs]
    free = [tensor for tensor in inputs if _open(tensor) == [0]]
    if not free or any(len(_open(tensor)) > 1 for tensor in inputs):
        return []
    for tensor in graph.tensors:
        if _open(tensor) == [0] and len(tensor.shape) and tensor.shape[0] == 1:
            tensor.shapeSignature = None
    left = [tensor for tensor in graph.tensors if _open(tensor)]
    if left:
        return [f"batch fixed to 1; {len(left)} tensors keep a size that is open"]
    return ["batch fixed to 1"]


def _open(tensor: Any) -> list[int]:
    signature = tensor.shapeSignature
    return [] if signature is None else [place for place, size in enumerate(signature) if size == -1]


def _int8_io(model: Any) -> list[str]:
    """QUANTIZE behind a float input and DEQUANTIZE before a float output are left to the caller."""
    graph = model.subgraphs[0]
    done, dropped = [], []
    for operator in graph.operators:
        kind = _kind(model, operator)
        if len(operator.inputs) == 0:
            continue
        source, made = int(operator.inputs[0]), int(operator.outputs[0])
        if kind == _OP.QUANTIZE and source in graph.inputs and _is(graph, source, _T.FLOAT32, made):
            if _readers(graph, source) == 1 and source not in graph.outputs:
                graph.inputs = [made if int(index) == source else int(index) for index in graph.inputs]
                _rename(model, source, made)
                dropped.append(operator)
                done.append(f"input {_name(graph, made)} is {_type(graph, made)}: its QUANTIZE is gone")
        elif kind == _OP.DEQUANTIZE and made in graph.outputs and _is(graph, made, _T.FLOAT32, source):
            if _readers(graph, made):
                continue
            graph.outputs = [source if int(index) == made else int(index) for index in graph.outputs]
            _rename(model, made, source)
            dropped.append(operator)
            done.append(f"output {_name(graph, source)} is {_type(graph, source)}: its DEQUANTIZE is gone")
    if len(dropped) == len(graph.operators):
        return []
    graph.operators = [operator for operator in graph.operators if operator not in dropped]
    return done


def _is(graph: Any, outer: int, kind: int, inner: int) -> bool:
    return graph.tensors[outer].type == kind and graph.tensors[inner].type in _INT8


def _readers(graph: Any, tensor: int) -> int:
    return sum(tensor in [int(index) for index in operator.inputs] for operator in graph.operators)


def _rename(model: Any, before: int, after: int) -> None:
    for signature in model.signatureDefs or ():
        for end in (*(signature.inputs or ()), *(signature.outputs or ())):
            if end.tensorIndex == before:
                end.tensorIndex = after


def _resize(model: Any) -> list[str]:
    """Resizes in another way that gives the same numbers.

    To the same size a resize is nothing. Upwards by a whole factor s, nearest neighbour with half-pixel
    centres takes floor((x + 1/2) / s), which is floor(x / s) for whole x: the plain variant, that every
    version has.
    """
    graph = model.subgraphs[0]
    done, dropped, replaced = [], [], {}
    for operator in graph.operators:
        kind = _kind(model, operator)
        if kind not in (_OP.RESIZE_BILINEAR, _OP.RESIZE_NEAREST_NEIGHBOR):
            continue
        source, made = int(operator.inputs[0]), int(operator.outputs[0])
        before, after = graph.tensors[source], graph.tensors[made]
        if any(_open(tensor) not in ([], [0]) for tensor in (before, after)):
            continue  # the stored 1 stands for any size
        if list(before.shape) == list(after.shape) and _alike(before, after) and made not in graph.outputs:
            replaced[made] = source
            dropped.append(operator)
            done.append(f"{_name(graph, made)} resized to the size it had: gone")
        elif kind == _OP.RESIZE_NEAREST_NEIGHBOR and _plain(operator.builtinOptions, before, after):
            operator.builtinOptions.halfPixelCenters = False
            operator.opcodeIndex = _code(model, kind, 2)
            done.append(
                f"{_name(graph, made)}: nearest neighbour by whole steps, the same without half pixels"
            )
    graph.operators = [operator for operator in graph.operators if operator not in dropped]
    for operator in graph.operators:
        operator.inputs = [_followed(replaced, int(index)) for index in operator.inputs]
    return done


def _followed(replaced: Mapping[int, int], index: int) -> int:
    while index in replaced:
        index = replaced[index]
    return index


def _alike(before: Any, after: Any) -> bool:
    if before.type != after.type:
        return False
    first, second = before.quantization, after.quantization
    return np.array_equal(_listed(first, "scale"), _listed(second, "scale")) and np.array_equal(
        _listed(first, "zeroPoint"), _listed(second, "zeroPoint")
    )


def _listed(quantization: Any, what: str) -> Any:
    values = None if quantization is None else getattr(quantization, what)
    return np.array([] if values is None else values)


def _plain(options: Any, before: Any, after: Any) -> bool:
    if options is None or not options.halfPixelCenters or options.alignCorners:
        return False
    if not len(before.shape) == len(after.shape) == _IMAGE or 0 in before.shape:
        return False
    return all(after.shape[axis] % before.shape[axis] == 0 for axis in (1, 2))


def _dense_per_tensor(model: Any) -> list[str]:
    """Dense weights with a scale for each output get the largest of them, and are rounded again."""
    graph = model.subgraphs[0]
    done = []
    for operator in graph.operators:
        if _kind(model, operator) != _OP.FULLY_CONNECTED:
            continue
        weights = graph.tensors[operator.inputs[1]]
        scales = _listed(weights.quantization, "scale").astype(np.float64)
        data = graph.tensors[operator.inputs[0]]
        bias = operator.inputs[2] if len(operator.inputs) > 2 and data.type in _INT8 else -1
        if not _per_output(model, weights, scales) or _readers(graph, int(operator.inputs[1])) > 1:
            continue
        if bias >= 0 and not _rescalable(model, graph, int(bias)):
            continue
        whole = float(scales.max())
        values = model.buffers[weights.buffer].data.view(np.int8).reshape(weights.shape)
        rounded = np.clip(np.rint(values * (scales / whole)[:, None]), _LOWEST, 127).astype(np.int8)
        _store(model, weights, rounded)
        weights.quantization.scale = np.array([whole], np.float32)
        weights.quantization.zeroPoint = np.array([0], np.int64)
        if bias >= 0:
            _rescale_bias(model, graph.tensors[bias], scales, whole)
        operator.opcodeIndex = _code(model, _OP.FULLY_CONNECTED, 4)
        done.append(f"{_name(graph, int(operator.outputs[0]))}: one weight scale for the whole layer")
    return done


def _per_output(model: Any, weights: Any, scales: Any) -> bool:
    """Stored plainly in int8, with a scale for each row."""
    stored = model.buffers[weights.buffer].data
    return (
        weights.type == _T.INT8
        and weights.sparsity is None
        and len(weights.shape) == _MATRIX
        and 2 <= len(scales) == weights.shape[0]
        and bool(scales.min() > 0)
        and stored is not None
        and len(stored) == weights.shape[0] * weights.shape[1]
    )


def _rescalable(model: Any, graph: Any, bias: int) -> bool:
    """Stored, with scales, and no other operator's too."""
    tensor = graph.tensors[bias]
    scaled = len(_listed(tensor.quantization, "scale")) > 0
    return scaled and model.buffers[tensor.buffer].data is not None and _readers(graph, bias) == 1


def _rescale_bias(model: Any, bias: Any, scales: Any, whole: float) -> None:
    own = _listed(bias.quantization, "scale").astype(np.float64)
    values = model.buffers[bias.buffer].data.view(np.int32)
    _store(model, bias, np.rint(values * (scales / whole)).astype(np.int32))
    bias.quantization.scale = np.array([float(own[0]) / float(scales[0]) * whole], np.float32)
    bias.quantization.zeroPoint = np.array([0], np.int64)


def _store(model: Any, tensor: Any, values: Any) -> None:
    """In a buffer of its own: another tensor may share the old one."""
    model.buffers.append(schema.BufferT(data=np.frombuffer(values.tobytes(), np.uint8)))
    tensor.buffer = len(model.buffers) - 1


def _code(model: Any, kind: int, version: int) -> int:
    """The index of an operator code, made if need be."""
    for place, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == kind and code.version == version:
            return place
    made = schema.OperatorCodeT(builtinCode=kind, deprecatedBuiltinCode=min(kind, 127), version=version)
    model.operatorCodes.append(made)
    return len(model.operatorCodes) - 1


def _kind(model: Any, operator: Any) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def _name(graph: Any, index: int) -> str:
    name = graph.tensors[index].name
    return repr(name.decode(errors="replace") if name else str(index))


def _type(graph: Any, index: int) -> str:
    return "int8" if graph.tensors[index].type == _T.INT8 else "uint8"


FIXES: Final[Mapping[str, Callable[[Any], list[str]]]] = {
    "static-batch": _static_batch,
    "int8-io": _int8_io,
    "resize": _resize,
    "dense-per-tensor": _dense_per_tensor,
}
"""In the order in which they are applied."""
