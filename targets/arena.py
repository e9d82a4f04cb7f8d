"""Where tensors lie in working memory: the planners of TFLite Micro and of LiteRT, by live ranges.

Both give the largest tensor its place first. They differ in what lives how long, in alignment, and in which
gap they take. What has to be planned is told by `targets.memory`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

MICRO_ALIGNMENT: Final = (
    16  # MicroArenaBufferAlignment, tflite-micro/tensorflow/lite/micro/micro_arena_constants.h
)
LITERT_ALIGNMENT: Final = 64  # kDefaultTensorAlignment, LiteRT/tflite/util.h
FOREVER: Final = 1 << 31  # last step of what is never given up


@dataclass(frozen=True)
class Span:
    """What needs a place, and from which step to which, both included.

    Attributes:
        name: what it is, for a listing: "tensor 3", "scratch of operator 5".
        bytes: its size.
        first: step in which it is written.
        last: step in which it is read for the last time.
    """

    name: str
    bytes: int
    first: int
    last: int

    def meets(self, other: "Span") -> bool:
        """Whether both are alive in some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Place:
    """A span and where it lies, in bytes from the arena's beginning."""

    span: Span
    offset: int

    @property
    def end(self) -> int:
        """First byte after it."""
        return self.offset + self.span.bytes


Planner: TypeAlias = Callable[[Sequence[Span]], tuple[Place, ...]]


def plan_micro(spans: Sequence[Span]) -> tuple[Place, ...]:
    """As GreedyMemoryPlanner does: by size, each into the first gap that is large enough.

    Among equal sizes the one that was added last comes first. Source:
    tensorflow/lite/micro/memory_planner/greedy_memory_planner.cc in tensorflow/tflite-micro.
    """
    order = list(spans)
    order.reverse()  # sorting keeps the order of equals
    order.sort(key=lambda span: -aligned(span.bytes, MICRO_ALIGNMENT))
    placed: list[Place] = []
    for span in order:
        size = aligned(span.bytes, MICRO_ALIGNMENT)
        offset = 0
        for other in placed:
            if not other.span.meets(span):
                continue
            if other.offset - offset >= size:
                break
            offset = max(offset, aligned(other.end, MICRO_ALIGNMENT))
        placed.append(Place(span, offset))
        placed.sort(key=lambda place: place.offset)
    return tuple(placed)


def plan_litert(spans: Sequence[Span]) -> tuple[Place, ...]:
    """As ArenaPlanner does: what lives throughout, then by size, each into the tightest gap.

    Among equal sizes the one that is written first comes first. Source: CreateTensorAllocationVector in
    tflite/arena_planner.cc and Allocate in tflite/simple_memory_arena.cc, google-ai-edge/LiteRT.
    """

    def rank(numbered: tuple[int, Span]) -> tuple[int, int, int, int]:
        number, span = numbered
        if span.first == 0 and span.last == FOREVER:
            return (0, 0, 0, number)
        return (1, -span.bytes, span.first, number)

    placed: list[Place] = []
    for _, span in sorted(enumerate(spans), key=rank):
        placed.append(Place(span, _tightest(span, placed)))
        placed.sort(key=lambda place: place.offset)
    return tuple(placed)


def _tightest(span: Span, placed: Sequence[Place]) -> int:
    best, best_gap, end = -1, 0, 0
    for other in placed:
        if not other.span.meets(span):
            continue
        start = aligned(end, LITERT_ALIGNMENT)
        if start + span.bytes <= other.offset and (best < 0 or other.offset - start < best_gap):
            best, best_gap = start, other.offset - end
            if best_gap == 0:
                break
        end = max(end, other.end)
    return best if best >= 0 else aligned(end, LITERT_ALIGNMENT)


def arena_bytes(places: Sequence[Place], alignment: int) -> int:
    """How much memory a plan takes, rounded up to the alignment."""
    return aligned(max((place.end for place in places), default=0), alignment)


def aligned(size: int, alignment: int) -> int:
    """The next multiple of the alignment."""
    return -(-size // alignment) * alignment
