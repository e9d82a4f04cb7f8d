"""The ladder: what is tried, in order, until an int8 file keeps its promise.

    min-max                    the whole range that calibration saw
    percentile, mse, entropy   ranges that give up rare values for finer steps
    equalization               channels of one tensor brought to one size, the function unchanged
    kept layers                the layers that cost the most, measured, stay in float32 or int16
    training                   quantization-aware, where the caller allows it

Bias correction is free and does not hurt, so every rung has it. A rung is made only when the one before it
has failed. Which files are good enough is the gate's business (`converters.gate`); how each is made, the
business of `quantize`, `correction`, `equalize` and `sensitivity`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf, isfinite
from time import perf_counter
from typing import Any, Final

from calibration.histogram import Histograms
from calibration.observe import calibrate, histograms
from calibration.ranges import Ranges, ranges_of
from calibration.samples import Prepared
from converters.certificate import Verdict
from converters.correction import correct_biases
from converters.equalize import equalize
from converters.quantize import quantize
from converters.schemes import Io, Precision, Weights
from converters.sensitivity import keep_plan, sensitivities
from edgecnn.card import InputSpec
from edgecnn.data.dataset import Dataset
from edgecnn.graph import read

FIRST = "minmax"
NARROWER = ("percentile", "mse", "entropy")
"""In the order they are tried after FIRST."""

MOST_KEPT: Final = 0.25
"""Of the operators that can be kept: with more, the file is no int8 model any more."""

Tell = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Material:
    """What the rungs are made from.

    Attributes:
        content: the float32 `.tflite`, without its card.
        name: what to call it in errors.
        chosen: the images to calibrate with.
        spec: how an image becomes the input.
        io: see `converters.quantize.quantize`.
        weights: see `converters.quantize.quantize`.
        method: the estimator that was asked for; None tries them in order.
        corrects: biases are corrected.
        keeps: what the worst layers may stay in; None keeps none.
        threads: of the interpreter.
        retrain: trains the network with its quantization and makes the int8 file; None: the caller did not
            allow training.
    """

    content: bytes
    name: str
    chosen: Dataset
    spec: InputSpec
    io: Io | None = None
    weights: Weights = "channel"
    method: str | None = None
    corrects: bool = True
    keeps: Precision | None = "float32"
    threads: int = 1
    retrain: Callable[[], "Candidate"] | None = None


@dataclass(frozen=True, eq=False)
class Candidate:
    """One file that may be good enough.

    Attributes:
        rung: its name on the ladder.
        content: the `.tflite`, without a card.
        words: how it was made, for the lineage.
        method: that estimated the ranges; "" where training did.
        kept: the layers that are not int8: tensor name to precision.
    """

    rung: str
    content: bytes
    words: str
    method: str = FIRST
    kept: Mapping[str, Precision] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Rung:
    """A candidate and what the gate said of it.

    Attributes:
        candidate: the file.
        verdict: of the gate.
        seconds: what making and judging it took.
    """

    candidate: Candidate
    verdict: Verdict
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """What the card keeps of it: JSON-ready values."""
        ratio = self.verdict.signal.snr_db
        return {
            "rung": self.candidate.rung,
            "outcome": self.verdict.outcome,
            "drop_points": round(self.verdict.drop, 3),
            "agreement": round(self.verdict.agreement.share, 6),
            "snr_db": round(ratio, 2) if isfinite(ratio) else None,
            "bytes": len(self.candidate.content),
            "kept": dict(self.candidate.kept),
            "seconds": round(self.seconds, 1),
        }


def climb(
    material: Material, judge: Callable[[Candidate], Verdict], *, progress: Tell = lambda line: None
) -> tuple[Rung, ...]:
    """Try rung after rung until one may be written, or none is left.

    Args:
        material: what the rungs are made from.
        judge: the gate.
        progress: told what begins and what came of it, one line each.

    Returns:
        Every rung that was tried, in order. Only the last can be good enough.

    Raises:
        ConversionError: the model cannot be made int8 at all, or training failed.
        DataError: an image cannot be read.
    """
    tried: list[Rung] = []
    begin = perf_counter()
    for candidate in _candidates(material, tried, progress):
        verdict = judge(candidate)
        tried.append(Rung(candidate, verdict, perf_counter() - begin))
        progress(told(tried[-1]))
        if verdict.may_be_written or not verdict.another_may_pass:
            break
        begin = perf_counter()
    return tuple(tried)


def best(rungs: Sequence[Rung]) -> Rung:
    """The one that may be written, else the one that is nearest to the float model."""
    return max(rungs, key=_goodness)


def told(rung: Rung) -> str:
    """One line about a rung."""
    verdict = rung.verdict
    return (
        f"{rung.candidate.rung}: {verdict.outcome}: drop {verdict.drop:.2f} points, agreement "
        f"{verdict.agreement.share:.2%}, SNR {verdict.signal.snr_db:.1f} dB, "
        f"{len(rung.candidate.content):,} bytes"
    )


def _goodness(rung: Rung) -> tuple[bool, float, float]:
    verdict = rung.verdict
    ratio = verdict.signal.snr_db
    return verdict.may_be_written, verdict.agreement.share, ratio if ratio == ratio else -inf


def _candidates(material: Material, tried: Sequence[Rung], progress: Tell) -> Iterator[Candidate]:
    """The files in the order of the ladder; `tried` holds those before, judged."""
    plain = _Base(material, material.content, progress)
    yield plain.candidate(material.method or FIRST)
    if material.method is None:
        for method in NARROWER:
            yield plain.candidate(method)
    progress("equalizing channels")
    method = best(tried).candidate.method
    equalized = equalize(
        material.content, material_inputs(material), name=material.name, threads=material.threads
    )
    base = plain
    if equalized.groups:
        level = _Base(
            material, equalized.content, progress, f"{len(equalized.groups)} groups of channels equalized"
        )
        before = best(tried)
        for each in dict.fromkeys((material.method or FIRST, method)):
            yield level.candidate(each)
        if best(tried) is not before:
            base, method = level, best(tried).candidate.method
    if material.keeps is not None:
        yield from base.keeping(method, material.keeps)
    if material.retrain is not None:
        progress("training with quantization")
        yield material.retrain()


def material_inputs(material: Material) -> Callable[[], Prepared]:
    """Gives the prepared calibration images, from the start each time."""
    return lambda: Prepared(material.chosen, material.spec)


class _Base:
    """A float model and what calibration finds out about it, each found out once."""

    def __init__(self, material: Material, content: bytes, progress: Tell, words: str = "") -> None:
        self._material = material
        self._content = content
        self._progress = progress
        self._words = words

    def candidate(self, method: str, kept: Mapping[str, Precision] | None = None) -> Candidate:
        """The int8 file with the ranges of one method."""
        material, kept = self._material, kept or {}
        ranges = self._ranges(method)
        made = quantize(
            self._content, "int8", name=material.name, ranges=ranges, io=material.io,
            weights=material.weights, keep=kept,
        )  # fmt: skip
        words = [f"{ranges.method} over {ranges.samples} images (sha256 {ranges.sha256})"]
        if material.weights == "tensor":
            words.append("weights per tensor")
        if material.corrects:
            corrected = correct_biases(
                self._content, made, material_inputs(material), name=material.name, threads=material.threads
            )
            made = corrected.content
            words.append(f"{len(corrected.layers)} biases corrected")
        if self._words:
            words.append(self._words)
        if kept:
            words.append("kept " + ", ".join(f"{name} in {precision}" for name, precision in kept.items()))
        return Candidate(self._rung(method, kept), made, "; ".join(words), method, kept)

    def keeping(self, method: str, precision: Precision) -> Iterator[Candidate]:
        """Files that keep 1, 2, 4, … of the worst layers."""
        material = self._material
        self._progress("measuring which layers cost the most")
        found = sensitivities(
            self._content,
            self._ranges(method),
            material_inputs(material)(),
            name=material.name,
            threads=material.threads,
            most=_EXACTLY_MEASURED,
            precision=precision,
            io=material.io,
            weights=material.weights,
            progress=self._progress,
        )
        plans: list[Mapping[str, Precision]] = []
        graph = read(self._content, material.name)
        count, most = 1, max(1, int(MOST_KEPT * len(graph.ops)))
        while count <= min(most, len(found)):
            plan = keep_plan(found, count, source=graph, precision=precision)
            if plan and plan not in plans:
                plans.append(plan)
                yield self.candidate(method, plan)
            count *= 2

    def _ranges(self, method: str) -> Ranges:
        return self._whole if method == FIRST else ranges_of(self._histograms, method)

    def _rung(self, method: str, kept: Mapping[str, Precision]) -> str:
        name = "min-max" if method == FIRST else method
        if self._words:
            name = "equalization" if method == FIRST else f"equalization, {name}"
        return f"{name}, {len(kept)} kept" if kept else name

    @cached_property
    def _whole(self) -> Ranges:
        material = self._material
        self._progress(f"calibrating on {len(material.chosen)} images")
        return calibrate(
            self._content, material.chosen, material.spec, name=material.name, threads=material.threads
        )

    @cached_property
    def _histograms(self) -> Histograms:
        material = self._material
        self._progress("counting values for narrower ranges")
        return histograms(
            self._content, material.chosen, material.spec, name=material.name, threads=material.threads
        )


_EXACTLY_MEASURED: Final = 16
"""Layers measured on all images; the others fell behind on a few."""
