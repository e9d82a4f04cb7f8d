"""A run folder: what every stage writes into it and reads from it. Learning and shipping meet here.

    card.json          what the numbers mean         train
    recipe.json        how they were learned         train
    model.keras        the numbers                   train (best epoch)
    history.csv        one line for each epoch       train
    training.json      outcome: per class, confusion train
    teacher.json       whom it learned from, if any  train
    pruning.json       which channels stayed, if any compress
    compression.json   before and after              compress
    checkpoints/       to resume from                train
    float32.tflite …   <scheme>.tflite               convert
    measurements.jsonl one line for each measurement evaluate, bench

Weights in a run never change; later stages only add files. Every number traces to a lineage.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from edgecnn import card as cards
from edgecnn import files
from edgecnn.card import Card
from edgecnn.errors import DataError

SCHEMES = ("float32", "float16", "dynamic", "weight_only", "int8", "int16x8")
"""What a `.tflite` file of a run can be, the largest first."""


@dataclass(frozen=True)
class Run:
    """Names of the files in a run folder."""

    path: Path

    @property
    def card(self) -> Path:
        """What the model's numbers mean, as JSON."""
        return self.path / "card.json"

    @property
    def recipe(self) -> Path:
        """How the model was learned, as JSON."""
        return self.path / "recipe.json"

    @property
    def model(self) -> Path:
        """The Keras model of the best epoch."""
        return self.path / "model.keras"

    @property
    def history(self) -> Path:
        """One CSV line for each epoch."""
        return self.path / "history.csv"

    @property
    def training(self) -> Path:
        """The outcome on validation data, as JSON."""
        return self.path / "training.json"

    @property
    def teacher(self) -> Path:
        """The run that was learned from beside the data, as JSON; absent where there was none."""
        return self.path / "teacher.json"

    @property
    def pruning(self) -> Path:
        """How many channels of which layer stayed, and which, as JSON; absent where none went."""
        return self.path / "pruning.json"

    @property
    def comparison(self) -> Path:
        """What a compression bought and cost, as JSON; absent where it was not measured."""
        return self.path / "compression.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of what `--resume` needs."""
        return self.path / "checkpoints"

    @property
    def measurements(self) -> Path:
        """JSON lines, one `Measurement` each."""
        return self.path / "measurements.jsonl"

    def tflite(self, scheme: str) -> Path:
        """The converted model of one scheme."""
        return self.path / f"{scheme}.tflite"

    def read_card(self) -> Card:
        """The run's card.

        Raises:
            DataError: this is not a run folder.
            CardError: the card cannot be understood.
        """
        if not self.card.is_file():
            raise DataError(
                f"{self.path} is not a run: it has no {self.card.name}. Make one with: edgecnn train"
            )
        return cards.from_json(self.card.read_text(encoding="utf-8"), str(self.card))


def is_run(path: Path) -> bool:
    """Whether the folder holds a run (its card is there)."""
    return Run(path).card.is_file()


@dataclass(frozen=True)
class Measurement:
    """One measured or estimated line about one model file.

    Attributes:
        model: path of the file as given, or the run and file name.
        scheme: one of SCHEMES; "keras" for a run itself; "" where unknown.
        device: what it ran on, such as the CPU's name.
        metrics: accuracy by name, intervals and per-class lists included; JSON values; {} if not judged.
        latency_ms: p50, p90, p99, mean of the whole `Model(image)` and of its stages; {} if not timed.
        size_bytes: of the file.
        environment: runtime, version, threads, delegate, warm-up, runs, OS, date, data set.
        source: measured here, or estimated from a profile. Never mixed in one figure.
        sha256: of the file that was measured, so that a rewritten file is noticed.
    """

    model: str
    scheme: str
    device: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    latency_ms: Mapping[str, Any] = field(default_factory=dict)
    size_bytes: int = 0
    environment: Mapping[str, Any] = field(default_factory=dict)
    source: Literal["measured", "estimated"] = "measured"
    sha256: str = ""


def append(path: Path, measurement: Measurement) -> None:
    """Add one line to a measurements file, flushed to disk; a line torn by a power cut is closed first."""
    line = json.dumps(asdict(measurement), ensure_ascii=False) + "\n"
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            torn = file.read(1) != b"\n"
            line = "\n" + line if torn else line
        file.write(line.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())


def measurements(path: Path) -> Iterator[Measurement]:
    """The lines of a measurements file, oldest first; none where the file is missing.

    Raises:
        DataError: a line that cannot be read; says which.
    """
    if not path.exists():
        return
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):  # text may hold other line separators
        if line.strip():
            try:
                yield _measurement(json.loads(line))
            except (ValueError, TypeError, RecursionError) as error:
                raise DataError(f"{path}:{number}: not a measurement ({error}). Delete the line.") from None


def fingerprint(path: Path) -> str:
    """The SHA-256 of a file, in hex: what `Measurement.sha256` holds.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def write_card(run: Run, card: Card) -> None:
    """Write the run's card in one step."""
    files.write_text(run.card, cards.to_json(card))


def _measurement(raw: object) -> Measurement:
    if not isinstance(raw, dict):
        raise TypeError(f"an object is wanted, not {type(raw).__name__}")
    kept = {f.name: raw[f.name] for f in fields(Measurement) if f.name in raw}
    for name, value in kept.items():
        wanted = _TYPES.get(name, str)
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise TypeError(f"{name} must be of type {wanted.__name__}, not {type(value).__name__}")
    if kept.get("source", "measured") not in ("measured", "estimated"):
        raise ValueError(f"source must be measured or estimated, not {kept['source']!r}")
    return Measurement(**kept)


_TYPES: dict[str, type] = {"metrics": dict, "latency_ms": dict, "environment": dict, "size_bytes": int}
