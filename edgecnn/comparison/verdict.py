"""What a compression bought, in one sentence that sells nothing. The rules, and the words for them.

What was wanted follows from what changed: fewer multiplications want time, zeros and clusters want a small
zipped file, and neither is paid with the other. The price that is fair is stated in points for each halving;
whether it was paid is told from the interval of the loss, not from the loss alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log2
from typing import Final, Literal, TypeAlias

from edgecnn.comparison.figures import NAMES, Comparison, Figure

Kind: TypeAlias = Literal["channels", "sparse", "clustered", "same"]

POINTS_FOR_HALF_THE_TIME: Final = 1.6
"""Points of accuracy that half the time is worth: 1.0 for 0.65 of it, the budget that pruning is held to."""

POINTS_FOR_HALF_THE_FILE: Final = 0.8
"""Points that half the zipped file is worth: between clustering's budget (0.5 for 0.6) and that of 80 % zeros
(1.0 for 0.45)."""

POINTS_OF_A_DETECTOR: Final = 1.5
"""Times as many points of mAP: a budget of 1.5 points where a classifier's is 1.0."""

NOISE: Final = 0.05
"""Times that differ by less are called the same, however sure: two copies of one file, timed in turns fifteen
times on two cores with a load of 3 to 5, differed by up to 1.3 %."""

CLASS_POINTS: Final = 5.0
"""What one class may lose without a word about it: as much as a conversion may cost one."""


@dataclass(frozen=True)
class Facts:
    """What the sentence is made of; points are hundredths of the figure.

    Attributes:
        kind: what was done to the network.
        macs: new over old.
        time: int8 p50, new over old.
        time_interval: 95 % of `time`.
        before_ms: int8 p50 of the old run.
        after_ms: of the new run.
        zipped: int8 zipped bytes, new over old.
        zeros: share of the weights that are zero in the new run.
        distinct: different values in a kernel of the new run.
        lost: points that int8 lost; below 0 it gained; None where the figure is not known.
        interval: 95 % of `lost`; None where none is known.
        figure: what `lost` is of.
        images: how many were judged.
        certified: what the gate said of the new int8 file.
        worst: the class that lost most: its label, the points, and their 95 %; None where that is not known.
    """

    kind: Kind
    macs: float
    time: float
    time_interval: tuple[float, float]
    before_ms: float
    after_ms: float
    zipped: float
    zeros: float
    distinct: int
    lost: float | None
    interval: tuple[float, float] | None
    figure: Figure
    images: int
    certified: str
    worst: tuple[str, float, tuple[float, float]] | None = None


def verdict(comparison: Comparison) -> str:
    """The sentence; see `sentence`."""
    return sentence(facts(comparison))


def facts(comparison: Comparison) -> Facts:
    """What decides, taken from the whole."""
    before, after = comparison.before, comparison.after
    change = comparison.changes["int8"]
    interval = None
    if change.interval is not None:
        low, high = change.interval
        interval = (-100 * high, -100 * low)
    return Facts(
        kind=kind_of(comparison),
        macs=comparison.macs_ratio,
        time=change.time_ratio,
        time_interval=change.time_interval,
        before_ms=before.files["int8"].latency_ms["p50"],
        after_ms=after.files["int8"].latency_ms["p50"],
        zipped=comparison.zipped_ratio(),
        zeros=after.network.zeros,
        distinct=after.network.distinct,
        lost=None if change.difference is None else -100 * change.difference,
        interval=interval,
        figure=comparison.figure,
        images=int(comparison.conditions["images"]),
        certified=after.files["int8"].certificate,
        worst=_worst(comparison),
    )


def _worst(comparison: Comparison) -> tuple[str, float, tuple[float, float]] | None:
    first = next(iter(comparison.classes), None)
    if first is None or first.difference is None or first.interval is None:
        return None
    low, high = first.interval
    return first.label, -100 * first.difference, (-100 * high, -100 * low)


def kind_of(comparison: Comparison) -> Kind:
    """What was done to the network, from what changed in it."""
    before, after = comparison.before.network, comparison.after.network
    if abs(comparison.macs_ratio - 1) > 0.02:
        return "channels"
    if after.zeros >= before.zeros + 0.1:
        return "sparse"
    if after.distinct <= 256 and 2 * after.distinct <= before.distinct:
        return "clustered"
    return "same"


def sentence(facts: Facts) -> str:
    """What was bought, what it cost, and whether it pays."""
    bought = {"channels": _smaller, "sparse": _sparse, "clustered": _clustered, "same": _same}[facts.kind]
    parts = [f"{bought(facts)}; {_loss(facts)}: {_ruling(facts)}"]
    if facts.worst is not None:
        label, lost, (low, high) = facts.worst
        if lost > CLASS_POINTS and low > 0:
            parts.append(f"but {label!r} alone lost {lost:.1f} points (95 %: {low:.1f} to {high:.1f})")
    if facts.certified in ("unproven", "refused"):
        parts.append(f"its int8 file is {facts.certified}, not certified")
    return "; ".join(parts) + "."


