"""Which tensor of one file is which tensor of another, where both were made from the same network.

Converters rename, merge and duplicate tensors, and TensorFlow's names may even belong to another layer (it
merges equal constants and joins their names). So two tensors are the same if the same operator made them from
inputs that are the same; names decide between several such, and help where no such is found.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, TypeAlias

from edgecnn.graph import Graph, Operator, Tensor

Shapes: TypeAlias = Mapping[int, tuple[int, ...]]
"""Tensor index to the shape it has when the model runs."""

INPUT = "INPUT"
"""The kind of a node that no operator makes: the image."""

CARRIERS = frozenset({"QUANTIZE", "DEQUANTIZE"})
"""They write the same numbers in another type: no layers of their own."""

WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})

_RECTIFIERS = frozenset({"RELU", "RELU6", "RELU_N1_TO_1", "TANH"})


@dataclass(frozen=True)
class Node:
    """A tensor with real numbers that depends on the image, and how it is made.

    Attributes:
        tensor: its index in the file.
        operator: index of the operator that makes it; -1 for the image.
        kind: of that operator, "CONV_2D"; INPUT for the image.
        activation: fused into the operator, "RELU6" or "".
        sources: the nodes it is made from, by their tensor; carriers in between are left out.
        weights: shape of the operator's weights, () where it has none.
        names: of the tensor and of those that carry the same numbers.
    """

    tensor: int
    operator: int
    kind: str
    activation: str
    sources: tuple[int, ...]
    weights: tuple[int, ...]
    names: frozenset[str]


@dataclass(frozen=True)
class Pair:
    """Two tensors that hold the same.

    Attributes:
        made: index in the file that is judged.
        reference: index in the file it is compared with.
        by: "name" where they share one, else "structure".
    """

    made: int
    reference: int
    by: Literal["name", "structure"]


def nodes_of(graph: Graph) -> list[Node]:
    """Real-valued tensors of the main subgraph that depend on an input: inputs first, then as they run."""
    origin = {index: index for index in graph.inputs}
    names = {index: {graph.tensors[index].name} for index in graph.inputs}
    made: list[tuple[int, Operator | None]] = [(index, None) for index in graph.inputs]
    for operator in graph.ops:
        flowing = [index for index in operator.inputs if index in origin]
        if not flowing:
            continue
        carried = operator.kind in CARRIERS and len(operator.outputs) == 1
        for index in operator.outputs:
            origin[index] = origin[flowing[0]] if carried else index
            names.setdefault(origin[index], set()).add(graph.tensors[index].name)
            if not carried:
                made.append((index, operator))
    return [
        _node(graph, index, operator, origin, names[index])
        for index, operator in made
        if is_real(graph.tensors[index])
    ]


def is_real(tensor: Tensor) -> bool:
    """Whether its numbers, or what its integers stand for with one scale, are real numbers."""
    if tensor.dtype == "float32":
        return True
    return tensor.dtype in ("int8", "uint8", "int16") and len(tensor.scale) == 1


def pair(
    reference: Graph, made: Graph, reference_shapes: Shapes, made_shapes: Shapes
) -> tuple[list[Pair], list[Node], list[Node]]:
    """Pair the tensors of two files.

    Args:
        reference: the file that is right.
        made: the file that is judged.
        reference_shapes: of its nodes.
        made_shapes: likewise.

    Returns:
        The pairs in the judged file's order of execution; its nodes without a partner; the reference's.
    """
    ours, theirs = nodes_of(reference), nodes_of(made)
    matching = _Matching(ours, theirs, reference_shapes, made_shapes)
    for first, second in zip(reference.inputs, made.inputs, strict=False):
        matching.join(second, first)
    matching.forward()
    matching.align()
    matching.forward()
    by_tensor = {node.tensor: node for node in ours}
    pairs = [
        Pair(
            node.tensor,
            found,
            "name" if node.names & by_tensor[found].names else "structure",
        )
        for node in theirs
        if (found := matching.found.get(node.tensor)) is not None
    ]
    taken = set(matching.found.values())
    return (
        pairs,
        [node for node in theirs if node.tensor not in matching.found],
        [node for node in ours if node.tensor not in taken],
    )


class _Matching:
    """Pairs found so far, from the judged file's tensor to the reference's."""

    def __init__(self, ours: list[Node], theirs: list[Node], shapes: Shapes, their_shapes: Shapes) -> None:
        self.found: dict[int, int] = {}
        self._taken: set[int] = set()
        self._ours, self._theirs = ours, theirs
        self._shapes, self._their_shapes = shapes, their_shapes
        self._readers: dict[int, list[Node]] = {}
        for node in ours:
            for source in node.sources:
                self._readers.setdefault(source, []).append(node)

    def join(self, made: int, reference: int) -> None:
        if self._shapes.get(reference) == self._their_shapes.get(made):
            self.found[made] = reference
            self._taken.add(reference)

    def forward(self) -> None:
        """The same operator on the same inputs; else the same operator with the same name."""
        for node in self._theirs:
            if node.tensor in self.found:
                continue
            sources = [self.found.get(source) for source in node.sources]
            candidates = self._alike(node, self._ours)
            same = [one for one in candidates if sources and [*one.sources] == sources]
            named = [one for one in same or candidates if one.names & node.names]
            chosen = (named or same)[:1]
            if not chosen and None not in sources:
                chosen = self._unfused(node, sources)
            for one in chosen:
                self.join(node.tensor, one.tensor)

    def align(self) -> None:
        """What is left of the operators with weights, in their order of execution."""
        left = [n for n in self._ours if n.kind in WEIGHTED and n.tensor not in self._taken]
        right = [n for n in self._theirs if n.kind in WEIGHTED and n.tensor not in self.found]
        ours = [(n.kind, n.weights, self._shapes.get(n.tensor)) for n in left]
        theirs = [(n.kind, n.weights, self._their_shapes.get(n.tensor)) for n in right]
        for block in SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks():
            for step in range(block.size):
                self.join(right[block.b + step].tensor, left[block.a + step].tensor)

    def _alike(self, node: Node, among: Iterable[Node]) -> list[Node]:
        shape = self._their_shapes.get(node.tensor)
        return [
            one
            for one in among
            if one.tensor not in self._taken
            and (one.kind, one.activation, one.weights) == (node.kind, node.activation, node.weights)
            and self._shapes.get(one.tensor) == shape
        ]

    def _unfused(self, node: Node, sources: list[int | None]) -> list[Node]:
        """An activation that is fused here and an operator of its own in the reference."""
        for one in self._ours:
            if (one.kind, one.weights, [*one.sources]) != (node.kind, node.weights, sources):
                continue
            after = [n for n in self._readers.get(one.tensor, ()) if n.kind in _RECTIFIERS]
            for reader in after:
                if not one.activation and reader.kind == node.activation and reader.tensor not in self._taken:
                    return [reader]
        return []


def _node(
    graph: Graph, index: int, operator: Operator | None, origin: Mapping[int, int], names: set[str]
) -> Node:
    if operator is None:
        return Node(index, -1, INPUT, "", (), (), frozenset(names))
    weights: tuple[int, ...] = ()
    if operator.kind in WEIGHTED and len(operator.inputs) > 1 and operator.inputs[1] not in origin:
        weights = graph.tensors[operator.inputs[1]].shape
    return Node(
        tensor=index,
        operator=operator.index,
        kind=operator.label,
        activation="" if (fused := operator.options.get("activation", "NONE")) == "NONE" else fused,
        sources=tuple(origin[source] for source in operator.inputs if source in origin),
        weights=weights,
        names=frozenset(names),
    )
