"""What the numbers mean: which file to take, said so that nothing is claimed that the images cannot show.

How it is chosen is `edgecnn.report.choice`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgecnn.report.choice import (
    ALIKE,
    as_good,
    choose,
    p50,
    paired_difference,
    told_apart,
    value,
    with_both,
)
from edgecnn.report.evidence import Condition, Evidence, Variant
from edgecnn.report.words import interval, listed, milliseconds, percent, size, times

BUSY = 2.0
"""A p90 of so many times the p50 is not the model's doing."""

WIDE = 0.03
"""An interval that reaches farther than this to a side calls for more images."""


@dataclass(frozen=True)
class Verdict:
    """The recommendation.

    Attributes:
        recommended: the file to take; None where no file has both numbers.
        condition: under which that holds.
        sentences: the reasons, in plain words.
    """

    recommended: Variant | None
    condition: Condition | None
    sentences: tuple[str, ...]


def judge(evidence: Evidence) -> Verdict:
    """The recommendation for the condition under which most files were measured."""
    measured = [condition for condition in evidence.conditions if condition.source == "measured"]
    for condition in measured:
        both = with_both(evidence.variants, condition)
        if both:
            return _recommend(evidence, both, condition)
    judged = [v for v in evidence.variants if v.accuracy]
    if judged:
        best = max(judged, key=value)
        said = f"{best.name} is right most often: {_accuracy(best)}."
        if evidence.figure != "top1":
            said = f"{best.name} finds most: {_accuracy(best)}."
        return Verdict(None, None, (said, "No latency was measured on these files yet: edgecnn bench."))
    if measured:
        timed = [v for v in evidence.variants if v.latency(measured[0])]
        fastest = min(timed, key=lambda v: p50(v, measured[0]))
        said = f"{fastest.name} is the fastest: {milliseconds(p50(fastest, measured[0]))} an image."
        return Verdict(
            None, None, (said, "How often these files are right was not judged yet: edgecnn evaluate.")
        )
    return Verdict(None, None, ("Nothing was measured yet: edgecnn evaluate judges, edgecnn bench times.",))


def _recommend(evidence: Evidence, both: Sequence[Variant], condition: Condition) -> Verdict:
    best = max(both, key=value)
    take = choose(both, condition) or best
    sentences = [
        f"Take {take.name}: {take.accuracy.said if take.accuracy else ''}, "
        f"{milliseconds(p50(take, condition))} for one image.",
        *_against_baseline(evidence, take, condition),
        *_faster([v for v in both if not as_good(v, best)], take, condition),
        *_width(take),
        *_guessing(take),
        *_busy(both, condition),
    ]
    return Verdict(take, condition, tuple(sentences))


def _against_baseline(evidence: Evidence, take: Variant, condition: Condition) -> list[str]:
    baseline = evidence.baseline(take)
    if baseline is None:
        return _others(evidence, take, condition)
    gains = []
    if baseline.latency(condition):
        gains.append(_speed(p50(baseline, condition) / p50(take, condition)))
    if take.size_bytes and baseline.scheme != "keras" and baseline.size_bytes / take.size_bytes >= ALIKE:
        gains.append(f"{times(baseline.size_bytes / take.size_bytes)} smaller ({size(take.size_bytes)})")
    said = [f"Against {baseline.name} it is {listed(gains)}."] if gains else []
    return [*said, *_cost(take, baseline)]


def _others(evidence: Evidence, take: Variant, condition: Condition) -> list[str]:
    slower = [
        v for v in with_both(evidence.variants, condition) if v is not take and evidence.baseline(v) is take
    ]
    slow = [v.name for v in slower if p50(v, condition) * ALIKE > p50(take, condition)]
    return [f"{listed(slow)} would not be faster here."] if slow else []


def _cost(take: Variant, baseline: Variant) -> list[str]:
    """What the smaller file costs in accuracy, as far as the images can tell."""
    if take.accuracy is None or baseline.accuracy is None:
        return []
    difference = take.accuracy.value - baseline.accuracy.value
    paired = paired_difference(take, baseline)
    agreement = take.accuracy.agreement
    alike = _alike(agreement) if paired and agreement else ""
    if not told_apart(take, baseline):
        also = f"; {alike}" if alike else ""
        return [
            f"Its accuracy cannot be told apart from {baseline.name}'s {percent(baseline.accuracy.value)} "
            f"on these {take.accuracy.metrics['images']:,} images{also}."
        ]
    word = "more" if difference > 0 else "less"
    bounds = sorted(abs(100 * bound) for bound in paired) if paired else []
    between = f" (between {bounds[0]:.1f} and {bounds[1]:.1f})" if bounds else ""
    also = f"; {alike}" if alike else ""
    return [f"It is {abs(100 * difference):.1f} points{between} {word} accurate than {baseline.name}{also}."]


def _alike(agreement: Mapping[str, Any]) -> str:
    share = percent(agreement["share"])
    return (
        f"{share} of their boxes are alike"
        if "boxes" in agreement
        else (f"they decide alike on {share} of the images")
    )


def _faster(worse: Sequence[Variant], take: Variant, condition: Condition) -> list[str]:
    """Files that are faster, but at a price."""
    said = []
    for variant in sorted(worse, key=lambda v: p50(v, condition)):
        ratio = p50(take, condition) / p50(variant, condition)
        if ratio >= ALIKE:
            less = 100 * (value(take) - value(variant))
            said.append(
                f"{variant.name} is {times(ratio)} faster still and {less:.1f} points less accurate: "
                "take it where time matters more."
            )
    return said[:1]


def _width(take: Variant) -> list[str]:
    low, high = take.accuracy.interval if take.accuracy else (0.0, 0.0)
    if take.accuracy is None or (high - low) / 2 <= WIDE:
        return []
    return [
        f"With {take.accuracy.metrics['images']:,} images the accuracy is known only to "
        f"±{50 * (high - low):.0f} points: judge on more before you rely on it."
    ]


def _guessing(take: Variant) -> list[str]:
    """Whether always naming the most frequent class would do as well."""
    if take.accuracy is None or take.accuracy.figure != "top1":
        return []
    frequent = max((r["images"] for r in take.accuracy.metrics["per_class"]), default=0)
    share = frequent / take.accuracy.metrics["images"]
    if take.accuracy.interval[0] > share:
        return []
    return [
        f"That is no better than always naming the most frequent class ({percent(share)}): train it first."
    ]


def _busy(both: Sequence[Variant], condition: Condition) -> list[str]:
    """Whether the times vary more than a model does: then the machine had something else to do."""
    totals = [latency.total_ms for v in both if (latency := v.latency(condition))]
    ratio = max(total["p90"] / total["p50"] for total in totals)
    if ratio < BUSY:
        return []
    return [
        f"The machine was busy while this was timed (one image in ten took {times(ratio)} as long as usual): "
        "time it again when nothing else runs."
    ]


def _speed(ratio: float) -> str:
    if ratio >= ALIKE:
        return f"{times(ratio)} faster"
    return f"{times(1 / ratio)} slower" if ratio <= 1 / ALIKE else "as fast"


def _accuracy(variant: Variant) -> str:
    found = variant.accuracy
    return f"{found.said} (95 %: {interval(found.interval)})" if found else "not judged"
