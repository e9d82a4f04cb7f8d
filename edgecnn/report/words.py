"""Numbers as people read them: rounded to what they can carry, with their unit."""

from collections.abc import Mapping, Sequence
from typing import Any

_SPACE = "\u00a0"  # keeps a number and its unit on one line


def percent(share: float | None, digits: int = 1) -> str:
    """0.9412 as "94.1 %"; None as a dash. Only all is 100 %: 0.99996 takes as many digits as it needs."""
    if share is None:
        return "–"
    while share < 1 and digits < 4 and float(f"{100 * share:.{digits}f}") == 100:
        digits += 1
    return f"{100 * share:.{digits}f}{_SPACE}%"


def interval(bounds: Sequence[float] | None, digits: int = 1) -> str:
    """(0.929, 0.951) as "92.9–95.1 %"; None as a dash."""
    return "–" if bounds is None else f"{100 * bounds[0]:.{digits}f}–{100 * bounds[1]:.{digits}f}{_SPACE}%"


def points(difference: float) -> str:
    """-0.012 as "−1.2"; percentage points, with sign."""
    value = round(100 * difference, 1)
    return f"{'−' if value < 0 else '+' if value > 0 else '±'}{abs(value):.1f}"


def milliseconds(value: float | None) -> str:
    """Three digits that count: "0.421 ms", "12.3 ms", "1,240 ms"; None as a dash."""
    return "–" if value is None else f"{significant(value)}{_SPACE}ms"


def span(low: float, high: float) -> str:
    """A range of times: "2.40–4.00 ms"."""
    return f"{significant(low)}–{significant(high)}{_SPACE}ms"


def significant(value: float) -> str:
    """Three digits that count, never an exponent: 0.0421, 4.21, 42.1, 421, 4,210."""
    if value <= 0:
        return "0"
    digits = next((d for d in range(6) if value * 10**d >= 99.95), 6)
    return f"{value:,.{digits}f}" if value < 999.5 else f"{float(f'{value:.2e}'):,.0f}"


def size(count: int) -> str:
    """Bytes as B, KB, MB or GB of 1,000."""
    if count < 1000:
        return f"{count}{_SPACE}B"
    for unit, factor in (("KB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if count < 999.5 * factor:
            return f"{significant(count / factor)}{_SPACE}{unit}"
    return f"{count / 1e12:,.1f}{_SPACE}TB"


def times(ratio: float) -> str:
    """1.83 as "1.8 ×"."""
    return f"{ratio:.1f}{_SPACE}×" if ratio < 9.95 else f"{ratio:.0f}{_SPACE}×"


def listed(names: Sequence[str]) -> str:
    """Names as "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def certificate(said: Mapping[str, Any]) -> tuple[str, str]:
    """What a conversion's gate found, in a word, and how sure that is; "–" and "" where nothing was judged.

    Args:
        said: a card's certificate; cards come from anywhere, so other values than ours are left out.
    """
    outcome, at_most, data = said.get("outcome"), said.get("at_most_points"), said.get("data")
    if outcome not in ("certified", "unproven", "refused"):
        return "–", ""
    images = data.get("images") if isinstance(data, Mapping) else None
    if not isinstance(at_most, int | float) or not isinstance(images, int):
        return str(outcome), ""
    return str(outcome), f"loses at most {at_most:.2f} points, by {images:,} images"
