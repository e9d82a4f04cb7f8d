"""Working memory that a model needs: live ranges of its tensors, placed as the runtime places them.

Two runtimes: TFLite Micro (one arena, in which the interpreter's own structures lie too) and LiteRT with its
built-in kernels. Checked against both by benchmarks/arena.py; docs/microcontrollers.md has the table.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from edgecnn.errors import TargetError
from edgecnn.graph import Graph, Operator, Tensor
from targets.arena import (
    FOREVER,
    LITERT_ALIGNMENT,
    MICRO_ALIGNMENT,
    Place,
    Span,
    aligned,
    arena_bytes,
    plan_litert,
    plan_micro,
)  # fmt: skip
from targets.micro_structures import persistent_bytes

Runtime = Literal["tflite_micro", "litert"]
_INT16: Final = "int16"


@dataclass(frozen=True)
class Memory:
    """What a model takes, in bytes; estimated.

    Attributes:
        runtime: whose planner.
        activations_bytes: where tensors and scratch buffers lie while the model runs.
        persistent_bytes: what stays beside them in the same arena: TFLite Micro's own structures as a 64-bit
            host reports them, an upper bound for the 32-bit device, whose pointers are half as wide; of
            LiteRT, which keeps those on the heap, its variables and transposed weights.
        model_bytes: the file, which lies in flash or in the page cache. The program's own code is not in it:
            how much TFLite Micro's kernels take depends on the compiler and on which kernels are linked.
        peak_operator: the operator during which most of the arena is in use, its place in the graph.
        places: what lies where.
    """

    runtime: Runtime
    activations_bytes: int
    persistent_bytes: int
    model_bytes: int
    peak_operator: int
    places: tuple[Place, ...]

    @property
    def arena_bytes(self) -> int:
        """All of the arena."""
        return self.activations_bytes + self.persistent_bytes

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON values, without the places."""
        figures = {key: value for key, value in asdict(self).items() if key != "places"}
        return {**figures, "arena_bytes": self.arena_bytes}


def memory(graph: Graph, *, runtime: Runtime) -> Memory:
    """How much working memory a model takes.

    LiteRT stands for its own kernels, without XNNPACK, which keeps a workspace of its own.

    Args:
        graph: a model that `edgecnn.graph.check` lets pass.
        runtime: whose planner.

    Raises:
        TargetError: the model has more than one subgraph, a size that is only known when it runs, or a
            tensor without a size (text), so nobody can plan ahead.
    """
    _check(graph)
    if runtime == "tflite_micro":
        spans = micro_spans(graph)
        places = plan_micro(spans)
        activations = arena_bytes(places, MICRO_ALIGNMENT)
        persistent = persistent_bytes(graph, sum(span.name.startswith("scratch") for span in spans))
    else:
        places = plan_litert(litert_spans(graph))
        activations = arena_bytes(places, LITERT_ALIGNMENT)
        persistent = arena_bytes(plan_litert(litert_kept(graph)), LITERT_ALIGNMENT)
    first_step = 1 if runtime == "tflite_micro" else 0
    return Memory(
        runtime, activations, persistent, graph.size_bytes, _peak(places, len(graph.ops), first_step), places
    )


def micro_spans(graph: Graph) -> tuple[Span, ...]:
    """What TFLite Micro plans: tensors that the file does not hold, and scratch buffers of its kernels.

    Step 0 is before the first operator, operator n is step n + 1. An input lives until its last reader, an
    output to the end. Source: tensorflow/lite/micro/micro_allocation_info.cc in tensorflow/tflite-micro.
    """
    first = dict.fromkeys(graph.inputs, 0)
    last = dict(first)
    for op in graph.ops:
        for index in op.outputs:
            first[index] = last[index] = op.index + 1
        for index in op.inputs:
            last[index] = op.index + 1
    last.update(dict.fromkeys(graph.outputs, len(graph.ops)))
    spans = [
        Span(f"tensor {tensor.index}", tensor.bytes, first[tensor.index], last[tensor.index])
        for tensor in graph.tensors
        if tensor.index in first and _planned(tensor) and not tensor.is_variable
    ]
    for op in graph.ops:
        for size in micro_scratch(graph, op):
            spans.append(Span(f"scratch of operator {op.index}", size, op.index + 1, op.index + 1))
    return tuple(spans)


def micro_scratch(graph: Graph, op: Operator) -> tuple[int, ...]:
    """Sizes of the buffers that a reference kernel of TFLite Micro asks for, in bytes.

    CMSIS-NN asks for more in convolutions; the reference kernels are what can be checked on a host.
    Source: the kernels' Prepare in tensorflow/lite/micro/kernels, tensorflow/tflite-micro.
    """
    if not op.outputs or not op.inputs or op.inputs[0] < 0:
        return ()
    out = graph.tensors[op.outputs[0]]
    if op.kind == "TRANSPOSE_CONV" and out.dtype in ("int8", "int16"):
        return (out.elements * (8 if out.dtype == _INT16 else 4),)
    if op.kind in ("MEAN", "SUM"):
        axes = max(graph.tensors[op.inputs[1]].elements, 1)
        sums = (4 * out.elements,) if out.dtype != "float32" else ()
        return (4 * len(graph.tensors[op.inputs[0]].shape), 4 * axes, *sums)
    if op.kind in ("REDUCE_MAX", "REDUCE_MIN", "REDUCE_ALL"):
        return (4 * len(graph.tensors[op.inputs[0]].shape), 4 * max(graph.tensors[op.inputs[1]].elements, 1))
    if op.kind == "ADD_N":
        return (8 * len(op.inputs),)  # pointers
    if op.kind == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        state = graph.tensors[op.inputs[18]]
        return (state.elements * (2 if out.dtype in ("int8", _INT16) else 4),) * 4
    return ()


