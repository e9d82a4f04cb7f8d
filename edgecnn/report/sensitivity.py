"""A page on which layers hold the accuracy: every group of channels on a line, thinned by each share.

One HTML file without scripts and without anything to load. What was found comes from
`edgecnn.compression.sensitivity`.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from math import sqrt
from pathlib import Path
from typing import Any, Protocol

from edgecnn.errors import DataError
from edgecnn.files import write_text
from edgecnn.report.difference import refuse_existing
from edgecnn.report.svg import Axis, drawing, element, path
from edgecnn.report.words import listed, percent, points, significant

_TOP, _ROW, _BOTTOM = 26, 26, 8
"""Heights, px: of the ticks above the rows, of a row, below the rows."""

_TICKS = (0, 0.5, 1, 2, 5, 10, 20, 30, 40, 60, 80)
"""Points lost."""

_NAMED = 3
"""Layers that hold most, set in bold."""

_STYLE = """
.row { fill: var(--wash); } .lost { stroke: var(--accent); stroke-width: 2; opacity: .35; }
.share { stroke: var(--accent); stroke-width: 2; fill: var(--card); }
.share.some { fill: color-mix(in srgb, var(--accent) 45%, var(--card)); } .share.most { fill: var(--accent); }
.macs { fill: var(--faint); opacity: .6; }
text.layer { font-size: 12.5px; } text.layer.heavy { font-weight: 700; }
text.number { fill: var(--soft); font-size: 12px; }
.legend svg { display: inline-block; width: 16px; height: 16px; vertical-align: -3px; margin-right: 6px; }
.legend i.macs-key { background: var(--faint); opacity: .6; }
"""


class Found(Protocol):
    """An `edgecnn.compression.sensitivity.Sensitivity`."""

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values."""


def write_sensitivity_page(page: Path, found: Found, *, force: bool = False) -> Path:
    """Write the page.

    Args:
        page: where to.
        found: of at least one layer.
        force: replace the page that is there.

    Returns:
        `page`.

    Raises:
        DataError: it is there already, or it cannot be written.
    """
    refuse_existing(page, force)
    try:
        write_text(page, html(found.as_dict()))
    except OSError as error:
        raise DataError(f"{page}: cannot be written ({error.strerror}). Give another --page.") from None
    return page


