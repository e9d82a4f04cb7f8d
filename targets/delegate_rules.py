"""What the judges of TFLite's delegates share: a refusal, an operator with its tensors, and plain rules.

Knows no delegate: `targets.xnnpack`, `targets.nnapi`, `targets.gpu` and `targets.core_ml` say which rules
hold for which operator.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.graph import Graph, Operator, Tensor
from targets.verdict import CPU, Verdict

WEIGHTED: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")
ACTIVATIONS: Final = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6")
EIGHT_BIT: Final = ("int8", "uint8")
FLOAT: Final = ("float32", "float16")
ANEW: Final = "Quantize the model anew, with the ranges of real images."


class Refusal(NamedTuple):
    """Why a delegate leaves an operator alone, what to do, and the name of the fix in `targets.fix`."""

    reason: str
    remedy: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Node:
    """An operator with the graph it belongs to.

    Attributes:
        unpacked: tensors that a delegate computes once, when it is made, and then treats as constants.
    """

    graph: Graph
    op: Operator
    unpacked: frozenset[int] = frozenset()

    def input(self, place: int) -> Tensor | None:
        """An input; None where it is left out."""
        if place >= len(self.op.inputs) or self.op.inputs[place] < 0:
            return None
        return self.graph.tensors[self.op.inputs[place]]

    def known(self, place: int) -> Tensor:
        """An input that every operator of this kind has."""
        return self.graph.tensors[self.op.inputs[place]]

    @property
    def data_place(self) -> int:
        """Which input holds what the operator works on."""
        return _DATA_PLACE.get(self.op.kind, 0)

    @property
    def data(self) -> Tensor:
        """What the operator works on: its first input, of some operators another."""
        return self.known(self.data_place)

    @property
    def output(self) -> Tensor:
        """The first output."""
        return self.graph.tensors[self.op.outputs[0]]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The inputs that are there."""
        return tuple(self.graph.tensors[index] for index in self.op.inputs if index >= 0)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The outputs that are there."""
        return tuple(self.graph.tensors[index] for index in self.op.outputs if index >= 0)

    def setting(self, name: str, otherwise: Any) -> Any:
        """A setting of the operator; `otherwise` where the file gives none."""
        return self.op.options.get(name, otherwise)

    def is_fixed(self, tensor: Tensor) -> bool:
        """Whether a delegate can read the tensor's values when it is made."""
        return tensor.is_constant or tensor.index in self.unpacked

    def values(self, place: int) -> npt.NDArray[Any]:
        """Values of a constant input, flat."""
        return self.graph.data(self.known(place)).reshape(-1)


Rule: TypeAlias = Callable[[Node], Refusal | None]
"""Says what a delegate does not take; None where it takes the operator."""

_DATA_PLACE: Final = {
    "TRANSPOSE_CONV": 2, "SPLIT": 1, "SELECT": 1, "SELECT_V2": 1, "EMBEDDING_LOOKUP": 1, "ONE_HOT": 2,
    "FILL": 1, "SCATTER_ND": 1,
}  # fmt: skip


def verdicts(
    nodes: Iterable[Node], unit: str, source: str, refuse: Callable[[Node], Refusal | None]
) -> tuple[Verdict, ...]:
    """One verdict for each operator: on the unit, or why not."""
    return tuple(verdict(node.op, unit, source, refuse(node)) for node in nodes)


def verdict(op: Operator, unit: str, source: str, refused: Refusal | None) -> Verdict:
    """On the unit, or on TFLite's own kernels and why."""
    if refused is None:
        return Verdict(op.index, op.label, unit)
    return Verdict(op.index, op.label, CPU, *refused, source)


def first(node: Node, rules: Iterable[Rule]) -> Refusal | None:
    """What the first rule that refuses says."""
    return next((refused for rule in rules if (refused := rule(node)) is not None), None)


def activation(*allowed: str) -> Rule:
    """Only these fused activations."""

    def rule(node: Node) -> Refusal | None:
        found = node.setting("activation", "NONE")
        if found in allowed:
            return None
        return Refusal(f"a fused {found}", "Put the activation into a layer of its own.")

    return rule


