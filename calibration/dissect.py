"""How much error each operator of a converted file ADDS, and how much only arrives there.

Both files look at the same images with every tensor open. That gives the error that has gathered up to a
tensor. Which operator made it is another question, and is asked of the operators themselves: the converted
file runs a second time with its wires cut, every operator fed with what the REFERENCE has on that wire. What
is wrong behind it now is the operator's own damage, whatever happened before. It has three sources, which
no model of noise is needed to tell apart:

    inputs   the reference's own operator, fed with its inputs as the converted file can write them (rounded
             to its steps, clipped to its range): the wires in front are too coarse for what is done next
    grid     the reference's output as the converted file can write it: the wire behind is too coarse
    weights  the rest of the operator's own damage: weights, bias, integer arithmetic

Four runs for each image; sums are kept, never tensors, so memory does not grow with the images.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from calibration import editable
from calibration.layer_error import LayerError, Sums, real, stored
from calibration.pairing import INPUT, Pair, nodes_of, pair
from edgecnn.errors import ConversionError
from edgecnn.graph import Graph, read
from edgecnn.runtime.interpreter import Interpreter, open_interpreter

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Measured:
    """Two files side by side.

    Attributes:
        reference: the file that is right.
        made: the file that is judged.
        layers: its tensors that have a partner, in order of execution.
        unpaired: names of its tensors without one.
        unpaired_reference: names of the reference's.
        images: how many both were shown.
    """

    reference: Graph
    made: Graph
    layers: tuple[LayerError, ...]
    unpaired: tuple[str, ...]
    unpaired_reference: tuple[str, ...]
    images: int


def measure(
    reference: bytes,
    made: bytes,
    feeds: Iterable[tuple[Array, Array]],
    *,
    names: tuple[str, str] = ("A", "B"),
    threads: int = 1,
) -> Measured:
    """Compare two files tensor by tensor.

    Args:
        reference: a `.tflite` with one input, checked (`edgecnn.graph.check`).
        made: one made from the same network, checked.
        feeds: for each image the input tensor of either file, in its own dtype.
        names: what to call the files in errors.
        threads: how many the interpreters may use.

    Raises:
        ConversionError: no image came, the files have nothing in common, or the reference is infinite or not
            a number somewhere.
        ModelError: a file cannot be run.
    """
    ours, theirs = read(reference, names[0]), read(made, names[1])
    coming = iter(feeds)
    first = next(coming, None)
    if first is None:
        raise ConversionError(f"{names[0]}: there is no image to compare on")
    shapes = _shapes(reference, ours, first[0], threads), _shapes(made, theirs, first[1], threads)
    pairs, lonely, their_lonely = pair(ours, theirs, *shapes)
    if len(pairs) < 2:
        raise ConversionError(
            f"{names[1]} and {names[0]} share no operator on the same inputs: not made from the same network."
        )
    nodes = {node.tensor: node for node in nodes_of(theirs)}
    wires = [one for one in pairs if nodes[one.made].kind != INPUT]
    runs = _Runs((ours, theirs), (reference, made), wires, shapes, first, threads)
    sums = {one.made: Sums(theirs, nodes[one.made], shapes[1]) for one in pairs}
    count = 0
    for feed in chain([first], coming):
        count += 1
        runs.look(feed, pairs[: len(pairs) - len(wires)], sums)
    runs.close()
    layers = tuple(sums[one.made].result(ours.tensors[one.reference], one.by) for one in pairs)
    for layer in layers:
        if not isfinite(layer.channels.signal.sum()):
            raise ConversionError(
                f"{names[0]}: {layer.reference.name} becomes infinite or not a number: nothing to compare "
                "with. Check its training and the images' normalization."
            )
    left = (
        [theirs.tensors[n.tensor].name for n in lonely],
        [ours.tensors[n.tensor].name for n in their_lonely],
    )
    return Measured(ours, theirs, layers, tuple(left[0]), tuple(left[1]), count)


class _Runs:
    """The four interpreters: either file with every wire open, either with every wire cut."""

    def __init__(
        self,
        graphs: tuple[Graph, Graph],
        contents: tuple[bytes, bytes],
        wires: Sequence[Pair],
        shapes: tuple[Mapping[int, tuple[int, ...]], Mapping[int, tuple[int, ...]]],
        first: tuple[Array, Array],
        threads: int,
    ) -> None:
        self._wires = wires
        self._graphs = graphs
        opened: list[Interpreter] = []
        for side in (0, 1):
            index = [one.reference if side == 0 else one.made for one in wires]
            cuts = {tensor: shapes[side][tensor] for tensor in index}
            for cut in ({}, cuts):
                content = _rewired(contents[side], index, cut)
                size = {0: first[side].shape}
                opened.append(open_interpreter(content, graphs[side].name, threads=threads, shapes=size))
        self._reference, self._fed_reference, self._made, self._fed_made = opened

    def look(self, feed: tuple[Array, Array], inputs: Sequence[Pair], sums: Mapping[int, Sums]) -> None:
        """Show all of them one image and add up what is seen."""
        # A broken file's infinities are told by what they make of the sums.
        with np.errstate(invalid="ignore", over="ignore"):
            self._look(feed, inputs, sums)

    def _look(self, feed: tuple[Array, Array], inputs: Sequence[Pair], sums: Mapping[int, Sums]) -> None:
        ours, theirs = (graph.tensors for graph in self._graphs)
        inside, their_inside = ours[self._graphs[0].inputs[0]], theirs[self._graphs[1].inputs[0]]
        image = real(feed[0], inside)
        codes = stored(image, their_inside)
        for interpreter, values in (
            (self._reference, feed[0]),
            (self._made, feed[1]),
            (self._fed_made, codes),
            (self._fed_reference, stored(real(codes, their_inside), inside)),
        ):
            interpreter.write(0, values)
        for one in inputs:
            sums[one.made].add_input(image, real(feed[1], their_inside))
        self._reference.invoke()
        right = []
        for position, one in enumerate(self._wires):
            values = real(self._reference.read(position), ours[one.reference])
            codes = stored(values, theirs[one.made])
            writable = real(codes, theirs[one.made])
            self._fed_made.write(position + 1, codes)
            self._fed_reference.write(position + 1, stored(writable, ours[one.reference]))
            right.append((values, codes, writable))
        for interpreter in (self._made, self._fed_made, self._fed_reference):
            interpreter.invoke()
        for position, (one, (values, codes, writable)) in enumerate(zip(self._wires, right, strict=True)):
            sums[one.made].add(
                values,
                real(self._made.read(position), theirs[one.made]),
                real(self._fed_made.read(position), theirs[one.made]),
                real(self._fed_reference.read(position), ours[one.reference]),
                writable,
                codes,
            )

    def close(self) -> None:
        """Give the memory back."""
        for interpreter in (self._reference, self._fed_reference, self._made, self._fed_made):
            interpreter.close()


def _shapes(content: bytes, graph: Graph, feed: Array, threads: int) -> dict[int, tuple[int, ...]]:
    """The shapes that a file's nodes have while it runs."""
    made = [node.tensor for node in nodes_of(graph) if node.kind != INPUT]
    interpreter = open_interpreter(
        _rewired(content, made, {}), graph.name, threads=threads, shapes={0: feed.shape}
    )
    interpreter.write(0, feed)
    interpreter.invoke()
    shapes = {tensor: interpreter.read(position).shape for position, tensor in enumerate(made)}
    interpreter.close()
    return {**shapes, graph.inputs[0]: feed.shape}


def _rewired(content: bytes, outputs: Sequence[int], cuts: Mapping[int, Sequence[int]]) -> bytes:
    """The same file with other outputs, and with some tensors read from new inputs in place of their makers.

    Args:
        content: the file.
        outputs: tensors that become the outputs, in this order.
        cuts: tensors whose readers shall read a new input of this shape, in the order of the new inputs.
    """
    model = editable.read(content)
    graph = model.subgraphs[0]
    replaced: dict[int, int] = {}
    for index, shape in cuts.items():
        tensor = graph.tensors[index]
        fed = schema.TensorT()
        fed.name, fed.type, fed.shape = tensor.name + b"/fed", tensor.type, list(shape)
        fed.quantization, fed.buffer, fed.hasRank = tensor.quantization, 0, True
        replaced[index] = len(graph.tensors)
        graph.tensors.append(fed)
    for operator in graph.operators:
        operator.inputs = np.array(
            [replaced.get(int(index), int(index)) for index in operator.inputs], np.int32
        )
    graph.inputs = [*map(int, graph.inputs), *replaced.values()]
    graph.outputs = list(outputs)
    model.signatureDefs = []  # they name the outputs that were there before
    return editable.write(model)
