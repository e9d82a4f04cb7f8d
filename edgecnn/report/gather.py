"""Reading run folders for a report: which numbers belong to which file, and which may be compared.

Numbers of a file that was rewritten since, and accuracies over other images than the rest, are left out; a
note says so. What the values are is `edgecnn.report.evidence`.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgecnn import card as cards
from edgecnn import runs
from edgecnn.card import Card
from edgecnn.errors import CardError, DataError
from edgecnn.report.compression import read_compression
from edgecnn.report.evidence import (
    FIGURES,
    Accuracy,
    Condition,
    Epoch,
    Evidence,
    Latency,
    RunEvidence,
    Variant,
)
from edgecnn.runs import Measurement, Run

DEEPEST = 4
"""How many folders down runs are looked for."""

_ORDER = {scheme: number for number, scheme in enumerate(("keras", *runs.SCHEMES))}


def gather(folders: Sequence[Path]) -> Evidence:
    """Read runs, or folders that hold runs.

    Raises:
        DataError: a folder is missing or holds no run and no measurement; a file in it is malformed.
        CardError: the card of a run cannot be understood.
    """
    places = list({place.resolve(): place for folder in folders for place in _places(folder)}.values())
    notes: list[str] = []
    found: list[RunEvidence] = []
    variants: list[Variant] = []
    for place, name in zip(places, _names(places), strict=True):
        run = Run(place)
        card = run.read_card() if runs.is_run(place) else None
        compression = read_compression(place, name, notes)
        training, recipe = _values(run.training), _values(run.recipe)
        found.append(RunEvidence(name, place, card, _history(run), training, compression, recipe))
        variants += _variants(found[-1], f"{name}/" if len(places) > 1 else "", notes)
    return Evidence(tuple(found), tuple(_comparable(variants, notes)), tuple(notes))


def _places(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder. Give a run, or a folder that holds runs.")
    if not (places := list(_below(folder, DEEPEST))):
        raise DataError(
            f"{folder}: holds no run (card.json) and no measurement (measurements.jsonl). "
            "Make them with: edgecnn train, edgecnn evaluate, edgecnn bench"
        )
    return places


def _below(place: Path, depth: int) -> Iterable[Path]:
    if runs.is_run(place) or Run(place).measurements.is_file():
        yield place
    for child in sorted(place.iterdir()) if depth else ():
        if child.is_dir() and not child.is_symlink() and not child.name.startswith("."):
            yield from _below(child, depth - 1)


def _names(places: Sequence[Path]) -> list[str]:
    """The folders' names, with as many parents as tell them apart."""
    paths = [place.resolve() for place in places]
    names = [path.name for path in paths]
    for parts in range(2, max((len(path.parts) for path in paths), default=0) + 1):
        if len(set(names)) == len(names):
            break
        names = ["/".join(path.parts[-parts:]) for path in paths]
    return names


def _variants(run: RunEvidence, prefix: str, notes: list[str]) -> list[Variant]:
    measured: dict[str, list[Measurement]] = {}
    for line in runs.measurements(Run(run.path).measurements):
        measured.setdefault(Path(line.model).name, []).append(line)
    for file in sorted(run.path.glob("*.tflite")):
        measured.setdefault(file.name, [])
    variants = [
        _variant(run, run.path / file, lines, f"{prefix}{file}", notes) for file, lines in measured.items()
    ]
    variants = list(_with_true_references(variants, notes))
    return sorted(variants, key=lambda v: (_ORDER.get(v.scheme, len(_ORDER)), v.name))


def _with_true_references(variants: Sequence[Variant], notes: list[str]) -> Iterable[Variant]:
    """Agreement is kept only while the file it was found with is the same."""
    now = {variant.file.name: variant.sha256 for variant in variants}
    for variant in variants:
        said = variant.accuracy.agreement if variant.accuracy else None
        if (
            variant.accuracy is None
            or not said
            or now.get(said.get("with", ""), said.get("sha256")) == said.get("sha256")
        ):
            yield variant
            continue
        notes.append(
            f"{said['with']} was rewritten since {variant.name} was compared with it; their agreement is "
            "left out. Evaluate again with --against."
        )
        metrics = {name: value for name, value in variant.accuracy.metrics.items() if name != "agreement"}
        yield replace(variant, accuracy=replace(variant.accuracy, metrics=metrics))


def _variant(run: RunEvidence, file: Path, lines: list[Measurement], name: str, notes: list[str]) -> Variant:
    if file.is_file():
        sha256, size_bytes = runs.fingerprint(file), file.stat().st_size
        fresh = [line for line in lines if line.sha256 in ("", sha256)]
        if stale := len(lines) - len(fresh):
            notes.append(
                f"{name} was rewritten since {stale} of its {len(lines)} measurements; these are left out. "
                "Measure it again with edgecnn evaluate and edgecnn bench."
            )
    else:
        sha256, size_bytes = lines[-1].sha256, lines[-1].size_bytes
        fresh = [line for line in lines if line.sha256 == sha256]
        notes.append(
            f"{name} is not in its folder any more: its numbers are those of the file that was there."
        )
    if not lines:
        notes.append(f"{name} was never measured. Do it with edgecnn evaluate and edgecnn bench.")
    card = _card(file, run.card, notes)
    return Variant(
        name=name,
        run=run.name,
        file=file,
        scheme=_scheme(file, fresh),
        size_bytes=size_bytes,
        sha256=sha256,
        lineage=card.lineage if card is not None else (),
        certificate=card.certificate if card is not None else {},
        accuracy=_accuracy(fresh, name),
        latencies=_latencies(fresh, name),
    )


