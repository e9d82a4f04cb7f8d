"""A run folder from a Keras file that was trained elsewhere: its network made anew, and a card.

The file is read as `edgecnn convert` reads it: nothing in it is executed, and the caller says in the same
words what it does not say. What the network becomes is `edgecnn.adopting.flat`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from converters.from_keras import load_keras
from converters.source import open_source
from edgecnn import files, runs
from edgecnn.adopting.flat import flat
from edgecnn.card import Color, Fit, Resize
from edgecnn.errors import ConversionError
from edgecnn.runs import Run
from edgecnn.runtime.stranger import Given


def as_run(
    model: Path | str,
    out: Path | str,
    *,
    labels: Path | str | Sequence[str] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    color: Color | None = None,
    fit: Fit | None = None,
    resize: Resize | None = None,
    size_wh: tuple[int, int] | None = None,
    task: str | None = None,
    options: Mapping[str, Any] | None = None,
    name: str | None = None,
    force: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Run:
    """Write a run folder of a Keras file of Keras 2 or 3.

    Its network is written as one flat functional model of Keras 2, whose classifier ends in logits, because
    that is what training wants. It is compared with the file's own before anything is written.

    Args:
        model: a `.keras` or `.h5` file of a functional or sequential classifier.
        out: the run folder to write.
        labels: a label file, or the names, of the data set that it was trained on.
        mean: subtracted from a pixel 0..255; one number, or one for each channel.
        std: what the difference is then divided by.
        color: "rgb", "bgr" or "gray".
        fit: "stretch", "letterbox" or "crop".
        resize: "bilinear", "area" or "corner".
        size_wh: width and height of the image, for a network that takes any.
        task: "classification".
        options: of the task.
        name: what the network is called; None takes the file's name.
        force: replace what a run holds in `out`.
        tell: told what was assumed or left out, one line each.

    Raises:
        ConversionError: the file cannot be read, would run code, or its network cannot be made anew, with the
            layer's name; a detector; a folder that is taken.
        CardError: something must be known that nobody said: which option says it.
        DataError: the label file cannot be read.
        MissingExtra: packages for converting are not installed, or Keras 3 for a file of it.
    """
    path, run = Path(model), Run(Path(out))
    if path.is_dir() or path.suffix.lower() not in (".keras", ".h5", ".hdf5"):
        raise ConversionError(
            f"{path}: only .keras and .h5 files can become a run. Save it with model.save()."
        )
    if task not in (None, "classification"):
        raise ConversionError(
            f"{path}: only classifiers that were trained elsewhere can become a run, not {task}. Train the "
            "detector with edgecnn train."
        )
    if run.path.exists() and not (force and runs.is_run(run.path)) and _holds_something(run.path):
        raise ConversionError(
            f"{run.path} is not empty. Choose another folder, or replace the run in it with --force."
        )
    given = Given(
        labels=labels, mean=mean, std=std, color=color, fit=fit, resize=resize, size_wh=size_wh, task=task,
        options=options,
    )  # fmt: skip
    source = open_source(path, given)
    card = source.card
    spec = card.input
    network, left_out = flat(load_keras(path), (spec.height, spec.width, spec.channels), name=str(path))
    for line in (*(f"assumed: {one}" for one in source.assumptions), *left_out):
        tell(line)
    card = replace(
        card,
        name=name or card.name,
        outputs={"scores": network.output_names[0]},
        options={**card.options, "scores": "logits"},
        lineage=(f"imported from {source.origin}", *(f"import: {one}" for one in left_out)),
    )
    if force:
        for old in (run.recipe, run.history, run.training, run.measurements):
            old.unlink(missing_ok=True)
    with files.replacing(run.model) as beside:
        network.save(beside, save_format="keras")
    runs.write_card(run, card)
    return run


def _holds_something(folder: Path) -> bool:
    return not folder.is_dir() or any(folder.iterdir())
