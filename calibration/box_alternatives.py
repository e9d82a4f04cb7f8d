"""Whether a detector would find more if the images went in another way: colour order, scale.

What `calibration.alternatives` asks of a classifier's images is asked here of the boxes that people drew:
each is found or not, among as many answers of its image as it has boxes, so that a way which sees boxes
everywhere wins nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from calibration.alternatives import POINTS, Better, proves, ways
from edgecnn import image as images
from edgecnn.card import InputSpec
from edgecnn.data.dataset import Sample
from edgecnn.errors import DataError
from edgecnn.evaluation.reading import Reading
from edgecnn.results import Boxes
from edgecnn.runtime.model import Model
from edgecnn.tasks import TASKS
from edgecnn.tasks.boxes import iou

IMAGES: Final = 32
BOXES: Final = 256
"""No more images are looked at than show so many boxes."""

_FOUND: Final = 0.5  # IoU


def better(model: Model, samples: Sequence[Sample]) -> list[Better]:
    """Ways in which significantly more boxes are found, best first; what counts in them are boxes.

    Args:
        model: the float model.
        samples: images with boxes; the first few are looked at.

    Raises:
        DataError: an image cannot be read, or its truth is not boxes.
        ModelError: the model failed while running.
    """
    looked_at = _few(samples)
    tried = ways(model.card.input)
    found = _found(model, looked_at, [model.card.input, *(spec for spec, _ in tried)])
    own, others = found[0], found[1:]
    if not len(own) or own.mean() > 1 - POINTS:
        return []
    made = [
        Better(spec, words, len(own), int(own.sum()), int((other & ~own).sum()), int((own & ~other).sum()))
        for (spec, words), other in zip(tried, others, strict=True)
    ]
    proven = [one for one in made if proves(one.gained, one.lost, one.images)]
    return sorted(proven, key=lambda one: -one.difference)


def _few(samples: Sequence[Sample]) -> list[Sample]:
    taken: list[Sample] = []
    boxes = 0
    for sample in samples:
        if len(taken) == IMAGES or boxes >= BOXES:
            break
        taken.append(sample)
        boxes += len(_truth(sample))
    return taken


def _truth(sample: Sample) -> Boxes:
    if not isinstance(sample.truth, Boxes):
        raise DataError(f"{sample.image.name}: its truth is {type(sample.truth).__name__}, not Boxes")
    return sample.truth


def _found(model: Model, samples: Sequence[Sample], specs: Sequence[InputSpec]) -> npt.NDArray[np.bool_]:
    """For each way and box, whether it is found: (ways, boxes)."""
    tables = [images.lookup(spec, np.float32) for spec in specs]
    task = TASKS[model.card.task]
    judged = replace(model.card, options={**model.card.options, **task.JUDGING})
    rows: list[list[npt.NDArray[np.bool_]]] = [[] for _ in specs]
    with Reading(samples) as reading:
        for image in reading:
            truth = _truth(reading.handed.popleft())
            for row, spec, table in zip(rows, specs, tables, strict=True):
                tensor, view = images.prepare(image, table, spec)
                answer = task.decode(model.raw(tensor), view, judged)
                row.append(_hits(truth, answer) if isinstance(answer, Boxes) else np.zeros(0, bool))
    return np.array([np.concatenate(row) if row else np.zeros(0, bool) for row in rows])


def _hits(truth: Boxes, answer: Boxes) -> npt.NDArray[np.bool_]:
    best = np.argsort(-answer.score, kind="stable")[: len(truth)]
    if not len(best):
        return np.zeros(len(truth), bool)
    numbers = np.array(
        [truth.labels.index(label) if label in truth.labels else -1 for label in answer.labels]
    )
    same = truth.label_id[:, None] == numbers[answer.label_id[best]][None, :]
    return np.asarray(((iou(truth.xyxy, answer.xyxy[best]) >= _FOUND) & same).any(1))
