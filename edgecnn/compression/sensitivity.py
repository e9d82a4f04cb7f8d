"""Which layers hold the accuracy: each group of channels thinned alone, and the network judged again.

    found = sensitivity(Path("runs/cats"), training_splits("photos/"))
    for layer in found.weightiest():
        print(layer.name, [trial.score for trial in layer.trials])

Nothing is trained and nothing is written. (Li et al. 2017, arXiv 1608.08710, section 3.2.)
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgecnn import heads
from edgecnn.compression import cost
from edgecnn.compression.continued import Source, opened, recipe_for
from edgecnn.compression.criteria import CRITERIA, USUAL, scores
from edgecnn.compression.groups import Channels, Group, Keep, channels_of
from edgecnn.compression.norms import settling
from edgecnn.compression.readers import silenced
from edgecnn.data.dataset import Dataset
from edgecnn.errors import TrainingError
from edgecnn.image import Array
from edgecnn.training import pixels
from edgecnn.training.feed import Feed
from edgecnn.training.judge import Judge
from edgecnn.training.lesson import Lesson
from edgecnn.training.recipe import Recipe
from edgecnn.training.start import Subject

SHARES: Final = (0.25, 0.5, 0.75)
IMAGES: Final = 1024
SETTLED: Final = 512
"""Training images that the norms are measured on again for each trial."""


@dataclass(frozen=True)
class Trial:
    """One group thinned.

    Attributes:
        share: of the group's channels that were to go, in (0, 1).
        removed: channels that went; at least one always stays.
        score: of the network without them, in [0, 1].
        loss: likewise, mean over the images.
    """

    share: float
    removed: int
    score: float
    loss: float


@dataclass(frozen=True)
class Layer:
    """A group of channels, thinned alone.

    Attributes:
        name: the layer that makes the channels, the first one of `makers`.
        makers: all layers that make them: several where sums tie them together.
        channels: how many there are.
        macs: multiply-accumulates that would go with all of them, in their own layers and in those that
            read them; what lies between two groups counts for both.
        trials: one for each share.
    """

    name: str
    makers: tuple[str, ...]
    channels: int
    macs: int
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Sensitivity:
    """What a network is without some channels of one layer.

    Attributes:
        run: the run folder.
        data: name of the data set.
        images: validation images that were judged.
        criterion: by which the least channels went.
        settled: whether the norms were measured again each time.
        figure: what `score` is called: the accuracy, of a detector its mAP.
        score: of the whole network.
        loss: likewise.
        macs: of the whole network.
        layers: in the order they run.
    """

    run: Path
    data: str
    images: int
    criterion: str
    settled: bool
    figure: str
    score: float
    loss: float
    macs: int
    layers: tuple[Layer, ...]

    def held(self, layer: Layer) -> float:
        """How much of the score hangs on the layer: what went, as a mean over the trials."""
        return self.score - float(np.mean([trial.score for trial in layer.trials]))

    def weightiest(self) -> tuple[Layer, ...]:
        """The layers, those that hold most of the score first; of equal ones, that of the higher loss."""

        def weight(layer: Layer) -> tuple[float, float]:
            return -self.held(layer), -float(np.mean([trial.loss for trial in layer.trials]))

        return tuple(sorted(self.layers, key=weight))

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values; `weightiest` gives names."""
        return {
            "run": str(self.run),
            "data": self.data,
            "images": self.images,
            "criterion": self.criterion,
            "settled": self.settled,
            "figure": self.figure,
            "score": self.score,
            "loss": self.loss,
            "macs": self.macs,
            "weightiest": [layer.name for layer in self.weightiest()],
            "layers": [
                {
                    "name": layer.name,
                    "makers": list(layer.makers),
                    "channels": layer.channels,
                    "macs": layer.macs,
                    "held": self.held(layer),
                    "trials": [vars(trial) for trial in layer.trials],
                }
                for layer in self.layers
            ],
        }


