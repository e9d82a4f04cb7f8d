"""The classes in a report: how well each file knows each, and what is taken for what."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from edgecnn.report.evidence import Evidence, Variant
from edgecnn.report.words import interval, percent, points

MOST_LABELS = 24
"""A confusion matrix with more rows than this is not drawn; the most frequent mistakes are listed."""

MOST_CLASSES = 30
"""With more classes than this, those the best file knows worst come first and the rest folds away."""

CLASS_FIGURES = {"top1": ("images", "recall"), "map": ("boxes", "ap"), "f1": ("boxes", "f1")}
"""What is counted of each class, and which figure says how well it is known."""


def class_rows(
    evidence: Evidence, best: Variant | None, variants: Sequence[Variant] | None = None
) -> list[dict[str, Any]]:
    """How well files know each class; the difference to the file's baseline where it has one.

    Args:
        evidence: everything.
        best: the file whose worst classes come first where there are many.
        variants: a column for each of these; None: for all that were judged.
    """
    judged = [v for v in evidence.variants if v.accuracy]
    columns = judged if variants is None else variants
    tables = {v.name: {r["label"]: r for r in v.accuracy.metrics["per_class"]} for v in judged if v.accuracy}
    if best is None or not judged:
        return []
    counts, share = CLASS_FIGURES[evidence.figure]
    rows = []
    for record in tables[best.name].values():
        label = record["label"]
        if record[counts]:
            cells = []
            for variant in columns:
                base = evidence.baseline(variant)
                theirs = tables[base.name].get(label) if base and variant.scheme != "keras" else None
                cells.append(_class_cell(variant, tables[variant.name].get(label), theirs, counts, share))
            rows.append({"label": label, "count": record[counts], "share": record[share], "cells": cells})
    return sorted(rows, key=lambda row: row["share"]) if len(rows) > MOST_CLASSES else rows


def _class_cell(
    variant: Variant,
    record: Mapping[str, Any] | None,
    base: Mapping[str, Any] | None,
    counts: str,
    share: str,
) -> dict[str, Any]:
    cell: dict[str, Any] = {"name": variant.name, "scheme": variant.scheme, "said": "–"}
    cell |= dict.fromkeys(("share", "interval", "difference", "beyond_chance"), "")
    if not record or record[share] is None:
        return cell
    digits = 0 if share == "recall" and record[counts] < 100 else 1
    bounds = record.get(f"{share}_interval")
    if base and base[share] is not None and record[share] != base[share]:
        cell["difference"] = points(record[share] - base[share])
        theirs = base.get(f"{share}_interval")
        if bounds and theirs:
            worse, better = bounds[1] < theirs[0], bounds[0] > theirs[1]
            cell["beyond_chance"] = "worse" if worse else "better" if better else ""
    low, high = bounds or (record[share], record[share])
    return cell | {
        "said": percent(record[share], digits),
        "share": round(100 * record[share], 2),
        "low": round(100 * low, 2),
        "span": round(100 * (high - low), 2),
        "interval": interval(bounds, digits) if bounds else "",
    }


def confusion(best: Variant | None) -> dict[str, Any] | None:
    """The confusion matrix over labels that occur; None where it is too large."""
    if best is None or best.accuracy is None or "confusion" not in best.accuracy.metrics:
        return None
    counts: Sequence[Sequence[int]] = best.accuracy.metrics["confusion"]
    labels: Sequence[str] = best.accuracy.metrics["labels"]
    used = [i for i in range(len(labels)) if sum(counts[i]) or any(row[i] for row in counts)]
    if not used or len(used) > MOST_LABELS:
        return None
    rows = []
    for i in used:
        total = sum(counts[i])
        cells = [
            {
                "count": counts[i][j],
                "tone": round(sqrt(counts[i][j] / total), 3) if total else 0,  # so that rare ones show
                "right": i == j,
                "said": f"{counts[i][j]} of {total} images of {labels[i]} were called {labels[j]}",
            }
            for j in used
        ]
        rows.append({"label": labels[i], "images": total, "cells": cells})
    return {"labels": [labels[j] for j in used], "rows": rows}


def mistakes(best: Variant | None, most: int = 10) -> list[dict[str, Any]]:
    """The most frequent mistakes."""
    if best is None or best.accuracy is None:
        return []
    return list(best.accuracy.metrics.get("mistakes", ()))[:most]
