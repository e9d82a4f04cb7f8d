"""Who reads what in a converted file: the questions that looking for a cause asks of its graph."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.dissect import Measured
from calibration.layer_error import LayerError
from calibration.pairing import Node, nodes_of
from edgecnn.graph import Graph, Operator, Tensor

MOVERS = frozenset(
    {
        "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V", "PAD",
        "GATHER", "CONCATENATION", "PACK", "UNPACK", "MAX_POOL_2D", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH",
    }
)  # fmt: skip
"""Operators that put numbers elsewhere and keep their scale."""


class Wiring:
    """The converted file's graph, and its paired tensors by index."""

    def __init__(self, measured: Measured) -> None:
        self.made, self.reference = measured.made, measured.reference
        self.layers = {layer.node.tensor: layer for layer in measured.layers}
        self._nodes = {node.tensor: node for node in nodes_of(measured.made)}
        self._readers: dict[int, list[Node]] = {}
        for node in self._nodes.values():
            for source in node.sources:
                self._readers.setdefault(source, []).append(node)
        self._answers = {
            node.tensor for node in self._nodes.values() if node.names & _output_names(self.made)
        }

    def sources(self, layer: LayerError) -> list[LayerError]:
        """The paired tensors that a layer is made from."""
        return [self.layers[source] for source in layer.node.sources if source in self.layers]

    def readers(self, layer: LayerError) -> list[Node]:
        """Who reads it."""
        return self._readers.get(layer.node.tensor, [])

    def leads_out(self, tensor: int) -> bool:
        """Whether its numbers are answers of the model: an output, or moved into one."""
        if tensor in self._answers:
            return True
        return any(n.kind in MOVERS and self.leads_out(n.tensor) for n in self._readers.get(tensor, ()))

    def concatenations(self, layer: LayerError) -> Iterator[LayerError]:
        """Those whose scale this tensor has to share: it is one, comes from one, or is joined by one."""
        seen = {layer.node.tensor}
        ahead = [layer.node]
        while ahead:
            node = ahead.pop()
            found = self.layers.get(node.tensor)
            if found is not None and node.kind == "CONCATENATION":
                yield found
            near = [n for n in self._readers.get(node.tensor, ()) if n.kind in MOVERS]
            if node.kind in MOVERS:
                near += [self._nodes[source] for source in node.sources if source in self._nodes]
            for one in near:
                if one.tensor not in seen and self._same_step(one, layer):
                    seen.add(one.tensor)
                    ahead.append(one)

    def operator(self, layer: LayerError) -> Operator:
        """The operator of the converted file that makes a layer."""
        return self.made.ops[layer.node.operator]

    def reference_operator(self, layer: LayerError) -> Operator | None:
        """The reference's operator; None where an input of the model is meant."""
        return next((op for op in self.reference.ops if layer.reference.index in op.outputs), None)

    def _same_step(self, node: Node, layer: LayerError) -> bool:
        scale = self.made.tensors[node.tensor].scale
        return len(scale) == 1 and bool(np.isclose(float(scale[0]), layer.step, rtol=1e-5))


def constant(graph: Graph, index: int) -> npt.NDArray[Any] | None:
    """Real values of a constant, float64: stored as they are, in integers, or in half precision."""
    tensor = graph.tensors[index]
    if not tensor.is_constant:
        maker = next((op for op in graph.ops if op.kind == "DEQUANTIZE" and index in op.outputs), None)
        if maker is None or not graph.tensors[maker.inputs[0]].is_constant:
            return None
        tensor = graph.tensors[maker.inputs[0]]
    if tensor.is_sparse or tensor.dtype not in ("float32", "float16", "int8", "uint8", "int16", "int32"):
        return None
    values = graph.data(tensor).astype(np.float64)
    if not len(tensor.scale):
        return values
    return (values - _along(tensor, tensor.zero_point)) * _along(tensor, tensor.scale)


def _along(tensor: Tensor, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """One number for each channel, in the tensor's rank."""
    shape = [1] * len(tensor.shape)
    if len(values) > 1:
        shape[tensor.quantized_dimension] = -1
    return values.astype(np.float64).reshape(shape)


def _output_names(graph: Graph) -> frozenset[str]:
    return frozenset(graph.tensors[index].name for index in graph.outputs)
