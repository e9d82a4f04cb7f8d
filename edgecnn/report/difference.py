"""A page on where a converted file goes wrong: SQNR over depth, the first bad layer, causes, all tensors.

One HTML file without scripts and without anything to load. What was found comes as plain values
(`edgecnn.difference.Difference.as_dict`).
"""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from edgecnn.errors import DataError
from edgecnn.files import write_text
from edgecnn.report.svg import Axis, drawing, element, path

_WIDTH, _HEIGHT = 940, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 18, 44
_MOST_DB = 80.0
"""The plot ends here: beyond, there is nothing to see, and float16 has 70."""

_MOST_LISTED = 10
"""Bad layers with their causes; the table has all."""

_STYLE = """
.gathered { fill: none; stroke: var(--soft); stroke-width: 1.5; }
.own { fill: var(--accent); } .own.bad { fill: var(--bad); }
.bound { stroke: var(--bad); stroke-dasharray: 5 4; } .grid { stroke: var(--line); }
.first { stroke: var(--bad); stroke-width: 1; } text { fill: var(--soft); font-size: 12px; }
tr.bad th, tr.bad td { color: var(--bad); } td.left { text-align: left; white-space: normal; }
"""


def refuse_existing(page: Path | None, force: bool) -> None:
    """Refuse before the work what could not be written after it.

    Raises:
        DataError: the page is there, and shall not be replaced.
    """
    if page is not None and page.exists() and not force:
        raise DataError(f"{page}: is there already. Give another --page, or --force to replace it.")


def write_page(page: Path, found: Mapping[str, Any]) -> Path:
    """Write the page.

    Args:
        page: where to; replaced if it is there.
        found: what `Difference.as_dict` gives.

    Returns:
        `page`.

    Raises:
        DataError: it cannot be written.
    """
    try:
        write_text(page, html(found))
    except OSError as error:
        raise DataError(f"{page}: cannot be written ({error.strerror}). Give another --page.") from None
    return page


def html(found: Mapping[str, Any]) -> str:
    """The whole page."""
    style = files("edgecnn.report").joinpath("templates/report.css").read_text("utf-8") + _STYLE
    made, reference = Path(found["made"]), Path(found["reference"])
    title = f"{made.name} beside {reference.name}"
    notes = [*found["notes"], *_unpaired(found)]
    parts = [
        f'<header><p class="over">edgecnn diff</p><h1>{escape(title)}</h1>'
        f'<p class="sub">{found["images"]} images of {escape(found["data"])}</p></header><main>',
        _verdict(found),
        "<section><h2>Error over depth</h2><p class='lead'>Dots: the error that each operator adds by "
        "itself. Line: all error gathered up to there. Higher is better.</p>"
        f"<figure>{plot(found)}</figure></section>",
        _bad_layers(found),
        _notes(notes),
        _table(found),
        "</main>",
    ]
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{"".join(parts)}\n</body></html>\n'


def plot(found: Mapping[str, Any]) -> str:
    """SQNR over depth as SVG: own error as dots, gathered error as a line; titles say which tensor it is."""
    layers: Sequence[Mapping[str, Any]] = found["layers"]
    bad = {one["position"]: one["local_sqnr_db"] for one in found["bad"]}
    own = [bad.get(layer["position"], layer["local_sqnr_db"]) for layer in layers]
    values = [value for layer, mine in zip(layers, own, strict=True) for value in (mine, layer["sqnr_db"])]
    shown = [value for value in values if value is not None]
    low = min([0.0, *shown])
    high = min(_MOST_DB, max([found["bad_db"], *shown]) + 10)  # room for what has no error, at the top
    across = Axis(0, max(1, len(layers) - 1), _LEFT + 8, _WIDTH - _RIGHT - 8)
    up = Axis(max(low, -20.0), high, _HEIGHT - _BOTTOM, _TOP)

    def at(value: float | None) -> float:
        return up.place(min(max(up.high if value is None else value, up.low), up.high))

    drawn = [_level(up.place(tick), f"{tick:g}") for tick in up.ticks(6)]
    bound = at(found["bad_db"])
    drawn.append(element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=bound, y2=bound, class_="bound"))
    if found["first_bad"] is not None:
        x = across.place(found["first_bad"]["position"])
        drawn.append(element("line", x1=x, x2=x, y1=_TOP, y2=_HEIGHT - _BOTTOM, class_="first"))
        drawn.append(element("text", x=x + 4, y=_TOP + 4, text="first bad layer"))
    line = [(across.place(n), at(layer["sqnr_db"])) for n, layer in enumerate(layers)]
    drawn.append(element("path", d=path(line), class_="gathered"))
    for n, (layer, mine) in enumerate(zip(layers, own, strict=True)):
        title = element("title", text=_title(layer, mine))
        look = "own bad" if layer["bad"] else "own"
        drawn.append(element("circle", title, cx=across.place(n), cy=at(mine), r=4.5, class_=look))
    drawn.append(element("text", x=_LEFT, y=_HEIGHT - 12, text="operators in order of execution"))
    drawn.append(element("text", x=4, y=_TOP - 4, text="SQNR, dB"))
    return drawing(_WIDTH, _HEIGHT, "Signal-to-noise ratio of every tensor, in order of execution", *drawn)


