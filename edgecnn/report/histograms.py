"""A page that shows what went by in each tensor, and the range that each method chose for it.

Histograms and ranges are `calibration`'s; here they are drawn, on one page that opens anywhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files as package_files
from itertools import pairwise
from math import log10
from pathlib import Path

import numpy as np

from calibration.histogram import Histogram, Histograms
from calibration.ranges import Ranges
from edgecnn import files
from edgecnn.errors import DataError
from edgecnn.report.svg import Axis, drawing, element, path
from edgecnn.report.words import listed, percent

_FAINTEST = 0.5
"""Values in a column that are drawn as none: a bin's values may be shared by several columns."""

_TOP, _PLOT, _TICKS, _ROW = 8, 120, 24, 20
"""Heights, px: above the histogram, of it, of the line of ticks below, of each method's range."""

_COLOURS = ("float32", "dynamic", "float16", "int8", "keras", "other")

_STYLE = """
.columns { fill: var(--faint); opacity: .55; }
.limit { stroke: var(--c); stroke-width: 1; stroke-dasharray: 3 3; }
.range { stroke: var(--c); stroke-width: 5; stroke-linecap: butt; }
text.method { fill: var(--c); font-weight: 600; font-size: 12px; }
text.clipped { fill: var(--soft); font-size: 12px; }
h3 { margin: 0 0 2px; font: 600 14px/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.about { color: var(--soft); font-size: 13px; margin: 0 0 8px; }
section.tensor { padding: 18px 24px; margin-bottom: 12px; }
"""


def write_histograms(
    page: Path, histograms: Histograms, ranges_by_method: Mapping[str, Ranges], *, title: str = "Activations"
) -> Path:
    """Write one self-contained page: every tensor's histogram and the range each method gives it.

    A page that is there is replaced.

    Args:
        page: the .html file to write.
        histograms: what went by, in execution order.
        ranges_by_method: what to call the method to its ranges; the first is drawn first.
        title: of the page.

    Returns:
        The path of the page.

    Raises:
        DataError: the ranges are those of other tensors, or the page's place is a folder.
    """
    if page.is_dir():
        raise DataError(f"{page} is a folder. Give the name of a file, such as {page / 'histograms.html'}.")
    for method, ranges in ranges_by_method.items():
        if missing := [name for name in histograms.tensors if name not in ranges.low_high]:
            raise DataError(
                f"the {method} ranges lack {missing[0]}: they belong to another model. Calibrate again."
            )
    files.write_text(page, "<!doctype html>\n" + _page(histograms, ranges_by_method, title))
    return page


def figure(
    histogram: Histogram, ranges: Mapping[str, tuple[float, float]], *, width: int, description: str
) -> str:
    """One tensor: how often which values occur, on a logarithmic scale, and below it each method's range.

    Args:
        histogram: of a tensor that is not the same everywhere.
        ranges: method to (low, high); the share of values outside is written beside it.
        width: of the figure, px.
        description: for people who do not see it.
    """
    left, right = (88, 112) if width > 500 else (74, 78)
    low = min([histogram.low, *(low for low, _ in ranges.values())])
    high = max([histogram.high, *(high for _, high in ranges.values())])
    x = Axis(low, high, left, width - right)
    floor = _TOP + _PLOT
    parts = [_columns(histogram, x, floor)]
    for tick in x.ticks(7 if width > 500 else 4):
        at = x.place(tick)
        parts.append(element("path", d=path([(at, _TOP), (at, floor + 4)]), class_="grid"))
        parts.append(
            element("text", x=at, y=floor + 17, text_anchor="middle", class_="tick", text=f"{tick:g}")
        )
    for number, (method, ends) in enumerate(ranges.items()):
        row = floor + _TICKS + _ROW * number + _ROW / 2
        first, last = x.place(ends[0]), x.place(ends[1])
        parts.append(
            element(
                "g",
                element("title", text=f"{method}: {ends[0]:.4g} to {ends[1]:.4g}"),
                element("text", x=0, y=row + 4, class_="method", text=method),
                *(element("path", d=path([(at, _TOP), (at, row)]), class_="limit") for at in (first, last)),
                element("path", d=path([(first, row), (max(last, first + 1), row)]), class_="range"),
                element(
                    "text",
                    x=width,
                    y=row + 4,
                    text_anchor="end",
                    class_="clipped",
                    text=_clipped(histogram, ends, short=width <= 500),
                ),
                class_=_colour(number),
            )
        )
    return drawing(width, floor + _TICKS + _ROW * len(ranges) + 4, description, *parts)