def html(found: Mapping[str, Any]) -> str:
    """The whole page, of `Sensitivity.as_dict`."""
    style = files("edgecnn.report").joinpath("templates/report.css").read_text("utf-8") + _STYLE
    title = f"Which layers of {Path(found['run']).name} hold the {_figure(found)}"
    sub = (
        f"{percent(found['score'])} as it is, on {found['images']:,} images of {found['data']}; each layer "
        f"thinned alone, channels worth least by {found['criterion']} first"
    )
    drawn = "".join(
        f'<div class="{look}">{plot(found, width=width)}</div>'
        for width, look in ((900, "broad"), (350, "narrow"))
    )
    lead = (
        f"Points of {_figure(found)} lost when a share of one layer's channels goes, on a scale of square "
        "roots; further right: more hangs on the layer. Layers in the order they run."
    )
    body = (
        f'<header><p class="over">edgecnn compress</p><h1>{escape(title)}</h1>'
        f'<p class="sub">{escape(sub)}</p></header><main>{_verdict(found)}'
        f"<section><h2>Layer by layer</h2><p class=lead>{escape(lead)}</p><figure>{drawn}{_legend(found)}"
        f"</figure></section>{_notes(found)}{_table(found)}</main>"
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{style}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def plot(found: Mapping[str, Any], *, width: int) -> str:
    """A row for each layer: what it loses by each share, and its share of the MACs.

    Args:
        found: `Sensitivity.as_dict`.
        width: of the figure, px.
    """
    layers: Sequence[Mapping[str, Any]] = found["layers"]
    broad = width > 500
    left, right = (200, 130) if broad else (126, 50)
    most = max([1.0, *(_lost(found, trial) for layer in layers for trial in layer["trials"])])
    across = Axis(0.0, sqrt(1.05 * most), left, width - right - 14)
    height = _TOP + _ROW * len(layers) + _BOTTOM
    drawn = []
    for number in range(0, len(layers), 2):
        drawn.append(
            element("rect", x=0, y=_TOP + _ROW * number, width=width, height=_ROW, rx=5, class_="row")
        )
    for tick in _placed_ticks(across, 26 if broad else 22):
        at = across.place(sqrt(tick))
        drawn.append(element("path", d=path([(at, _TOP), (at, height - _BOTTOM)]), class_="grid"))
        drawn.append(element("text", x=at, y=_TOP - 9, text_anchor="middle", class_="tick", text=f"{tick:g}"))
    drawn.append(element("text", x=width, y=_TOP - 9, text_anchor="end", class_="tick", text="MACs"))
    drawn.append(element("text", x=8, y=_TOP - 9, class_="tick", text="points lost" if broad else "points"))
    highest = max(layer["macs"] for layer in layers) or 1
    for number, layer in enumerate(layers):
        drawn.append(
            _row(found, layer, across, _TOP + _ROW * (number + 0.5), width, highest if broad else None)
        )
    said = f"Points of {_figure(found)} lost, layer by layer. {_spoken(found)}"
    return drawing(width, height, said, *drawn)


def _row(
    found: Mapping[str, Any],
    layer: Mapping[str, Any],
    across: Axis,
    y: float,
    width: int,
    highest: int | None,
) -> str:
    lost = [_lost(found, trial) for trial in layer["trials"]]
    places = [across.place(sqrt(value)) for value in lost]
    heavy = layer["name"] in found["weightiest"][:_NAMED]
    fits = 29 if highest is not None else 14
    name = layer["name"] if len(layer["name"]) <= fits else f"…{layer['name'][1 - fits :]}"
    part = percent(layer["macs"] / found["macs"])
    bar = ""
    if highest is not None:
        length = 56 * layer["macs"] / highest
        bar = element("rect", x=width - 116, y=y - 4, width=float(length), height=8, rx=2, class_="macs")
    return element(
        "g",
        element("title", text=f"{layer['name']}, {layer['channels']} channels: {_told(found, layer)}"),
        element("text", x=8, y=y + 4, class_=f"layer{' heavy' * heavy}", text=name),
        element("path", d=path([(across.start, y), (max(places), y)]), class_="lost"),
        # the smallest last, so that none hides another
        *(_dot(place, y, number, len(places)) for number, place in reversed([*enumerate(places)])),
        bar,
        element("text", x=width - 4, y=y + 4, text_anchor="end", class_="number", text=part),
    )


def _dot(x: float, y: float, number: int, count: int) -> str:
    """Larger and fuller the more channels went, so that shares are told apart without colours."""
    look = "most" if number == count - 1 else "some" if number else ""
    return element("circle", cx=float(x), cy=float(y), r=3.5 + 2.5 * number / max(1, count - 1),
                   class_=f"share {look}".rstrip())  # fmt: skip


def _placed_ticks(across: Axis, apart: float) -> Iterator[float]:
    """Ticks that lie on the axis, not too close to each other."""
    last = -apart
    for tick in _TICKS:
        if sqrt(tick) <= across.high and across.place(sqrt(tick)) - last >= apart:
            last = across.place(sqrt(tick))
            yield tick


def _legend(found: Mapping[str, Any]) -> str:
    shares = [trial["share"] for trial in found["layers"][0]["trials"]]
    keys = "".join(
        f'<li><svg viewBox="0 0 16 16" aria-hidden="true">{_dot(8, 8, number, len(shares))}</svg>'
        f"{escape(percent(share, 0))} of its channels gone</li>"
        for number, share in enumerate(shares)
    )
    return (
        f'<ul class="legend">{keys}<li><i class="macs-key"></i>MACs that hang on the layer</li>'
        "<li><b>bold</b>&nbsp; holds most</li></ul>"
    )


def _verdict(found: Mapping[str, Any]) -> str:
    """Which layer holds most, and where thinning costs least for what it saves."""
    by_name = {layer["name"]: layer for layer in found["layers"]}
    first = by_name[found["weightiest"][0]]
    middle = len(first["trials"]) // 2

    def bargain(layer: Mapping[str, Any]) -> float:
        return float(layer["macs"] / max(0.1, _lost(found, layer["trials"][middle])))

    best = max(found["layers"], key=bargain)
    said = f"Most hangs on {first['name']}: without {_thinned(found, first, middle)}."
    more = "" if best is first else (
        f"To save computing, begin with {best['name']}: {percent(best['macs'] / found['macs'])} of the MACs "
        f"hang on it, and without {_thinned(found, best, middle)}. "
    )  # fmt: skip
    heaviest = list(found["weightiest"][:_NAMED])
    if len(by_name) > _NAMED:
        more += f"The {len(heaviest)} that hold most: {listed(heaviest)}."
    return f'<div class="verdict"><p class="first">{escape(said)}</p><p class="more">{escape(more)}</p></div>'


def _thinned(found: Mapping[str, Any], layer: Mapping[str, Any], which: int) -> str:
    trial = layer["trials"][which]
    lost = 100 * (found["score"] - trial["score"])
    what = f"loses {lost:.1f} points" if lost >= 0.05 else "loses nothing"
    return f"{trial['removed']} of its {layer['channels']} channels the network {what}"


def _notes(found: Mapping[str, Any]) -> str:
    settled = (
        "the norms were measured again" if found["settled"] else "not even the norms were measured again"
    )
    notes = (
        f"Nothing was trained: {settled}, and that is all. Training on brings much of it back; what counts "
        "here is which layer loses more than another.",
        f"One of the {found['images']:,} images is worth {significant(100 / found['images'])} points; small "
        "differences may be chance.",
    )
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<section class="notes"><h2>How to read it</h2><ul>{items}</ul></section>'


def _table(found: Mapping[str, Any]) -> str:
    rank = {name: place for place, name in enumerate(found["weightiest"], 1)}
    rows = []
    for layer in found["layers"]:
        others = f"<small>with {escape(listed(layer['makers'][1:]))}</small>" if layer["makers"][1:] else ""
        cells = "".join(
            f"<td>{points(trial['score'] - found['score'])}<small>loss {trial['loss']:.3f}</small></td>"
            for trial in layer["trials"]
        )
        rows.append(
            f"<tr><th class=break>{escape(layer['name'])}{others}</th><td>{rank[layer['name']]}</td>"
            f"<td>{layer['channels']}</td><td>{percent(layer['macs'] / found['macs'])}</td>{cells}</tr>"
        )
    shares = [f"−{percent(trial['share'], 0)}" for trial in found["layers"][0]["trials"]]
    heads = ("channels of", "rank", "channels", "MACs", *shares)
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    lead = (
        f"Change of the {_figure(found)} in points; the loss of the whole network is {found['loss']:.3f}. "
        "Rank 1 holds most. Layers that are tied together, as by a sum, go together."
    )
    return (
        f"<section><h2>Every layer</h2><p class=lead>{escape(lead)}</p><div class=scroll><table><thead><tr>"
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _told(found: Mapping[str, Any], layer: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{points(trial['score'] - found['score'])} points without {percent(trial['share'], 0)}"
        for trial in layer["trials"]
    )


def _spoken(found: Mapping[str, Any]) -> str:
    return " ".join(f"{layer['name']}: {_told(found, layer)}." for layer in found["layers"])


def _lost(found: Mapping[str, Any], trial: Mapping[str, Any]) -> float:
    """Points lost, as they are drawn: a network that got better has lost none."""
    return float(max(0.0, 100 * (found["score"] - trial["score"])))


def _figure(found: Mapping[str, Any]) -> str:
    return str(found["figure"])
