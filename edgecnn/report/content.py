"""What stands in a report, section by section, in words and rounded numbers; for page and Markdown alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from edgecnn.report.evidence import Accuracy, Condition, Evidence, Latency, Variant
from edgecnn.report.verdict import Verdict
from edgecnn.report.words import certificate, interval, milliseconds, percent, points, significant, size

MOST_LABELS = 24
"""A confusion matrix with more rows than this is not drawn; the most frequent mistakes are listed."""

MOST_CLASSES = 30
"""With more classes than this, those the best file knows worst come first and the rest folds away."""

_ENVIRONMENT = {
    "processor": "processor", "processor_features": "instruction sets", "cores": "cores",
    "governor": "governor", "clock_mhz": "clock, MHz", "temperature_c": "temperature, °C",
    "throttled": "throttled",
    "load_average": "load before", "os": "system", "kernel": "kernel", "runtime": "runtime",
    "runtime_version": "runtime version", "delegate": "delegate",
    "delegated_operators": "operators on the delegate", "threads": "threads", "warmup": "warm-up images",
    "runs": "timed images", "image": "image", "python": "Python", "numpy": "NumPy", "opencv": "OpenCV",
    "assumptions": "assumed", "command": "command", "date": "date",
}  # fmt: skip
_PASSING = ("load before", "clock, MHz", "temperature, °C", "date")  # differ from one moment to the next


@dataclass(frozen=True)
class Tile:
    """One number that stands out, what it is, and what it compares with."""

    value: str
    name: str
    beside: str


def tiles(evidence: Evidence, verdict: Verdict) -> list[Tile]:
    """The recommended file's numbers; [] where none is recommended."""
    take, condition = verdict.recommended, verdict.condition
    if take is None or condition is None or take.accuracy is None:
        return []
    base = evidence.baseline(take)
    found = [Tile(percent(take.accuracy.top1), "images right", f"95 %: {interval(take.accuracy.interval)}")]
    latency = take.latency(condition)
    if latency:
        against = base.latency(condition) if base else None
        beside = (
            f"{base.name}: {milliseconds(against.total_ms['p50'])}" if base and against else "half are faster"
        )
        found.append(Tile(milliseconds(latency.total_ms["p50"]), "for one image", beside))
    beside = f"{base.name}: {size(base.size_bytes)}" if base and base.scheme != "keras" else "on disk"
    found.append(Tile(size(take.size_bytes), "file size", beside))
    agreement = take.accuracy.agreement
    if agreement:
        with_whom = f"with {agreement['with']}" if agreement.get("with") else "with its reference"
        found.append(Tile(percent(agreement["share"]), "same decision", with_whom))
    return found


def model_rows(evidence: Evidence, verdict: Verdict) -> list[dict[str, Any]]:
    """One row for each file and condition."""
    rows = []
    for variant in evidence.variants:
        for latency in variant.latencies or (None,):
            rows.append(
                _model_row(
                    variant, latency, first=latency in (None, variant.latencies[:1] and variant.latencies[0])
                )
            )
            rows[-1]["recommended"] = variant is verdict.recommended and (
                latency is None or latency.condition == verdict.condition
            )
    return rows


def _model_row(variant: Variant, latency: Latency | None, *, first: bool) -> dict[str, Any]:
    accuracy = variant.accuracy
    agreement = accuracy.agreement if accuracy else None
    total: Mapping[str, float] = latency.total_ms if latency else {}
    memory = latency.environment.get("memory_mib") if latency else None
    peak = memory.get("model") if isinstance(memory, Mapping) else None
    conversion, says = certificate(variant.certificate)
    return {
        "name": variant.name,
        "scheme": variant.scheme,
        "first": first,
        "size": size(variant.size_bytes),
        "top1": percent(accuracy.top1) if accuracy else "–",
        "top1_interval": interval(accuracy.interval) if accuracy else "",
        "top5": percent(accuracy.metrics.get("top5"))
        if accuracy and len(accuracy.metrics["labels"]) > 5
        else "–",
        "agreement": percent(agreement["share"]) if agreement else "–",
        "agreement_with": str(agreement.get("with", "")) if agreement else "",
        "certificate": conversion,
        "certificate_says": says,
        **{key: significant(total[key]) if key in total else "–" for key in ("p50", "p90", "p99")},
        "memory": f"{significant(peak)} MiB" if isinstance(peak, int | float) and peak > 0 else "–",
        "condition": latency.condition.name if latency else "",
        "estimated": bool(latency and latency.condition.source == "estimated"),
    }


def stage_rows(evidence: Evidence, condition: Condition) -> list[dict[str, Any]]:
    """Where the time goes: p50 of each stage, and its width as a share of the slowest file's."""
    names = ("prepare", "invoke", "decode")
    timed = [(v, latency) for v in evidence.variants if (latency := v.latency(condition))]
    sums = [sum(latency.stages_ms[n]["p50"] for n in names if n in latency.stages_ms) for _, latency in timed]
    rows = []
    for (variant, latency), total in zip(timed, sums, strict=True):
        if total > 0:
            stages = [(n, latency.stages_ms[n]["p50"]) for n in names if n in latency.stages_ms]
            rows.append(
                {
                    "name": variant.name,
                    "scheme": variant.scheme,
                    "total": milliseconds(latency.total_ms["p50"]),
                    "stages": [
                        {"name": n, "time": milliseconds(v), "width": round(100 * v / max(sums), 2)}
                        for n, v in stages
                    ],
                }
            )
    return rows


