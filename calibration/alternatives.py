"""Whether a model would understand the images better if they went in another way: colour order, scale.

A wrong normalization does not fail: it costs points, and calibration then measures the wrong ranges. Where
images have labels, the float model itself says so: it is shown the images as the card says and in the other
usual ways, and a matched-pair test decides. Images that it had right cannot be gained, so only its mistakes
are shown in other ways at first; a good model makes few. Without labels nothing as strict is possible.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import log2
from typing import Final

import numpy as np
import numpy.typing as npt

from edgecnn import image as images
from edgecnn.card import InputSpec
from edgecnn.data.dataset import Sample
from edgecnn.evaluation.agreement import decide
from edgecnn.evaluation.paired import chance_of_loss
from edgecnn.evaluation.reading import Reading
from edgecnn.image import Array
from edgecnn.runtime.model import Model
from edgecnn.tasks.classification import softmax

CHANCE: Final = 0.001
"""That fair coins show what is called a difference; there are up to eleven other ways to try."""

POINTS: Final = 0.03
"""A smaller difference is not told, however sure."""

_BITS: Final = 0.5  # that answers must tell more, whatever they told

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Better:
    """A way under which the model understands the images better than under the card's.

    Attributes:
        spec: the other way.
        words: what is different, for people.
        images: how many were judged.
        right: how many were right as the card says.
        gained: how many were right only in the other way.
        lost: how many were right only as the card says.
    """

    spec: InputSpec
    words: str
    images: int
    right: int
    gained: int
    lost: int

    @property
    def difference(self) -> float:
        """Accuracy of the other way less that of the card's, in [-1, 1]."""
        return (self.gained - self.lost) / self.images


@dataclass(frozen=True)
class Surer:
    """A way under which the model is far surer of different answers; images without labels.

    Attributes:
        words: what is different, for people.
        images: how many were shown.
        told: bits that an answer tells, as the card says: see `told`.
        other_told: likewise in the other way.
    """

    words: str
    images: int
    told: float
    other_told: float


def ways(spec: InputSpec) -> list[tuple[InputSpec, str]]:
    """The other usual ways for an image to become this model's input, and what is different in each."""
    scales: list[tuple[str, tuple[float, ...], tuple[float, ...]]] = [
        ("0..1 (mean 0, std 255)", (0.0,), (255.0,)),
        ("-1..1 (mean 127.5, std 127.5)", (127.5,), (127.5,)),
        ("0..255 (mean 0, std 1)", (0.0,), (1.0,)),
    ]
    if spec.channels == 3:
        scales += [
            ("ImageNet's mean and std", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
            ("ImageNet's mean alone", (123.68, 116.779, 103.939), (1.0, 1.0, 1.0)),
        ]
    colors = [spec.color]
    if spec.channels == 3:
        colors.append("bgr" if spec.color == "rgb" else "rgb")
    found = []
    for color in colors:
        swapped = color != spec.color
        order = slice(None, None, -1) if color == "bgr" else slice(None)
        own = slice(None, None, -1) if swapped else slice(None)
        kept = replace(spec, color=color, mean=spec.mean[own], std=spec.std[own])
        if swapped:
            found.append((kept, f"{color} for {spec.color}"))
        for name, mean, std in scales:
            other = replace(spec, color=color, mean=mean[order], std=std[order])
            if not _alike(other, kept):
                found.append((other, f"{name}, {color} for {spec.color}" if swapped else name))
    return found


def better(model: Model, samples: Sequence[Sample], truths: Ids, decisions: Ids) -> list[Better]:
    """Ways that are significantly better, best first.

    Args:
        model: the float model.
        samples: n labelled images.
        truths: (n,) the true label of each, a number of the model's.
        decisions: (n,) what the model decides for each as its card says.

    Raises:
        DataError: an image cannot be read.
        ModelError: the model failed while running.
    """
    wrong = np.flatnonzero(decisions != truths)
    right = np.flatnonzero(decisions == truths)
    if not proves(len(wrong), 0, len(samples)):
        return []
    tried = ways(model.card.input)
    won = _answers(model, [samples[place] for place in wrong.tolist()], [spec for spec, _ in tried]).decisions
    gained = (won == truths[wrong]).sum(1)
    left = [way for way in range(len(tried)) if proves(int(gained[way]), 0, len(samples))]
    if not left:
        return []
    kept = _answers(
        model, [samples[place] for place in right.tolist()], [tried[way][0] for way in left]
    ).decisions
    lost = (kept != truths[right]).sum(1)
    found = [
        Better(*tried[way], len(samples), len(right), int(gained[way]), int(gone))
        for way, gone in zip(left, lost, strict=True)
        if proves(int(gained[way]), int(gone), len(samples))
    ]
    return sorted(found, key=lambda one: -one.difference)


def surer(model: Model, samples: Sequence[Sample]) -> Surer | None:
    """The way under which answers tell most, if it is far more than as the card says; else None."""
    own = _answers(model, samples, [model.card.input]).probabilities[0]
    stated = told(own)
    if 2 * stated >= log2(min(own.shape)):  # no answers can tell more than this
        return None
    tried = ways(model.card.input)
    bits = [told(one) for one in _answers(model, samples, [spec for spec, _ in tried]).probabilities]
    best = int(np.argmax(bits))
    if bits[best] < max(2 * stated, stated + _BITS):
        return None
    return Surer(tried[best][1], len(samples), stated, bits[best])


def told(probabilities: Array) -> float:
    """What an answer tells on average, in bits: much where each is sure and they differ from each other.

    The entropy of the mean answer less the mean entropy of an answer (their mutual information).

    Args:
        probabilities: (n, c), each row's sum 1.
    """
    return _entropy(probabilities.mean(0)) - float(np.mean([_entropy(row) for row in probabilities]))


def proves(gained: int, lost: int, count: int) -> bool:
    """Whether so many gains and losses of `count` are a difference worth telling, and no chance."""
    return gained - lost >= POINTS * count and chance_of_loss(gained, lost) < CHANCE


@dataclass(frozen=True)
class _Answers:
    """For each way and image.

    Attributes:
        decisions: (ways, n).
        probabilities: (ways, n, c) float32.
    """

    decisions: Ids
    probabilities: Array


def _answers(model: Model, samples: Sequence[Sample], specs: Sequence[InputSpec]) -> _Answers:
    tables = [images.lookup(spec, np.float32) for spec in specs]
    rows: list[list[Array]] = [[] for _ in specs]
    for image in _read(samples):
        for row, spec, table in zip(rows, specs, tables, strict=True):
            row.append(model.raw(images.prepare(image, table, spec)[0])["scores"].reshape(-1))
    scores = np.array(rows, np.float32).reshape(len(specs), len(samples), -1)
    decided = (
        np.array([decide(one) for one in scores]) if len(samples) else np.empty((len(specs), 0), np.int64)
    )
    is_probability = model.card.options.get("scores") != "logits"
    return _Answers(decided, scores if is_probability or not len(samples) else softmax(scores))


def _read(samples: Sequence[Sample]) -> Iterator[images.Image]:
    with Reading(samples) as reading:
        for image in reading:
            reading.handed.clear()
            yield image


def _alike(one: InputSpec, other: InputSpec) -> bool:
    """Whether both give nearly the same numbers: 127 and 128 for 127.5 make no difference."""
    first, second = (images.lookup(spec, np.float32).astype(np.float64) for spec in (one, other))
    return float(np.abs(first - second).max()) < 0.05 * float(np.ptp(second))


def _entropy(probabilities: Array) -> float:
    p = probabilities[probabilities > 0].astype(np.float64)
    return float(-(p * np.log2(p)).sum())
