"""A quick look at a file before it is finished and judged: is it near enough to the float model?

Correcting biases and judging a file of EfficientNet-Lite0 takes half a minute, a look at the outputs for 32
calibration images two seconds. What is passed over here is never written, so a look may only refuse what is
clearly hopeless, and must not be fooled by small numbers. So no threshold is absolute: every file that the
gate refused says how much nearer the next must come.

A file that loses D points where B are allowed must lose D/B times less. For small noise that takes D/B times
less noise power: an answer changes as often as the noise is large beside the margin, and costs as much as it
is large (with labels, losses and gains cancel likewise). Of answers changed, which are counted on unlabelled
images, each is one: their number goes with the amplitude. The law is not exact, biases are not corrected yet,
and 32 images are few: a file is passed over if it misses this by DOUBT_DB, or by what correcting the biases
brought the refused one, if that was more: up to 14 dB where a tensor lies far from zero. Coming nearer by
MOST_ASKED_DB is always enough, because where all is lost the drop says little about how much.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from math import isfinite, log10
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from converters.ruling import MOST_CHANGED
from converters.sensitivity import outputs_of, signal_to_noise_db
from converters.signal import Nearness
from converters.verdict import Verdict

IMAGES: Final = 32

DOUBT_DB: Final = 3.0
MOST_ASKED_DB: Final = 6.0

Values: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PassedOver:
    """A file that was looked at and not judged.

    Attributes:
        rung: its name on the ladder.
        snr_db: of its outputs, before its biases were corrected.
        asked_db: what it should have had.
        refused: the rung that was refused and asks for it.
        images: how many were looked at.
    """

    rung: str
    snr_db: float
    asked_db: float
    refused: str
    images: int

    def __str__(self) -> str:
        """One line about it."""
        return (
            f"{self.rung}: screened on {self.images} calibration images: {self.snr_db:.1f} dB, not judged: "
            f"after what {self.refused} lost, at least {self.asked_db:.1f} dB are asked for"
        )

    def as_dict(self) -> dict[str, Any]:
        """What the card keeps of it: JSON-ready values."""
        return {
            "rung": self.rung,
            "snr_db": round(self.snr_db, 2) if isfinite(self.snr_db) else None,
            "asked_db": round(self.asked_db, 2),
            "images": self.images,
        }


class Screen:
    """What files show at a first look, and what those that were refused ask of the next."""

    def __init__(
        self,
        content: bytes,
        tensors: Callable[[], Iterable[Values]],
        *,
        name: str,
        threads: int = 1,
        near: Nearness | None = None,
    ) -> None:
        """Look at nothing yet.

        Args:
            content: the float model.
            tensors: gives the calibration inputs, from the start each time; the first IMAGES are looked at.
            name: what to call the model in errors.
            threads: of the interpreter.
            near: how outputs are compared; None is `signal_to_noise_db`.
        """
        self._near = near
        self._content = content
        self._tensors = tensors
        self._name = name
        self._threads = threads
        self._asked: tuple[float, str] = (-np.inf, "")

    def snr_db(self, made: bytes) -> float:
        """Of a file's outputs against the float model's.

        Raises:
            DataError: an image cannot be read.
            ModelError: the file cannot be run.
        """
        return (self._near or signal_to_noise_db)(self._expected, self._outputs(made))

    def refused(self, rung: str, snr_db: float, finished_db: float, verdict: Verdict) -> None:
        """A file was judged and refused: the next must be better.

        Args:
            rung: its name.
            snr_db: what it showed before its biases were corrected.
            finished_db: what it showed then.
            verdict: of the gate.
        """
        asked = snr_db + asked_db(verdict, doubt_db=max(DOUBT_DB, finished_db - snr_db))
        if isfinite(asked):
            self._asked = max(self._asked, (asked, rung))

    def passes_over(self, rung: str, snr_db: float) -> PassedOver | None:
        """Whether a file that shows this is hopeless, and why."""
        asked, refused = self._asked
        if not snr_db < asked:
            return None
        return PassedOver(rung, snr_db, asked, refused, len(self._expected[0]))

    @cached_property
    def _expected(self) -> list[npt.NDArray[np.float64]]:
        return self._outputs(self._content)

    def _outputs(self, content: bytes) -> list[npt.NDArray[np.float64]]:
        return outputs_of(content, islice(self._tensors(), IMAGES), self._name, self._threads)


def asked_db(verdict: Verdict, *, doubt_db: float = DOUBT_DB) -> float:
    """By how much a file must come nearer than a refused one, to be worth judging; may be negative."""
    budget = verdict.budget
    asked = _over(verdict.drop, budget.max_drop)
    if not verdict.is_labelled:
        asked = max(asked, 2 * _over(100 * (1 - verdict.agreement.share), MOST_CHANGED * budget.max_drop))
    return min(asked, MOST_ASKED_DB + DOUBT_DB) - doubt_db


def _over(found: float, allowed: float) -> float:
    """How far beyond, in decibels of power; 0 where inside or where nothing is allowed at all."""
    return max(0.0, 10 * log10(found / allowed)) if found > 0 and allowed > 0 else 0.0
