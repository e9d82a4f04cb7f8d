"""What the auditor calls a fault, how grave it is, and what to do about it.

Measuring is done elsewhere (`calibration.pixels`, `duplicates`, `alternatives`, `spread`); here figures
become sentences. A false alarm costs trust, so a conversion is stopped (severity "error") only where its
result would be worthless.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from calibration import alternatives, box_alternatives, duplicates, spread
from calibration.alternatives import Better
from calibration.duplicates import Signatures
from calibration.pixels import DARK, NAMED, Pixels, Seen
from calibration.spread import Growth, Spread
from edgecnn.data.dataset import Dataset
from edgecnn.data.info import IMBALANCE
from edgecnn.results import Boxes
from edgecnn.runtime.model import Model

Severity: TypeAlias = Literal["note", "warning", "error"]
Ids: TypeAlias = npt.NDArray[np.int64]

JUDGED: Final = 256
"""Labelled images, at most, on which other ways of feeding the model are tried."""

WITHOUT_LABELS: Final = 32
"""Likewise without labels, where each is shown in every way."""

MANY: Final = 0.05
"""The share of images from which a fault is no accident."""

RUINED: Final = 0.1
"""By how much accuracy must be higher in another way for the card to be called wrong."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        severity: "error" where a conversion would be worthless, "warning" where it may suffer, else "note".
        what: what was found, with its figures, one sentence.
        where: names of images or classes, a few of them.
        advice: what to do.
        figures: the numbers in `what`, by name; JSON values.
    """

    severity: Severity
    what: str
    where: tuple[str, ...]
    advice: str
    figures: dict[str, Any]

    @property
    def line(self) -> str:
        """What, where and what to do, in one line."""
        where = f" ({', '.join(self.where)})" if self.where else ""
        return f"{self.what}{where}. {self.advice}"


def of_pixels(pixels: Pixels) -> list[Finding]:
    """Images without scale, content, colour or detail."""
    count, found = pixels.images, []
    if pixels.brightest <= DARK:
        found.append(
            Finding(
                "error" if pixels.brightest <= DARK // 4 else "warning",
                f"no image has a pixel brighter than {pixels.brightest} of 255",
                (),
                "They lost their scale (divided by 255, or 12 bits in files of 16): scale them to 0..255.",
                {"brightest": pixels.brightest},
            )
        )
    found += _some_images(pixels.plain, count, "of one colour", "Take them out: they say nothing of ranges.")
    found += _some_images(pixels.noise, count, "noise", "Take them out: no camera makes such images.")
    if pixels.grey.count == count and pixels.plain.count < count:
        what = f"all {count} images are grey, but the model takes colours"
        found.append(Finding("note", what, (), "Add colour images if it will see any.", {"images": count}))
    if pixels.small.count == count:
        what = f"all {count} images are enlarged to more than twice their size"
        advice = "Use images as large as the camera's: sharper ones may need wider ranges."
        found.append(Finding("note", what, tuple(pixels.small.names), advice, {"images": count}))
    return found


def _some_images(seen: Seen, count: int, what: str, advice: str) -> list[Finding]:
    if not seen.count:
        return []
    share = seen.count / count
    severity: Severity = "error" if seen.count == count else "warning" if share >= MANY else "note"
    are = f"{seen.count} of {count} images are {what}"
    return [Finding(severity, are, tuple(seen.names), advice, {"images": seen.count, "share": share})]


def of_classes(chosen: Dataset, labels: tuple[str, ...], truths: Ids) -> list[Finding]:
    """Classes that are missing or rare; nothing where images have no labels of the model.

    Args:
        chosen: the images.
        labels: the model's.
        truths: the class of each image, or each of the classes that its boxes have; -1 where not known.
    """
    if not (truths >= 0).any():
        return []
    counts = np.bincount(truths[truths >= 0], minlength=len(labels))
    missing = [label for label, count in zip(labels, counts, strict=True) if not count]
    figures = {"missing": len(missing), "classes": len(labels), "least": int(counts.min())}
    if missing:
        few = len(chosen) < 2 * len(labels)
        what = f"{len(missing)} of {len(labels)} classes have no image"
        advice = "Use more --samples." if few else "Add images of them, or their ranges may be clipped."
        # who has a thousand classes cannot show them all; who has ten can
        severity: Severity = "note" if len(labels) > 100 else "warning"
        return [Finding(severity, what, tuple(missing[:NAMED]), advice, figures)]
    if counts.max() >= IMBALANCE * counts.min() and counts.max() > counts.min() + 2:
        rare = tuple(labels[number] for number in counts.argsort(kind="stable")[:NAMED])
        what = f"the largest class has {counts.max()} images, the smallest {counts.min()}"
        return [Finding("note", what, rare, "Add images of the small ones.", figures)]
    return []


def of_copies(seen: Signatures, chosen: Dataset) -> list[Finding]:
    """Images that are in the set twice."""
    pairs = duplicates.within(seen, chosen.samples)
    found = []
    for kind, some in (("copies of others", pairs.same), ("nearly the same as others", pairs.near)):
        if some:
            doubled = len({second for _, second in some})
            share = doubled / len(chosen)
            found.append(
                Finding(
                    "warning" if share >= MANY else "note",
                    f"{doubled} of {len(chosen)} images are {kind}",
                    tuple(_both(chosen, pair, chosen) for pair in some[:NAMED]),
                    "Take them out: they count, but show nothing new.",
                    {"images": doubled, "share": share},
                )
            )
    return found


def of_leaks(
    seen: Signatures, chosen: Dataset, others: Signatures, compared: Dataset | None
) -> list[Finding]:
    """Images that are among those of the validation too."""
    if compared is None or not len(compared):
        return []
    pairs = duplicates.between(seen, chosen.samples, others, compared.samples)
    both = [*pairs.same, *pairs.near]
    if not both:
        return []
    own, theirs = (len({pair[side] for pair in both}) for side in (0, 1))
    share = max(own / len(chosen), theirs / len(compared))
    figures = {"same": len(pairs.same), "near": len(pairs.near), "share": share}
    return [
        Finding(
            "error" if share >= MANY and own > 1 else "warning" if pairs.same else "note",
            f"{own} of {len(chosen)} calibration images are among {len(compared)} validation images "
            f"({len(pairs.same)} the same, {len(pairs.near)} nearly)",
            tuple(_both(chosen, pair, compared) for pair in both[:NAMED]),
            "What is judged by images that it was made with is judged too well: divide the data again; "
            "edgecnn data info lists all that are in two parts.",
            figures,
        )
    ]


def of_ways(source: Model, chosen: Dataset, truths: Ids, decisions: Ids) -> list[Finding]:
    """Whether the card's way of feeding images is worse than another."""
    if not len(decisions):
        return []
    known = np.flatnonzero(truths >= 0)[:JUDGED]
    if not len(known):
        return _unlabelled_ways(source, chosen)
    samples = [chosen.samples[place] for place in known]
    return _better_way(
        alternatives.better(source, samples, truths[known], decisions[known]), "is right on", "images"
    )