def _columns(histogram: Histogram, x: Axis, floor: int) -> str:
    """The histogram as one shape of equal columns, as high as the logarithm of what they hold."""
    count = int((x.end - x.start) / 2)
    ends = np.linspace(histogram.low, histogram.high, count + 1)
    below = np.concatenate([[0.0], np.cumsum(histogram.counts)])
    held = np.diff(np.interp(ends, histogram.edges, below))
    y = Axis(_FAINTEST, max(1.0, float(held.max())), floor, _TOP, logarithmic=True)
    points = [(x.place(histogram.low), float(floor))]
    for (start, end), number in zip(pairwise(ends), held, strict=True):
        height = y.place(max(float(number), _FAINTEST))
        points += [(x.place(start), height), (x.place(end), height)]
    points.append((x.place(histogram.high), float(floor)))
    decades = range(1, int(log10(y.high)) + 1, 1 if y.high < 1e4 else 2)
    labels = [
        element(
            "text",
            x=x.start - 6,
            y=y.place(10.0**decade) + 4,
            text_anchor="end",
            class_="tick",
            text=_power(decade),
        )
        for decade in decades
    ]
    return element("path", d=path(points) + "Z", class_="columns") + "".join(labels)


def _page(histograms: Histograms, ranges_by_method: Mapping[str, Ranges], title: str) -> str:
    style = (package_files("edgecnn.report") / "templates" / "report.css").read_text(encoding="utf-8")
    methods = list(ranges_by_method)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    head = element(
        "head",
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">',
        element("title", text=f"{title} · edgecnn"),
        f"<style>{style}{_STYLE}</style>",
    )
    about = (
        f"{len(histograms.tensors)} tensors in the order they are computed, over {histograms.samples} "
        "images. How many values lie where is drawn on a logarithmic scale."
    )
    if methods:
        about += (
            f" Below: the range by {listed(methods)}, and the share of values that it clips. The model's "
            "answer keeps its whole range by every method."
        )
    header = element(
        "header",
        element("p", class_="over", text="edgecnn calibration"),
        element("h1", text=title),
        element("p", class_="sub", text=about),
    )
    body = "".join(_sections(histograms, ranges_by_method))
    return element("html", head, element("body", header, element("main", body)), lang="en") + "\n"


def _sections(histograms: Histograms, ranges_by_method: Mapping[str, Ranges]) -> Iterator[str]:
    for number, (name, histogram) in enumerate(histograms.tensors.items(), 1):
        chosen = {method: ranges.low_high[name] for method, ranges in ranges_by_method.items()}
        about = f"{histogram.total:,} values from {histogram.low:.4g} to {histogram.high:.4g}"
        if name in histograms.unclipped:
            about += "; the answer, never clipped"
        parts = [element("h3", text=f"{number}. {name}"), element("p", class_="about", text=about)]
        if histogram.low < histogram.high:
            said = f"Histogram of {name}. {_spoken(histogram, chosen)}"
            parts += [
                element("div", figure(histogram, chosen, width=width, description=said), class_=look)
                for width, look in ((900, "broad"), (350, "narrow"))
            ]
        yield element("section", *parts, class_="tensor")


def _spoken(histogram: Histogram, ranges: Mapping[str, Sequence[float]]) -> str:
    return " ".join(
        f"{method}: {low:.4g} to {high:.4g}, {_share(histogram, low, high)} clipped."
        for method, (low, high) in ranges.items()
    )


def _clipped(histogram: Histogram, ends: tuple[float, float], *, short: bool) -> str:
    share = histogram.share_outside(*ends)
    if share == 0:
        return "clips nothing" if not short else "nothing"
    return _share(histogram, *ends) if short else f"clips {_share(histogram, *ends)}"


def _share(histogram: Histogram, low: float, high: float) -> str:
    share = histogram.share_outside(low, high)
    return "under 0.001\u00a0%" if 0 < share < 1e-5 else percent(share, 3)


def _power(decade: int) -> str:
    return f"{10**decade:,}" if decade < 4 else f"10{str(decade).translate(_RAISED)}"


_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def _colour(number: int) -> str:
    return f"s-{_COLOURS[number % len(_COLOURS)]}"
