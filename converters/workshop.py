"""Making one file after the other from the same float model and the same images."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import Any, TypeAlias

from calibration import background
from calibration.audit import audit
from calibration.observe import calibrate
from calibration.ranges import Ranges
from calibration.representative import representative
from calibration.samples import Prepared
from converters import ladder, quantize, verify
from converters.converted import Converted
from converters.evidence import Evidence
from converters.judging import judging
from converters.ladder import Candidate, Material, Rung
from converters.options import Options
from converters.publish import opened, publish, threads
from converters.signal import nearness
from converters.source import Source
from converters.verdict import Verdict
from edgecnn import archive
from edgecnn.card import Card
from edgecnn.data.dataset import Dataset
from edgecnn.errors import ConversionError, DataError
from edgecnn.runs import Run
from edgecnn.runtime.model import Model

Retrain: TypeAlias = Callable[[Path, Path], None]
"""Trains the run of the first path with quantization, and leaves the new run at the second."""


class Workshop:
    """What all schemes share: the float model, the images, and what was found out about them, once."""

    def __init__(
        self,
        source: Source,
        model: Model,
        places: Run,
        evidence: Evidence,
        options: Options,
        retrain: Retrain | None,
        progress: Callable[[str], None],
    ) -> None:
        self._source = source
        self._model = model
        self._places = places
        self._evidence = evidence
        self._options = options
        self._retrain = retrain
        self._progress = progress
        self._is_aware = source.is_quantization_aware
        self._content = archive.flatbuffer_bytes(model.path.read_bytes())
        self._judging = judging(model.card.task)
        self._known: Any = None
        self._ranges: Ranges | None = None
        self._seen: Ranges | None = None
        self._chosen: Dataset | None = None

    def make(self, scheme: str) -> Converted:
        """One file, judged, and written if it may be."""
        path = self._places.tflite(scheme)
        verdict: Verdict | None = None
        rungs: tuple[Rung, ...] = ()
        if scheme == "int8" and self._evidence.is_real and not self._is_aware:
            rungs = self._climbed(scheme)
            best = ladder.best(rungs)
            candidate, verdict = best.candidate, best.verdict
        else:
            candidate = self._aware(self._source.path) if self._is_aware else self._plain(scheme)
            if self._evidence.is_real:
                verdict = self._judged(candidate, scheme)
        written = verdict is None or verdict.may_be_written or self._options.uncertified
        size, compared = len(candidate.content), None
        if written:
            card = self._card(scheme, candidate, verdict, rungs)
            compared = publish(
                path, candidate.content, card, verify.outputs_of(self._model), self._evidence,
                as_it_is=self._options.uncertified,
            )  # fmt: skip
            size = path.stat().st_size
        return Converted(
            path=path,
            scheme=scheme,
            size_bytes=size,
            agreement=verdict.agreement.share if verdict else compared.agreement if compared else None,
            snr_db=verdict.signal.snr_db if verdict else compared.snr_db if compared else inf,
            images=verdict.data.images if verdict else compared.images if compared else 0,
            seconds=0.0,
            written=written,
            verdict=verdict,
            rungs=rungs,
            kept_cost=self._kept_cost(rungs) if rungs and candidate.kept else {},
        )

    def _climbed(self, scheme: str) -> tuple[Rung, ...]:
        options = self._options
        chosen = self._calibration()
        material = Material(
            content=self._content,
            name=str(self._model.path),
            chosen=chosen,
            spec=self._model.card.input,
            io=options.io,
            weights=options.weights,
            method=options.ranges,
            corrects=options.corrects,
            keeps=options.keeps,
            threads=threads(),
            retrain=self._retrained if self._retrain and self._source.kind == "run" else None,
            ranges=self._seen,
            near=nearness(self._model.card, self._model.graph),
            limits=self._limits(chosen),
        )
        self._reference()
        return ladder.climb(
            material, lambda candidate: self._judged(candidate, scheme), progress=self._progress
        )

    def _limits(self, chosen: Dataset) -> dict[str, tuple[float, float]]:
        """What ranges need not go beyond."""
        card = self._model.card
        if card.task != "detection":
            return {}
        return background.limits(
            self._content, Prepared(chosen, card.input), card.options, name=str(self._model.path),
            threads=threads(),
        )  # fmt: skip

    def _plain(self, scheme: str) -> Candidate:
        """A file of a scheme that has no ladder."""
        options, ranges = self._options, None
        words = f"ai-edge-quantizer {version('ai-edge-quantizer')}"
        if quantize.known(scheme).integer:
            ranges = self._calibrated()
            words += f", {ranges.method} over {ranges.samples} images (sha256 {ranges.sha256})"
        made = quantize.quantize(
            self._content, scheme, name=str(self._model.path), ranges=ranges, io=options.io,
            weights=options.weights,
        )  # fmt: skip
        return Candidate(scheme, made, words)

    def _calibration(self) -> Dataset:
        """The images to calibrate with, chosen and audited once.

        Raises:
            DataError: the auditor finds them unfit.
        """
        if self._chosen is None:
            options, training = self._options, self._evidence.training
            if training is None:
                raise ConversionError(
                    "there are no training images to calibrate with. Give them with --data."
                )
            self._chosen = representative(
                self._content, training, self._model.card.input, count=options.samples, seed=options.seed,
                name=str(self._model.path), threads=threads(),
            )  # fmt: skip
            if options.audited:
                self._audit(self._chosen)
        return self._chosen

    def _audit(self, chosen: Dataset) -> None:
        self._progress(f"auditing {len(chosen)} calibration images")
        found = audit(self._model, chosen, validation=self._evidence.validation)
        self._seen = found.ranges
        for finding in found.findings:
            self._progress(f"{finding.severity}: {finding.line}")
        if found.stops:
            raise DataError(f"{found.data}: {found.stops[0].line} To convert all the same: --no-audit.")

    def _calibrated(self) -> Ranges:
        if self._ranges is None:
            chosen = self._calibration()
            if self._seen and (self._options.ranges or ladder.FIRST) == self._seen.method:
                self._ranges = self._seen
                return self._ranges
            self._progress(f"calibrating on {len(chosen)} images")
            self._ranges = calibrate(
                self._content,
                chosen,
                self._model.card.input,
                method=self._options.ranges or ladder.FIRST,
                name=str(self._model.path),
                threads=threads(),
            )
        return self._ranges

    def _reference(self) -> Any:
        if self._known is None:
            if self._evidence.validation is None:
                raise ConversionError("there are no validation images to judge on. Give them with --data.")
            self._progress("judging float32 on validation images")
            self._known = self._judging.reference(
                self._model,
                self._evidence.validation,
                record=self._judging.recorded(Run(self._source.path)),
                most=self._options.judged,
            )
        return self._known

    def _judged(self, candidate: Candidate, scheme: str) -> Verdict:
        name = self._places.tflite(scheme).name
        with opened(candidate.content, self._model.card, name=name, threads=threads()) as made:
            budget = self._options.budget(self._judging.MAX_CLASS_DROP)
            return self._judging.judge(self._reference(), made, budget)

    def _card(
        self, scheme: str, candidate: Candidate, verdict: Verdict | None, rungs: Sequence[Rung]
    ) -> Card:
        card = self._model.card
        line = f"convert {scheme}: {candidate.words}"
        if quantize.known(scheme).integer:
            line += f", {self._options.io or quantize.known(scheme).ends[0]} inputs and outputs"
        if verdict:
            card, words = self._judging.settled(card, verdict)
            line += f", {words}" if words else ""
        certificate = verdict.as_dict() if verdict else {}
        if rungs:
            certificate["rungs"] = [rung.as_dict() for rung in rungs]
        if verdict and not verdict.may_be_written:
            certificate["forced"] = True
        # What was measured of the source was not measured of this file.
        return replace(card, lineage=(*card.lineage, line), metrics={}, checks=(), certificate=certificate)

    def _retrained(self) -> Candidate:
        if self._retrain is None:
            raise ConversionError("training was not allowed")
        place = self._places.path / "qat"
        self._retrain(self._source.path, place)
        return self._aware(place)

    def _aware(self, folder: Path) -> Candidate:
        """The int8 file of a run that learned with its quantization; nothing is left to estimate."""
        from converters.quantization_aware import to_int8  # TensorFlow takes seconds to load

        run = Run(folder)
        made = to_int8(run.model, run.read_card(), io=self._options.io or "int8", name=str(run.model))
        words = f"tensorflow {version('tensorflow')}, ranges learned in training ({run.path.name})"
        return Candidate("training", made, words, method="")

    def _kept_cost(self, rungs: Sequence[Rung]) -> dict[str, float]:
        """Bytes and milliseconds of plain int8 and of the file that keeps layers, timed in turns."""
        from edgecnn.runtime.benchmark import benchmark_many

        best = ladder.best(rungs).candidate
        with (
            opened(rungs[0].candidate.content, self._model.card, name="plain.tflite", threads=1) as plain,
            opened(best.content, self._model.card, name="kept.tflite", threads=1) as kept,
        ):
            first, second = benchmark_many([plain.path, kept.path], seconds=1.0)
        return {
            "bytes": len(best.content) - len(rungs[0].candidate.content),
            "plain_p50_ms": first.latency_ms["invoke"].p50,
            "kept_p50_ms": second.latency_ms["invoke"].p50,
        }
