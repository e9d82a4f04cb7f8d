"""One recommendation for each device: which file, and why not the next best; one paragraph each."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from edgecnn.report.choice import (
    ALIKE,
    choose,
    equally_fast,
    p50,
    paired_difference,
    runner_up,
    told_apart,
    value,
)
from edgecnn.report.evidence import Condition, Evidence, Place, Variant
from edgecnn.report.words import interval, listed, milliseconds, percent, size, span, times


@dataclass(frozen=True)
class Advice:
    """What to take on one device.

    Attributes:
        place: the device.
        condition: under which the recommendation holds; None where nothing can be recommended.
        take: the file; None where none has both an accuracy and a latency there.
        runner_up: what would be taken without it.
        text: the paragraph.
    """

    place: Place
    condition: Condition | None
    take: Variant | None
    runner_up: Variant | None
    text: str


def advise(evidence: Evidence) -> tuple[Advice, ...]:
    """A recommendation for each device, those measured on first."""
    return tuple(_advice(evidence, place) for place in evidence.places)


def _advice(evidence: Evidence, place: Place) -> Advice:
    for condition in place.conditions:
        take = choose(evidence.variants, condition)
        if take is not None:
            second = runner_up(evidence.variants, condition, take)
            said = [
                _taken(take, condition, place),
                *_second(take, second, condition),
                *_others(evidence.variants, place),
                *_caution(take, condition),
            ]
            return Advice(place, condition, take, second, " ".join(said))
    unfit = _others(evidence.variants, place)
    said = unfit or ["No file here has both an accuracy and a latency there."]
    return Advice(place, None, None, None, " ".join([f"Nothing to recommend for {place.device}.", *said]))


def _taken(take: Variant, condition: Condition, place: Place) -> str:
    latency = take.latency(condition)
    if take.accuracy is None or latency is None:
        raise ValueError(f"{take.name} has no place in a recommendation")
    threads = f" ({place.threads} thread{'s' if place.threads != 1 else ''})" if place.threads else ""
    low, high = latency.interval
    if condition.source == "estimated":
        took = f"an estimated {milliseconds(latency.total_ms['p50'])} for the network ({span(low, high)})"
    else:
        took = (
            f"{milliseconds(latency.total_ms['p50'])} measured for one image, "
            f"90 of 100 within {milliseconds(high)}"
        )
    return (
        f"For {place.device}{threads} take {take.name}: {take.accuracy.said} "
        f"(95 %: {interval(take.accuracy.interval)}), {took}, {size(take.size_bytes)}."
    )


def _second(take: Variant, second: Variant | None, condition: Condition) -> list[str]:
    if second is None:
        return ["No other file was judged and timed there."]
    for_it, against = _compared(second, take, condition)
    numbers = f"{percent(value(second))} at {milliseconds(p50(second, condition))}"
    if against:
        reason = f"{listed(for_it)}, but {listed(against)}" if for_it else listed(against)
    else:
        reason = f"{listed(for_it)}, by no more than these numbers can show"
    return [f"Second comes {second.name} ({numbers}): it is {reason}."]


def _compared(one: Variant, other: Variant, condition: Condition) -> tuple[list[str], list[str]]:
    """What speaks for `one` against `other`, and what against it."""
    for_it: list[str] = []
    against: list[str] = []
    less = 100 * (value(other) - value(one))
    if abs(less) >= 0.05:
        paired = any(paired_difference(*pair) for pair in ((one, other), (other, one)))
        chance = ""
        if not told_apart(one, other):
            chance = ", which may be chance" if paired else " (the intervals overlap)"
        how = "less" if less > 0 else "more"
        (against if less > 0 else for_it).append(f"{abs(less):.1f} points {how} accurate{chance}")
    else:
        for_it.append("as accurate")
    ratio = p50(one, condition) / p50(other, condition)
    if equally_fast(one, other, condition):
        beyond = max(ratio, 1 / ratio) >= ALIKE
        band = "the estimate’s band" if condition.source == "estimated" else "the measurement’s spread"
        for_it.append(f"as fast within {band}" if beyond else "as fast")
    elif ratio > 1:
        against.append(f"{times(ratio)} slower")
    else:
        for_it.append(f"{times(1 / ratio)} faster")
    if one.size_bytes and other.size_bytes:
        larger = one.size_bytes / other.size_bytes
        if larger >= ALIKE:
            against.append(f"{times(larger)} larger")
        elif larger <= 1 / ALIKE:
            for_it.append(f"{times(1 / larger)} smaller")
    return for_it, against


def _others(variants: Sequence[Variant], place: Place) -> list[str]:
    """Why files have no number there, one sentence for each reason."""
    why = sorted((v.unfit[place.device], v.scheme or v.name) for v in variants if place.device in v.unfit)
    said = []
    for reason, group in groupby(why, key=lambda pair: pair[0]):
        kinds = list(dict.fromkeys(scheme for _, scheme in group))
        said.append(f"Without a figure there: {listed(kinds)} ({reason}).")
    return said


def _caution(take: Variant, condition: Condition) -> list[str]:
    if condition.source != "estimated":
        return []
    found = take.latency(condition)
    basis = found.environment.get("basis") if found else ""
    resting = f" (basis: {basis})" if basis else ""
    return [f"The time is an estimate{resting}: measure it there before you rely on it."]
