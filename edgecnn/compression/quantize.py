"""Quantization-aware training: a run in, a run whose network already computes as int8 will out.

    train_quantized(Path("runs/cats"), training_splits("photos/"), out=Path("runs/cats-qat"))

The weights start where the run's training ended; a few epochs at a small rate let them find their place on
the int8 grid. Kernels that come sparse or clustered stay so. Loop, checkpoints and files are those of
`edgecnn.training`; what is rounded where is `edgecnn.compression.fake_quantize`. (Jacob et al. 2018, arXiv
1712.05877, section 3.)
"""

from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from edgecnn.card import Card
from edgecnn.compression import kept
from edgecnn.compression.continued import opened, recipe_for
from edgecnn.compression.fake_quantize import FakeQuantized, fake_quantized
from edgecnn.data.dataset import Dataset
from edgecnn.errors import TrainingError
from edgecnn.runs import Run
from edgecnn.training import fit
from edgecnn.training.lesson import Lesson
from edgecnn.training.progress import Progress
from edgecnn.training.recipe import Recipe
from edgecnn.training.start import Subject

EPOCHS = 3
RATE = 1e-4
CALIBRATED = 1024
"""Training images, augmented as in training, that the ranges start from."""

_VERB = "compress: quantization-aware training"
_TFMOT = "tensorflow-model-optimization"


def train_quantized(
    run: Path,
    data: tuple[Dataset, Dataset],
    *,
    out: Path,
    epochs: int = EPOCHS,
    rate: float = RATE,
    batch: int | None = None,
    seed: int = 0,
    resume: bool = False,
    force: bool = False,
    skip_unreadable: bool = False,
    checkpoint_seconds: float = fit.CHECKPOINT_SECONDS,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """Write a new run: the network of `run`, folded, rounded as int8 rounds, and trained on.

    Can be killed at any moment; with `resume` it ends with the bits of one that was not.

    Args:
        run: the run to start from; stays as it is.
        data: training and validation images, of the labels that the run knows.
        out: the new run's folder.
        epochs: passes over the training images.
        rate: highest learning rate, of Adam; falls along half a cosine.
        batch: images in a step; None takes the run's own, or one that suits images and their number.
        seed: of order and augmentation.
        resume: continue the training that was interrupted in `out`.
        force: replace the run that is in `out`.
        skip_unreadable: leave broken images out instead of refusing them.
        checkpoint_seconds: see `edgecnn.training.fit.train`.
        progress: called about twice a second.

    Returns:
        The new run. Its `model.keras` is the epoch that did best, rounded, on the validation images; its
        card's lineage is the old one and a line more.

    Raises:
        TrainingError: a layer without an int8 form (says which, and the way out), data that do not fit the
            run, a folder that is taken, or what `edgecnn.training.fit.train` raises.
        DataError, CardError, ModelError: the run cannot be read.
        MissingExtra: tensorflow-model-optimization is not installed.
    """
    source = opened(run, data, out=out)
    if source.card.lineage and _VERB in source.card.lineage[-1]:
        raise TrainingError(f"{run}: was trained quantization-aware already. Give the run it came from.")
    chosen = recipe_for(
        source, data[0], epochs=epochs, rate=rate, batch=batch, seed=seed, optimizer="adam", weight_decay=0.0,
        precision="float32",
        ema=0.0,  # what steps is what rounds: means of weights that were not rounded together are none
    )  # fmt: skip
    network = fake_quantized(source.model, source.card.input)
    return fit.train(
        data,
        chosen,
        out=out,
        subject=lambda lesson: _subject(network, source.card, chosen, lesson),
        resume=resume,
        force=force,
        skip_unreadable=skip_unreadable,
        checkpoint_seconds=checkpoint_seconds,
        progress=progress,
    )


def _subject(network: FakeQuantized, card: Card, chosen: Recipe, lesson: Lesson) -> Subject:
    with closing(lesson.feed.batches(0)) as batches:
        count = max(1, CALIBRATED // chosen.batch)
        network.calibrate(images for images, _ in islice(batches, count))
    keeping = kept.told(network.kept)
    return Subject(
        network.model,
        export=network.export,
        name=card.name,
        lineage=card.lineage,
        verb=f"{_VERB}, {keeping}{', ' if keeping else ''}{_TFMOT} {version(_TFMOT)}, rate {chosen.rate:g},",
    )
