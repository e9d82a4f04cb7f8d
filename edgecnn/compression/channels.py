"""Structured pruning: a run in, a run whose network has fewer channels out, and is faster for it.

    prune(Path("runs/cats"), training_splits("photos/"), Goal(macs=0.5), out=Path("runs/cats-half"))

The channels that matter least go, whole and in every layer that knows them; the norms are measured again;
then the smaller network learns on, from the data and from the network it was. In several steps, each of them
a run beside the new one, less has to be learned at a time. Loop, checkpoints and files are those of
`edgecnn.training`; which channels hang together is `groups`, which matter `criteria`, how many go `plan`.
"""

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from edgecnn import heads
from edgecnn.compression import cost, plan
from edgecnn.compression.continued import Source, opened, recipe_for
from edgecnn.compression.criteria import CRITERIA, USUAL, scores
from edgecnn.compression.distill import taught
from edgecnn.compression.groups import Channels, channels_of
from edgecnn.compression.norms import settle_norms
from edgecnn.compression.plan import Keep, Plan
from edgecnn.compression.removal import without
from edgecnn.compression.rewrite import anew
from edgecnn.compression.teacher import Teacher, read_teacher
from edgecnn.data.dataset import Dataset
from edgecnn.errors import TrainingError
from edgecnn.runs import Run
from edgecnn.training import fit
from edgecnn.training.lesson import Lesson
from edgecnn.training.progress import Progress
from edgecnn.training.recipe import Recipe
from edgecnn.training.start import Subject
from edgecnn.zoo.count import count

LOOKED_AT: Final = 2048
"""Training images, augmented as in training, that say which channels matter."""

SETTLED: Final = 2048
"""Training images that the norms are measured on again."""

RATE: Final = 0.25
"""Of the highest learning rate that the network was trained with."""


class Latency(Protocol):
    """Times networks as they will ship."""

    def ms(self, model: Any) -> float:
        """One inference of a Keras model, converted to int8, in ms."""


@dataclass(frozen=True)
class Goal:
    """How small: exactly one of the three.

    Attributes:
        channels: share of the channels that stays, in (0, 1).
        macs: share of the multiply-accumulates that stays, in (0, 1).
        latency_ms: what one int8 inference may take.
    """

    channels: float | None = None
    macs: float | None = None
    latency_ms: float | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("channels", "macs", "latency_ms") if getattr(self, name) is not None]
        if len(given) != 1:
            said = " and ".join(given) or "nothing"
            raise TrainingError(f"say how small: one of channels, macs and latency, not {said}.")

    def __str__(self) -> str:
        if self.latency_ms is not None:
            return f"int8 in {self.latency_ms:g} ms"
        return f"{self.macs:g} of the MACs" if self.macs is not None else f"{self.channels:g} of the channels"

    def part(self, step: int, steps: int) -> "Goal":
        """What the `step`-th of `steps` is to reach, each taking the same share of what is there.

        MACs count from the beginning; channels from the step before, since their groups are new ones.
        """
        if self.macs is not None:
            return Goal(macs=self.macs ** (step / steps))
        return self if self.channels is None else Goal(channels=self.channels ** (1 / steps))


