"""A comparison as rows of text, for terminal and report: what, before, after, how they compare."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

Row: TypeAlias = tuple[str, str, str, str]

HEADER: Final[Row] = ("", "before", "after", "after / before")

_NAMES: Final[Mapping[str, str]] = {"top1": "accuracy", "map50": "mAP@0.5", "f1": "mean F1"}
_SCHEMES: Final = ("float32", "int8")


def rows(found: Mapping[str, Any]) -> list[Row]:
    """Two networks side by side.

    Args:
        found: a `Comparison.as_dict`, or what compression.json holds. Figures are 95 % intervals where some
            are known, times are of the interpreter alone.

    Raises:
        KeyError, TypeError, ValueError: it is no such thing.
    """
    sides = found["before"], found["after"]
    networks = [side["network"] for side in sides]
    made = [_counted("parameters", [n["params"] for n in networks])]
    made.append(_counted("MACs", [n["macs"] for n in networks]))
    before, after = (f"{100 * network['zeros']:.1f} %" for network in networks)
    made.append(("weights that are zero", before, after, ""))
    for scheme in _SCHEMES:
        files = [side["files"][scheme] for side in sides]
        name = _NAMES[found["figure"]]
        before, after = (_figure(file) for file in files)
        made.append((f"{scheme} {name}", before, after, _change(found, scheme)))
        for percentile in ("p50", "p90", "p99"):
            old, new = (file["latency_ms"][percentile] for file in files)
            ratio = f"{new / old:.2f}x"
            if percentile == "p50":
                low, high = found["changes"][scheme]["time_interval"]
                ratio += f" ({low:.2f} to {high:.2f})"
            made.append((f"{scheme} {percentile}", f"{old:.3f} ms", f"{new:.3f} ms", ratio))
        made.append(_counted(f"{scheme} bytes", [file["bytes"] for file in files]))
        made.append(_counted(f"{scheme} bytes, zipped", [file["zipped_bytes"] for file in files]))
        made.append(_counted(f"{scheme} activations, peak bytes", [file["peak_bytes"] for file in files]))
    before, after = (side["files"]["int8"]["certificate"] or "not judged" for side in sides)
    made.append(("int8 conversion", before, after, ""))
    return made


def class_header(found: Mapping[str, Any]) -> tuple[str, str, str, str, str, str]:
    """What stands over `class_rows`."""
    what = {"top1": ("images", "recall"), "map50": ("boxes", "AP@0.5"), "f1": ("boxes", "F1")}
    count, figure = what[found["figure"]]
    return ("class, int8", count, f"{figure} before", "after", "points", "95 %")


def class_rows(found: Mapping[str, Any]) -> list[tuple[str, int, str, str, str, str]]:
    """One row for each class, those that lost most first; `found` as for `rows`.

    Raises:
        KeyError, TypeError, ValueError: see `rows`.
    """
    return [
        (
            one["label"],
            one["count"],
            _percent(one["before"]),
            _percent(one["after"]),
            "-" if one["difference"] is None else f"{100 * one['difference']:+.1f}",
            "-" if one["interval"] is None else _points(one["interval"]),
        )
        for one in found["classes"]
    ]


def conditions(found: Mapping[str, Any]) -> str:
    """Under what it was measured, in one line; `found` as for `rows`.

    Raises:
        KeyError: see `rows`.
    """
    known = found["conditions"]
    threads = known["threads"]
    parts = [
        f"measured on {known['device']}",
        f"{threads} thread{'' if threads == 1 else 's'}",
        f"{known['runtime']} {known['runtime_version']}, delegate {known['delegate']}",
        "times of the interpreter alone, the four files in turns",
        f"judged on {known['images']:,} {known['split'] or ''} images of {known['data']}".replace("  ", " "),
        "intervals are 95 %",
    ]
    return "; ".join(parts)


def _figure(file: Mapping[str, Any]) -> str:
    if file["interval"] is None:
        return _percent(file["value"])
    low, high = file["interval"]
    return f"{_percent(file['value'])} ({100 * low:.1f} to {100 * high:.1f})"


def _change(found: Mapping[str, Any], scheme: str) -> str:
    change = found["changes"][scheme]
    if change["difference"] is None:
        return "-"
    points = f"{100 * change['difference']:+.2f} points"
    return points if change["interval"] is None else f"{points} ({_points(change['interval'])})"


def _points(interval: Any) -> str:
    low, high = interval
    return f"{100 * low:+.1f} to {100 * high:+.1f}"


def _counted(what: str, counts: list[int]) -> Row:
    before, after = counts
    return what, f"{before:,}", f"{after:,}", f"{after / before:.2f}x" if before else "-"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"
