"""What the float model said about the validation images: found out once, asked by every rung of the ladder.

Knows how outputs become answers, and whether the images are worth judging by. What may be lost is decided in
`converters.ruling`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Self, TypeAlias

import numpy as np

from calibration.samples import choose
from edgecnn import archive
from edgecnn.card import Card
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.unlabelled import UNLABELLED
from edgecnn.errors import ConversionError, DataError, ModelError
from edgecnn.evaluation.agreement import UNDECIDED, decide
from edgecnn.evaluation.judge import Progress
from edgecnn.evaluation.judged import Judged
from edgecnn.evaluation.paired import CONFIDENCE, chance_of_at_least
from edgecnn.evaluation.reading import Reading
from edgecnn.image import Array
from edgecnn.results import Classes
from edgecnn.runs import Run
from edgecnn.runtime.model import Model
from edgecnn.tasks.classification import softmax

MEMORY = 64 << 20
"""Bytes that the kept outputs may take: 1.6 million images of 10 labels, 16,000 of 1000."""


UNKNOWN = -2
"""The truth of an image that nobody knows: no model's decision, not even `UNDECIDED`."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model's outputs come down to.

    Attributes:
        decisions: (n,) int64, the label of the highest score, or `UNDECIDED` where several share it.
        confidence: (n,) float32, its probability.
    """

    decisions: Array
    confidence: Array


Judging: TypeAlias = Callable[[Array, Card], Answers]
"""Turns outputs, (n, k) float32, into answers, as the card says."""


def probabilities(rows: Array, card: Card) -> Array:
    """The scores as probabilities, (n, c) float32, whatever the card says they are."""
    return softmax(rows) if card.options.get("scores") == "logits" else rows


def _classified(rows: Array, card: Card) -> Answers:
    return Answers(decide(rows), probabilities(rows, card).max(1))


JUDGING: dict[str, tuple[str, Judging]] = {"classification": ("scores", _classified)}
"""For each task the role of the output that is judged, and how it becomes answers."""


def judging(card: Card) -> tuple[str, Judging]:
    """How a model of the card's task is judged.

    Raises:
        ConversionError: nobody wrote down how.
    """
    if card.task not in JUDGING:
        raise ConversionError(f"{card.name}: the gate judges {', '.join(JUDGING)}, not {card.task}")
    return JUDGING[card.task]


@dataclass(frozen=True, eq=False)
class Reference:
    """What the float model said.

    Attributes:
        card: of the float model.
        dataset: the images that are judged, cut to what memory holds.
        outputs: (n, k) float32, the judged output of each image, in real units.
        answers: what they come down to.
        truths: (n,) int64, the label of each image; where nobody labelled it, the float model's decision,
            or `UNKNOWN` where it is undecided.
        data: which images these were; with labels, the fingerprint is the one that `evaluate` gives.
        model_sha256: of the float model without its card.
        record: the recall of each class that training recorded; {} where not known.
        unreadable: one line for each image that was left out.
    """

    card: Card
    dataset: Dataset
    outputs: Array = field(repr=False)
    answers: Answers = field(repr=False)
    truths: Array = field(repr=False)
    data: Judged
    model_sha256: str
    record: Mapping[str, float]
    unreadable: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        model: Model,
        dataset: Dataset,
        *,
        record: Mapping[str, float] | None = None,
        most: int | None = None,
        skip_unreadable: bool = False,
        progress: Progress | None = None,
    ) -> Self:
        """Show the validation images to the float model.

        Args:
            model: the float model, by the road that candidates go too.
            dataset: labelled for the model's task, all labels known to it; or `UNLABELLED`.
            record: the recall of each class in [0, 1] that training recorded, by label.
            most: images at most, as many of each class as possible; None: as many as `MEMORY` holds.
            skip_unreadable: leave images out that cannot be read; else they are an error.
            progress: told after every image.

        Raises:
            ConversionError: the task cannot be judged.
            DataError: no images, another task, a label that the model does not know, an unreadable image.
            ModelError: the model's outputs are not numbers, or it failed.
        """
        _check_fit(model.card, dataset)
        role, answers_of = judging(model.card)
        if most is not None and most < 1:
            raise DataError(f"{dataset.name}: at least 1 image is needed to judge by, not {most}")
        room = MEMORY // (4 * max(1, len(model.card.labels)))
        limit = min(room, room if most is None else most)
        if len(dataset) > limit:
            dataset = choose(dataset, count=limit)
        numbers = {label: number for number, label in enumerate(model.card.labels)}
        columns = np.array([numbers[label] for label in dataset.labels], np.int64)
        digest = hashlib.sha256("\n".join(dataset.labels).encode())
        outputs: Array | None = None
        truths = np.full(len(dataset), UNKNOWN, np.int64)
        count = 0
        with Reading(dataset.samples, skip_unreadable=skip_unreadable) as reading:
            for sample, row in rows(model, reading, role, progress=progress, total=len(dataset)):
                if not np.isfinite(row).all():
                    raise ModelError(
                        f"{model.path}: its outputs for {sample.image.name} are infinite or not numbers. "
                        "Train or export it again."
                    )
                if outputs is None:
                    outputs = np.empty((len(dataset), len(row)), np.float32)
                outputs[count] = row
                truth = None if dataset.task == UNLABELLED else _truth(sample)
                if truth is not None:
                    truths[count] = columns[truth]
                known = "?" if truth is None else truth
                digest.update(
                    f"{PurePath(sample.image.name).name}\0{known}\n".encode(errors="surrogateescape")
                )
                count += 1
            unreadable = tuple(reading.unreadable)
        if outputs is None:
            raise DataError(f"{dataset.name}: no image of {len(dataset)} can be read. {unreadable[0]}")
        answers = answers_of(outputs[:count], model.card)
        return cls(
            card=model.card,
            dataset=dataset,
            outputs=outputs[:count],
            answers=answers,
            truths=_decided(answers) if dataset.task == UNLABELLED else truths[:count],
            data=Judged(dataset.name, dataset.split, count, digest.hexdigest()),
            model_sha256=sha256(model),
            record=dict(record or {}),
            unreadable=unreadable,
        )

    @property
    def is_labelled(self) -> bool:
        """Whether people labelled the images; else the float model's decisions are the truth."""
        return self.dataset.task != UNLABELLED

    def contradictions(self, tolerance: float) -> tuple[str, ...]:
        """Where the images contradict what training recorded: one line each, () where they do not.

        A class counts if its recall lies more than `tolerance` below the record and chance does not explain
        it: an exact binomial test that allows for the number of classes (Bonferroni). So does accuracy as a
        whole, compared with what the record leads to expect of these images.

        Args:
            tolerance: in points.
        """
        if not (self.record and self.is_labelled):
            return ()
        right = self.answers.decisions == self.truths
        labels = self.card.labels
        seen = [int(number) for number in np.unique(self.truths) if labels[number] in self.record]
        if not seen:
            return ()
        least_chance = (1 - CONFIDENCE) / (len(seen) + 1)

        def explained(members: Array, before: float) -> bool:
            wrong = 1 - before + tolerance / 100
            count = int(members.sum())
            return (
                wrong >= 1
                or chance_of_at_least(count - int(right[members].sum()), count, max(wrong, 1e-9))
                > least_chance
            )

        found = []
        for number in seen:
            members, before = np.equal(self.truths, number), self.record[labels[number]]
            if not explained(members, before):
                share = right[members].mean()
                line = f"class {labels[number]!r} {share:.0%} here, {before:.0%} in training"
                found.append((before - share, line))
        lines = [line for _, line in sorted(found, reverse=True)]
        judged = np.isin(self.truths, seen)
        expected = float(np.mean([self.record[labels[number]] for number in self.truths[judged]]))
        if not explained(judged, expected):
            lines.append(f"all classes {right[judged].mean():.0%} here, {expected:.0%} in training")
        return tuple(lines)