def prune(
    run: Path,
    data: tuple[Dataset, Dataset],
    goal: Goal,
    *,
    out: Path,
    criterion: str = USUAL,
    multiple: int | None = None,
    steps: int = 1,
    teacher: Path | None = None,
    alone: bool = False,
    latency: Callable[[Lesson], Latency] | None = None,
    epochs: int | None = None,
    rate: float | None = None,
    batch: int | None = None,
    seed: int = 0,
    resume: bool = False,
    force: bool = False,
    skip_unreadable: bool = False,
    checkpoint_seconds: float = fit.CHECKPOINT_SECONDS,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """Write a new run: the network of `run` without the channels that matter least, trained on.

    Can be killed at any moment; with `resume` it ends with the bits of one that was not.

    Args:
        run: the run to start from; stays as it is.
        data: training and validation images, of the labels that the run knows.
        goal: how small the network becomes.
        out: the new run's folder; of several steps, the earlier ones lie beside it as `OUT-step1` and so on.
        criterion: which channels matter: a key of `criteria.CRITERIA`.
        multiple: sizes of layers become multiples of it; None is `plan.MULTIPLE`, and for a latency the best
            of `plan.MULTIPLES`.
        steps: how often channels go and the rest learns; epochs are shared out among them, the last has half.
        teacher: the run whose answers are learned from beside the labels; None is `run` itself.
        alone: learn from the labels only.
        latency: makes what times networks, of the lesson that was read; wanted for a goal in ms.
        epochs: passes over the training images in all; None takes a fifth of those the run was trained for,
            at least 3.
        rate: highest learning rate; None takes `RATE` of the run's own.
        batch: images in a step; None takes the run's own.
        seed: of order and augmentation.
        resume: continue the training that was interrupted in `out`.
        force: replace the run that is in `out`.
        skip_unreadable: leave broken images out instead of refusing them.
        checkpoint_seconds: see `edgecnn.training.fit.train`.
        progress: called about twice a second.

    Returns:
        The new run. Its card's lineage is the old one and a line more for each step; `pruning.json` says how
        many channels of which layer stayed, and which.

    Raises:
        TrainingError: a layer that channels cannot be followed through (says which), a goal that cannot be
            reached (says what can), data that do not fit the run, a folder that is taken, or what
            `edgecnn.training.fit.train` raises.
        DataError, CardError, ModelError: the run cannot be read.
    """
    if criterion not in CRITERIA:
        raise TrainingError(f"no criterion is called {criterion!r}; there is: {', '.join(CRITERIA)}.")
    if goal.latency_ms is not None and latency is None:
        raise TrainingError("a goal in ms needs something that times networks; call edgecnn.compress.")
    if steps < 1 or (steps > 1 and goal.latency_ms is not None):
        raise TrainingError("steps must be at least 1, and exactly 1 for a goal in ms, whose search is one.")
    source = opened(run, data, out=out)
    whole = recipe_for(source, data[0], epochs=epochs, batch=batch, seed=seed)
    total = epochs or max(3, steps, round(whole.epochs / 5))
    whole = replace(whole, rate=rate or RATE * whole.rate)
    began = count(source.model).macs
    by = None
    if not alone:
        head = heads.find(whole.task, whole.design)
        by = read_teacher(teacher or run, head, whole.input, task=whole.task, labels=source.card.labels)
    made = source.run
    for step in range(1, steps + 1):
        here = out if step == steps else out.with_name(f"{out.name}-step{step}")
        again = resume and (steps == 1 or Run(here).recipe.is_file())
        source = opened(made.path, data, out=here)
        share = total if steps == 1 else total - total // 2 if step == steps else total // 2 // (steps - 1)
        chosen = replace(whole, epochs=max(1, share), pretrained=str(made.path))
        one = _Step(source, goal, goal.part(step, steps), began, criterion, multiple, by, latency)
        made = fit.train(
            data,
            chosen,
            out=here,
            subject=partial(one.subject, recipe=chosen, resumed=here if again else None),
            resume=again,
            force=(force or resume) and not again,
            skip_unreadable=skip_unreadable,
            checkpoint_seconds=checkpoint_seconds,
            progress=progress,
        )
    return made


@dataclass(frozen=True, eq=False)
class _Step:
    """One step: channels go, the rest learns."""

    source: Source
    goal: Goal
    part: Goal
    began: int
    criterion: str
    multiple: int | None
    teacher: Teacher | None
    latency: Callable[[Lesson], Latency] | None

    def subject(self, lesson: Lesson, recipe: Recipe, resumed: Path | None) -> Subject:
        """The smaller network, ready to learn; resumed, the one that was chosen then."""
        channels = channels_of(self.source.model)
        if resumed is not None:
            note = Run(resumed).pruning
            text = note.read_text(encoding="utf-8") if note.is_file() else ""
            keep = _read(text, channels, note)
        else:
            found = self._plan(channels, lesson, recipe)
            keep, text = found.keep, self._text(channels, found)
        model = without(self.source.model, channels, keep)
        settle_norms(model, _batches(lesson, recipe, SETTLED))
        multiple = json.loads(text)["multiple"]
        learned = Subject(
            model,
            export=lambda: model,
            name=self.source.card.name,
            lineage=self.source.card.lineage,
            verb=f"compress: {count(model).macs / count(self.source.model).macs:.3g} of the MACs stay for "
            f"{self.goal}, least {self.criterion} first, multiples of {multiple}; trained",
            anew=lambda: anew(model),
            notes={Run(Path()).pruning.name: text},
        )
        return learned if self.teacher is None else taught(learned, self.teacher, lesson, recipe)

    def _plan(self, channels: Channels, lesson: Lesson, recipe: Recipe) -> Plan:
        model = self.source.model
        price = cost.macs(model, channels)
        loss = lesson.head.criterion(recipe.input, smoothing=0.0)
        with closing(lesson.feed.batches(0)) as batches:
            looked_at = islice(batches, max(1, LOOKED_AT // recipe.batch))
            worth = scores(model, channels, self.criterion, looked_at, loss)
        goal = self.part
        if goal.latency_ms is None:
            multiple = self.multiple or plan.MULTIPLE
            if goal.channels is not None:
                return plan.for_channels(
                    channels.groups, price, worth, share=goal.channels, multiple=multiple
                )
            assert goal.macs is not None  # a Goal has one of the three
            share = goal.macs * self.began / count(model).macs
            return plan.for_macs(channels.groups, price, worth, share=share, multiple=multiple)
        assert self.latency is not None  # `prune` has asked
        timer = self.latency(lesson)
        return plan.for_latency(
            channels.groups, price, worth,
            limit_ms=goal.latency_ms,
            latency=lambda keep: timer.ms(without(model, channels, keep)),
            multiples=plan.MULTIPLES if self.multiple is None else (self.multiple,),
        )  # fmt: skip

    def _text(self, channels: Channels, found: Plan) -> str:
        whole = count(self.source.model).macs
        body = {
            "goal": str(self.goal),
            "criterion": self.criterion,
            "multiple": found.multiple,
            "macs_before": whole,
            "macs_after": found.macs,
            "latency_ms": found.latency_ms,
            "tried": [
                {"multiple": multiple, "macs": macs, "latency_ms": ms} for multiple, macs, ms in found.tried
            ],
            "layers": {
                group.name: {
                    "channels": len(group.units),
                    "kept": np.flatnonzero(found.keep[group.units]).tolist(),
                }
                for group in channels.groups
            },
        }
        return json.dumps(body, indent=1) + "\n"


def _read(text: str, channels: Channels, where: Path) -> Keep:
    """The channels that a note says stay."""
    keep = np.ones(channels.units, bool)
    try:
        layers = json.loads(text)["layers"]
        for group in channels.groups:
            of = layers[group.name]
            if of["channels"] != len(group.units):
                raise ValueError(f"{group.name} has {len(group.units)} channels")
            keep[group.units] = np.isin(np.arange(len(group.units)), of["kept"])
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{where}: does not say which channels of this network stay ({error}). Start again with --force."
        ) from None
    return keep


def _batches(lesson: Lesson, recipe: Recipe, count: int) -> Any:
    with closing(lesson.feed.batches(0)) as batches:
        yield from (images for images, _ in islice(batches, max(1, count // recipe.batch)))
