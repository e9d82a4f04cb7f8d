"""The report's figures: accuracy against latency, and how a training went."""

from collections.abc import Callable, Sequence

from edgecnn.report.evidence import AXES, Condition, Epoch, Variant
from edgecnn.report.svg import Axis, drawing, element, marker, path, scheme_class
from edgecnn.report.verdict import pareto
from edgecnn.report.words import interval, milliseconds, percent, significant

_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 18, 14, 46
_LETTER = 6.9  # mean width of a letter of the labels, px
_SPREAD = 8.0  # latencies farther apart than this get a logarithmic axis

_Box = tuple[float, float, float, float]


def scatter(
    variants: Sequence[Variant], condition: Condition, *, recommended: Variant | None, width: int, height: int
) -> str:
    """Accuracy against latency under one condition, with intervals and the Pareto front.

    Args:
        variants: those without accuracy or without latency under this condition are not drawn.
        condition: solid marks if it was measured, hollow if estimated.
        recommended: gets a ring.
        width: of the figure, px.
        height: of the figure, px.
    """
    drawn = [(v, *_place(v, condition)) for v in variants if v.accuracy and v.latency(condition)]
    x = _time_axis([(p50, p90) for _, p50, p90, _, _, _ in drawn], width)
    y = _share_axis([bound for _, _, _, _, low, high in drawn for bound in (low, high)], height)
    parts = [_grid(x, y, width), _front(variants, condition, x, y)]
    centers = [(x.place(p50), y.place(value)) for _, p50, _, value, _, _ in drawn]
    taken: list[_Box] = [(cx - 9, cy - 9, cx + 9, cy + 9) for cx, cy in centers]
    taken += [
        (cx - 3, y.place(high), cx + 3, y.place(low))
        for (cx, _), (*_, low, high) in zip(centers, drawn, strict=True)
    ]
    for (variant, p50, p90, value, low, high), (cx, cy) in zip(drawn, centers, strict=True):
        look = scheme_class(variant.scheme)
        told = (
            f"{variant.name}: {percent(value)} ({interval((low, high))}), "
            f"{milliseconds(p50)} (90 of 100 within {milliseconds(p90)})"
        )
        ring = [element("circle", cx=cx, cy=cy, r=12.0, class_="ring")] if variant is recommended else []
        parts.append(
            element(
                "g",
                element("title", text=told),
                element(
                    "path",
                    d=_whiskers(cx, x.place(p90), cy, y.place(low), y.place(high), end=x.end),
                    class_=f"whisker {look}",
                ),
                *ring,
                marker(variant.scheme, cx, cy, hollow=condition.source == "estimated"),
            )
        )
    for (variant, *_), center in zip(drawn, centers, strict=True):
        parts.append(_label(variant, center, taken, (_LEFT, _TOP, width - _RIGHT, height - _BOTTOM)))
    said = "; ".join(f"{v.name} {percent(value)} at {milliseconds(p50)}" for v, p50, _, value, _, _ in drawn)
    name = next((AXES[v.accuracy.figure] for v, *_ in drawn if v.accuracy), AXES["top1"])
    return drawing(width, height, f"{name} against latency: {said}", *parts)


def curve(
    history: Sequence[Epoch],
    what: str,
    *,
    width: int,
    height: int,
    shares: tuple[str, str] = ("validation", "training"),
) -> str:
    """How a training went, epoch by epoch.

    Args:
        history: at least one epoch.
        what: "accuracy" or "loss".
        width: of the figure, px.
        height: of the figure, px.
        shares: what the accuracies of validation and of training images are called: of a detector they are
            two different figures.
    """
    share = what == "accuracy"
    lines = {
        "training": [(e.epoch, e.accuracy if share else e.loss) for e in history],
        "validation": [(e.epoch, e.val_accuracy if share else e.val_loss) for e in history],
    }
    values = [value for line in lines.values() for _, value in line]
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.05
    last = history[-1].epoch
    x = Axis(min(0, history[0].epoch - 1), max(last, 1), _LEFT, width - _RIGHT)
    y = Axis(
        max(0.0, low - room), min(1.0, high + room) if share else high + room, height - _BOTTOM, _TOP + 16
    )
    write: Callable[[float], str] = (lambda v: f"{100 * v:g} %") if share else (lambda v: f"{v:g}")
    parts = [_lines(y, 4, width, write)]
    parts += [_below(x.place(t), height, f"{t:g}") for t in x.ticks(5) if t == int(t)]
    parts.append(
        element(
            "text",
            x=(_LEFT + width - _RIGHT) / 2,
            y=height - 8,
            class_="axis",
            text_anchor="middle",
            text="epoch",
        )
    )
    for name, line in lines.items():
        points = [(x.place(epoch), y.place(value)) for epoch, value in line]
        parts.append(element("path", d=path(points), class_=f"curve {name}"))
        if len(points) == 1:
            parts.append(element("circle", cx=points[0][0], cy=points[0][1], r=3.0, class_=f"dot {name}"))
    best = max(history, key=lambda e: (e.val_accuracy, -e.val_loss))
    value = best.val_accuracy if share else best.val_loss
    names = shares if share else ("validation", "training")
    told = f"best epoch {best.epoch}: {names[0]} {write(round(value, 4))}"
    parts.append(
        element(
            "circle",
            element("title", text=told),
            cx=x.place(best.epoch),
            cy=y.place(value),
            r=4.5,
            class_="dot validation",
        )
    )
    legend = (("validation", names[0], _LEFT), ("training", names[1], _LEFT + 34 + 6.2 * len(names[0])))
    for look, name, left in legend:
        parts.append(element("path", d=path([(left, 12.0), (left + 18, 12.0)]), class_=f"curve {look}"))
        parts.append(element("text", x=left + 24, y=16, class_="tick", text=name))
    return drawing(width, height, f"{what.capitalize()} by epoch; {told}", *parts)


