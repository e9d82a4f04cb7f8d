"""Classification: the share of images that are answered right."""

from collections.abc import Mapping

from converters.certificate import Budget, Verdict
from converters.gate import judge as judge_answers
from converters.reference import Reference
from converters.reference import recorded as recorded_recall
from edgecnn.card import Card
from edgecnn.data.dataset import Dataset
from edgecnn.runs import Run
from edgecnn.runtime.model import Model

MAX_CLASS_DROP = 5.0


def recorded(run: Run) -> Mapping[str, float]:
    """The recall of each class: see `converters.reference.recorded`."""
    return recorded_recall(run)


def reference(model: Model, dataset: Dataset, *, record: Mapping[str, float], most: int | None) -> Reference:
    """See `converters.reference.Reference.of`."""
    return Reference.of(model, dataset, record=record, most=most)


def judge(known: Reference, candidate: Model, budget: Budget) -> Verdict:
    """See `converters.gate.judge`."""
    return judge_answers(known, candidate, budget)


def settled(card: Card, verdict: Verdict) -> tuple[Card, str]:
    """The card as it is: the highest score answers, however high."""
    return card, ""
