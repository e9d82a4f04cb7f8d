"""From a network to the files that ship: float TFLite once, then every scheme from that file.

A file takes its name only when it has kept its promise on validation images (`converters.gate`); until then
the folder stays as it was. What a step does, its neighbours know; here is the order.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from math import inf, isfinite
from pathlib import Path
from time import perf_counter
from typing import Any

from calibration.observe import calibrate
from calibration.ranges import Ranges
from calibration.samples import COUNT, choose
from converters import ladder, quantize, schemes, verify
from converters.certificate import Budget, Verdict
from converters.evidence import Data, Evidence, gather
from converters.gate import judge
from converters.ladder import Candidate, Material, Rung
from converters.publish import opened, publish, publish_float, threads
from converters.reference import Reference
from converters.schemes import Io, Precision, Weights
from converters.source import Source, open_source
from edgecnn import archive
from edgecnn import card as cards
from edgecnn.card import Card
from edgecnn.data.dataset import Dataset
from edgecnn.errors import ConversionError, DataError, NotCertified
from edgecnn.runs import Run, is_run
from edgecnn.runtime.model import Model, load
from edgecnn.runtime.stranger import Given

FLOAT = "float32"

Retrain = Callable[[Path, Path], None]
"""Trains the run of the first path with quantization, and leaves the new run at the second."""


@dataclass(frozen=True)
class Options:
    """How files are made and what they may cost.

    Attributes:
        io: type of inputs and outputs of an integer scheme; None is the scheme's own.
        weights: whether int8 weights have a scale for each output channel, or one for the whole tensor.
        ranges: the only estimator to use, a key of `calibration.ranges.METHODS`; None tries them in order.
        keeps: what the worst layers of int8 may stay in; None keeps none.
        corrects: int8 biases are corrected by images.
        samples: how many training images to calibrate with.
        seed: which ones.
        max_drop: points of accuracy that a file may lose. Stated, it must be proven; None: 1, as observed.
        max_class_drop: likewise, of any one class; None: 5.
        judged: validation images to judge on, at most; None: as many as memory allows.
        unlabelled: the data are photographs that nobody labelled: the float model's answers are the truth.
        uncertified: write a file even if it does not keep its promise, marked so.
    """

    io: Io | None = None
    weights: Weights = "channel"
    ranges: str | None = None
    keeps: Precision | None = "float32"
    corrects: bool = True
    samples: int = COUNT
    seed: int = 0
    max_drop: float | None = None
    max_class_drop: float | None = None
    judged: int | None = None
    unlabelled: bool = False
    uncertified: bool = False

    @property
    def budget(self) -> Budget:
        """What a file may cost."""
        given = {"max_drop": self.max_drop, "max_class_drop": self.max_class_drop}
        return Budget(
            **{name: value for name, value in given.items() if value is not None},
            drop_stated=self.max_drop is not None,
            class_drop_stated=self.max_class_drop is not None,
        )


@dataclass(frozen=True)
class Converted:
    """What came of one scheme.

    Attributes:
        path: of the file.
        scheme: "float32" or a key of `converters.schemes.SCHEMES`.
        size_bytes: of the file, card included; of the refused content where it was not written.
        agreement: share of the images on which it decides like float32 (float32: like its source); None where
            nothing was compared.
        snr_db: of its outputs against float32's (float32: its source's); inf where nothing was compared.
        images: how many it was compared on.
        seconds: what making, judging and writing it took, calibration included.
        written: it has its name; else it does not keep its promise.
        reused: the file was there before and belongs to the source.
        verdict: what the gate found; None for float32, and where there are no validation images.
        rungs: every rung of the ladder that was tried; () where there was nothing to climb.
        kept_cost: what the kept layers cost against plain int8: bytes, and p50 milliseconds of both files.
    """

    path: Path
    scheme: str
    size_bytes: int
    agreement: float | None
    snr_db: float
    images: int
    seconds: float
    written: bool = True
    reused: bool = False
    verdict: Verdict | None = None
    rungs: tuple[Rung, ...] = ()
    kept_cost: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values; an infinite ratio is None."""
        return {
            "path": str(self.path),
            "scheme": self.scheme,
            "size_bytes": self.size_bytes,
            "agreement": self.agreement,
            "snr_db": self.snr_db if isfinite(self.snr_db) else None,
            "images": self.images,
            "seconds": self.seconds,
            "written": self.written,
            "reused": self.reused,
            "certificate": self.verdict.as_dict() if self.verdict else None,
            "rungs": [rung.as_dict() for rung in self.rungs],
            "kept_cost": dict(self.kept_cost),
        }


