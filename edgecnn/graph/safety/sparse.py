"""Compressed tensors: kernels follow their lists of places without a look.

Source: tensorflow/lite/kernels/internal/utils/sparsity_format_converter.cc
"""

import numpy as np

from edgecnn.graph import schema
from edgecnn.graph.safety.call import Unsafe, called
from edgecnn.graph.view import Graph, Sparsity, Tensor


def check_sparse(graph: Graph, tensor: Tensor, sparsity: Sparsity) -> None:
    """Refuse a compressed tensor whose lists do not lead to exactly the values that are stored."""
    what, rank = called(tensor), len(tensor.shape)
    order, blocks = sparsity.traversal_order, sparsity.block_map
    if sorted(order) != list(range(rank + len(blocks))) or len(sparsity.levels) != len(order):
        raise Unsafe(
            f"{what} is compressed along {order}: not its {rank} dimensions and {len(blocks)} blocks"
        )
    if len(set(blocks)) != len(blocks) or any(not 0 <= dimension < rank for dimension in blocks):
        raise Unsafe(f"{what} has blocks along {blocks}")
    sizes = _sizes(tensor, sparsity)
    places = 1
    for axis, level in zip(order, sparsity.levels, strict=True):
        if level.segments is None:
            if level.size != sizes[axis]:
                raise Unsafe(f"{what} stores {level.size} places of a dimension of {sizes[axis]}")
            places *= level.size
            continue
        segments, indices = level.segments.astype(np.int64), level.indices
        if len(segments) != places + 1 or segments[0] != 0 or segments[-1] != len(indices):
            raise Unsafe(f"{what} has rows that lead outside its {len(indices)} places")
        if (np.diff(segments) < 0).any():
            raise Unsafe(f"{what} has rows that run backwards")
        if len(indices) and not (indices.min() >= 0 and indices.max() < sizes[axis]):
            raise Unsafe(f"{what} has places outside a dimension of {sizes[axis]}")
        places = len(indices)
    stored = len(graph.buffers[tensor.buffer]) if tensor.is_constant else 0
    if stored != places * schema.TENSOR_TYPES[tensor.dtype] or not places:
        raise Unsafe(f"{what} stores {places:,} values in {stored:,} bytes")


def _sizes(tensor: Tensor, sparsity: Sparsity) -> list[int]:
    """Size of every dimension counted in blocks, then of every block."""
    rank, sizes = len(tensor.shape), list(tensor.shape)
    for number, dimension in enumerate(sparsity.block_map):
        level = sparsity.levels[sparsity.traversal_order.index(rank + number)]
        if level.segments is not None or level.size < 1 or sizes[dimension] % level.size:
            raise Unsafe(f"{called(tensor)} has blocks of {level.size} in a dimension of {sizes[dimension]}")
        sizes[dimension] //= level.size
        sizes.append(level.size)
    return sizes
