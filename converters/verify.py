"""Whether a file computes what it was made from: both run on the same images, outputs side by side.

Agreement and signal-to-noise ratio see what an accuracy cannot: two files of equal accuracy may fail on
different images. Whether a loss of accuracy is acceptable is not decided here; only a ruin is refused.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import TypeAlias

import numpy as np

from converters.signal import SignalToNoise
from edgecnn.card import Card
from edgecnn.errors import ConversionError
from edgecnn.evaluation.agreement import UNDECIDED, decide
from edgecnn.image import Array, Image
from edgecnn.runtime.model import Model

Outputs: TypeAlias = Callable[[Image], Mapping[str, Array]]
"""From an image to the outputs by role, in real numbers, without the batch axis."""

FLOAT_TOLERANCE = 1e-3
"""Of float32 against its source, relative to the largest output. Other summation orders and fused batch
normalization stay below 1e-5; a layer that was converted wrongly does not."""

LEAST_AGREEMENT = 0.5
"""Below it, a file contradicts its source more often than not: something broke, it is not merely coarser."""


@dataclass(frozen=True)
class Comparison:
    """How a file's outputs compare with its source's.

    Attributes:
        images: how many both were shown.
        agreement: the share of images for which both gave the highest score to the same label, a tie of the
            file's counting against it; None where the output is not one score per label.
        snr_db: power of the source's outputs over power of the difference, in decibels, over all images, of
            the worst output; inf where they are equal. What counts of an output says `converters.signal`.
        max_difference: the largest absolute difference, in the output where it is largest beside its values.
        mean_difference: the mean absolute difference, of all outputs.
        largest: the largest absolute value of the source in that output.
        frozen: an output of the file was the same for all images, though the source's was not.
    """

    images: int
    agreement: float | None
    snr_db: float
    max_difference: float
    mean_difference: float
    largest: float
    frozen: bool


def outputs_of(model: Model) -> Outputs:
    """The model as a function of an image, by the same road as on a device."""
    return lambda image: model.raw(model.prepare(image)[0])


def compare(source: Outputs, made: Outputs, images: Iterable[Image], card: Card) -> Comparison:
    """Run both on every image.

    Args:
        source: what is right.
        made: what is compared with it.
        images: what both are shown.
        card: of the model: what counts of its outputs.

    Raises:
        ConversionError: there was no image.
        DataError: an image cannot be read.
        ModelError: one of them failed while running.
    """
    signal = SignalToNoise(card)
    spreads: dict[str, _Spread] = {}
    difference = 0.0
    values = same = decided = count = 0
    for count, image in enumerate(images, 1):  # noqa: B007  (the count is told below)
        ours, theirs = source(image), made(image)
        signal.watch(ours, theirs)
        for role in ours:
            first, second = (np.ravel(one[role]).astype(np.float64) for one in (ours, theirs))
            difference += float(np.abs(second - first).sum())
            values += len(first)
            spreads.setdefault(role, _Spread()).watch(first, second)
        if card.task == "classification" and _scores(ours):
            decided += 1
            label, other = decide(np.stack([np.ravel(one["scores"]) for one in (ours, theirs)]))
            same += int(label == other != UNDECIDED)
    if not count:
        raise ConversionError("there is no image to compare the converted model with its source on")
    worst = max(spreads.values(), key=lambda spread: spread.relative)
    return Comparison(
        images=count,
        agreement=same / decided if decided else None,
        snr_db=signal.snr_db,
        max_difference=worst.difference,
        mean_difference=difference / values,
        largest=worst.largest,
        frozen=any(spread.frozen for spread in spreads.values()),
    )


def check_equal(comparison: Comparison, name: str) -> None:
    """Refuse a float32 file that does not compute what its source computes.

    Raises:
        ConversionError: the outputs differ by more than rounding.
    """
    allowed = FLOAT_TOLERANCE * max(1.0, comparison.largest)
    if not comparison.max_difference <= allowed:
        raise ConversionError(
            f"{name}: not written: its outputs differ from its source's by up to "
            f"{comparison.max_difference:.3g} ({allowed:.3g} is allowed) on {comparison.images} images. A "
            "layer is converted wrongly: replace it."
        )


def check_sound(comparison: Comparison, name: str, *, real_images: bool) -> None:
    """Refuse a file that is ruined: not a number, always the same answer, or one that contradicts its source.

    Args:
        comparison: with the float model.
        name: what to call the file.
        real_images: agreement counts; on noise, a network may hesitate between labels.

    Raises:
        ConversionError: it is ruined; says how.
    """
    agreement = comparison.agreement
    if not isfinite(comparison.max_difference):
        found = "its outputs are infinite or not numbers"
    elif comparison.frozen:
        found = f"it gives the same answer to all {comparison.images} images"
    elif real_images and agreement is not None and agreement < LEAST_AGREEMENT:
        found = f"it agrees with the float model on only {agreement:.0%} of {comparison.images} images"
    elif comparison.snr_db < 0:
        found = f"its error is larger than its signal ({comparison.snr_db:.1f} dB)"
    else:
        return
    raise ConversionError(
        f"{name}: not written: {found}. Calibrate with more images like those it will see (--samples), or "
        "use --float16."
    )


class _Spread:
    """How far one output moves from image to image, in the source and in the file, and how far apart.

    Attributes:
        difference: the largest absolute difference so far; NaN once there was one.
        largest: the largest absolute value of the source.
    """

    def __init__(self) -> None:
        self.difference = self.largest = 0.0
        self._low: list[Array] = []
        self._high: list[Array] = []

    def watch(self, ours: Array, theirs: Array) -> None:
        self.difference = float(np.maximum(self.difference, np.abs(theirs - ours).max()))  # keeps a NaN
        self.largest = max(self.largest, float(np.abs(ours).max()))
        if not self._low:
            self._low, self._high = [ours.copy(), theirs.copy()], [ours.copy(), theirs.copy()]
        for low, high, output in zip(self._low, self._high, (ours, theirs), strict=True):
            np.minimum(low, output, out=low)
            np.maximum(high, output, out=high)

    @property
    def relative(self) -> float:
        """The difference beside the values, as `check_equal` weighs it; inf where it is no number."""
        return self.difference / max(1.0, self.largest) if isfinite(self.difference) else inf

    @property
    def frozen(self) -> bool:
        """The second never moved, while the first moved by more than a coarse step."""
        source, made = (float((high - low).max()) for low, high in zip(self._low, self._high, strict=True))
        return made == 0 and source > 0.05 * self.largest


def _scores(outputs: Mapping[str, Array]) -> bool:
    """Whether the output is one score for each of several labels."""
    return list(outputs) == ["scores"] and outputs["scores"].size > 1