def class_rows(evidence: Evidence, best: Variant | None) -> list[dict[str, Any]]:
    """Recall of each class by each file; the difference to the file's baseline where it has one."""
    judged = [v for v in evidence.variants if v.accuracy]
    tables = {v.name: {r["label"]: r for r in v.accuracy.metrics["per_class"]} for v in judged if v.accuracy}
    if best is None or not judged:
        return []
    rows = []
    for record in tables[best.name].values():
        label = record["label"]
        if record["images"]:
            cells = []
            for variant in judged:
                base = evidence.baseline(variant)
                theirs = tables[base.name].get(label) if base and variant.scheme != "keras" else None
                cells.append(_class_cell(variant, tables[variant.name].get(label), theirs))
            rows.append(
                {"label": label, "images": record["images"], "recall": record["recall"], "cells": cells}
            )
    return sorted(rows, key=lambda row: row["recall"]) if len(rows) > MOST_CLASSES else rows


def _class_cell(
    variant: Variant, record: Mapping[str, Any] | None, base: Mapping[str, Any] | None
) -> dict[str, Any]:
    if not record or record["recall"] is None:
        return {
            "name": variant.name,
            "scheme": variant.scheme,
            "recall": "–",
            "interval": "",
            "difference": "",
            "beyond_chance": "",
        }
    low, high = record["recall_interval"]
    difference, clear = "", ""
    if base and base["recall"] is not None and record["recall"] != base["recall"]:
        difference = points(record["recall"] - base["recall"])
        base_low, base_high = base["recall_interval"]
        clear = "worse" if high < base_low else "better" if low > base_high else ""
    return {
        "name": variant.name,
        "scheme": variant.scheme,
        "recall": percent(record["recall"], 0 if record["images"] < 100 else 1),
        "share": round(100 * record["recall"], 2),
        "low": round(100 * low, 2),
        "span": round(100 * (high - low), 2),
        "interval": interval((low, high), 0 if record["images"] < 100 else 1),
        "difference": difference,
        "beyond_chance": clear,
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


def conditions(evidence: Evidence) -> list[dict[str, Any]]:
    """Under what every number was taken: one entry for each different environment, with its files."""
    found: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for variant in evidence.variants:
        sources: list[tuple[str, Mapping[str, Any]]] = []
        if variant.accuracy:
            sources.append(("accuracy", variant.accuracy.environment))
        sources += [("latency", latency.environment) for latency in variant.latencies]
        for what, environment in sources:
            facts = tuple(_facts(environment))
            key = (("what", what), *(fact for fact in facts if fact[0] not in _PASSING))
            entry = found.setdefault(key, {"what": what, "files": [], "facts": facts})
            entry["files"].append(variant.name)
    return list(found.values())


def _facts(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [
        (name, _said(environment[key])) for key, name in _ENVIRONMENT.items() if _said(environment.get(key))
    ]
    data = environment.get("data")
    if isinstance(data, Mapping):
        which = (f"{key}: {data[key]}" for key in ("name", "split", "images", "sha256") if data.get(key))
        facts.insert(0, ("data", ", ".join(which)))
    return facts


def _said(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value)
    return "" if value is None else str(value)


def lineages(evidence: Evidence) -> list[dict[str, Any]]:
    """How each file was made, and its fingerprint."""
    return [
        {
            "name": v.name,
            "scheme": v.scheme,
            "steps": list(v.lineage),
            "sha256": v.sha256,
            "file": str(v.file),
        }
        for v in evidence.variants
    ]


def judged_images(accuracy: Accuracy) -> str:
    """Such as "1,000 test images of drawn"."""
    split, name = (accuracy.data.get(key) for key in ("split", "name"))
    kind = f"{split} images" if split else "images"
    return f"{accuracy.metrics['images']:,} {kind}{f' of {name}' if name else ''}"


def best_judged(evidence: Evidence, verdict: Verdict) -> Variant | None:
    """Whose mistakes are shown: the recommended file, else the most accurate."""
    judged = [v for v in evidence.variants if v.accuracy]
    return verdict.recommended or max(
        judged, key=lambda v: v.accuracy.top1 if v.accuracy else 0, default=None
    )


def trainings(evidence: Evidence) -> list[dict[str, Any]]:
    """How each run was trained, in one line."""
    found = []
    for run in evidence.runs:
        if run.history:
            best = max(run.history, key=lambda e: (e.val_accuracy, -e.val_loss))
            seconds = run.training.get("seconds")
            took = f" in {_duration(seconds)}" if isinstance(seconds, int | float) else ""
            epochs = f"{len(run.history)} epoch{'s' if len(run.history) > 1 else ''}"
            line = (
                f"{epochs}{took}; the best was epoch {best.epoch}, "
                f"{percent(best.val_accuracy)} on validation images"
            )
            found.append({"name": run.name, "line": line, "history": run.history})
    return found


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h {whole % 3600 // 60} min"
