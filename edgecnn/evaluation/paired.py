"""What matched pairs prove: two models judged on the same images, and how far chance may reach.

Images on which both are right or both wrong say nothing about a difference; those that one of them lost or
gained decide. Counts go in and shares come out; what is counted, and what follows, is for others to say.
"""

from math import ceil, log, log1p, sqrt
from statistics import NormalDist

import numpy as np

from edgecnn.image import Array

CONFIDENCE = 0.95
"""Of one-sided bounds."""


def upper_bound(lost: float, gained: float, images: float, confidence: float = CONFIDENCE) -> float:
    """The largest drop, in [-1, 1], that the pairs leave possible: a one-sided bound.

    It inverts the score test of non-inferiority for matched pairs (T. Tango, 1998, Statistics in Medicine 17,
    891-908). Unlike Wald's it has width where no image differs, and then is never below the exact bound
    1 - (1 - confidence)^(1 / images), which the score test alone undercuts.

    Args:
        lost: images on which only the reference was right.
        gained: images on which only the model was right.
        images: all; above 0.
        confidence: that the true drop is not above.
    """
    z = NormalDist().inv_cdf(confidence)
    low, high = (lost - gained) / images, 1.0
    for _ in range(50):
        drop = (low + high) / 2
        low, high = (drop, high) if _score(lost, gained, images, drop) > -z else (low, drop)
    return max(high, 1 - (1 - confidence) ** (1 / images)) if not gained else high


def needed(
    lost: float, gained: float, images: float, limit: float, confidence: float = CONFIDENCE
) -> int | None:
    """How many images would bring `upper_bound` down to `limit`, if the rest were like these.

    Args:
        lost: as in `upper_bound`, and the next two.
        gained: likewise.
        images: likewise.
        limit: the drop that is to be proven, in [0, 1].
        confidence: as in `upper_bound`.

    Returns:
        The number, two digits of it; None where no number would do: the drop itself is at the limit.
    """
    if limit <= 0 or (lost - gained) / images >= limit:
        return None

    def proven(times: float) -> bool:
        return upper_bound(lost * times, gained * times, images * times, confidence) <= limit

    low, high = 0.0, 1.0
    while not proven(high):
        low, high = high, 2 * high
    while high - low > 0.005 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if proven(middle) else (middle, high)
    exact = high * images
    unit = float(f"1e{max(0, len(str(int(exact))) - 2)}")
    return int(ceil(exact / unit) * unit)


def chance_of_loss(lost: int, gained: int) -> float:
    """How likely fair coins lose so many of so few: McNemar's test, exact and one-sided."""
    return chance_of_at_least(lost, lost + gained, 0.5)


def chance_of_at_least(least: int, count: int, probability: float) -> float:
    """How likely `least` or more of `count` independent events happen, each of a probability in (0, 1)."""
    return float(min(1.0, _binomial(count, probability)[least:].sum()))


def chance_among_alike(lost: int, gained: int, images: int, rate_lost: float, rate_gained: float) -> float:
    """How likely a class that fares like the others shows so large a net loss, or a larger one.

    Losses and gains are taken as independent, which makes the answer slightly too large.

    Args:
        lost: of the class.
        gained: of the class.
        images: of the class.
        rate_lost: the share of the others' images that were lost, in (0, 1).
        rate_gained: likewise.
    """
    losses = _binomial(images, rate_lost)
    gains = _binomial(images, rate_gained)
    tail = np.append(np.cumsum(losses[::-1])[::-1], np.zeros(images + 1))  # P(losses >= index)
    start = max(0, lost - gained)
    return float(min(1.0, gains @ tail[start : start + images + 1]))


def _score(lost: float, gained: float, images: float, drop: float) -> float:
    """Tango's statistic: the drop found, less `drop`, in standard errors as they are if `drop` is true."""
    found = lost - gained - images * drop
    if found == 0:
        return 0.0
    # the likeliest share of gains, given that drop; the larger root of 2n q^2 - b q - gained d (1 - d) = 0
    b = (lost + gained) * (1 - drop) + 2 * lost * drop - 2 * images * drop
    root = sqrt(max(0.0, b * b + 8 * images * gained * drop * (1 - drop)))
    share = max(0.0, -drop, (b + root) / (4 * images))
    variance = images * (2 * share + drop * (1 - drop))
    return found / sqrt(variance) if variance > 0 else (found > 0) * 1e9 - (found < 0) * 1e9


def _binomial(count: int, probability: float) -> Array:
    """The probabilities of 0..count successes, (count + 1,) float64; probability in (0, 1)."""
    k = np.arange(count + 1)
    factorials = np.log(np.maximum(k, 1)).cumsum()  # their logarithms
    ways = factorials[-1] - factorials - factorials[::-1]
    chances: Array = np.exp(ways + k * log(probability) + (count - k) * log1p(-probability))
    return chances
