"""Where every compression begins: a finished run, the data that it was trained on, and a recipe to train on.

What the network becomes, the neighbours know.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgecnn import zoo
from edgecnn.card import Card
from edgecnn.data.dataset import Dataset
from edgecnn.errors import TrainingError
from edgecnn.runs import Run
from edgecnn.training import recipe
from edgecnn.training.predict import read_model
from edgecnn.training.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Source:
    """A finished run.

    Attributes:
        run: its folder.
        card: what its numbers mean.
        model: its Keras model, in float32.
    """

    run: Run
    card: Card
    model: Any


def opened(run: Path, data: tuple[Dataset, Dataset], *, out: Path | None = None) -> Source:
    """Read a run that is to be trained on.

    Args:
        run: the run folder; stays as it is.
        data: training and validation images.
        out: the new run's folder; None where none is written.

    Raises:
        TrainingError: `out` is the run itself, or the data have other labels than the run.
        DataError, CardError, ModelError: the run cannot be read.
    """
    source = Run(run)
    card = source.read_card()
    if out is not None and out.resolve() == run.resolve():
        raise TrainingError(f"{out}: a run's weights never change. Choose another folder for the new run.")
    if data[0].labels != card.labels:
        raise TrainingError(
            f"{run} knows {len(card.labels)} labels, and those of {data[0].name} are others. Give the data "
            "that it was trained on."
        )
    return Source(source, card, read_model(source.model))


def recipe_for(source: Source, train: Dataset, *, batch: int | None = None, **chosen: Any) -> Recipe:
    """The run's own recipe, from its own weights, all layers learning, but for what is chosen.

    Args:
        source: the run.
        train: the training images.
        batch: images in a step; None takes the run's own, or one that suits images and their number.
        chosen: fields of `Recipe`; None keeps the run's own.
    """
    card, path = source.card, source.run.recipe
    if path.is_file():
        own = recipe.from_json(path.read_text(encoding="utf-8"), str(path))
    else:  # published weights, or a model of someone's own
        network = card.name if card.name in zoo.ZOO else next(iter(zoo.ZOO))  # makes no difference here
        own = recipe.default(network, train, input=card.input, pretrained=str(source.run.path))
    return replace(
        own,
        model=card.name,
        input=card.input,
        pretrained=str(source.run.path),
        batch=batch or own.batch,
        warmup_epochs=min(own.warmup_epochs, 0.1),
        frozen=0,
        **{name: value for name, value in chosen.items() if value is not None},
    )
