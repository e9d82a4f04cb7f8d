"""Where something can happen: zones and lines of the image, as they are named and typed.

What happens there is `edgecnn.runtime.tracking.zones`'.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias

import numpy as np

from edgecnn.errors import DataError
from edgecnn.results import Array

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of the image with straight edges.

    Attributes:
        name: what its events are called.
        points: three corners or more, in order around it: (x, y), to the right and down. When every number
            lies in 0..1 they are fractions of the image's width and height, otherwise pixels.

    Raises:
        DataError: no name, fewer than three corners, no area, or an outline that crosses itself.
    """

    name: str
    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        _check(f"zone {self.name!r}", self.name, self.points)
        if len(self.points) < 3:
            raise DataError(f"zone {self.name!r}: {len(self.points)} corners. Give three or more.")
        if _crosses_itself(self.points):
            raise DataError(
                f"zone {self.name!r}: its outline crosses itself. Give the corners in order around it."
            )
        x, y = np.array(self.points).T
        if not abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) > 0:
            raise DataError(f"zone {self.name!r}: its corners lie on one line. A zone wants an area.")

    def pixels(self, size_wh: tuple[int, int]) -> Array:
        """(k, 2) float32: its corners in an image of this size."""
        return _pixels(self.points, size_wh)


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line from one point to another.

    Seen by who walks along it from start to end, what crosses it forward comes from the right hand and goes
    to the left: a line typed from top to bottom is crossed forward to the right, one from left to right
    upwards, away from the camera.

    Attributes:
        name: what its events are called.
        start: (x, y), in the same units as a zone's points.
        end: likewise.

    Raises:
        DataError: no name, or no length.
    """

    name: str
    start: Point
    end: Point

    def __post_init__(self) -> None:
        _check(f"line {self.name!r}", self.name, (self.start, self.end))
        if self.start == self.end:
            raise DataError(f"line {self.name!r}: it starts and ends at {self.start}. A line wants a length.")

    def pixels(self, size_wh: tuple[int, int]) -> Array:
        """(2, 2) float32: its start and end in an image of this size."""
        return _pixels((self.start, self.end), size_wh)


def parse_zone(word: str) -> Zone:
    """The zone of a word such as "door=0.1,0.2,0.5,0.2,0.5,0.9": its name, then x,y of each corner.

    Raises:
        DataError: not such a word, or not a zone.
    """
    return Zone(*_parsed("zone", word, "door=0.1,0.2,0.5,0.2,0.5,0.9"))


def parse_line(word: str) -> Line:
    """The line of a word such as "gate=0.5,0,0.5,1": its name, then x,y of its start and of its end.

    Raises:
        DataError: not such a word, or not a line.
    """
    name, points = _parsed("line", word, "gate=0.5,0,0.5,1")
    if len(points) != 2:
        raise DataError(f"line {word!r}: {len(points)} points. Give two, such as gate=0.5,0,0.5,1")
    return Line(name, *points)


def _parsed(kind: str, word: str, such_as: str) -> tuple[str, tuple[Point, ...]]:
    name, equals, rest = word.partition("=")
    try:
        numbers = [float(number) for number in rest.split(",")]
    except ValueError:
        numbers = []
    if not name.strip() or not equals or not numbers or len(numbers) % 2:
        raise DataError(
            f"{kind} {word!r}: give a name and x,y of each point, with commas only, such as {such_as}"
        )
    return name.strip(), tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _check(what: str, name: str, points: Sequence[Point]) -> None:
    if not name:
        raise DataError(f"{what}: give it a name; its events are called by it")
    numbers = [number for point in points for number in point]
    if not all(isfinite(number) for number in numbers):
        raise DataError(f"{what}: every number must be finite")
    # nobody means an area of a pixel or two: this is a fraction mistyped
    if numbers and max(numbers) <= 2 and not _fractions(points):
        raise DataError(f"{what}: {min(numbers):g}..{max(numbers):g} are neither fractions (0..1) nor pixels")


def _fractions(points: Sequence[Point]) -> bool:
    return all(0 <= number <= 1 for point in points for number in point)


def _pixels(points: Sequence[Point], size_wh: tuple[int, int]) -> Array:
    # float32 on both sides: OpenCV refuses the float64 that a product with plain numbers gives
    return np.array(points, np.float32) * np.array(size_wh if _fractions(points) else (1, 1), np.float32)


def _crosses_itself(points: Sequence[Point]) -> bool:
    n = len(points)
    edges = [(points[i], points[(i + 1) % n]) for i in range(n)]
    return any(meet(*edges[i], *edges[j]) for i in range(n) for j in range(i + 2, n) if (j + 1) % n != i)


def meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the way from a to b crosses the one from c to d; a touch is enough on c..d, but not on a..b."""
    return side(c, d, a) * side(c, d, b) < 0 and side(a, b, c) * side(a, b, d) <= 0


def side(start: Point, end: Point, point: Point) -> float:
    """Positive to the right hand (in the picture) of who walks from start to end, negative to the left."""
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])
