"""Run folders with made-up numbers, written by the code that writes real ones."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from edgecnn import card as cards
from edgecnn.card import Card, InputSpec
from edgecnn.data.dataset import Dataset, Image, Sample
from edgecnn.evaluation import BoxEvaluation, Evaluation, Judged, agreement, evaluate, measurement
from edgecnn.evaluation.agreement import decide
from edgecnn.results import Boxes
from edgecnn.runs import Measurement, Run, append, fingerprint, write_card
from edgecnn.tasks.classification import metrics

LABELS = ("ball", "box", "cone", "sign")
HISTORY = "epoch,rate,loss,accuracy,val_loss,val_accuracy,seconds\n"


@dataclass(frozen=True)
class _Numbered:
    name: str
    number: int

    def read(self) -> Image:
        return np.full((2, 3, 3), self.number, np.uint8)


class RunWriter:
    """Writes a run folder piece by piece."""

    def __init__(self, path: Path, labels: tuple[str, ...] = LABELS) -> None:
        self.path, self.labels = path, labels
        self.run = Run(path)
        self.card = Card(
            path.name, "classification", InputSpec(64, 64), labels, lineage=("train resnet8 on drawn",)
        )
        path.mkdir(parents=True, exist_ok=True)

    def file(self, scheme: str, size: int = 1000) -> Path:
        """A file that is no model, but has a card."""
        file = self.run.tflite(scheme)
        file.write_bytes(scheme.encode() * (size // len(scheme)))
        cards.attach(file, self.card)
        return file

    def evaluation(
        self, right: float, *, seed: int = 0, images: int = 400, data: str = "aa" * 32, noise: int = 0
    ) -> Evaluation:
        """Right on a share of the images; the same seed errs on the same images, noise redraws some."""
        random = np.random.default_rng(seed)
        n = len(self.labels)
        truths = np.arange(images) % n
        scores = random.random((images, n)).astype(np.float32) * 0.4
        said = np.where(random.random(images) < right, truths, random.integers(0, n, images))
        if noise:
            moved = np.random.default_rng(noise).choice(images, noise, replace=False)
            said[moved] = random.integers(0, n, noise)
        scores[np.arange(images), said] = 0.9
        judged = metrics(scores, truths, self.labels)
        return Evaluation(judged, truths, decide(scores), Judged("drawn:1", "test", images, data))

    def boxes(
        self, found: float, *, images: int = 30, threshold: float = 0.5, decode: str = "anchors"
    ) -> BoxEvaluation:
        """A detector that finds a share of the boxes, all of them well placed; always the same share."""
        random = np.random.default_rng(0)
        samples, results = [], {}
        for number in range(images):
            corner = np.arange(len(self.labels))[:, None] * 50 + random.uniform(0, 9, (len(self.labels), 2))
            xyxy, label = np.concatenate([corner, corner + 40], 1), np.arange(len(self.labels))
            samples.append(
                Sample(
                    _Numbered(f"{number}.png", number), Boxes(xyxy, np.ones(len(label)), label, self.labels)
                )
            )
            kept = random.random(len(label)) < found
            results[number] = Boxes(xyxy[kept] + 2, np.full(kept.sum(), 0.9), label[kept], self.labels)
        data = Dataset("cells", "detection", self.labels, samples, "test")
        options = {"threshold": threshold, "decode": decode}
        judged = evaluate(lambda stream: (results[image[0, 0, 0]] for image in stream), data, options=options)
        assert isinstance(judged, BoxEvaluation)
        return judged

    def judged(
        self,
        scheme: str,
        found: Evaluation | BoxEvaluation,
        *,
        against: Evaluation | BoxEvaluation | None = None,
    ) -> None:
        """One accuracy line, compared with float32 where `against` is given."""
        file = self.run.tflite(scheme)
        if against is not None:
            object.__setattr__(found, "agreement", agreement(found, against))
        conditions = {"runtime": "litert 2.3.0", "threads": 1, "command": "edgecnn evaluate x"}
        line = measurement(
            found,
            file,
            scheme=scheme,
            reference=self.run.tflite("float32") if against is not None else None,
            conditions=conditions,
        )
        append(self.run.measurements, line)

    def timed(
        self, scheme: str, p50: float, *, source: str = "measured", device: str = "A Processor"
    ) -> None:
        """One latency line."""
        stages = {
            "total": p50,
            "prepare": 0.2 * p50,
            "invoke": 0.75 * p50,
            "decode": 0.05 * p50,
            "bare_invoke": 0.7 * p50,
        }
        file = self.run.tflite(scheme)
        figures = {
            n: {"p50": v, "p90": 1.2 * v, "p99": 1.5 * v, "mean": v, "minimum": v} for n, v in stages.items()
        }
        append(
            self.run.measurements,
            Measurement(
                model=str(file),
                scheme=scheme,
                device=device,
                latency_ms=figures,
                size_bytes=file.stat().st_size,
                environment={
                    "runtime": "litert", "runtime_version": "2.3.0", "delegate": "xnnpack", "threads": 1,
                    "warmup": 10, "runs": 500, "memory_mib": {"process": 90.0, "model": 4.2},
                    "date": "2026-11-23",
                },
                source=source,  # type: ignore[arg-type]
                sha256=fingerprint(file),
            ),
        )  # fmt: skip

    def trained(self, epochs: int = 12) -> None:
        """A card, a history and an outcome."""
        write_card(self.run, self.card)
        rows = []
        for epoch in range(1, epochs + 1):
            wrong = 0.75 * 0.8**epoch
            numbers = (2.2 * wrong, 0.97 - wrong, 2 * wrong + 0.1, 0.95 - wrong)
            rows.append(f"{epoch},0.1,{','.join(f'{number:.6g}' for number in numbers)},4.1")
        self.run.history.write_text(HISTORY + "\n".join(rows) + "\n", encoding="utf-8")
        self.run.training.write_text('{"epochs": 12, "seconds": 49.2}', encoding="utf-8")


@pytest.fixture
def a_run(tmp_path: Path) -> Callable[..., RunWriter]:
    """Makes run folders below a temporary one."""
    return lambda name="cats", labels=LABELS: RunWriter(tmp_path / name, labels)


@pytest.fixture
def detector_run(a_run: Callable[..., RunWriter]) -> RunWriter:
    """A detector: float32 and int8, both judged on the same images and timed."""
    run = a_run("cells")
    run.card = replace(run.card, task="detection", options={"decode": "anchors"})
    run.trained()
    run.file("float32", 4000)
    run.file("int8", 1000)
    float32, int8 = run.boxes(0.9), run.boxes(0.5)
    run.judged("float32", float32)
    run.judged("int8", int8, against=float32)
    run.timed("float32", 2.0)
    run.timed("int8", 0.8)
    return run


@pytest.fixture
def whole_run(a_run: Callable[..., RunWriter]) -> RunWriter:
    """float32 and int8, both judged on the same images and timed."""
    run = a_run()
    run.trained()
    run.file("float32", 4000)
    run.file("int8", 1000)
    float32, int8 = run.evaluation(0.92), run.evaluation(0.92, noise=3)
    run.judged("float32", float32)
    run.judged("int8", int8, against=float32)
    run.timed("float32", 2.0)
    run.timed("int8", 0.8)
    return run


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals of boxes from fewer draws: what is tested is where they go, and tests stay quick."""
    monkeypatch.setattr("edgecnn.evaluation.boxes.RESAMPLES", 50)
