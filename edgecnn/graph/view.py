"""What a .tflite file says, as plain values: graph, subgraphs, operators, tensors.

Nothing here reads or judges a file: that is `edgecnn.graph.reader` and `edgecnn.graph.safety`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_NUMPY_TYPES: Final = {"bool": "?", "bfloat16": "<u2"}  # bfloat16: raw bits, numpy has no such type
_PACKED: Final = frozenset(
    {"string", "int4", "int2", "uint4", "float8_e4m3fn", "float8_e5m2", "resource", "variant"}
)


@dataclass(frozen=True, eq=False, slots=True)
class SparseLevel:
    """One dimension of a compressed tensor.

    Attributes:
        size: of a dimension stored in full, else 0.
        segments: where the rows of a compressed dimension begin in `indices`; None for one stored in full.
        indices: places of what is stored.
    """

    size: int
    segments: npt.NDArray[Any] | None
    indices: npt.NDArray[Any]


@dataclass(frozen=True, eq=False, slots=True)
class Sparsity:
    """How a tensor is compressed: its dimensions, then those of its blocks, in the order they are stored.

    Source: SparsityParameters in tensorflow/lite/schema/schema.fbs.
    """

    traversal_order: tuple[int, ...]
    block_map: tuple[int, ...]
    levels: tuple[SparseLevel, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Tensor:
    """One tensor of a subgraph.

    Attributes:
        index: its number in the subgraph.
        shape: as stored; a free dimension is stored as 1 (see `shape_signature`).
        shape_signature: like `shape`, with -1 for a free dimension; None where the file gives none.
        dtype: the type's name in the schema, lower case: "float32", "int8", "int4", "string" ...
        scale: float32 (n,); n is 0 (not quantized), 1 (per tensor) or the length of `quantized_dimension`.
        zero_point: int64 (n,), or empty.
        bytes: what its elements take; 0 for strings and resources.
        buffer: number of the file's buffer that holds it; 0 is the empty buffer.
        is_constant: the file holds its values.
        is_variable: it keeps its values from one run to the next (recurrent state).
        sparsity: how its values are stored compressed, None where they are not.
        blockwise: indices of the scale and zero-point tensors of a block-wise quantized tensor, else ().
    """

    index: int
    name: str
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...] | None
    dtype: str
    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.int64]
    quantized_dimension: int
    bytes: int
    buffer: int
    is_constant: bool
    is_variable: bool
    sparsity: Sparsity | None
    blockwise: tuple[int, ...] = ()

    @property
    def elements(self) -> int:
        """How many elements the stored shape holds."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def is_sparse(self) -> bool:
        """Whether its values are stored compressed."""
        return self.sparsity is not None

    @property
    def is_quantized(self) -> bool:
        """Whether its integers stand for real numbers."""
        return len(self.scale) > 0 or bool(self.blockwise)

    @property
    def is_dynamic(self) -> bool:
        """Whether some dimension is only known when the model runs."""
        return self.shape_signature is not None and -1 in self.shape_signature


@dataclass(frozen=True, eq=False, slots=True)
class Operator:
    """One operator of a subgraph.

    Attributes:
        index: its place in the order of execution.
        kind: the schema's name, "CONV_2D"; "CUSTOM" for a custom operator, "BUILTIN_n" for one newer than
            this reader.
        inputs: tensor indices; -1 for an optional input left out.
        intermediates: tensors an LSTM keeps for itself.
        options: the operator's own settings by name; padding and activation by their names.
        options_kind: which options table the file gives ("Conv2D"), None for none.
        custom_code: name of a custom operator.
        custom_options: the custom operator's settings, undecoded, uint8 (n,).
        macs: multiply-accumulates of one run by the stored shapes; 0 where the idea does not apply.
    """

    index: int
    kind: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...]
    options: Mapping[str, Any]
    options_kind: str | None
    custom_code: str | None
    custom_options: npt.NDArray[np.uint8]
    macs: int

    @property
    def label(self) -> str:
        """What to call it in a message: "CONV_2D", or a custom operator's own name."""
        return self.custom_code or self.kind if self.kind == "CUSTOM" else self.kind


@dataclass(frozen=True, eq=False, slots=True)
class Subgraph:
    """One function of the model: what goes in, what is done, what comes out."""

    index: int
    name: str
    tensors: tuple[Tensor, ...]
    ops: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Signature:
    """A named way to call a subgraph: names of its inputs and outputs to tensor indices."""

    key: str
    subgraph: int
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]


@dataclass(frozen=True, eq=False, slots=True)
class Graph:
    """A whole file. `ops`, `tensors`, `inputs` and `outputs` are those of the main subgraph.

    Attributes:
        name: what to call the file in a message.
        content: the file's bytes (a map of it when it was read from a path); closed when the graph is
            collected.
        buffers: the file's buffers, uint8 (n,), views into `content`.
        metadata: the file's named buffers, such as "TFLITE_METADATA".
    """

    name: str
    version: int
    description: str
    subgraphs: tuple[Subgraph, ...]
    signatures: tuple[Signature, ...]
    metadata: Mapping[str, npt.NDArray[np.uint8]]
    buffers: tuple[npt.NDArray[np.uint8], ...] = field(repr=False)
    content: memoryview = field(repr=False)

    @property
    def ops(self) -> tuple[Operator, ...]:
        """The main subgraph's operators, in the order they run."""
        return self.subgraphs[0].ops

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The main subgraph's tensors."""
        return self.subgraphs[0].tensors

    @property
    def inputs(self) -> tuple[int, ...]:
        """Indices of the main subgraph's input tensors."""
        return self.subgraphs[0].inputs

    @property
    def outputs(self) -> tuple[int, ...]:
        """Indices of the main subgraph's output tensors."""
        return self.subgraphs[0].outputs

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return len(self.content)

    def data(self, tensor: Tensor) -> npt.NDArray[Any]:
        """Values of a constant tensor: a read-only view, in its shape.

        Types smaller than a byte, float8, strings and sparse tensors come as their stored bytes, uint8 (n,);
        bfloat16 as uint16 bits. A tensor without values in the file gives an empty array.
        """
        if not tensor.is_constant:
            return np.empty(0, np.uint8)
        stored = self.buffers[tensor.buffer]
        if tensor.dtype in _PACKED or tensor.is_sparse:
            return stored
        return stored.view(_NUMPY_TYPES.get(tensor.dtype, tensor.dtype)).reshape(tensor.shape)
