"""Outputs that keep values of very different ranges in one quantization scale, and so lose the small ones.

The best known way to ruin a detector: boxes in pixels, 0..640, joined with scores, 0..1, in one 8-bit tensor,
whose steps are 2.5 then. Ranges are read from the file: from scales, and from functions whose range is known.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from edgecnn.graph.view import Graph, Operator, Tensor

RATIO: Final = 16.0
"""By how much ranges may differ: the small one then still has a sixteenth of the 256 steps."""

_JOINS: Final = frozenset({"CONCATENATION", "PACK"})
_MOVES: Final = frozenset(
    {
        "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "QUANTIZE", "DEQUANTIZE", "CAST", "SLICE",
        "STRIDED_SLICE", "SPLIT", "SPLIT_V", "GATHER", "UNPACK", "PAD",
    }
)  # fmt: skip
_HIGHEST: Final = {"LOGISTIC": 1.0, "SOFTMAX": 1.0, "TANH": 1.0, "RELU6": 6.0, "HARD_SIGMOID": 1.0}
_STEPS: Final = {"int8": 255, "uint8": 255}


@dataclass(frozen=True)
class SharedScale:
    """A quantized tensor that joins values of very different ranges.

    Attributes:
        tensor: its name.
        scale: its step.
        wide: name of the joined tensor with the widest range.
        widest: the largest distance from zero in it.
        narrow: name of the joined tensor with the narrowest range.
        narrowest: likewise.
    """

    tensor: str
    scale: float
    wide: str
    widest: float
    narrow: str
    narrowest: float

    def in_words(self) -> str:
        """What is wrong and what to do, in one line."""
        steps = int(self.narrowest / self.scale)
        left = f"{steps} of 255 steps" if steps else "no step"
        kept = round(1 / self.scale) * self.scale
        return (
            f"{self.tensor!r} joins {self.wide!r} (up to {self.widest:.4g}) and {self.narrow!r} (up to "
            f"{self.narrowest:.3g}) in one scale of {self.scale:.3g}, which leaves the latter {left}: "
            f"a score of 1.0 becomes {kept:.3g}. Export boxes and scores as two outputs, each with its own "
            "scale, or divide the boxes by the image's size before they are joined"
        )


def shared_scales(graph: Graph) -> tuple[SharedScale, ...]:
    """The joined tensors on the way to an output of which some value's range is over 16 times another's."""
    producer = {output: operator for operator in graph.ops for output in operator.outputs}
    found = []
    for join in _before_outputs(graph, producer):
        tensor = graph.tensors[join.outputs[0]]
        if tensor.dtype not in _STEPS or len(tensor.scale) != 1 or not tensor.scale[0] > 0:
            continue
        ranges = {index: _farthest(graph, producer, index) for index in join.inputs}
        known = {
            index: farthest for index, farthest in ranges.items() if farthest is not None and farthest > 0
        }
        if not known:
            continue
        wide, narrow = max(known, key=lambda i: known[i]), min(known, key=lambda i: known[i])
        if known[wide] > RATIO * known[narrow]:
            scale = float(tensor.scale[0])
            names = (graph.tensors[wide].name, graph.tensors[narrow].name)
            found.append(SharedScale(tensor.name, scale, names[0], known[wide], names[1], known[narrow]))
    return tuple(found)


def _before_outputs(graph: Graph, producer: dict[int, Operator]) -> list[Operator]:
    """The joining operators from which an output comes, moved or rounded at most; those nearest first."""
    met: dict[int, Operator] = {}
    seen: set[int] = set()
    ahead = list(graph.outputs)
    while ahead:
        operator = producer.get(ahead.pop())
        if operator is None or operator.index in seen:
            continue
        seen.add(operator.index)
        if operator.kind in _JOINS:
            met[operator.index] = operator
        if operator.kind in _JOINS | _MOVES:
            ahead.extend(operator.inputs)
    return list(met.values())


def _farthest(graph: Graph, producer: dict[int, Operator], index: int) -> float | None:
    """How far from zero a tensor's values lie at most; None where the file does not say."""
    bounds: list[float] = []
    for _ in range(len(graph.ops) + 1):  # as many steps as there are operators, so that no cycle holds us
        if index < 0:
            break
        bounds.extend(_held(graph, graph.tensors[index]))
        operator = producer.get(index)
        if operator is None:
            break
        if operator.kind in _HIGHEST:
            bounds.append(_HIGHEST[operator.kind])
        if operator.kind not in _MOVES:
            break
        index = operator.inputs[0] if operator.kind != "SPLIT" else operator.inputs[1]
    return min(bounds, default=None)


def _held(graph: Graph, tensor: Tensor) -> list[float]:
    """What the tensor can hold at most, or does hold."""
    if tensor.dtype in ("int8", "uint8") and len(tensor.scale) == 1:
        if tensor.is_constant:
            values = graph.data(tensor).astype(np.float64) - float(tensor.zero_point[0])
            return [float(np.abs(values).max(initial=0)) * float(tensor.scale[0])]
        low, high = (-128, 127) if tensor.dtype == "int8" else (0, 255)
        zero_point = int(tensor.zero_point[0])
        return [max(high - zero_point, zero_point - low) * float(tensor.scale[0])]
    if tensor.dtype == "float32" and tensor.is_constant:
        return [float(np.abs(graph.data(tensor)).max(initial=0))]
    return []