def convert(
    source: Path,
    *,
    schemes: Sequence[str],
    data: Data = None,
    out: Path | None = None,
    force: bool = False,
    given: Given = Given(),  # noqa: B008  (frozen)
    retrain: Retrain | None = None,
    progress: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> list[Converted]:
    """Write a network as `.tflite` files that keep what they promise.

    The float32 file is made in any case, because the others are made from it; it is used again while it
    belongs to the source. When a scheme fails, the files before it stay.

    Args:
        source: a run folder, a Keras file, a SavedModel, or a float `.tflite`.
        schemes: what to write: "float32" or keys of `converters.schemes.SCHEMES`.
        data: images to calibrate with and to judge on: a data set, of which the training and the validation
            part are taken, or the two themselves. Without, schemes that calibrate are refused, and files are
            compared on noise.
        out: folder for the files; None is the source's own: see `converters.source.Source`.
        force: replace files that are there.
        given: what to know about a source that is no run.
        retrain: trains a run with quantization, as the last rung of the ladder; None: not allowed.
        progress: told what begins and what came of it, one line each.
        options: fields of `Options`.

    Returns:
        One for each scheme asked for, in that order.

    Raises:
        NotCertified: a file does not keep its promise; its `results` are what is returned otherwise.
        ConversionError: an unknown scheme or option, a missing or foreign file, a network that cannot be
            converted, a file that does not compute what it should, a disk that cannot be written.
        DataError: this is no run, the data do not fit it, or an image cannot be read.
        CardError: the card cannot be understood, or something must be known that nobody said.
        MissingExtra: packages for converting are not installed.
    """
    chosen = _options(options)
    wanted = _distinct(schemes, chosen)
    others = [scheme for scheme in wanted if scheme != FLOAT]
    integer = [scheme for scheme in others if quantize.known(scheme).integer]
    origin = open_source(Path(source), given)
    places = Run(out or origin.folder)
    _refuse_to_overwrite([places.tflite(scheme) for scheme in others], force)
    evidence = gather(data, origin.card, calibrated=integer, unlabelled=chosen.unlabelled)
    for assumption in origin.assumptions:
        progress(f"assumed: {assumption}")

    begin = perf_counter()
    base = _float_file(origin, places, evidence, progress, force=force, replaced=force and FLOAT in wanted)
    found = {FLOAT: replace(base, seconds=perf_counter() - begin)}
    if others:
        with load(base.path, threads=threads()) as model:
            workshop = _Workshop(origin, model, places, evidence, chosen, retrain, progress)
            for scheme in others:
                begin = perf_counter()
                progress(f"converting to {scheme}")
                if warning := quantize.known(scheme).warning:
                    progress(f"{scheme}: {warning}")
                found[scheme] = replace(workshop.make(scheme), seconds=perf_counter() - begin)
    results = [found[scheme] for scheme in wanted]
    if refused := [one for one in results if not one.written]:
        raise NotCertified(_refusal(refused[0]), results)
    return results


def _float_file(
    source: Source,
    places: Run,
    evidence: Evidence,
    progress: Callable[[str], None],
    *,
    force: bool,
    replaced: bool,
) -> Converted:
    """The float32 file: the one that is there, if it was made from the source as it is now, else a new one.

    Raises:
        ConversionError: there is one of another source, which may not be replaced.
    """
    path = places.tflite(FLOAT)
    if path.exists() and not replaced:
        if _belongs(path, source):
            return Converted(path, FLOAT, path.stat().st_size, None, inf, 0, 0.0, reused=True)
        if not force:
            raise ConversionError(
                f"{path}: is already there, but was not made from the present {source.path.name}. Replace "
                "it with --force, or choose another --out."
            )
    progress(f"reading {source.path}")
    content, original = source.float32()
    line = f"convert {FLOAT}: tensorflow {version('tensorflow')}, {source.origin}"
    if source.kind == "tflite":
        line = f"convert {FLOAT}: {source.origin}"
    card = replace(source.card, lineage=(*source.card.lineage, line))
    comparison = publish_float(path, content, card, original, evidence)
    return Converted(
        path,
        FLOAT,
        path.stat().st_size,
        comparison.agreement,
        comparison.snr_db,
        comparison.images,
        0.0,
    )


def _belongs(path: Path, source: Source) -> bool:
    there = cards.read(path)
    return (
        there is not None
        and (there.task, there.input, there.labels)
        == (source.card.task, source.card.input, source.card.labels)
        and any(source.origin in line for line in there.lineage)
    )


class _Workshop:
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
        self._content = archive.flatbuffer_bytes(model.path.read_bytes())
        self._known: Reference | None = None
        self._ranges: Ranges | None = None
        self._chosen: Dataset | None = None

    def make(self, scheme: str) -> Converted:
        """One file, judged, and written if it may be."""
        path = self._places.tflite(scheme)
        rungs = self._climbed(scheme) if scheme == "int8" and self._evidence.is_real else ()
        if rungs:
            best = ladder.best(rungs)
            candidate, verdict = best.candidate, best.verdict
        else:
            candidate = self._plain(scheme)
            verdict = self._judged(candidate, scheme) if self._evidence.is_real else None
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
        material = Material(
            content=self._content,
            name=str(self._model.path),
            chosen=self._calibration(),
            spec=self._model.card.input,
            io=options.io,
            weights=options.weights,
            method=options.ranges,
            corrects=options.corrects,
            keeps=options.keeps,
            threads=threads(),
            retrain=self._retrained if self._retrain and self._source.kind == "run" else None,
        )
        self._reference()
        return ladder.climb(
            material, lambda candidate: self._judged(candidate, scheme), progress=self._progress
        )

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
        if self._chosen is None:
            if self._evidence.training is None:
                raise ConversionError(
                    "there are no training images to calibrate with. Give them with --data."
                )
            self._chosen = choose(
                self._evidence.training, count=self._options.samples, seed=self._options.seed
            )
        return self._chosen

    def _calibrated(self) -> Ranges:
        if self._ranges is None:
            chosen = self._calibration()
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

    def _reference(self) -> Reference:
        if self._known is None:
            if self._evidence.validation is None:
                raise ConversionError("there are no validation images to judge on. Give them with --data.")
            self._progress(f"judging {FLOAT} on validation images")
            self._known = Reference.of(
                self._model,
                self._evidence.validation,
                record=_record(self._source),
                most=self._options.judged,
            )
        return self._known

    def _judged(self, candidate: Candidate, scheme: str) -> Verdict:
        name = self._places.tflite(scheme).name
        with opened(candidate.content, self._model.card, name=name, threads=threads()) as made:
            return judge(self._reference(), made, self._options.budget)

    def _card(
        self, scheme: str, candidate: Candidate, verdict: Verdict | None, rungs: Sequence[Rung]
    ) -> Card:
        card = self._model.card
        line = f"convert {scheme}: {candidate.words}"
        if quantize.known(scheme).integer:
            line += f", {self._options.io or quantize.known(scheme).ends[0]} inputs and outputs"
        certificate = verdict.as_dict() if verdict else {}
        if rungs:
            certificate["rungs"] = [rung.as_dict() for rung in rungs]
        if verdict and not verdict.may_be_written:
            certificate["forced"] = True
        # What was measured of the source was not measured of this file.
        return replace(card, lineage=(*card.lineage, line), metrics={}, checks=(), certificate=certificate)

    def _retrained(self) -> tuple[bytes, str]:
        from converters.quantization_aware import to_int8

        if self._retrain is None:
            raise ConversionError("training was not allowed")
        place = self._places.path / "qat"
        self._retrain(self._source.path, place)
        run = Run(place)
        made = to_int8(run.model, run.read_card(), io=self._options.io or "int8", name=str(run.model))
        return made, f"trained with quantization ({run.path.name})"

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


def _record(source: Source) -> Mapping[str, float]:
    """The recall of each class that training recorded, by label; {} where no training is known."""
    run = Run(source.path)
    if not is_run(source.path) or not run.training.is_file():
        return {}
    try:
        raw = json.loads(run.training.read_text(encoding="utf-8"))
        rows = raw.get("per_class", ())
        return {str(row["label"]): float(row["recall"]) for row in rows if row["recall"] is not None}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{run.training}: not the outcome of a training ({error}). Delete it.") from None


def _refusal(one: Converted) -> str:
    said = one.verdict.header(one.scheme) if one.verdict else f"refused: {one.scheme}"
    tried = f" {len(one.rungs)} remedies were tried." if len(one.rungs) > 1 else ""
    return f"{one.path}: not written: {said}.{tried} Allow more with --max-drop, or --force-uncertified."


def _options(given: Mapping[str, Any]) -> Options:
    try:
        return Options(**given)
    except TypeError as error:
        raise ConversionError(f"an option is unknown: {error}") from None


def _refuse_to_overwrite(paths: Sequence[Path], force: bool) -> None:
    if not force and (there := [path for path in paths if path.exists()]):
        raise ConversionError(
            f"{there[0]}: is already there. Replace it with --force, or choose another --out."
        )


def _distinct(wanted: Sequence[str], options: Options) -> list[str]:
    """The schemes, each once, all known, and able to have the ends that were asked for."""
    if not wanted:
        known = ", ".join(schemes.SCHEMES)
        raise ConversionError(f"no scheme was asked for. There are: {FLOAT}, {known}.")
    for scheme in wanted:
        if scheme != FLOAT:
            quantize.known(scheme)
            schemes.check_ends(options.io, scheme)
    return list(dict.fromkeys(wanted))
