"""How files are judged against their float model: one module for each task, all of the same shape.

The order of a conversion is the same for all; what an answer is, what may be lost of it, and what a file's
card learns from being judged are the task's.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from converters.certificate import Budget
from converters.judging import classification, detection
from converters.verdict import Verdict
from edgecnn.card import Card
from edgecnn.data.dataset import Dataset
from edgecnn.errors import ConversionError
from edgecnn.runs import Run
from edgecnn.runtime.model import Model


class Judging(Protocol):
    """What a module of this package offers."""

    @property
    def MAX_CLASS_DROP(self) -> float:  # noqa: N802  (a constant of the module)
        """Points that any one class may lose where nobody says how many."""

    def recorded(self, run: Run) -> Mapping[str, float]:
        """How well each class was known in training, by label; {} if the run does not say."""

    def reference(
        self, model: Model, dataset: Dataset, *, record: Mapping[str, float], most: int | None
    ) -> Any:
        """What the float model says about the validation images, found out once."""

    def judge(self, reference: Any, candidate: Model, budget: Budget) -> Verdict:
        """Run a finished file on the reference's images, by the runtime's own road, and judge it."""

    def settled(self, card: Card, verdict: Any) -> tuple[Card, str]:
        """The card with what judging found out for it, and a word on that for the lineage, or ""."""


JUDGING: dict[str, Judging] = {"classification": classification, "detection": detection}


def judging(task: str) -> Judging:
    """How files of a task are judged.

    Raises:
        ConversionError: nobody wrote down how.
    """
    if task not in JUDGING:
        raise ConversionError(f"files for {task} cannot be judged; those for {', '.join(JUDGING)} can")
    return JUDGING[task]
