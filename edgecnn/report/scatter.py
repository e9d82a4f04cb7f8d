"""Accuracy against latency: solid marks for what was measured, hollow ones for what was estimated.

Nothing runs in the page: what a mark stands for appears by style sheet alone, under the pointer or, reached
with the tab key, in focus. Where the files' names would cover each other, marks are numbered instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, hypot, pi, sin

from edgecnn.report.choice import pareto
from edgecnn.report.evidence import AXES, Condition, Variant
from edgecnn.report.grid import BOTTOM, LEFT, RIGHT, TOP, grid
from edgecnn.report.svg import Axis, drawing, element, marker, path, scheme_class
from edgecnn.report.words import interval, milliseconds, percent, size, span

_LETTER = 6.9  # mean width of a letter of the labels, px
_DIGIT = 7.4
_SPREAD = 8.0  # latencies farther apart than this get a logarithmic axis
_FEW = 8  # more files than this are numbered

_Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class _Point:
    """One mark, in pixels."""

    variant: Variant
    number: int
    estimated: bool
    x: float
    y: float
    whisker: str
    told: tuple[str, ...]


def scatter(
    variants: Sequence[Variant],
    conditions: Sequence[Condition],
    *,
    recommended: Variant | None,
    numbers: Mapping[str, int],
    width: int,
    height: int,
) -> str:
    """Accuracy against latency on one device, with intervals and the Pareto front.

    Args:
        variants: those without accuracy, or without latency under any of the conditions, are not drawn.
        conditions: of one device; the front is that of the first.
        recommended: gets a ring.
        numbers: of the variants by name, shown where names would cover each other.
        width: of the figure, px.
        height: of the figure, px.
    """
    x, y = _axes(variants, conditions, width, height)
    points = [
        _point(variant, condition, numbers[variant.name], x, y)
        for condition in reversed(conditions)
        for variant in variants
        if variant.accuracy and variant.latency(condition)
    ]
    ringed = [p for p in points if p.variant is recommended and p.estimated == _guessed(conditions[0])]
    parts = [grid(x, y, width), _front(variants, conditions[0], x, y)]
    parts += [
        element("path", d=p.whisker, class_=f"whisker {scheme_class(p.variant.scheme)}") for p in points
    ]
    parts += [element("circle", cx=p.x, cy=p.y, r=12.0, class_="ring") for p in ringed]
    parts += [marker(p.variant.scheme, p.x, p.y, hollow=p.estimated) for p in points]
    inside = (float(LEFT), float(TOP), float(width - RIGHT), float(height - BOTTOM))
    parts += _labels(points, inside)
    parts += [_tip(point, width, height) for point in points]
    said = "; ".join(f"{p.told[0]} {p.told[1]}, {p.told[2]}" for p in points)
    name = next((AXES[p.variant.accuracy.figure] for p in points if p.variant.accuracy), AXES["top1"])
    return drawing(width, height, f"{name} against latency: {said}", *parts, class_="plot", role="group")


def _guessed(condition: Condition) -> bool:
    return condition.source == "estimated"


def _axes(
    variants: Sequence[Variant], conditions: Sequence[Condition], width: int, height: int
) -> tuple[Axis, Axis]:
    times, bounds = [], []
    for variant in variants:
        for condition in conditions:
            latency = variant.latency(condition)
            if latency and variant.accuracy:
                times.append((latency.total_ms["p50"], *latency.interval))
                bounds += [*variant.accuracy.interval]
    return _time_axis(times, width), _share_axis(bounds, height)


def _time_axis(times: Sequence[tuple[float, float, float]], width: int) -> Axis:
    """Made for the p50; the p90 of a busy machine may lie beyond its end."""
    lowest, slowest = min(p50 for p50, _, _ in times), max(p50 for p50, _, _ in times)
    highest = min(max(high for _, _, high in times), 2 * slowest)
    if slowest / lowest > _SPREAD:
        lowest = min(lowest, max(min(low for _, low, _ in times), lowest / 2))
        return Axis(lowest / 1.3, highest * 1.3, LEFT, width - RIGHT, logarithmic=True)
    return Axis(0, highest * 1.15, LEFT, width - RIGHT)


def _share_axis(bounds: Sequence[float], height: int) -> Axis:
    low, high = min(bounds), max(bounds)
    room = max(0.01, 0.18 * (high - low))
    return Axis(max(0.0, low - room), min(1.0, high + room), height - BOTTOM, TOP)


def _point(variant: Variant, condition: Condition, number: int, x: Axis, y: Axis) -> _Point:
    latency, accuracy = variant.latency(condition), variant.accuracy
    if latency is None or accuracy is None:
        raise ValueError(f"{variant.name} has no place in the figure")
    middle, (left, right) = latency.total_ms["p50"], latency.interval
    low, high = accuracy.interval
    cx, cy = x.place(middle), y.place(accuracy.value)
    if _guessed(condition):
        took = f"{milliseconds(middle)} estimated, {span(left, right)}"
    else:
        took = f"{milliseconds(middle)} measured, 90 of 100 within {milliseconds(right)}"
    told = (
        variant.name,
        f"{percent(accuracy.value)} ({interval((low, high))})",
        took,
        size(variant.size_bytes),
    )
    reach = max(x.start, x.place(max(left, x.low))) if _guessed(condition) else cx
    whisker = _whiskers((cx, cy), (reach, x.place(right)), (y.place(low), y.place(high)), end=x.end)
    return _Point(variant, number, _guessed(condition), cx, cy, whisker, told)


def _whiskers(
    center: tuple[float, float], across: tuple[float, float], upright: tuple[float, float], *, end: float
) -> str:
    """The interval upright; across, the band or the p90, without its cap where it lies beyond the figure."""
    (cx, cy), (left, right), (low, high), cap = center, across, upright, 4.0
    lines = [[(cx, low), (cx, high)], [(left, cy), (min(right, end), cy)]]
    lines += [[(cx - cap, at), (cx + cap, at)] for at in (low, high)]
    lines += [[(at, cy - cap), (at, cy + cap)] for at in (left, right) if at != cx and at <= end]
    return "".join(path(line) for line in lines)


def _front(variants: Sequence[Variant], condition: Condition, x: Axis, y: Axis) -> str:
    """The edge of what is attained: a step at every file that no other beats."""
    corners: list[tuple[float, float]] = []
    at = y.start
    for variant in pareto(variants, condition):
        latency, accuracy = variant.latency(condition), variant.accuracy
        if latency and accuracy:
            across, up = x.place(latency.total_ms["p50"]), y.place(accuracy.value)
            corners += [(across, at), (across, up)]
            at = up
    if not corners:
        return ""
    corners.append((x.end, at))
    area = [*corners, (x.end, y.start)]
    return element("path", d=path(area) + "Z", class_="attained") + element(
        "path", d=path(corners[1:]), class_="front"
    )


def _tip(point: _Point, width: int, height: int) -> str:
    """A place to point at or to tab to, and what it then tells; drawn last, so that nothing covers it."""
    wide, tall = 16 + _LETTER * max(len(line) for line in point.told), 18.0 * len(point.told) + 10
    left = min(max(2.0, point.x - wide / 2), max(2.0, width - wide - 2))
    top = point.y - tall - 16 if point.y - tall - 16 > 0 else min(point.y + 16, height - tall)
    lines = [
        element("text", x=left + 8, y=top + 19 + 18 * n, class_="told" if n else "told first", text=line)
        for n, line in enumerate(point.told)
    ]
    box = element("rect", x=left, y=top, width=wide, height=tall, rx=6)
    return element(
        "g",
        element("circle", cx=point.x, cy=point.y, r=11.0),
        element("g", box, *lines, class_="tip"),
        class_="point",
        tabindex=0,
        role="img",
        aria_label=", ".join(point.told),
    )


def _labels(points: Sequence[_Point], inside: _Box) -> list[str]:
    """The files' names where they fit, else their numbers."""
    shown = list({p.variant.name: p for p in points}.values())
    if len(points) <= _FEW:
        names = [p.variant.name for p in shown]
        drawn, clear = _placed(shown, points, names, _LETTER, inside)
        if clear:
            return drawn
    numbers = [str(p.number) for p in shown]
    return _placed(shown, points, numbers, _DIGIT, inside)[0]