def constant(*places: int) -> Rule:
    """These inputs, where they are there, are known when the model is loaded."""

    def rule(node: Node) -> Refusal | None:
        for place in places:
            tensor = node.input(place)
            if tensor is not None and not node.is_fixed(tensor):
                return Refusal(
                    f"input {tensor.name!r} is computed by the model; it must be a constant",
                    "Convert the model with fixed shapes and weights.",
                )
        return None

    return rule


def rank(low: int, high: int, *, place: int | None = None) -> Rule:
    """The data, or the input at `place`, has so many dimensions."""

    def rule(node: Node) -> Refusal | None:
        tensor = node.data if place is None else node.known(place)
        count = len(tensor.shape)
        if low <= count <= high:
            return None
        wanted = str(low) if low == high else f"{low} to {high}"
        return Refusal(
            f"tensor {tensor.name!r} has {count} dimensions, not {wanted}", "Reshape it around the layer."
        )

    return rule


def inputs(low: int, high: int) -> Rule:
    """So many inputs."""

    def rule(node: Node) -> Refusal | None:
        count = len(node.op.inputs)
        if low <= count <= high:
            return None
        return Refusal(f"{count} inputs, not {_span(low, high)}", "Nest it: join a few at a time.")

    return rule


def outputs(low: int, high: int) -> Rule:
    """So many outputs."""

    def rule(node: Node) -> Refusal | None:
        count = len(node.op.outputs)
        if low <= count <= high:
            return None
        return Refusal(f"{count} outputs, not {_span(low, high)}", "Split in two steps.")

    return rule


def one_scale(tensor: Tensor) -> bool:
    """Whether one scale holds for the whole tensor."""
    return len(tensor.scale) == 1 and tensor.quantized_dimension == 0


def same_scale(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors' integers stand for the same numbers."""
    return bool(
        np.array_equal(one.scale, other.scale) and np.array_equal(one.zero_point, other.zero_point)
    )  # fmt: skip


def ratio(one: Tensor, other: Tensor) -> float:
    """The first tensor's scale over the second's, in float32 as the runtime computes it."""
    return float(np.float32(one.scale[0]) / np.float32(other.scale[0]))


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def free_sizes(graph: Graph) -> frozenset[int]:
    """Which dimensions of the inputs are open until the model runs."""
    signatures = (graph.tensors[index].shape_signature or () for index in graph.inputs)
    return frozenset(
        place for signature in signatures for place, size in enumerate(signature) if size == -1
    )  # fmt: skip


def open_shape(node: Node, free: frozenset[int]) -> Refusal | None:
    """A tensor whose size is known only when the model runs.

    Args:
        node: the operator.
        free: what `free_sizes` says of its graph.
    """
    for tensor in (*node.inputs, *node.outputs):
        if tensor.is_dynamic:
            return Refusal(
                f"tensor {tensor.name!r} has a size that is only known when the model runs",
                "Convert it with a fixed input size.",
                "static-batch" if free == {0} else "",
            )
    return None


def unpacks_half(graph: Graph, op: Operator) -> bool:
    """Whether an operator turns constant float16 weights into float32."""
    if op.kind != "DEQUANTIZE":
        return False
    source = graph.tensors[op.inputs[0]]
    return source.dtype == "float16" and source.is_constant


def with_halves(graph: Graph, found: tuple[Verdict, ...], unit: str, source: str) -> tuple[Verdict, ...]:
    """Leave the unpacking of float16 weights to the processor, unless the delegate takes the whole model.

    The delegate reads the packed weights itself; the operators stay where others may read what they make.
    Source: FP16GraphPartitionHelper in tflite/delegates/utils.cc.
    """
    halves = {op.index for op in graph.ops if unpacks_half(graph, op)}
    if all(one.unit == unit for one in found if one.operator not in halves):
        return found
    refused = Refusal("weights are unpacked on the processor where only a part of the model is delegated")
    return tuple(
        verdict(graph.ops[one.operator], unit, source, refused) if one.operator in halves else one
        for one in found
    )
