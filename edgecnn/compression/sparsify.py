"""Unstructured pruning: a run in, a run whose kernels are mostly zeros out. Smaller when zipped, not faster.

    train_sparse(Path("runs/cats"), training_splits("photos/"), out=Path("runs/cats-sparse"), sparsity=0.8)

The zeros stay in the file and in the sums, so neither bytes in memory nor milliseconds change; what shrinks
is what a download or an update takes. To make a network faster, take channels out
(`edgecnn.compression.channels`).

tensorflow-model-optimization's wrappers set the smallest weights of each kernel to zero, more of them step by
step, while the others learn to do without (Zhu and Gupta 2017, arXiv 1710.01878); loop, checkpoints and files
are those of `edgecnn.training`.
"""

import math
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np

from edgecnn import heads
from edgecnn.compression.continued import Source, opened, recipe_for
from edgecnn.compression.distill import taught
from edgecnn.compression.teacher import read_teacher
from edgecnn.compression.wrapped import bare, kernel_names, wrapped
from edgecnn.data.dataset import Dataset
from edgecnn.errors import MissingExtra, TrainingError
from edgecnn.runs import Run
from edgecnn.training import fit
from edgecnn.training.lesson import Lesson
from edgecnn.training.progress import Progress
from edgecnn.training.start import Subject
from edgecnn.zoo.keras import tf

try:
    # Only after edgecnn's own door to TensorFlow, which decides for Keras 2.
    from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl, pruning_utils
    from tensorflow_model_optimization.python.core.sparsity.keras.pruning_wrapper import PruneLowMagnitude
    from tensorflow_model_optimization.sparsity.keras import PolynomialDecay
except ModuleNotFoundError as error:
    raise MissingExtra("tensorflow-model-optimization", "train") from error

Pattern: TypeAlias = Literal["any", "2:4", "block"]

RATE: Final = 0.25
"""Of the highest learning rate that the network was trained with."""

GROWING: Final = 0.5
"""Share of the steps in which zeros become more; in the others the weights that are left learn on."""

FEWEST_EPOCHS: Final = 3

BLOCK: Final = 4
"""Weights that become zero together: of one output and neighbouring input channels, as TFLite stores them."""

_UPDATES: Final = 100
"""How often the zeros are chosen anew."""

_TFMOT: Final = "tensorflow-model-optimization"


