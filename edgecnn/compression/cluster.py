"""Weight clustering: a run in, a run with a few values in each kernel out. Smaller when zipped, not faster.

    train_clustered(Path("runs/cats"), training_splits("photos/"), out=Path("runs/cats-c16"), clusters=16)

What counts is what an int8 file holds: the kernel with its norm folded in, each output channel in steps of
its own scale. Values that are shared by the float weights of a layer, as tensorflow-model-optimization's
`cluster_weights` finds them, become other codes in every channel, and nothing repeats. So clusters here are
codes: a weight is a share of the widest one of its channel, and the shares are the same in all channels. They
come in pairs, because a norm may turn a channel's sign, and the outermost is 1, so that a channel's scale is
found again in the file. tfmot's clusters can be tied neither to a channel's scale nor to fixed values; its
wrapper for quantizing a layer can, with a quantizer of our own.

The shares are evenly spaced. k-means fits the weights better and the zip file worse: it uses all values about
equally often (ResNet-8 before learning on, its int8 file zipped: 0.56 of the original with 15 even values,
0.64 with 15 of k-means). The weights then learn around them, straight through the rounding.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from edgecnn import heads
from edgecnn.compression import kept
from edgecnn.compression.continued import Source, opened, recipe_for
from edgecnn.compression.distill import taught
from edgecnn.compression.folding import WEIGHTED, channel_axes
from edgecnn.compression.kept import Kept
from edgecnn.compression.teacher import read_teacher
from edgecnn.compression.wrapped import bare, kernel_names, wrapped
from edgecnn.data.dataset import Dataset
from edgecnn.errors import MissingExtra, TrainingError
from edgecnn.runs import Run
from edgecnn.training import fit
from edgecnn.training.progress import Progress
from edgecnn.training.start import Subject

try:
    # Only after edgecnn's own door to TensorFlow, which decides for Keras 2.
    from tensorflow_model_optimization.quantization.keras import QuantizeConfig, QuantizeWrapperV2
    from tensorflow_model_optimization.quantization.keras.quantizers import Quantizer
except ModuleNotFoundError as error:
    raise MissingExtra("tensorflow-model-optimization", "train") from error

CLUSTERS: Final = 16
RATE: Final = 0.1
"""Of the highest learning rate that the network was trained with."""

FEWEST_EPOCHS: Final = 3
_TFMOT: Final = "tensorflow-model-optimization"


def train_clustered(
    run: Path,
    data: tuple[Dataset, Dataset],
    *,
    out: Path,
    clusters: int = CLUSTERS,
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
    """Write a new run: the network of `run` with a few values in each kernel, trained on.

    Can be killed at any moment; with `resume` it ends with the bits of one that was not. Zeros of sparse
    kernels stay.

    Args:
        run: the run to start from; stays as it is.
        data: training and validation images, of the labels that the run knows.
        out: the new run's folder.
        clusters: most values in a kernel, 3 to `kept.MOST_CODES`, in steps of each output channel's scale;
            zero and pairs, so one of an even number is not used. Depthwise kernels and those that read the
            image stay as they are.
        teacher: the run whose answers are learned from beside the labels; None is `run` itself.
        alone: learn from the labels only.
        epochs: passes over the training images; None takes a tenth of those the run was trained for, at least
            `FEWEST_EPOCHS`.
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
        TrainingError: a number of clusters that cannot be, a network without kernels to cluster, data that do
            not fit the run, a folder that is taken, or what `edgecnn.training.fit.train` raises.
        DataError, CardError, ModelError: the run cannot be read.
    """
    if not 3 <= clusters <= kept.MOST_CODES:
        raise TrainingError(f"clusters must be 3 to {kept.MOST_CODES}, not {clusters}.")
    source = opened(run, data, out=out)
    names = kernel_names(source.model)
    own = recipe_for(source, data[0], batch=batch)
    epochs, rate = epochs or max(FEWEST_EPOCHS, round(own.epochs / 10)), rate or RATE * own.rate
    chosen = recipe_for(
        source, data[0], epochs=epochs, rate=rate, batch=batch, seed=seed, precision="float32",
        ema=0.0,  # a mean of clustered networks is no clustered network
    )  # fmt: skip
    by = None
    if not alone:
        head = heads.find(chosen.task, chosen.design)
        by = read_teacher(teacher or run, head, chosen.input, task=chosen.task, labels=source.card.labels)
    subject = _subject(source, names, clusters)
    return fit.train(
        data,
        chosen,
        out=out,
        subject=lambda lesson: subject if by is None else taught(subject, by, lesson, chosen),
        resume=resume,
        force=force,
        skip_unreadable=skip_unreadable,
        checkpoint_seconds=checkpoint_seconds,
        progress=progress,
    )


def even_codes(clusters: int) -> tuple[int, ...]:
    """Zero and pairs around it, evenly spaced up to ±127: at most `clusters` int8 values, ascending."""
    pairs = (clusters - 1) // 2
    return tuple(round(127 * index / pairs) for index in range(-pairs, pairs + 1))


def _subject(source: Source, names: dict[str, str], clusters: int) -> Subject:
    codes = even_codes(clusters)
    configs: dict[str, _Config] = {}
    wrappers: dict[str, Any] = {}

    def wrap(layer: Any) -> Any:
        name = names[layer.name]
        kernel = getattr(layer, name)
        axes = channel_axes(kernel, layer) if type(layer) in WEIGHTED else (len(kernel.shape) - 1,)
        config = _Config(name, axes, Kept(kept.zeros(kernel.numpy()), codes))
        configs[layer.name] = config
        wrappers[layer.name] = made = QuantizeWrapperV2(layer, config, name=f"clustered_{layer.name}")
        return made

    model = wrapped(source.model, wrap, names)

    def export() -> Any:
        return bare(source.model, model, wrappers, {name: configs[name].rounded() for name in wrappers})

    zeros = kept.told({name: Kept(config.kept.mask, None) for name, config in configs.items()})
    return Subject(
        model,
        export=export,
        name=source.card.name,
        lineage=source.card.lineage,
        verb=f"compress: {len(codes)} values in {len(names)} kernels, {zeros}{', ' if zeros else ''}"
        f"{_TFMOT} {version(_TFMOT)},",
    )


class _Config(QuantizeConfig):
    """What tfmot rounds of one layer: its kernel, to few values."""

    def __init__(self, name: str, axes: tuple[int, ...], what: Kept) -> None:
        self.kept, self._name, self._axes = what, name, axes
        self._kernel: Any = None

    def rounded(self) -> Any:
        """The kernel as it ships, float32."""
        return self.kept.rounded(self._kernel, self._axes).numpy()

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        """The kernel and its quantizer; tfmot calls it once, before it replaces the kernel."""
        self._kernel = getattr(layer, self._name)
        return [(self._kernel, _Few(self.kept, self._axes))]

    def set_quantize_weights(self, layer: Any, quantize_weights: Sequence[Any]) -> None:
        """Put the rounded kernel in the place of the learned one."""
        setattr(layer, self._name, quantize_weights[0])

    def get_activations_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        """None."""
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: Sequence[Any]) -> None:
        """Nothing."""
        return

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """None."""
        return []

    def get_config(self) -> dict[str, Any]:
        """Nothing: it is never saved."""
        return {}


class _Few(Quantizer):
    """Rounds a kernel to its few values."""

    def __init__(self, what: Kept, axes: tuple[int, ...]) -> None:
        self._kept, self._axes = what, axes

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """No variables."""
        return {}

    def __call__(self, inputs: Any, training: bool, weights: Any, **_: Any) -> Any:
        return self._kept.rounded(inputs, self._axes)

    def get_config(self) -> dict[str, Any]:
        """Nothing: it is never saved."""
        return {}
