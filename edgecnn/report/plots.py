"""Which figures a report shows: one for each device, those measured on large, the others side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgecnn.report.advice import Advice
from edgecnn.report.choice import pareto, with_both
from edgecnn.report.evidence import Evidence, Place
from edgecnn.report.scatter import scatter
from edgecnn.report.words import milliseconds, percent

LARGE, BESIDE, PHONE = (900, 420), (450, 360), (350, 350)
"""Width and height, px."""


def plots(evidence: Evidence, advices: Sequence[Advice], numbers: Mapping[str, int]) -> dict[str, Any]:
    """The figures, those of devices with a measurement and those with estimates only."""
    taken = {(a.place.device, a.place.threads): a.take for a in advices}
    measured, estimated = [], []
    for place in evidence.places:
        conditions = [c for c in place.conditions if pareto(evidence.variants, c)]
        if not conditions:
            continue

        def drawn(size: tuple[int, int], place: Place = place, conditions: Any = conditions) -> str:
            return scatter(
                evidence.variants, conditions, recommended=taken[place.device, place.threads],
                numbers=numbers, width=size[0], height=size[1],
            )  # fmt: skip

        first = conditions[0]
        both = len({c.source for c in conditions}) > 1
        shown = {"name": first.name, "small": drawn(PHONE), "both": both, "listed": []}
        if place.is_estimated:
            estimated.append(shown | {"wide": drawn(BESIDE)})
            continue
        points = with_both(evidence.variants, first)
        shown["listed"] = [
            {
                "number": numbers[v.name],
                "name": v.name,
                "scheme": v.scheme,
                "said": f"{percent(v.accuracy.value)}, {milliseconds(latency.total_ms['p50'])}",
            }
            for v in points
            if v.accuracy and (latency := v.latency(first))
        ]
        measured.append(shown | {"wide": drawn(LARGE)})
    return {"measured": measured, "estimated": estimated}
