"""A model on one page: what it takes and gives, how it is quantized, what it costs."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias

from edgecnn.graph.layers import layer_table
from edgecnn.graph.network import network_of
from edgecnn.graph.view import Graph, Operator, Tensor

Scheme: TypeAlias = Literal[
    "float32", "float16", "dynamic", "weight_only", "int8", "int16x8", "uint8", "mixed", "unknown"
]
_UNPACK: Final = "DEQUANTIZE"


@dataclass(frozen=True, slots=True)
class End:
    """One input or output: name, shape (-1 where free), type, and the scale and zero point of integers."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True, slots=True)
class Summary:
    """What a .tflite is and costs.

    Attributes:
        name: what the file is called.
        description: what its converter wrote.
        size_bytes: of the file.
        scheme: how its heavy layers compute: "int8" and "uint8" (the older, asymmetric weights) in integers,
            "int16x8" with 16-bit values, "dynamic" turns values to int8 on the way, "weight_only" and
            "float16" only store weights small; "mixed" if no way does nine tenths of the work, "unknown"
            without any multiplication.
        weights: whether the heaviest weights have one scale or one per channel; None if they have none.
        parameters: numbers learned.
        macs: multiply-accumulates of one run.
        weight_bytes: of all constants.
        peak_activation_bytes: see `edgecnn.graph.layers.LayerTable`.
        operators: how many of each kind.
        inputs: of the main subgraph.
        outputs: of the main subgraph.
        signatures: names of the ways to call it.
        subgraphs: how many.
    """

    name: str
    description: str
    size_bytes: int
    scheme: Scheme
    weights: Literal["per_tensor", "per_channel", "per_block"] | None
    parameters: int
    macs: int
    weight_bytes: int
    peak_activation_bytes: int
    operators: Mapping[str, int]
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    signatures: tuple[str, ...]
    subgraphs: int

    def as_dict(self) -> dict[str, Any]:
        """The summary as JSON values."""
        return asdict(self)


def summarize(graph: Graph) -> Summary:
    """What the main subgraph is and costs."""
    table = layer_table(network_of(graph))
    stored = {
        tensor.buffer: len(graph.buffers[tensor.buffer]) for tensor in graph.tensors if tensor.is_constant
    }
    scheme, weights = _scheme(graph)
    return Summary(
        name=graph.name,
        description=graph.description,
        size_bytes=graph.size_bytes,
        scheme=scheme,
        weights=weights,
        parameters=table.parameters,
        macs=table.macs,
        weight_bytes=sum(stored.values()),
        peak_activation_bytes=table.peak_bytes,
        operators=dict(Counter(operator.label for operator in graph.ops).most_common()),
        inputs=tuple(_end(graph.tensors[index]) for index in graph.inputs),
        outputs=tuple(_end(graph.tensors[index]) for index in graph.outputs),
        signatures=tuple(signature.key for signature in graph.signatures),
        subgraphs=len(graph.subgraphs),
    )


def _end(tensor: Tensor) -> End:
    return End(
        name=tensor.name,
        shape=tensor.shape_signature or tensor.shape,
        dtype=tensor.dtype,
        scale=float(tensor.scale[0]) if len(tensor.scale) else None,
        zero_point=int(tensor.zero_point[0]) if len(tensor.zero_point) else None,
    )


def _scheme(graph: Graph) -> tuple[Scheme, Literal["per_tensor", "per_channel", "per_block"] | None]:
    """The way that does at least nine tenths of the multiplications, and how its weights are scaled."""
    unpacked = {
        operator.outputs[0]: graph.tensors[operator.inputs[0]]
        for operator in graph.ops
        if operator.kind == _UNPACK and graph.tensors[operator.inputs[0]].is_constant
    }
    work: Counter[Scheme] = Counter()
    heaviest: Tensor | None = None
    for operator in graph.ops:
        if not operator.macs:
            continue
        weights = unpacked.get(operator.inputs[1], graph.tensors[operator.inputs[1]])
        work[_way(graph, operator, weights, operator.inputs[1] in unpacked)] += operator.macs
        if weights.is_quantized and (heaviest is None or weights.elements > heaviest.elements):
            heaviest = weights
    if not work:
        return "unknown", None
    way, amount = work.most_common(1)[0]
    scheme = way if amount >= 0.9 * work.total() else "mixed"
    if heaviest is None:
        return scheme, None
    if heaviest.blockwise:
        return scheme, "per_block"
    return scheme, "per_channel" if len(heaviest.scale) > 1 else "per_tensor"


def _way(graph: Graph, operator: Operator, weights: Tensor, is_unpacked: bool) -> Scheme:
    value = graph.tensors[operator.inputs[2 if operator.kind == "TRANSPOSE_CONV" else 0]]
    if value.dtype == "int8":
        return "int8"
    if value.dtype == "uint8":
        return "uint8"
    if value.dtype == "int16":
        return "int16x8"
    if weights.dtype == "float16":
        return "float16"
    if weights.dtype == "float32":
        return "float32"
    return "weight_only" if is_unpacked else "dynamic"
