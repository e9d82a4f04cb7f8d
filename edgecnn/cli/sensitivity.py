"""What `edgecnn compress --sensitivity` found, on a terminal: every layer on a line, then where to begin."""

from collections.abc import Mapping
from typing import Any

from edgecnn.cli import text

_NAMED = 3


def show_sensitivity(found: Mapping[str, Any]) -> None:
    """Show `Sensitivity.as_dict`: points lost, in the order the layers run."""
    shares = [trial["share"] for trial in found["layers"][0]["trials"]]
    rank = {name: place for place, name in enumerate(found["weightiest"], 1)}
    rows = [
        (
            rank[layer["name"]],
            layer["name"][-40:],
            layer["channels"],
            f"{100 * layer['macs'] / found['macs']:.1f}",
            *(f"{100 * (trial['score'] - found['score']):+.1f}" for trial in layer["trials"]),
        )
        for layer in found["layers"]
    ]
    less = [f"-{100 * share:g} %" for share in shares]
    text.show(text.table(rows, ("rank", "channels of", "count", "MACs %", *less)))
    text.show("")
    text.show(
        f"points of {found['figure']} (whole: {text.percent(found['score'])} of {found['images']} "
        f"images) without a share of one layer's channels, those worth least by {found['criterion']}, "
        f"{'norms measured again, ' if found['settled'] else ''}nothing trained"
    )
    text.show(f"most hangs on: {', '.join(found['weightiest'][:_NAMED])}")
    if len(found["weightiest"]) > _NAMED:
        text.show(f"least hangs on: {', '.join(reversed(found['weightiest'][-_NAMED:]))}")