def of_box_ways(source: Model, chosen: Dataset) -> list[Finding]:
    """Whether a detector finds more boxes in another way; nothing where nobody drew any."""
    samples = [sample for sample in chosen.samples if isinstance(sample.truth, Boxes) and len(sample.truth)]
    return _better_way(box_alternatives.better(source, samples), "finds", "boxes of images")


def _better_way(ways: Sequence[Better], does: str, of: str) -> list[Finding]:
    if not ways:
        return []
    on = "on " if does.endswith(" on") else ""
    best = ways[0]
    words = " or ".join(one.words for one in ways if one.difference == best.difference)
    stated, other = best.right / best.images, best.right / best.images + best.difference
    return [
        Finding(
            "error" if best.difference >= RUINED else "warning",
            f"the model {does} {stated:.1%} of {best.images} {of} as its card feeds them, and {on}"
            f"{other:.1%} with {words}",
            (),
            "The card's mean, std or colour order does not fit the model, or the images were changed: "
            "correct it.",
            {**asdict(best), "difference": best.difference},
        )
    ]


def _unlabelled_ways(source: Model, chosen: Dataset) -> list[Finding]:
    samples = list(chosen.samples[:WITHOUT_LABELS])
    other = alternatives.surer(source, samples) if len(samples) == WITHOUT_LABELS else None
    if other is None:
        return []
    return [
        Finding(
            "warning" if 4 * other.told < other.other_told else "note",
            f"the model's answers tell {other.told:.2f} bits as its card feeds the images, and "
            f"{other.other_told:.2f} with {other.words}",
            (),
            "See whether the card's mean, std and colour order are those of its training; images with labels "
            "would prove it.",
            asdict(other),
        )
    ]


def of_spreads(spreads: Sequence[Spread], growth: Growth, chosen: Dataset) -> list[Finding]:
    """Images that set ranges alone, or else ranges that have not settled: one explains the other."""
    count = len(chosen)
    alone = spread.outliers(spread.alone(spreads), count) if count >= spread.ENOUGH else []
    if alone:
        return [
            Finding(
                "warning",
                f"{len(alone)} of {count} images widen the ranges alone, by {alone[0][1]:.0%} on average",
                tuple(chosen.samples[number].image.name for number, _ in alone[:NAMED]),
                "Look at them. Take them out if the camera makes no such images; else use percentile ranges.",
                {"images": len(alone), "widened": alone[0][1]},
            )
        ]
    if count >= spread.ENOUGH and growth.last <= spread.UNSETTLED:
        return []
    return [
        Finding(
            "warning",
            f"the ranges of {count} image(s) have not settled: the last doubling widened them by "
            f"{growth.last:.0%} on average",
            (),
            f"Use about {growth.needed - count} more (--samples {growth.needed}).",
            {"images": count, "growth": growth.last, "needed": growth.needed},
        )
    ]


def _both(one: Dataset, pair: tuple[int, int], other: Dataset) -> str:
    return f"{one.samples[pair[0]].image.name} = {other.samples[pair[1]].image.name}"
