"""The commands that make the report's numbers again, from what runs and measurements say of themselves."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn.report.evidence import Evidence, Latency, RunEvidence, Variant


def commands(evidence: Evidence, folders: Sequence[Path], targets: Sequence[str | Path]) -> list[str]:
    """One line for each command, in the order they are given; what no command is known for is a comment."""
    found = []
    for run in evidence.runs:
        found += _learned(run)
        own = [variant for variant in evidence.variants if variant.run == run.name]
        found += _converted(run, own)
    found += [line for variant in evidence.variants for line in _judged(variant)]
    found += _timed(evidence)
    asked = [word for target in targets for word in ("--target", str(target))]
    return [*dict.fromkeys(found), _line("report", *map(str, folders), *asked)]


def _learned(run: RunEvidence) -> list[str]:
    steps = run.card.lineage if run.card else ()
    if not run.recipe or not steps or not steps[0].startswith("train "):
        return [f"# {run.name}: {step}" for step in steps]
    made = _trained if len(steps) == 1 else _compressed
    line = made(run, steps[-1].rpartition(" on ")[2].partition(" (")[0] or "DATA")
    return [line] if line else [f"# {run.name}: {step}" for step in steps]


def _trained(run: RunEvidence, data: str) -> str:
    recipe = run.recipe
    shape = recipe.get("input", {})
    words: list[Any] = ["--model", recipe.get("model"), "--width", recipe.get("width")]
    if shape:
        words += ["--size", f"{shape.get('width')}x{shape.get('height')}", "--color", shape.get("color")]
    words += ["--pretrained"] if recipe.get("pretrained") else []
    for name in ("epochs", "batch", "optimizer", "rate", "seed"):
        words += [f"--{name}", recipe.get(name)]
    return _line("train", data, *map(str, words), "--out", str(run.path))


def _compressed(run: RunEvidence, data: str) -> str:
    """Of a run whose channels went, once; "" for other ways, which are told in words."""
    steps = run.card.lineage if run.card else ()
    goal = re.search(r" for ([\d.]+) of the (MACs|channels)", steps[-1])
    before = run.compression.get("before", {}).get("run")
    if len(steps) != 2 or goal is None or not before:
        return ""
    words = [f"--{goal[2].lower()}", goal[1], "--data", data, "--epochs", str(run.recipe.get("epochs"))]
    return _line("compress", str(before), *words, "--out", str(run.path))


def _converted(run: RunEvidence, own: Sequence[Variant]) -> list[str]:
    made = [variant.scheme for variant in own if variant.file.name == f"{variant.scheme}.tflite"]
    data = next((_data(variant.certificate) for variant in own if _data(variant.certificate)), "")
    flags = [f"--{scheme.replace('_', '-')}" for scheme in made]
    known = ["--data", data] if data else []
    return [_line("convert", str(run.path), *flags, *known)] if flags else []


def _data(said: Mapping[str, Any]) -> str:
    data = said.get("data")
    return str(data.get("name", "")) if isinstance(data, Mapping) else ""


def _judged(variant: Variant) -> list[str]:
    found = variant.accuracy
    if found is None:
        return []
    if found.environment.get("command"):
        return [str(found.environment["command"])]
    words = ["--data", str(found.data.get("name", "DATA")), "--split", str(found.data.get("split", "test"))]
    if found.environment.get("threads"):
        words += ["--threads", str(found.environment["threads"])]
    if found.agreement and found.agreement.get("with"):
        words += ["--against", str(variant.file.with_name(str(found.agreement["with"])))]
    return [_line("evaluate", str(variant.file), *words)]


def _timed(evidence: Evidence) -> list[str]:
    """Files that were timed alike are timed in turns by one command."""
    together: dict[tuple[str, ...], list[str]] = {}
    for variant in evidence.variants:
        for latency in variant.latencies:
            if latency.condition.source == "measured":
                together.setdefault(_options(latency), []).append(str(variant.file))
    return [_line("bench", *files, *options) for options, files in together.items()]


def _options(latency: Latency) -> tuple[str, ...]:
    said = latency.environment
    words: list[str] = []
    for name in ("threads", "warmup"):
        words += [f"--{name}", str(said[name])] if said.get(name) is not None else []
    return tuple(words)


def _line(verb: str, *words: str) -> str:
    return shlex.join(["edgecnn", verb, *words])