def _title(layer: Mapping[str, Any], own: float | None) -> str:
    return (
        f"{layer['position']} {layer['operator']} {layer['name']}: own {_decibels(own)}, "
        f"gathered {_decibels(layer['sqnr_db'])}"
    )


def _level(y: float, text: str) -> str:
    line = element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="grid")
    return line + element("text", x=_LEFT - 6, y=y + 4, text_anchor="end", text=text)


def _verdict(found: Mapping[str, Any]) -> str:
    first = found["first_bad"]
    blamed = first or found["weakest"]
    who = f"{blamed['operator']} {blamed['name']} (own error at {_decibels(blamed['local_sqnr_db'])})"
    said = f"The first bad layer is {who}." if first else f"No bad layer. The weakest is {who}."
    if not first and blamed["local_sqnr_db"] is None:
        said = "No tensor differs."
    more = (
        f"{len(found['bad'])} of {len(found['layers'])} tensors lie below {_decibels(found['bad_db'])} by "
        "what their own operator adds."
    )
    causes = _causes(first) if first else ""
    told = f'<p class="first">{escape(said)}</p><p class="more">{escape(more)}</p>{causes}'
    return f'<div class="verdict">{told}</div>'


def _bad_layers(found: Mapping[str, Any]) -> str:
    """All that are bad, the worst first; the list is cut, the table below is not."""
    if len(found["bad"]) < 2:
        return ""
    worst = sorted(found["bad"], key=lambda one: one["local_sqnr_db"] or 0.0)[:_MOST_LISTED]
    items = [
        f"<h3>{one['position']} {escape(one['operator'])} {escape(one['name'])} "
        f"({_decibels(one['local_sqnr_db'])})</h3>{_causes(one)}"
        for one in worst
    ]
    return f"<section><h2>Bad layers, the worst first</h2>{''.join(items)}</section>"


def _causes(blamed: Mapping[str, Any]) -> str:
    items = [
        f"<li><b>{escape(cause['kind'])}</b>: {escape(cause['text'])}.<br>"
        f"What to do: {escape(cause['remedy'])}.</li>"
        for cause in blamed["causes"]
    ]
    return f"<ul>{''.join(items)}</ul>"


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<section class="notes"><h2>Notes</h2><ul>{items}</ul></section>'


def _unpaired(found: Mapping[str, Any]) -> list[str]:
    return [
        f"without a partner in {Path(found[of]).name}: {', '.join(found[name])}"
        for name, of in (("unpaired", "made"), ("unpaired_reference", "reference"))
        if found[name]
    ]


def _table(found: Mapping[str, Any]) -> str:
    rows = [
        f"<tr{' class=bad' if layer['bad'] else ''}><th>{layer['position']}</th>"
        f"<td class=left>{escape(layer['operator'])}<small>{escape(layer['name'])}</small></td>"
        f"<td>{_decibels(layer['sqnr_db'])}</td><td>{_decibels(layer['local_sqnr_db'])}</td>"
        f"<td>{'-' if layer['cosine'] is None else format(layer['cosine'], '.4f')}</td>"
        f"<td>{layer['used'][0]:.3g} to {layer['used'][1]:.3g}</td>"
        f"<td>{_span(layer['written'])}</td><td>{layer['paired_by']}</td></tr>"
        for layer in found["layers"]
    ]
    heads = ("", "tensor", "gathered", "own", "cosine", "used", "can be written", "paired by")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return (
        f"<section><h2>Every tensor</h2><div class=scroll><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _decibels(ratio: float | None) -> str:
    return "no error" if ratio is None else f"{ratio:.1f} dB"


def _span(span: Sequence[float] | None) -> str:
    return "float" if span is None else f"{span[0]:.3g} to {span[1]:.3g}"
