"""The ladder: what is tried, in order, until an int8 file keeps its promise.

    min-max                    the whole range that calibration saw
    percentile, mse, entropy   ranges that give up rare values for finer steps
    weights rounded            by what they do to a layer's output, not each to the nearest step
    equalization               channels of one tensor brought to one size, the function unchanged
    kept layers                the layers that cost the most, measured, stay in float32 or int16
    training                   quantization-aware, where the caller allows it

Bias correction is free and raised the signal-to-noise ratio wherever it was measured, so every rung has it. A
rung is made only when the one before it has failed. Files of one rung are looked at together, and judged from
the most promising on; those that are clearly hopeless are passed over (`converters.screen`). Which files are
good enough is the gate's business (`converters.gate`); how each is made, the business of `quantize`,
`correction`, `rounding`, `equalize`, and `converters.sick`, which finds the layers to keep.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from time import perf_counter
from typing import Any, Final

from converters import sick
from converters.drafts import FIRST, Candidate, Draft, Level, Material, Tell, inputs_of
from converters.equalize import equalize
from converters.schemes import Precision
from converters.screen import PassedOver, Screen
from converters.sensitivity import sensitivities
from converters.verdict import Verdict
from edgecnn.graph import read

__all__ = ["FIRST", "NARROWER", "Candidate", "Material", "Rung", "best", "climb", "told"]

NARROWER = ("percentile", "mse", "entropy")
"""Tried after FIRST; of two that look equally good, in this order."""

_FEW: Final = 2
"""Layers that may be kept before it is asked which tensors are sick: a sick one takes two, or a few more."""

MOST_KEPT: Final = 0.25
"""Of the operators that can be kept: with more, the file is no int8 model any more."""

_ALL_MEASURED: Final = 64
"""Operators of a network of which each is measured on all images: EfficientNet-Lite0 has 63, a minute."""

_EXACTLY_MEASURED: Final = 16
"""Of a larger one, those measured on all; the others fell behind on a few."""


@dataclass(frozen=True, eq=False)
class Rung:
    """A candidate and what the gate said of it.

    Attributes:
        candidate: the file.
        verdict: of the gate.
        seconds: what making and judging it took, and looking at those beside it.
        passed_over: what was looked at after it, and not judged.
    """

    candidate: Candidate
    verdict: Verdict
    seconds: float
    passed_over: tuple[PassedOver, ...] = ()

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
            "passed_over": [each.as_dict() for each in self.passed_over],
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
    climbing = _Climbing(material, progress)
    begin = perf_counter()
    for candidate in _candidates(climbing):
        verdict = judge(candidate)
        climbing.tried.append(Rung(candidate, verdict, perf_counter() - begin))
        progress(told(climbing.tried[-1]))
        if verdict.may_be_written or not verdict.another_may_pass:
            break
        begin = perf_counter()
    return tuple(climbing.tried)


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


class _Climbing:
    """What is known so far on the way up."""

    def __init__(self, material: Material, progress: Tell) -> None:
        self.material = material
        self.progress = progress
        self.tried: list[Rung] = []
        self.screen = Screen(
            material.content,
            inputs_of(material),
            name=material.name,
            threads=material.threads,
            near=material.near,
        )

    def worth_judging(self, drafts: Sequence[Draft]) -> Iterator[Candidate]:
        """Of files of one rung those that are not hopeless, finished, the most promising first."""
        looks = [(self.screen.snr_db(draft.content), draft) for draft in drafts]
        for ratio, draft in sorted(looks, key=lambda look: -look[0]):
            if hopeless := self.screen.passes_over(draft.rung, ratio):
                self.progress(str(hopeless))
                last = self.tried[-1]
                self.tried[-1] = replace(last, passed_over=(*last.passed_over, hopeless))
                continue
            yield draft.finish()
            self.refused(draft, ratio)

    def refused(self, draft: Draft, ratio: float | None = None) -> None:
        """The file that was judged last is not good enough."""
        ratio = self.screen.snr_db(draft.content) if ratio is None else ratio
        last = self.tried[-1]
        self.screen.refused(draft.rung, ratio, self.screen.snr_db(last.candidate.content), last.verdict)


def _candidates(climbing: _Climbing) -> Iterator[Candidate]:
    """The files in the order of the ladder; each is judged before the next is asked for."""
    material, tried, progress = climbing.material, climbing.tried, climbing.progress
    plain = Level(material, material.content, progress)
    first = plain.draft(material.method or FIRST)
    yield first.finish()
    climbing.refused(first)
    if material.method is None:
        yield from climbing.worth_judging([plain.draft(method) for method in NARROWER])
    method = best(tried).candidate.method
    if material.corrects:  # rounded so, weights are wrong on average, which correcting the biases mends
        yield from climbing.worth_judging([plain.draft(method, rounds=True)])
    progress("equalizing channels")
    equalized = equalize(material.content, inputs_of(material), name=material.name, threads=material.threads)
    base = plain
    if equalized.groups:
        level = Level(
            material, equalized.content, progress, f"{len(equalized.groups)} groups of channels equalized"
        )
        before = best(tried).candidate
        methods = dict.fromkeys((material.method or FIRST, method))
        yield from climbing.worth_judging([level.draft(each) for each in methods])
        if best(tried).candidate is not before:
            base, method = level, best(tried).candidate.method
    if material.keeps is not None:
        for plan in _plans(climbing, base, method, material.keeps):
            yield from climbing.worth_judging([base.draft(method, plan)])
    if material.retrain is not None:
        progress("training with quantization")
        yield material.retrain()


def _plans(
    climbing: _Climbing, level: Level, method: str, precision: Precision
) -> Iterator[Mapping[str, Precision]]:
    """What may be kept, little first."""
    material = climbing.material
    graph = read(level.content, material.name)
    most = max(1, int(MOST_KEPT * len(graph.ops)))
    climbing.progress("measuring which layers cost the most")
    found = sensitivities(
        level.content,
        level.ranges(method),
        inputs_of(material)(),
        name=material.name,
        threads=material.threads,
        most=None if len(graph.ops) <= _ALL_MEASURED else _EXACTLY_MEASURED,
        precision=precision,
        io=material.io,
        weights=material.weights,
        near=material.near,
        progress=climbing.progress,
    )
    layers = list(sick.layer_plans(found, graph, precision, most=most))
    few = [plan for plan in layers if len(plan) <= _FEW]
    yield from few

    def look(kept: Mapping[str, Precision]) -> float:
        return climbing.screen.snr_db(level.draft(method, kept).content)

    yield from sick.tensor_plans(graph, precision, look, most=most, progress=climbing.progress)
    yield from layers[len(few) :]
