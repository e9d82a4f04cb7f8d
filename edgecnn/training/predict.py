"""A run's Keras model as a function from images to results, through the device's own image path.

What the device does, step by step, with Keras in the interpreter's place: so that a difference between the
Keras model and its `.tflite` can only come from the conversion.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn import image as images
from edgecnn.card import Card
from edgecnn.errors import CardError, ModelError
from edgecnn.image import Array, Image, View
from edgecnn.results import Result
from edgecnn.runs import Run
from edgecnn.tasks import TASKS
from edgecnn.training.learner import forward
from edgecnn.zoo.keras import keras, tf

BATCH = 64


def predictor(
    run: Path | Run, *, batch: int = BATCH, options: Mapping[str, Any] | None = None
) -> Callable[[Iterable[Image]], Iterator[Result]]:
    """Load the model of a run.

    Args:
        run: the run folder.
        batch: images that are computed at once.
        options: of the card, where others shall hold.

    Returns:
        A function that takes images, uint8 (h, w, 3) BGR or (h, w) grey of any sizes, and yields one result
        for each, in order; it reads at most `batch` images ahead. May be called again.

    Raises:
        DataError: this is not a run folder.
        CardError: the card cannot be understood or does not fit the model.
        ModelError: the model file is missing or cannot be read.
    """
    run = run if isinstance(run, Run) else Run(Path(run))
    card = run.read_card()
    card = replace(card, options={**card.options, **(options or {})})
    model = read_model(run.model)
    spec = card.input
    shape, wanted = tuple(model.input_shape[1:]), (spec.height, spec.width, spec.channels)
    if shape != wanted:
        raise CardError(f"{run.card}: says that the input is {wanted}, but the model's is {shape}.")
    if absent := [name for name in card.outputs.values() if name not in model.output_names]:
        raise CardError(
            f"{run.card}: names the output {absent[0]!r}; the model has {', '.join(model.output_names)}."
        )
    if card.task not in TASKS:
        raise CardError(f"{run.card}: the task {card.task!r} is not known; there is: {', '.join(TASKS)}.")
    run_model = forward(model)
    return lambda stream: _predict(stream, run_model, list(model.output_names), card, batch)


def read_model(path: Path) -> Any:
    """The Keras model of a run.

    Raises:
        ModelError: the file is missing or cannot be read.
    """
    if not path.is_file():
        raise ModelError(
            f"{path}: the run has no model yet; its training has not finished an epoch. Resume it."
        )
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: cannot be read as a Keras model ({reason}). Train again.") from error


def _predict(
    stream: Iterable[Image], run_model: Callable[[Any], Any], names: list[str], card: Card, batch: int
) -> Iterator[Result]:
    table = images.lookup(card.input, np.float32)
    task = TASKS[card.task]
    source = iter(stream)
    while group := list(islice(source, batch)):
        prepared = [images.prepare(image, table, card.input) for image in group]
        values = run_model(tf.constant(np.concatenate([tensor for tensor, _ in prepared])))
        named = dict(zip(names, values, strict=True))
        outputs = {role: np.asarray(named[name], np.float32) for role, name in card.outputs.items()}
        yield from (_decoded(task, outputs, place, view, card) for place, (_, view) in enumerate(prepared))


def _decoded(task: Any, outputs: dict[str, Array], place: int, view: View, card: Card) -> Result:
    result: Result = task.decode({role: array[place] for role, array in outputs.items()}, view, card)
    return result