def worth(facts: Facts) -> float:
    """Points that what was bought is worth; 0 where nothing was.

    Removed channels are paid with time alone, though the file shrinks too: who wants a small file only gets
    it cheaper by zeros or clusters.
    """
    if facts.kind in ("channels", "same"):
        bought = POINTS_FOR_HALF_THE_TIME * _halvings(facts.time) if is_faster(facts) else 0.0
    else:
        bought = POINTS_FOR_HALF_THE_FILE * _halvings(facts.zipped)
    return bought * (POINTS_OF_A_DETECTOR if facts.figure == "map50" else 1.0)


def is_faster(facts: Facts) -> bool:
    """Whether it takes less time, and not by chance or by too little to tell."""
    return facts.time <= 1 - NOISE and facts.time_interval[1] < 1


def _halvings(ratio: float) -> float:
    return max(0.0, -log2(ratio))


def _is_too_busy(facts: Facts) -> bool:
    """Whether the times differ, but by no more than chance: other work had the machine."""
    low, high = facts.time_interval
    return abs(facts.time - 1) > NOISE and low <= 1 <= high


def _ruling(facts: Facts) -> str:
    price, lost = worth(facts), facts.lost
    if facts.kind == "channels" and _is_too_busy(facts):
        return "whether it pays, this machine was too busy to tell"
    if facts.kind == "same" and not price:
        return _ruling_of_the_same(facts)
    if not price:
        wanted = "time on this machine" if facts.kind == "channels" else "bytes"
        return f"it buys no {wanted} and does not pay"
    if lost is None:
        return "whether it pays, these images cannot tell"
    if lost > price:
        saved = (
            f"{facts.time:.2f}x the time" if facts.kind == "channels" else f"{facts.zipped:.2f}x the bytes"
        )
        return f"{saved} is not worth {lost:.1f} points"
    if facts.interval is not None and facts.interval[1] > price:
        return f"it seems to pay, but {facts.images:,} images do not prove it"
    return "it pays"


def _ruling_of_the_same(facts: Facts) -> str:
    if facts.interval is None:
        return "nothing that these images can tell"
    low, high = facts.interval
    if high < 0:
        return "it pays"
    return "it does not pay" if low > 0 else "no difference that these images prove"


def _smaller(facts: Facts) -> str:
    macs = "half the MACs" if 0.48 <= facts.macs <= 0.52 else f"{facts.macs:.2f}x the MACs"
    return _capital(f"{macs} take {_time(facts)}")


def _sparse(facts: Facts) -> str:
    zeros = f"{100 * facts.zeros:.0f} % of the weights are zero"
    return f"{zeros} and the zipped int8 file is {facts.zipped:.2f} of what it was, {_no_faster(facts)}"


def _clustered(facts: Facts) -> str:
    values = f"the kernels do with {facts.distinct} different values each"
    return _capital(
        f"{values} and the zipped int8 file is {facts.zipped:.2f} of what it was, {_no_faster(facts)}"
    )


def _same(facts: Facts) -> str:
    return f"The same MACs take {_time(facts)}"


def _time(facts: Facts) -> str:
    shown = f"int8 p50 {facts.after_ms:.3f} against {facts.before_ms:.3f} ms"
    if _is_too_busy(facts):
        low, high = facts.time_interval
        shown += f"; by chance: 95 % {low:.2f} to {high:.2f}"
    return f"{facts.time:.2f}x the time ({shown})"


def _no_faster(facts: Facts) -> str:
    if abs(facts.time - 1) <= NOISE or _is_too_busy(facts):
        why = {
            "sparse": "the int8 kernels here multiply zeros like any other number",
            "clustered": "the kernels unpack no clusters",
        }
        return f"but it runs no faster ({facts.time:.2f}x: {why[facts.kind]})"
    return f"and it takes {_time(facts)}"


def _loss(facts: Facts) -> str:
    name = NAMES[facts.figure]
    if facts.lost is None:
        return f"its {name} is not known"
    points = f"{abs(facts.lost):.1f} points of {name} {'gained' if facts.lost < 0 else 'lost'}"
    if facts.interval is None:
        return f"{points} (no interval)"
    ends: Mapping[bool, tuple[float, float]] = {
        False: facts.interval,
        True: (-facts.interval[1], -facts.interval[0]),
    }
    low, high = ends[facts.lost < 0]
    return f"{points} (95 %: {low:.1f} to {high:.1f})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
