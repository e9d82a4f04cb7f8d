"""What figures have in common: margins, lines at round values, the numbers beside and below them."""

from collections.abc import Callable

from edgecnn.report.svg import Axis, element, path
from edgecnn.report.words import significant

LEFT, RIGHT, TOP, BOTTOM = 54, 18, 14, 46
"""Margins of every figure, px."""


def grid(x: Axis, y: Axis, width: int) -> str:
    """Lines at round shares, and round times below."""
    height = int(y.start + BOTTOM)
    columns = [below(x.place(tick), height, _round(tick)) for tick in _apart(x)]
    name = (
        "time for one image, ms (half of the images are faster)" if width > 500 else "time for one image, ms"
    )
    title = element(
        "text", x=(x.start + x.end) / 2, y=height - 6, class_="axis", text_anchor="middle", text=name
    )
    return lines(y, 5, width, lambda v: f"{100 * v:g} %") + "".join(columns) + title


def _apart(x: Axis) -> list[float]:
    """Ticks far enough from each other that their numbers do not touch."""
    kept: list[float] = []
    for tick in x.ticks(6 if x.end - x.start > 400 else 4):
        if not kept or x.place(tick) - x.place(kept[-1]) > 34:
            kept.append(tick)
    return kept


def _round(tick: float) -> str:
    written = significant(tick)
    return written.rstrip("0").rstrip(".") if "." in written else written


def lines(y: Axis, count: int, width: int, write: Callable[[float], str]) -> str:
    """A line across the figure at each of about `count` round values, with its number beside it."""
    parts = []
    for tick in y.ticks(count):
        at = y.place(tick)
        parts.append(element("path", d=path([(LEFT, at), (width - RIGHT, at)]), class_="grid"))
        parts.append(
            element("text", x=LEFT - 8, y=at + 4, class_="tick", text_anchor="end", text=write(tick))
        )
    return "".join(parts)


def below(at: float, height: int, text: str) -> str:
    """A number below the figure."""
    return element("text", x=at, y=height - BOTTOM + 18, class_="tick", text_anchor="middle", text=text)
