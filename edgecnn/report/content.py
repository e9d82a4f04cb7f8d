"""What stands in a report, section by section, in words and rounded numbers; for page and Markdown alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgecnn.card import Card
from edgecnn.report.advice import Advice
from edgecnn.report.choice import pareto
from edgecnn.report.evidence import FIGURES, Accuracy, Condition, Evidence, Latency, Variant
from edgecnn.report.matrix import band
from edgecnn.report.verdict import Verdict
from edgecnn.report.words import certificate, interval, milliseconds, percent, significant, size

SAME = {"top1": "same decision", "map": "same boxes", "f1": "same boxes"}
"""What the share of answers that two models give alike is called, by the figure of `FIGURES`."""

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
    name = FIGURES[take.accuracy.figure]
    found = [Tile(percent(take.accuracy.value), name, f"95 %: {interval(take.accuracy.interval)}")]
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
        found.append(Tile(percent(agreement["share"]), SAME[take.accuracy.figure], with_whom))
    return found


def model_rows(evidence: Evidence, verdict: Verdict) -> list[dict[str, Any]]:
    """One row for each file and condition it was measured under; estimates have a table of their own."""
    rows = []
    for number, variant in enumerate(evidence.variants, 1):
        measured = [one for one in variant.latencies if one.condition.source == "measured"]
        for latency in measured or (None,):
            rows.append({"number": number, **_model_row(variant, latency)})
            rows[-1]["recommended"] = variant is verdict.recommended and (
                latency is None or latency.condition == verdict.condition
            )
    return rows


def _model_row(variant: Variant, latency: Latency | None) -> dict[str, Any]:
    accuracy = variant.accuracy
    agreement = accuracy.agreement if accuracy else None
    total: Mapping[str, float] = latency.total_ms if latency else {}
    memory = latency.environment.get("memory_mib") if latency else None
    peak = memory.get("model") if isinstance(memory, Mapping) else None
    conversion, says = certificate(variant.certificate)
    return {
        "name": variant.name,
        "scheme": variant.scheme,
        "size": size(variant.size_bytes),
        "right": percent(accuracy.value) if accuracy else "–",
        "right_interval": interval(accuracy.interval) if accuracy and accuracy.figure != "f1" else "",
        "second": percent(_second(accuracy)),
        "agreement": percent(agreement["share"]) if agreement else "–",
        "agreement_with": str(agreement.get("with", "")) if agreement else "",
        "certificate": conversion,
        "certificate_says": says,
        **{key: significant(total[key]) if key in total else "–" for key in ("p50", "p90", "p99")},
        "memory": f"{significant(peak)} MiB" if isinstance(peak, int | float) and peak > 0 else "–",
        "condition": latency.condition.name if latency else "",
    }


def _second(accuracy: Accuracy | None) -> float | None:
    """What else tells files apart: in the best five, where there are more labels; mAP@0.5."""
    if accuracy is None or (accuracy.figure == "top1" and len(accuracy.metrics["labels"]) <= 5):
        return None
    found: float | None = accuracy.metrics.get({"top1": "top5", "map": "map50"}.get(accuracy.figure, ""))
    return found


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


def conditions(evidence: Evidence) -> list[dict[str, Any]]:
    """Under what every number was taken: one entry for each different environment, with its files."""
    found: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for variant in evidence.variants:
        sources: list[tuple[str, Mapping[str, Any]]] = []
        if variant.accuracy:
            sources.append(("accuracy", variant.accuracy.environment))
        sources += [
            ("latency", latency.environment)
            for latency in variant.latencies
            if latency.condition.source == "measured"
        ]
        for what, environment in sources:
            facts = tuple(_facts(environment))
            key = (("what", what), *(fact for fact in facts if fact[0] not in _PASSING))
            entry = found.setdefault(key, {"what": what, "files": [], "facts": facts})
            entry["files"].append(variant.name)
    return list(found.values())


def devices(evidence: Evidence) -> list[dict[str, Any]]:
    """What each estimate rests on: one entry for each device that was not measured."""
    found: dict[str, dict[str, Any]] = {}
    for variant in evidence.variants:
        for latency in variant.latencies:
            said, condition = latency.environment, latency.condition
            if condition.source == "estimated":
                facts = [
                    ("profile", said.get("target")), ("threads", condition.threads),
                    ("who computes", said.get("delegate")), ("rests on", said.get("basis")),
                    ("band", band(said)), ("to know", " ".join(said.get("notes", ()))),
                ]  # fmt: skip
                kept = [(name, str(value)) for name, value in facts if value]
                found.setdefault(condition.name, {"name": condition.name, "facts": kept})
    return list(found.values())


def closer(evidence: Evidence, advices: Sequence[Advice], most: int = 6) -> list[Variant]:
    """The files worth a closer look: recommended ones, what they were made from, the Pareto front; a few."""
    wanted = [a.take for a in advices] + [a.take and evidence.baseline(a.take) for a in advices]
    wanted += [v for a in advices[:1] if a.condition for v in pareto(evidence.variants, a.condition)]
    if not any(wanted):
        wanted = [v for v in evidence.variants if v.accuracy]
    kept = list({v.name: v for v in wanted if v is not None and v.accuracy}.values())[:most]
    return [v for v in evidence.variants if v in kept]


def advice_shown(advice: Advice) -> dict[str, Any]:
    """A recommendation as plain values."""
    take, condition = advice.take, advice.condition
    latency = take.latency(condition) if take and condition else None
    return {
        "device": advice.place.device,
        "threads": advice.place.threads,
        "source": condition.source if condition else None,
        "file": take.name if take else None,
        "scheme": take.scheme if take else "",
        "runner_up": advice.runner_up.name if advice.runner_up else None,
        "accuracy": percent(take.accuracy.value) if take and take.accuracy else "–",
        "time": milliseconds(latency.total_ms["p50"]) if latency else "–",
        "size": size(take.size_bytes) if take else "–",
        "text": advice.text,
    }


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
    if "boxes" in accuracy.metrics:
        kind += f" with {accuracy.metrics['boxes']:,} boxes"
    return f"{accuracy.metrics['images']:,} {kind}{f' of {name}' if name else ''}"


def best_judged(evidence: Evidence, verdict: Verdict) -> Variant | None:
    """Whose mistakes are shown: the recommended file, else the most accurate."""
    judged = [v for v in evidence.variants if v.accuracy]
    return verdict.recommended or max(
        judged, key=lambda v: v.accuracy.value if v.accuracy else 0, default=None
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
            names = _curve_names(run.card)
            figure = f"{names[0]} " if names else ""
            line = (
                f"{epochs}{took}; the best was epoch {best.epoch}, "
                f"{figure}{percent(best.val_accuracy)} on validation images"
            )
            found.append({"name": run.name, "line": line, "history": run.history, "names": names})
    return found


def _curve_names(card: Card | None) -> tuple[str, str] | None:
    """What a detector's history holds of validation and of training images; None: the same of both."""
    if card is None or card.task != "detection":
        return None
    figure = "mean F1" if card.options.get("decode") == "centroids" else "mAP@0.5:0.95"
    return figure, "mean IoU in training"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h {whole % 3600 // 60} min"