def train_sparse(
    run: Path,
    data: tuple[Dataset, Dataset],
    *,
    out: Path,
    sparsity: float,
    pattern: Pattern = "any",
    teacher: Path | None = None,
    alone: bool = False,
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
    """Write a new run: the network of `run` with zeros in its kernels, trained on.

    Can be killed at any moment; with `resume` it ends with the bits of one that was not.

    Args:
        run: the run to start from; stays as it is.
        data: training and validation images, of the labels that the run knows.
        out: the new run's folder.
        sparsity: share of the weights of all kernels that becomes zero, in (0, 1), more of large kernels (see
            `sparsities`); depthwise kernels and those that read the image stay dense and are not counted.
        pattern: "any" where they are; "2:4" two of each four neighbouring input channels, a sparsity of 0.5;
            "block" four neighbouring input channels together.
        teacher: the run whose answers are learned from beside the labels; None is `run` itself.
        alone: learn from the labels only.
        epochs: passes over the training images; None takes a fifth of those the run was trained for, at least
            `FEWEST_EPOCHS`. The kept epoch is one of the second half, with all its zeros.
        rate: highest learning rate; None takes `RATE` of the run's own.
        batch: images in a step; None takes the run's own.
        seed: of order and augmentation.
        resume: continue the training that was interrupted in `out`.
        force: replace the run that is in `out`.
        skip_unreadable: leave broken images out instead of refusing them.
        checkpoint_seconds: see `edgecnn.training.fit.train`.
        progress: called about twice a second.

    Returns:
        The new run. Its `model.keras` has the layers and names of the old one; its card's lineage a line
        more.

    Raises:
        TrainingError: a sparsity or pattern that cannot be, a network without kernels to prune, data that do
            not fit the run, a folder that is taken, or what `edgecnn.training.fit.train` raises.
        DataError, CardError, ModelError: the run cannot be read.
    """
    _check(sparsity, pattern)
    source = opened(run, data, out=out)
    names = kernel_names(source.model)
    own = recipe_for(source, data[0], batch=batch)
    epochs, rate = epochs or max(FEWEST_EPOCHS, round(own.epochs / 5)), rate or RATE * own.rate
    chosen = recipe_for(
        source, data[0], epochs=epochs, rate=rate, batch=batch, seed=seed, precision="float32",
        ema=0.0,  # a mean of networks with zeros in different places has none
    )  # fmt: skip
    by = None
    if not alone:
        head = heads.find(chosen.task, chosen.design)
        by = read_teacher(teacher or run, head, chosen.input, task=chosen.task, labels=source.card.labels)

    def subject(lesson: Lesson) -> Subject:
        made = _subject(source, names, sparsity, pattern, chosen.epochs, lesson)
        return made if by is None else taught(made, by, lesson, chosen)

    return fit.train(
        data,
        chosen,
        out=out,
        subject=subject,
        resume=resume,
        force=force,
        skip_unreadable=skip_unreadable,
        checkpoint_seconds=checkpoint_seconds,
        progress=progress,
    )


def sparsities(shapes: Mapping[str, tuple[int, ...]], sparsity: float) -> dict[str, float]:
    """How sparse each kernel becomes, so that all of them together are as sparse as was asked for.

    Large kernels can spare more: the weights that stay are as many as the sum of a kernel's sides says, where
    their number is its product ("Erdős-Rényi-Kernel": Evci et al. 2020, "RigL", arXiv 1911.11134). A kernel
    too small for its due stays dense, and the others make up for it.

    Args:
        shapes: of each kernel.
        sparsity: of all weights together, in (0, 1).
    """
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    dense: set[str] = set()
    left = (1 - sparsity) * sum(sizes.values())
    while True:
        others = [name for name in shapes if name not in dense]
        unit = (left - sum(sizes[name] for name in dense)) / sum(sum(shapes[name]) for name in others)
        full = [name for name in others if unit * sum(shapes[name]) >= sizes[name]]
        if not full:
            return {
                name: 0.0 if name in dense else 1 - unit * sum(shapes[name]) / sizes[name] for name in shapes
            }
        dense.update(full)


def _subject(
    source: Source, names: dict[str, str], sparsity: float, pattern: Pattern, epochs: int, lesson: Lesson
) -> Subject:
    steps = epochs * lesson.feed.steps
    frequency = max(1, round(GROWING * steps / _UPDATES))
    growing = frequency * max(1, int(GROWING * steps / frequency))  # the last update is at the end
    sizes = {name: tuple(getattr(source.model.get_layer(name), names[name]).shape) for name in names}
    shares = sparsities(sizes, sparsity)
    wrappers: dict[str, Any] = {}

    def wrap(layer: Any) -> Any:
        schedule = PolynomialDecay(
            initial_sparsity=0.0,
            final_sparsity=shares[layer.name],
            begin_step=0,
            end_step=growing,
            frequency=frequency,
        )
        wrappers[layer.name] = made = _WRAPPERS[pattern](layer, schedule)
        return made

    model = wrapped(source.model, wrap, names)
    for wrapper in wrappers.values():
        # tfmot counts steps in the wrapper itself, and has a Keras callback only to begin at 0 and not at -1.
        wrapper.pruning_step.assign(0)

    def export() -> Any:
        kernels = {}
        for name, wrapper in wrappers.items():
            ((kernel, mask, _),) = wrapper.pruning_vars
            kernels[name] = kernel.numpy() * mask.numpy()
        return bare(source.model, model, wrappers, kernels)

    where = {"any": "", "2:4": " as 2:4", "block": f" in blocks of {BLOCK}"}[pattern]
    return Subject(
        model,
        export=export,
        name=source.card.name,
        lineage=source.card.lineage,
        settled=0 if pattern == "2:4" else (growing - 1) // lesson.feed.steps,
        verb=f"compress: {sparsity:.0%} zeros{where} in {len(names)} kernels, {_TFMOT} {version(_TFMOT)},",
    )


def _check(sparsity: float, pattern: str) -> None:
    if pattern not in get_args(Pattern):
        raise TrainingError(f"no pattern is called {pattern!r}; there is: {', '.join(get_args(Pattern))}.")
    if not 0 < sparsity < 1:
        raise TrainingError(f"the sparsity must be a share between 0 and 1, not {sparsity:g}.")
    if pattern == "2:4" and sparsity != 0.5:
        raise TrainingError(f"2:4 is two zeros of each four, a sparsity of 0.5 and not {sparsity:g}.")


class _BlockWrapper(PruneLowMagnitude):
    """tfmot's wrapper with blocks in kernels of any rank; its own are for dense layers only."""

    def build(self, input_shape: Any) -> None:
        """Make the variables; Keras calls it."""
        super().build(input_shape)
        self.pruning_obj = _BlockPruning(
            training_step_fn=lambda: self.pruning_step,
            pruning_vars=self.pruning_vars,
            pruning_schedule=self.pruning_schedule,
            block_size=(1, 1),
            block_pooling_type="AVG",
        )


class _BlockPruning(pruning_impl.Pruning):
    """Chooses blocks by the mean size of their weights, a smaller last one of a row by the same."""

    def _update_mask(self, weights: Any) -> tuple[Any, Any]:
        rows = tf.abs(pruning_utils.weights_rearrange(weights))
        width = rows.shape[-1]
        padded = tf.pad(rows, [[0, 0], [0, -width % BLOCK]])
        sums = tf.reduce_sum(tf.reshape(padded, (rows.shape[0], -1, BLOCK)), axis=-1)
        sizes = np.minimum(BLOCK, width - BLOCK * np.arange(sums.shape[-1])).astype(np.float32)
        threshold, chosen = super()._update_mask(sums / sizes)
        mask = tf.repeat(chosen, BLOCK, axis=-1)[:, :width]
        return threshold, pruning_utils.m_by_n_sparsity_mask_prepare(mask, weights.shape)


_WRAPPERS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "any": PruneLowMagnitude,
    "2:4": lambda layer, schedule: PruneLowMagnitude(layer, schedule, sparsity_m_by_n=(2, 4)),
    "block": _BlockWrapper,
}