def recorded(run: Run, figure: str = "recall") -> dict[str, float]:
    """A figure of each class, in [0, 1], that training found on its validation images; {} if it kept none.

    Raises:
        DataError: the record is not JSON.
    """
    if not run.training.is_file():
        return {}
    try:
        found = json.loads(run.training.read_bytes())
    except ValueError as error:
        raise DataError(f"{run.training}: not JSON ({error}). Delete the file, or train again.") from None
    records = found.get("per_class", []) if isinstance(found, dict) else []
    return {
        str(record["label"]): float(record[figure])
        for record in (records if isinstance(records, list) else [])
        if isinstance(record, dict) and "label" in record and isinstance(record.get(figure), int | float)
    }


def rows(
    model: Model, reading: Reading, role: str, *, progress: Progress | None, total: int
) -> Iterator[tuple[Sample, Array]]:
    """Each image that can be read, with the model's output for it: (k,) float32, in real units."""
    for done, image in enumerate(reading, 1):
        sample = reading.handed.popleft()
        output = model.raw(model.prepare(image)[0])[role]
        if progress:
            progress(done + len(reading.unreadable), total)
        yield sample, output.ravel().astype(np.float32, copy=False)


def sha256(model: Model) -> str:
    """The fingerprint of a model's numbers: its file without what lies behind the flatbuffer."""
    return hashlib.sha256(archive.flatbuffer_bytes(bytes(model.graph.content))).hexdigest()


def _check_fit(card: Card, dataset: Dataset) -> None:
    if not len(dataset):
        raise DataError(f"{dataset.name}: {dataset.split or 'the data set'} holds no images to judge by")
    if dataset.task == UNLABELLED:
        return
    if dataset.task != card.task:
        raise DataError(f"{dataset.name}: is for {dataset.task}, but {card.name} is for {card.task}")
    if foreign := [label for label in dataset.labels if label not in card.labels]:
        raise DataError(
            f"{dataset.name}: the label {foreign[0]!r} is not one of the {len(card.labels)} of {card.name}. "
            "Give the data it was trained on."
        )
    if twice := [label for label in dataset.labels if card.labels.count(label) > 1]:
        raise DataError(
            f"{card.name}: two of its labels are {twice[0]!r}. Rename one, so that the data means one."
        )


def _truth(sample: Sample) -> int:
    if not isinstance(sample.truth, Classes):
        raise DataError(f"{sample.image.name}: its truth is {type(sample.truth).__name__}, not Classes")
    return sample.truth.label_id


def _decided(answers: Answers) -> Array:
    return np.where(answers.decisions == UNDECIDED, UNKNOWN, answers.decisions)