def sensitivity(
    run: Path,
    data: tuple[Dataset, Dataset],
    *,
    shares: Sequence[float] = SHARES,
    criterion: str = USUAL,
    images: int = IMAGES,
    settle: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Sensitivity:
    """Thin each group of channels alone, by each share, and judge the network on validation images.

    Channels go by no longer being read, which is the same function as the smaller network's.

    Args:
        run: a run folder; stays as it is.
        data: training images, which say what channels are worth and what norms are given, and validation
            images, which judge; of the labels that the run knows.
        shares: of a group's channels that go, each in (0, 1); those worth least.
        criterion: says which those are: a key of `criteria.CRITERIA`.
        images: at most so many of either, drawn at random.
        settle: measure the norms again each time, as pruning does before it trains on.
        seed: of the draw and of augmentation.
        progress: called with the trials done and their number.

    Raises:
        TrainingError: a share outside (0, 1), no such criterion, images that cannot be read, other labels, or
            a network that channels cannot be followed through (says the layer) or that has none to spare.
        DataError, CardError, ModelError: the run cannot be read.
    """
    if not shares or not all(0 < share < 1 for share in shares):
        raise TrainingError(
            f"the shares that go must lie between 0 and 1, not {', '.join(map(str, shares))}."
        )
    if criterion not in CRITERIA:
        raise TrainingError(f"no criterion is called {criterion!r}; there is: {', '.join(CRITERIA)}.")
    if images < 1:
        raise TrainingError(f"sensitivity needs at least one image, not {images}.")
    source = opened(run, data)
    channels = channels_of(source.model)
    groups = [group for group in channels.groups if len(group.units) > 1]
    if not groups:
        raise TrainingError(f"{run}: no layer has channels to spare: {_why(channels)}.")
    train, val = (drawn(part, images, seed) for part in data)
    recipe = recipe_for(source, train, batch=None, epochs=1, seed=seed)
    lesson = drawn_lesson(train, val, recipe)
    bench = _Bench(source, lesson, recipe, channels, settle)
    worth = bench.worth(criterion)
    price = cost.macs(source.model, channels)
    score, loss = bench.judged(np.ones(channels.units, bool))
    found, total = list[Layer](), len(groups) * len(shares)
    for group in groups:
        trials = list[Trial]()
        for share in shares:
            progress(len(found) * len(shares) + len(trials), total)
            trials.append(_trial(bench, group, worth, share))
        macs = price.saved(np.ones(channels.units, bool), group.units)
        found.append(Layer(group.name, group.makers, len(group.units), macs, tuple(trials)))
    progress(total, total)
    return Sensitivity(
        run, val.name, len(lesson.val), criterion, settle, lesson.head.SCORE, score, loss, price.whole,
        tuple(found),
    )  # fmt: skip


class _Bench:
    """Judges the network without some of its channels."""

    def __init__(
        self, source: Source, lesson: Lesson, recipe: Recipe, channels: Channels, settle: bool
    ) -> None:
        self._model, self._lesson, self._recipe, self._channels = source.model, lesson, recipe, channels
        subject = Subject(source.model, lambda: source.model, source.card.name, (), "sensitivity")
        self._judge = Judge(subject, lesson, recipe)
        self._settle = settling(source.model) if settle else None
        count = min(SETTLED, len(lesson.feed.images))
        with closing(lesson.feed.batches(0)) as batches:
            steps = max(1, count // lesson.feed.batch)
            self._seen: list[Array] = [batch for batch, _ in islice(batches, steps)]

    def worth(self, criterion: str) -> Array:
        """Of every unit; see `criteria.scores`."""
        loss = self._lesson.head.criterion(self._recipe.input, smoothing=0.0)
        with closing(self._lesson.feed.batches(0)) as batches:
            return scores(self._model, self._channels, criterion, batches, loss)

    def judged(self, keep: Keep) -> tuple[float, float]:
        """Score and loss of what stays; norms are measured again only where something went."""
        with silenced(self._model, self._channels.read, keep):
            if self._settle is not None and not keep.all():
                self._settle(self._seen)
            loss, score = self._judge.epoch()
        return score, loss


def _trial(bench: _Bench, group: Group, worth: Array, share: float) -> Trial:
    ranked = group.units[np.argsort(worth[group.units], kind="stable")]
    removed = min(len(ranked) - 1, max(1, round(share * len(ranked))))
    keep = np.ones(len(worth), bool)
    keep[ranked[:removed]] = False
    return Trial(share, removed, *bench.judged(keep))


def drawn(dataset: Dataset, count: int, seed: int) -> Dataset:
    """At most `count` images, in their order."""
    if len(dataset) <= count:
        return dataset
    return dataset.subset(np.sort(np.random.default_rng(seed).permutation(len(dataset))[:count]))


def drawn_lesson(train: Dataset, val: Dataset, recipe: Recipe) -> Lesson:
    """As `edgecnn.training.lesson.read_lesson`, but of a draw, in which classes may be missing."""
    if not (len(train) and len(val)):
        raise TrainingError(f"{train.name}: sensitivity needs training and validation images.")
    head = heads.find(recipe.task, recipe.design)
    seen, judged = (pixels.read(part, recipe.input) for part in (train, val))
    targets, val_targets = (head.placed(head.targets(one.dataset), one.views) for one in (seen, judged))
    feed = Feed(seen, targets, head, recipe.augment, min(recipe.batch, len(seen)), recipe.seed)
    return Lesson(train.task, head, feed, judged, val_targets, train.labels, train.name)


def _why(channels: Channels) -> str:
    return (
        "; ".join(f"{name} {reason}" for name, reason in list(channels.fixed.items())[:3]) or "there is none"
    )
