"""Every file on every device: one table, and the same figures as CSV with all their conditions."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from edgecnn.report.advice import Advice
from edgecnn.report.evidence import Evidence, Latency, Place, Variant
from edgecnn.report.words import interval, milliseconds, percent, significant, size, span

COLUMNS = (
    "number", "file", "run", "scheme", "size_bytes", "sha256", "device", "target", "source", "recommended",
    "figure", "value", "value_low", "value_high", "images", "data", "split", "data_sha256",
    "agreement", "agreement_with", "certificate",
    "p50_ms", "p90_ms", "p99_ms", "estimate_low_ms", "estimate_high_ms",
    "prepare_p50_ms", "invoke_p50_ms", "decode_p50_ms",
    "threads", "runtime", "delegate", "runs", "warmup", "basis", "band", "partition",
    "memory_mib_measured", "ram_bytes_estimated", "flash_bytes", "date", "no_figure_because",
)  # fmt: skip
"""Of report.csv, one row for each file and device."""


def numbers(evidence: Evidence) -> dict[str, int]:
    """What each file is called in figures: its place in the report, from 1."""
    return {variant.name: number for number, variant in enumerate(evidence.variants, 1)}


def matrix(evidence: Evidence, advices: Sequence[Advice]) -> dict[str, Any] | None:
    """The table of files by devices; None where there is but one device."""
    places = evidence.places
    if len(places) < 2:
        return None
    taken = {(a.place.device, a.place.threads): a.take for a in advices}
    rows = [
        {
            "number": number,
            "name": variant.name,
            "scheme": variant.scheme,
            "right": percent(variant.accuracy.value) if variant.accuracy else "–",
            "right_interval": interval(variant.accuracy.interval) if variant.accuracy else "",
            "size": size(variant.size_bytes),
            "ram": _ram(variant),
            "cells": [_cell(variant, place, taken[place.device, place.threads]) for place in places],
        }
        for number, variant in enumerate(evidence.variants, 1)
    ]
    return {
        "places": [_head(place) for place in places],
        "rows": rows,
        "any_ram": any(row["ram"] != "–" for row in rows),
        "reasons": _reasons(evidence),
    }


def written(evidence: Evidence, advices: Sequence[Advice]) -> str:
    """The figures as CSV, each row with its conditions."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    taken = {(a.condition, a.take.name) for a in advices if a.take}
    for number, variant in enumerate(evidence.variants, 1):
        known = {"number": number, **_of_file(variant)}
        for latency in variant.latencies:
            recommended = "yes" if (latency.condition, variant.name) in taken else "no"
            writer.writerow(_safe({**known, **_of_latency(latency), "recommended": recommended}))
        for device, reason in variant.unfit.items():
            writer.writerow(_safe({**known, "device": device, "no_figure_because": reason}))
        if not variant.latencies and not variant.unfit:
            writer.writerow(_safe(known))
    return out.getvalue()


def _head(place: Place) -> dict[str, Any]:
    threads = f"{place.threads} thread{'s' if place.threads != 1 else ''}" if place.threads else ""
    return {"device": place.device, "threads": threads, "estimated": place.is_estimated}


def _cell(variant: Variant, place: Place, take: Variant | None) -> dict[str, Any]:
    found = [(c, latency) for c in place.conditions if (latency := variant.latency(c))]
    if not found:
        why = variant.unfit.get(place.device, "")
        return {"time": "–", "beside": "", "where": "", "estimated": False, "take": False, "why": why}
    condition, latency = found[0]
    estimated = condition.source == "estimated"
    beside = span(*latency.interval) if estimated else f"p90 {milliseconds(latency.interval[1])}"
    other = next((second for c, second in found[1:] if c.source != condition.source), None)
    if other is not None:
        beside += f", estimated {span(*other.interval)}"
    return {
        "time": milliseconds(latency.total_ms["p50"]),
        "beside": beside,
        "where": _off_delegate(latency.environment),
        "estimated": estimated,
        "take": variant is take,
        "why": "",
    }


