"""What a running camera does, in one line."""

from edgecnn.results import Boxes, Result
from edgecnn.runtime.seen import Seen
from edgecnn.runtime.watch.statistics import Statistics

_MOST_NAMES = 5


def status(statistics: Statistics, seen: Seen | None) -> str:
    """Rates, ages and losses, and what is seen now.

    Such as "30.0 fps in, 9.8 results/s, age p50 112 ms p99 131 ms, 602 dropped | ball 0.93, cone 0.71".

    Args:
        statistics: of the eyes.
        seen: the newest result; None where there is none, or none young enough.
    """
    fps = statistics.fps
    parts = [f"{fps['captured']:.1f} fps in", f"{fps['results']:.1f} results/s"]
    delay = statistics.stages_ms.get("delay")
    if delay:
        parts.append(f"age p50 {delay['p50']:.0f} ms p99 {delay['p99']:.0f} ms")
    parts.append(f"{statistics.dropped:,} dropped")
    parts += [f"{count:,} {name}" for name, count in _troubles(statistics) if count]
    return f"{', '.join(parts)} | {'STALE' if seen is None else in_words(seen.result)}"


def in_words(result: Result) -> str:
    """The best of a result: "ball 0.93, cone 0.71", or "nothing"."""
    most = _MOST_NAMES if isinstance(result, Boxes) else 1
    records = [one for one in result.records(most) if "label" in one]
    words = ", ".join(f"{one['label']} {one['score']:.2f}" for one in records)
    more = len(result) - most if isinstance(result, Boxes) else 0
    return (words + (f" and {more} more" if more > 0 else "")) or "nothing"


def _troubles(statistics: Statistics) -> list[tuple[str, int]]:
    restarts = statistics.restarts
    return [
        ("damaged", statistics.damaged),
        ("repeated", statistics.repeated),
        ("times reopened", restarts.get("source", 0)),
        ("interpreters replaced", restarts.get("interpreter", 0)),
    ]
