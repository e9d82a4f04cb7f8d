"""Choosing a file: which cannot be told apart in accuracy, which are equally fast, and what follows from it.

Two accuracies are told apart only if chance does not explain their difference: by the images on which just
one of the two files was right where both judged the same ones, else by intervals that do not overlap. Two
latencies are told apart only if they differ by more than the measurement itself does, or the estimate's band.
"""

from collections.abc import Sequence

from edgecnn.report.evidence import Condition, Latency, Variant

ALIKE = 1.05
"""Times, or sizes, whose ratio is below this are called equal: a benchmark repeated differs as much."""

SPREAD = 1.25
"""Times whose ratio is above this are told apart however unsteady the images were: medians are steadier."""

WORTH = 0.01
"""So much accuracy may a faster file cost and still be recommended; what it costs is said."""

NOTHING = 0.0025
"""A loss of accuracy that is not worth one byte more."""


def pareto(variants: Sequence[Variant], condition: Condition) -> list[Variant]:
    """Files that no other beats in accuracy and latency both; fastest first."""
    front: list[Variant] = []
    for variant in sorted(with_both(variants, condition), key=lambda v: (p50(v, condition), -value(v))):
        if not front or value(variant) > value(front[-1]):
            front.append(variant)
    return front


def choose(variants: Sequence[Variant], condition: Condition) -> Variant | None:
    """The file to take under a condition; None where none has both accuracy and latency.

    Of the files as good as the best (not told apart from it, or within `WORTH`), those as fast as the fastest
    stay; of these the most accurate is taken, or a smaller one that is shown to lose next to nothing.
    """
    both = with_both(variants, condition)
    if not both:
        return None
    best = max(both, key=value)
    good = [v for v in both if as_good(v, best)]
    fastest = min(good, key=lambda v: p50(v, condition))
    fast = [v for v in good if equally_fast(v, fastest, condition)]
    leader = max(fast, key=lambda v: (value(v), -v.size_bytes))
    return min(
        (v for v in fast if v is leader or _loses_nothing(v, leader)),
        key=lambda v: (v.size_bytes, -value(v), v.name),
    )


def runner_up(variants: Sequence[Variant], condition: Condition, taken: Variant) -> Variant | None:
    """What would be taken if the taken file were not there."""
    return choose([v for v in variants if v is not taken], condition)


def as_good(variant: Variant, best: Variant) -> bool:
    """Whether a file's accuracy cannot be told apart from the best, or is within `WORTH` of it."""
    return not told_apart(variant, best) or value(best) - value(variant) <= WORTH


def told_apart(one: Variant, other: Variant) -> bool:
    """Whether the two accuracies differ by more than chance explains (95 %)."""
    if one.accuracy is None or other.accuracy is None:
        return False
    for first, second in ((one, other), (other, one)):
        paired = paired_difference(first, second)
        if paired is not None:
            return not paired[0] <= 0 <= paired[1]
    (low, high), (other_low, other_high) = one.accuracy.interval, other.accuracy.interval
    return low > other_high or other_low > high


def paired_difference(one: Variant, reference: Variant) -> tuple[float, float] | None:
    """The interval of the difference in accuracy over the same images, where `one` was compared with it."""
    found = one.accuracy.agreement if one.accuracy else None
    if not found or not found.get("sha256") or found["sha256"] != reference.sha256:
        return None
    if "difference_interval" not in found:  # of coarse grids
        return None
    low, high = found["difference_interval"]
    return float(low), float(high)


def equally_fast(one: Variant, other: Variant, condition: Condition) -> bool:
    """Whether two latencies differ by no more than they are known to."""
    first, second = one.latency(condition), other.latency(condition)
    if first is None or second is None:
        return False
    fast, slow = sorted((first, second), key=lambda latency: latency.total_ms["p50"])
    ratio = slow.total_ms["p50"] / fast.total_ms["p50"]
    if condition.source == "estimated":
        return ratio < ALIKE or fast.total_ms["p50"] >= slow.interval[0]
    return ratio < max(ALIKE, min(SPREAD, _unsteady(fast), _unsteady(slow)))


def with_both(variants: Sequence[Variant], condition: Condition) -> list[Variant]:
    """Files with an accuracy, and a latency under this condition."""
    return [v for v in variants if v.accuracy and v.latency(condition)]


def value(variant: Variant) -> float:
    """The figure files are compared by; -1 where it was not judged."""
    return variant.accuracy.value if variant.accuracy else -1.0


def p50(variant: Variant, condition: Condition) -> float:
    """The median latency, or the estimate; infinite where there is none."""
    latency = variant.latency(condition)
    return latency.total_ms["p50"] if latency else float("inf")


def _unsteady(latency: Latency) -> float:
    return latency.interval[1] / latency.total_ms["p50"]


def _loses_nothing(variant: Variant, leader: Variant) -> bool:
    """Whether chance explains the difference of a pair, or it is too small to matter."""
    if value(leader) - value(variant) <= NOTHING:
        return True
    for first, second in ((variant, leader), (leader, variant)):
        if paired_difference(first, second) is not None:
            return not told_apart(variant, leader)
    return False