def _off_delegate(environment: Mapping[str, Any]) -> str:
    """Such as "61 of 63 operators on edge_tpu"; "" where all are."""
    units, delegate = environment.get("partition"), environment.get("delegate")
    if not isinstance(units, Mapping) or not delegate:
        return ""
    total, there = sum(units.values()), units.get(delegate, 0)
    return "" if there == total else f"{there} of {total} operators on {delegate}"


def _ram(variant: Variant) -> str:
    found = [latency.environment.get("ram_bytes") for latency in variant.latencies]
    known = [count for count in found if isinstance(count, int) and count > 0]
    return size(max(known)) if known else "–"


def _reasons(evidence: Evidence) -> list[str]:
    """Why there are dashes: device, reason, how many files."""
    found: dict[tuple[str, str], list[str]] = {}
    for variant in evidence.variants:
        for device, reason in variant.unfit.items():
            found.setdefault((device, reason), []).append(variant.name)
    return [
        f"{device}: {reason} ({len(names)} file{'s' if len(names) > 1 else ''})"
        for (device, reason), names in found.items()
    ]


def _of_file(variant: Variant) -> dict[str, Any]:
    row: dict[str, Any] = {
        "file": variant.name,
        "run": variant.run,
        "scheme": variant.scheme,
        "size_bytes": variant.size_bytes,
        "sha256": variant.sha256,
        "certificate": variant.certificate.get("outcome", ""),
    }
    found = variant.accuracy
    if found is None:
        return row
    low, high = found.interval
    agreement = found.agreement or {}
    return row | {
        "figure": found.figure,
        "value": found.value,
        "value_low": low,
        "value_high": high,
        "images": found.metrics["images"],
        "data": found.data.get("name", ""),
        "split": found.data.get("split", ""),
        "data_sha256": found.data.get("sha256", ""),
        "agreement": agreement.get("share", ""),
        "agreement_with": agreement.get("with", ""),
    }


def _of_latency(latency: Latency) -> dict[str, Any]:
    said, condition, total = latency.environment, latency.condition, latency.total_ms
    memory, units = said.get("memory_mib"), said.get("partition")
    stages = {
        f"{name}_p50_ms": f["p50"] for name, f in latency.stages_ms.items() if f"{name}_p50_ms" in COLUMNS
    }
    return {
        "device": condition.device,
        "target": said.get("target", ""),
        "source": condition.source,
        "p50_ms": total["p50"],
        "p90_ms": total.get("p90", ""),
        "p99_ms": total.get("p99", ""),
        "estimate_low_ms": total.get("low", ""),
        "estimate_high_ms": total.get("high", ""),
        **stages,
        "threads": condition.threads,
        "runtime": condition.runtime,
        **{name: said.get(name, "") for name in ("delegate", "runs", "warmup", "basis", "band", "date")},
        "partition": "; ".join(f"{n} {unit}" for unit, n in units.items())
        if isinstance(units, Mapping)
        else "",
        "memory_mib_measured": memory.get("model", "") if isinstance(memory, Mapping) else "",
        "ram_bytes_estimated": said.get("ram_bytes", ""),
        "flash_bytes": said.get("flash_bytes", ""),
    }


def _safe(row: Mapping[str, Any]) -> dict[str, Any]:
    """Text that a spreadsheet would compute stays text: it gets an apostrophe."""
    return {
        name: f"'{value}" if isinstance(value, str) and value[:1] in _COMPUTED else _short(value)
        for name, value in row.items()
    }


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


_COMPUTED = ("=", "+", "-", "@", "\t", "\r")


def band(environment: Mapping[str, Any]) -> str:
    """How wide an estimate is, such as "±30 %"; "" where nothing is said."""
    found = environment.get("band")
    return f"±{significant(100 * found)}\u00a0%" if isinstance(found, int | float) else str(found or "")
