"""Drawing with SVG text: elements, axes, ticks, markers. Colours come from the page's style sheet.

Text is given as it is and escaped here, so that no label can leave its element.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10


def element(tag: str, *children: str, text: str | None = None, **attributes: object) -> str:
    """One element; underscores in attribute names become hyphens, `class_` is `class`."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for name, value in attributes.items()
    )
    inside = "".join(children) + ("" if text is None else escape(text))
    return f"<{tag}{written}>{inside}</{tag}>"


def drawing(
    width: int, height: int, description: str, *children: str, class_: str = "", role: str = "img"
) -> str:
    """A whole picture; `description` is read to people who do not see it."""
    return element(
        "svg",
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        role=role,
        aria_label=description,
        class_=class_,
        style=f"max-width:{width}px",
    )


@dataclass(frozen=True)
class Axis:
    """Places values between two pixels, linearly or by their logarithm (low must then be > 0)."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """The pixel of a value."""
        if self.logarithmic:
            share = log10(value / self.low) / log10(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        """About `count` round values (1, 2 or 5 times a power of ten) inside the axis."""
        if self.logarithmic:
            decades = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
            values = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
            return [value for value in values if self.low <= value <= self.high]
        step = _step((self.high - self.low) / max(1, count))
        first = ceil(self.low / step - 1e-9)
        return [round(n * step, 10) for n in range(first, floor(self.high / step + 1e-9) + 1)]


def marker(scheme: str, x: float, y: float, radius: float = 6.5, *, hollow: bool = False) -> str:
    """A scheme's own shape in its own colour, so that it is told apart without colours too."""
    look = f"mark {scheme_class(scheme)}{' hollow' if hollow else ''}"
    if scheme in ("int8", "keras"):
        return element("circle", cx=x, cy=y, r=radius, class_=look)
    corners = _CORNERS.get(scheme, _CORNERS[""])
    points = " ".join(f"{_number(x + a * radius)},{_number(y + b * radius)}" for a, b in corners)
    return element("polygon", points=points, class_=look)


def scheme_class(scheme: str) -> str:
    """The name of a scheme's colours in the style sheet."""
    return f"s-{scheme}" if scheme in ("keras", "float32", "float16", "dynamic", "int8") else "s-other"


def path(points: Sequence[tuple[float, float]]) -> str:
    """The `d` of a line through points."""
    return "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in points)


_CORNERS = {
    "float32": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "float16": ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
    "dynamic": ((0, -1.2), (1.15, 0.9), (-1.15, 0.9)),
    "": ((0, 1.2), (1.15, -0.9), (-1.15, -0.9)),
}


def _step(rough: float) -> float:
    """The round number nearest to a rough one, by ratio."""
    power = 10.0 ** floor(log10(rough))
    return min((digit * power for digit in (1, 2, 5, 10)), key=lambda step: abs(log10(step / rough)))


def _number(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