_SHARES_UNCHANGED: Final = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "BITCAST")


def litert_spans(graph: Graph) -> tuple[Span, ...]:
    """What LiteRT plans: tensors that the file does not hold, and what its kernels need beside them.

    Operator n is step n. Inputs and outputs are never given up, and an operator that changes no
    value writes into its input's place. Source: PlanAllocations in tflite/arena_planner.cc of
    google-ai-edge/LiteRT; the temporaries are those of its optimized kernels in tflite/kernels.
    """
    place = _shared(graph)
    written: dict[int, int] = dict.fromkeys(graph.inputs, 0)
    kept = {*written, *graph.outputs}
    given_up: dict[int, int] = {}
    for op in graph.ops:
        for index in op.outputs:
            written.setdefault(index, op.index)
        for index in op.inputs:
            given_up[place.get(index, index)] = op.index
    spans = [
        Span(
            f"tensor {index}", graph.tensors[index].bytes, step,
            FOREVER if index in kept else given_up.get(index, FOREVER),
        )
        for index, step in sorted(written.items())
        if index not in place and index >= 0 and _planned(graph.tensors[index])
    ]  # fmt: skip
    for op in graph.ops:
        for size in litert_temporaries(graph, op):
            spans.append(Span(f"temporary of operator {op.index}", size, op.index, op.index))
    return tuple(spans)


def litert_kept(graph: Graph) -> tuple[Span, ...]:
    """What LiteRT keeps from run to run: variables, and the weights that TRANSPOSE_CONV turns round."""
    sizes = [tensor.bytes for tensor in graph.tensors if tensor.is_variable]
    sizes += [graph.tensors[op.inputs[1]].bytes for op in graph.ops if op.kind == "TRANSPOSE_CONV"]
    return tuple(Span("kept", size, 0, FOREVER) for size in sizes)


def _shared(graph: Graph) -> dict[int, int]:
    """Tensors that lie where another lies, by index."""
    place: dict[int, int] = {}
    for op in graph.ops:
        if op.kind not in _SHARES_UNCHANGED or not op.outputs:
            continue
        source, made = op.inputs[0], op.outputs[0]
        if source in graph.inputs or made in graph.outputs or not _planned(graph.tensors[source]):
            continue
        place[made] = place.get(source, source)
    return place


def litert_temporaries(graph: Graph, op: Operator) -> tuple[int, ...]:
    """Sizes of an optimized kernel's temporaries, in bytes: patches that CONV_2D unfolds, gates of LSTM."""
    if op.kind == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        return _lstm_temporaries(graph, op)
    if op.kind == "TRANSPOSE_CONV":
        return _columns(graph, op)
    if op.kind != "CONV_2D":
        return ()
    image, weights, out = (graph.tensors[index] for index in (op.inputs[0], op.inputs[1], op.outputs[0]))
    height, width = weights.shape[1:3]
    plain = op.options["stride_width"] == op.options["stride_height"] == height == width == 1
    dilated = op.options["dilation_width"] != 1 or op.options["dilation_height"] != 1
    if plain or (dilated and image.dtype == "float32"):
        return ()
    width_of = image.bytes // max(image.elements, 1)
    rows = out.elements // out.shape[-1]
    return (rows * height * width * weights.shape[3] * width_of,)


def _columns(graph: Graph, op: Operator) -> tuple[int, ...]:
    """Every product of TRANSPOSE_CONV before they are added up, and in integers the sums, 4 bytes each."""
    weights, image, out = (
        graph.tensors[op.inputs[1]],
        graph.tensors[op.inputs[2]],
        graph.tensors[op.outputs[0]],
    )
    products = 4 * image.elements // image.shape[-1] * weights.elements // weights.shape[-1]
    return (products,) if out.dtype == "float32" else (products, 4 * out.elements)


def _lstm_temporaries(graph: Graph, op: Operator) -> tuple[int, ...]:
    """One buffer of int16 for each gate, one of int8 and one of int32; in float, one for all gates."""
    cells = graph.tensors[op.inputs[19]].elements
    if graph.tensors[op.inputs[0]].dtype == "float32":
        return (4 * 4 * cells,)
    return (2 * cells,) * 4 + (cells, 4 * cells)


def _planned(tensor: Tensor) -> bool:
    return not tensor.is_constant and tensor.bytes > 0


def _peak(places: Sequence[Place], operators: int, first_step: int) -> int:
    """The operator during which most is in use."""

    def in_use(operator: int) -> int:
        step = operator + first_step
        return sum(
            aligned(place.span.bytes, MICRO_ALIGNMENT)
            for place in places
            if place.span.first <= step <= place.span.last
        )

    return max(range(operators), key=in_use, default=0)


def _check(graph: Graph) -> None:
    if len(graph.subgraphs) > 1:
        raise TargetError(
            f"{graph.name}: has {len(graph.subgraphs)} subgraphs; memory can be planned for one. "
            "Convert it without control flow."
        )
    for tensor in graph.tensors:
        if tensor.is_dynamic and any(size == -1 for size in (tensor.shape_signature or ())[1:]):
            raise TargetError(
                f"{graph.name}: tensor {tensor.name!r} has a size that is only known when the model runs. "
                "Convert it with a fixed input size."
            )
        if tensor.dtype == "string":
            raise TargetError(f"{graph.name}: tensor {tensor.name!r} holds text, whose size is not known.")