def _place(variant: Variant, condition: Condition) -> tuple[float, float, float, float, float]:
    """p50, p90, the figure that is compared by, and its interval."""
    latency, accuracy = variant.latency(condition), variant.accuracy
    if latency is None or accuracy is None:
        raise ValueError(f"{variant.name} has no place in the figure")
    return latency.total_ms["p50"], latency.total_ms["p90"], accuracy.value, *accuracy.interval


def _time_axis(times: Sequence[tuple[float, float]], width: int) -> Axis:
    """Made for the p50; the p90 of a busy machine may lie beyond its end."""
    lowest, slowest = min(p50 for p50, _ in times), max(p50 for p50, _ in times)
    highest = min(max(p90 for _, p90 in times), 2 * slowest)
    if slowest / lowest > _SPREAD:
        return Axis(lowest / 1.6, highest * 1.6, _LEFT, width - _RIGHT, logarithmic=True)
    return Axis(0, highest * 1.15, _LEFT, width - _RIGHT)


def _share_axis(bounds: Sequence[float], height: int) -> Axis:
    low, high = min(bounds), max(bounds)
    room = max(0.01, 0.18 * (high - low))
    return Axis(max(0.0, low - room), min(1.0, high + room), height - _BOTTOM, _TOP)


def _grid(x: Axis, y: Axis, width: int) -> str:
    height = int(y.start + _BOTTOM)
    columns = [
        _below(x.place(tick), height, significant(tick).rstrip("0").rstrip(".") if tick else "0")
        for tick in _apart(x)
    ]
    name = (
        "time for one image, ms (half of the images are faster)" if width > 500 else "time for one image, ms"
    )
    title = element(
        "text", x=(x.start + x.end) / 2, y=height - 6, class_="axis", text_anchor="middle", text=name
    )
    return _lines(y, 5, width, lambda v: f"{100 * v:g} %") + "".join(columns) + title


def _apart(x: Axis) -> list[float]:
    """Ticks far enough from each other that their numbers do not touch."""
    kept: list[float] = []
    for tick in x.ticks(6 if x.end - x.start > 400 else 4):
        if not kept or x.place(tick) - x.place(kept[-1]) > 34:
            kept.append(tick)
    return kept


def _lines(y: Axis, count: int, width: int, write: Callable[[float], str]) -> str:
    parts = []
    for tick in y.ticks(count):
        at = y.place(tick)
        parts.append(element("path", d=path([(_LEFT, at), (width - _RIGHT, at)]), class_="grid"))
        parts.append(
            element("text", x=_LEFT - 8, y=at + 4, class_="tick", text_anchor="end", text=write(tick))
        )
    return "".join(parts)


def _below(at: float, height: int, text: str) -> str:
    return element("text", x=at, y=height - _BOTTOM + 18, class_="tick", text_anchor="middle", text=text)


def _front(variants: Sequence[Variant], condition: Condition, x: Axis, y: Axis) -> str:
    """The edge of what is attained: a step at every file that no other beats."""
    corners: list[tuple[float, float]] = []
    at = y.start
    for variant in pareto(variants, condition):
        p50, _, value, _, _ = _place(variant, condition)
        corners += [(x.place(p50), at), (x.place(p50), y.place(value))]
        at = y.place(value)
    corners.append((x.end, at))
    area = [*corners, (x.end, y.start)]
    return element("path", d=path(area) + "Z", class_="attained") + element(
        "path", d=path(corners[1:]), class_="front"
    )


def _whiskers(cx: float, right: float, cy: float, low: float, high: float, *, end: float) -> str:
    """The interval upwards, the p90 to the right; without its cap where that lies beyond the figure."""
    cap = 4.0
    lines = [
        [(cx, low), (cx, high)],
        [(cx - cap, low), (cx + cap, low)],
        [(cx - cap, high), (cx + cap, high)],
    ]
    lines += [[(cx, cy), (min(right, end), cy)]]
    if right <= end:
        lines += [[(right, cy - cap), (right, cy + cap)]]
    return "".join(path(line) for line in lines)


def _label(variant: Variant, center: tuple[float, float], taken: list[_Box], inside: _Box) -> str:
    """The file's name beside its mark, where it covers least."""
    cx, cy = center
    wide, tall = _LETTER * len(variant.name), 15.0
    places = [
        (cx + 15, cy - 12, "start"), (cx + 15, cy + 18, "start"),
        (cx - 15, cy - 12, "end"), (cx - 15, cy + 18, "end"),
        (cx, cy - 18, "middle"), (cx, cy + 28, "middle"),
        (cx + 15, cy - 28, "start"), (cx + 15, cy + 34, "start"),
    ]  # fmt: skip
    shift = {"start": 0.0, "end": 1.0, "middle": 0.5}
    boxes = [
        (px - shift[a] * wide, py - 11, px + (1 - shift[a]) * wide, py - 11 + tall) for px, py, a in places
    ]

    def cost(number: int) -> float:
        box = boxes[number]
        outside = _area(box) - _overlap(box, inside)
        return 4 * outside + sum(_overlap(box, other) for other in taken) + number

    chosen = min(range(len(places)), key=cost)
    taken.append(boxes[chosen])
    px, py, anchor = places[chosen]
    return element(
        "text",
        x=px,
        y=py,
        text_anchor=anchor,
        class_=f"name {scheme_class(variant.scheme)}",
        text=variant.name,
    )


def _area(box: _Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _overlap(one: _Box, other: _Box) -> float:
    return _area((max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])))
