"""One tensor: its bytes, its size, its quantization."""

from typing import Final

import numpy as np

from edgecnn.graph import schema
from edgecnn.graph.safety.call import Unsafe, called
from edgecnn.graph.safety.sparse import check_sparse
from edgecnn.graph.view import Graph, Tensor

_MOST_BYTES: Final = 4 * 2**30
_MOST_ELEMENTS: Final = 2**31 - 1  # kernels count elements in an int
_LEAST_SCALE: Final = 2.0**-149  # of float32
_LEAST_NORMAL_SCALE: Final = 2.0**-126
_ZERO_POINTS: Final = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


def check_tensor(graph: Graph, tensor: Tensor) -> None:
    """Refuse a tensor whose bytes, size or quantization contradict what else the file says of it."""
    if tensor.sparsity is not None:
        check_sparse(graph, tensor, tensor.sparsity)
    elif tensor.is_constant:
        _check_stored(graph, tensor)
    if tensor.bytes > _MOST_BYTES or tensor.elements > _MOST_ELEMENTS:
        raise Unsafe(f"{called(tensor)} of shape {tensor.shape} takes {tensor.bytes:,} bytes")
    if len(tensor.scale):
        _check_quantization(tensor)


def check_ends(graph: Graph) -> None:
    """Refuse signatures and main inputs or outputs that nobody outside could use."""
    main = graph.subgraphs[0]
    for index in (*main.inputs, *main.outputs):
        tensor = main.tensors[index]
        if tensor.dtype in ("resource", "variant"):
            raise Unsafe(f"{called(tensor)} is a {tensor.dtype}, which cannot enter or leave a model")
    for signature in graph.signatures:
        if signature.subgraph >= len(graph.subgraphs):
            raise Unsafe(f"signature {signature.key!r} names subgraph {signature.subgraph}")
        tensors = graph.subgraphs[signature.subgraph].tensors
        for index in (*signature.inputs.values(), *signature.outputs.values()):
            if index >= len(tensors):
                raise Unsafe(f"signature {signature.key!r} names tensor {index} of {len(tensors)}")


def _check_stored(graph: Graph, tensor: Tensor) -> None:
    stored = graph.buffers[tensor.buffer]
    if tensor.dtype == "string":
        _check_strings(graph, tensor)
    elif schema.TENSOR_TYPES[tensor.dtype] and len(stored) != tensor.bytes:
        raise Unsafe(
            f"{called(tensor)} of shape {tensor.shape} and type {tensor.dtype} takes {tensor.bytes:,} bytes,"
            f" but the file holds {len(stored):,}"
        )


def _check_strings(graph: Graph, tensor: Tensor) -> None:
    # int32 count, count + 1 offsets from the buffer's first byte, then the characters (string_util.h)
    stored = graph.buffers[tensor.buffer]
    words = stored[: len(stored) // 4 * 4].view("<i4")
    count = int(words[0]) if len(words) else -1
    if count != tensor.elements or len(words) < count + 2:
        raise Unsafe(f"{called(tensor)} of shape {tensor.shape} holds {count} strings")
    offsets = words[1 : count + 2]
    first = 4 * (count + 2)
    if offsets[0] != first or offsets[-1] != len(stored) or (np.diff(offsets.astype(np.int64)) < 0).any():
        raise Unsafe(f"{called(tensor)} holds strings that lead outside their {len(stored):,} bytes")


def _check_quantization(tensor: Tensor) -> None:
    scale, zero_point, dimension = tensor.scale, tensor.zero_point, tensor.quantized_dimension
    good = np.isfinite(scale) & (scale >= _least_scale(tensor))
    if not good.all():
        raise Unsafe(f"{called(tensor)} has the scale {scale[~good][0]}; a scale is a positive number")
    if len(zero_point) not in (len(scale), 0):
        raise Unsafe(f"{called(tensor)} has {len(scale)} scales but {len(zero_point)} zero points")
    if len(scale) > 1:
        if not 0 <= dimension < len(tensor.shape):
            raise Unsafe(f"{called(tensor)} of shape {tensor.shape} is quantized along dimension {dimension}")
        if len(scale) != tensor.shape[dimension]:
            raise Unsafe(f"{called(tensor)} has {len(scale)} scales for {tensor.shape[dimension]} channels")
    if len(zero_point) and tensor.dtype in _ZERO_POINTS:
        low, high = _ZERO_POINTS[tensor.dtype]
        if not (low <= zero_point.min() and zero_point.max() <= high):
            raise Unsafe(f"{called(tensor)} has a zero point outside the {low} to {high} of {tensor.dtype}")


def _least_scale(tensor: Tensor) -> float:
    """The smallest scale with which kernels go on."""
    if tensor.is_constant:  # TensorFlow gives a channel of weights that are all 0 the scale 0
        return 0.0
    # XNNPACK demands normal numbers of the types it knows, and the process dies on its refusal
    return _LEAST_NORMAL_SCALE if tensor.dtype in ("int8", "uint8") else _LEAST_SCALE