def _scheme(file: Path, lines: Sequence[Measurement]) -> str:
    said = next((line.scheme for line in reversed(lines) if line.scheme), "")
    if said:
        return said
    if file.suffix == ".keras":
        return "keras"
    return file.stem if file.stem in runs.SCHEMES else ""


def _card(file: Path, card: Card | None, notes: list[str]) -> Card | None:
    """A file's own card; the run's, of its Keras model."""
    if file.is_file() and file.suffix == ".tflite":
        try:
            return cards.read(file)
        except CardError as error:
            notes.append(f"Lineage unknown: {error}.")
            return None
    return card


def _accuracy(lines: Sequence[Measurement], name: str) -> Accuracy | None:
    line = next((line for line in reversed(lines) if line.metrics and line.source == "measured"), None)
    if line is None:
        return None
    found = Accuracy(line.metrics, line.environment)
    try:
        _check(found)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _malformed(name, "accuracy", repr(error)) from None
    return found


def _check(found: Accuracy) -> None:
    low, high = found.interval
    if not (0 <= low <= high <= 1 and 0 <= found.value <= 1 and found.metrics["images"] >= 1):
        said = f"{found.figure} {found.value}, interval {low} to {high}, {found.metrics['images']} images"
        raise ValueError(said)
    found.data.get("name")
    labels = found.metrics["labels"]
    for record, label in zip(found.metrics["per_class"], labels, strict=True):
        if found.figure == "top1":
            shares = [record["recall"], *(record["recall_interval"] or ())]
        else:
            shares = [record[key] for key in ("ap", "ap50", "precision", "recall", "f1")]
            shares.append(0 if record["boxes"] >= 0 else -1)
        if record["label"] != label or not all(share is None or 0 <= share <= 1 for share in shares):
            raise ValueError(f"per_class {record}")
    for row in found.metrics.get("confusion", ()):
        if len(row) != len(labels) or not all(count >= 0 for count in row):
            raise ValueError(f"confusion {row}")
    for mistake in found.metrics.get("mistakes", ()):
        if not all(key in mistake for key in ("truth", "answer", "images")):
            raise ValueError(f"mistake {mistake}")
    if found.agreement:
        low, high = found.agreement.get("difference_interval", (0, 0))
        if not (0 <= found.agreement["share"] <= 1 and -1 <= low <= high <= 1):
            raise ValueError(f"agreement {found.agreement}")


def _latencies(lines: Sequence[Measurement], name: str) -> tuple[Latency, ...]:
    newest: dict[Condition, Latency] = {}
    for line in lines:
        if not line.latency_ms:
            continue
        try:
            stages = {
                stage: {key: float(value) for key, value in figures.items()}
                for stage, figures in line.latency_ms.items()
            }
            total = stages.pop("total")
            fine = all(total[key] > 0 for key in ("p50", *_bounds(line, total)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _malformed(name, "latency", repr(error)) from None
        if not fine:
            raise _malformed(name, "latency", f"{total}")
        latency = Latency(_condition(line), total, stages, line.environment)
        newest[latency.condition] = latency
    return tuple(newest.values())


def _bounds(line: Measurement, total: Mapping[str, float]) -> tuple[str, str]:
    """What stands beside the p50: of an estimate its band, else what most images stay within."""
    return ("low", "high") if line.source == "estimated" and "high" in total else ("p90", "p99")


def _condition(line: Measurement) -> Condition:
    said = line.environment
    runtime = " ".join(str(said[key]) for key in ("runtime", "runtime_version") if said.get(key))
    threads = said.get("threads")
    return Condition(line.device, runtime, threads if isinstance(threads, int) else None, line.source)


def _malformed(name: str, what: str, found: str) -> DataError:
    return DataError(f"{name}: its {what} in measurements.jsonl is malformed ({found}). Delete that line.")


def _comparable(variants: Sequence[Variant], notes: list[str]) -> Iterable[Variant]:
    """The figure over the images that most were judged by; of the others, the accuracy is left out."""
    judged = [_judged_by(v.accuracy) for v in variants if v.accuracy]
    most = Counter(judged).most_common(1)[0][0] if judged else ("", "")
    for variant in variants:
        found = variant.accuracy
        if found is None or _judged_by(found) == most:
            yield variant
            continue
        which = " ".join(str(found.data[key]) for key in ("images", "name", "split") if found.data.get(key))
        how = (
            f"by another figure ({FIGURES[found.figure]})"
            if found.figure != most[0]
            else (f"on other images than the rest ({which})")
        )
        notes.append(f"{variant.name} was judged {how}; that accuracy is left out.")
        yield replace(variant, accuracy=None)


def _judged_by(found: Accuracy) -> tuple[str, str]:
    return found.figure, str(found.data.get("sha256", ""))


def _history(run: Run) -> tuple[Epoch, ...]:
    if not run.history.is_file():
        return ()
    with run.history.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        epochs = []
        try:
            for row in reader:
                numbers = [float(row[key]) for key in ("loss", "accuracy", "val_loss", "val_accuracy")]
                epochs.append(Epoch(int(row["epoch"]), *numbers))
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise DataError(
                f"{run.history}:{reader.line_num}: not a line of a history ({error!r}). Delete it."
            ) from None
    return tuple(epochs)


def _values(path: Path) -> Mapping[str, Any]:
    """What a run says of itself; {} where the file is not there."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}). Delete the file, or train again.") from None
    if not isinstance(found, dict):
        raise DataError(f"{path}: must be a JSON object, not {type(found).__name__}. Delete the file.")
    return found