def _placed(
    labelled: Sequence[_Point], marks: Sequence[_Point], texts: Sequence[str], letter: float, inside: _Box
) -> tuple[list[str], bool]:
    """Each text beside its mark where it covers least; and whether none covers a text, a mark, or leaves."""
    bodies: list[_Box] = [(p.x - 8, p.y - 8, p.x + 8, p.y + 8) for p in marks]
    texted: list[_Box] = []
    drawn, clear = [], True
    for point, text in zip(labelled, texts, strict=True):
        wide = letter * len(text)
        boxes = [_box(point, wide, *way) for way in _WAYS]

        def cost(number: int, boxes: Sequence[_Box] = boxes) -> float:
            box = boxes[number]
            outside = _area(box) - _overlap(box, inside)
            covered = sum(_overlap(box, other) for other in texted)
            return 8 * outside + 4 * covered + sum(_overlap(box, other) for other in bodies) + number

        chosen = boxes[min(range(len(boxes)), key=cost)]
        clear &= not any(_overlap(chosen, other) for other in (*texted, *bodies))
        clear &= _area(chosen) - _overlap(chosen, inside) < 1
        texted.append(chosen)
        drawn.append(_written(point, chosen, text))
    return drawn, clear


def _written(point: _Point, box: _Box, text: str) -> str:
    cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    look = scheme_class(point.variant.scheme)
    name = element("text", x=cx, y=cy + 4.5, text_anchor="middle", class_=f"name {look}", text=text)
    near = (min(max(point.x, box[0]), box[2]), min(max(point.y, box[1]), box[3]))
    away = hypot(near[0] - point.x, near[1] - point.y)
    if away < 14:
        return name
    start = (
        point.x + 8 * (near[0] - point.x) / away,
        point.y + 8 * (near[1] - point.y) / away,
    )
    return element("path", d=path([start, near]), class_=f"leader {look}") + name


_WAYS = tuple(
    (distance, direction * pi / 6)
    for distance in (10.0, 18.0, 28.0, 40.0, 54.0, 70.0)
    for direction in (11, 1, 7, 5, 9, 3, 0, 6, 10, 8, 2, 4)
)
"""How far from a mark and in which direction a text may stand, the best first; 0 is to the right, 3 below."""


def _box(point: _Point, wide: float, distance: float, angle: float) -> _Box:
    """A text's box whose nearest side is so far from the mark."""
    tall = 15.0
    cx = point.x + cos(angle) * (distance + wide / 2)
    cy = point.y + sin(angle) * (distance + tall / 2)
    return (cx - wide / 2, cy - tall / 2, cx + wide / 2, cy + tall / 2)


def _area(box: _Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _overlap(one: _Box, other: _Box) -> float:
    return _area((max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])))
