"""Conversion with everything allowed: the ladder's last rung trains, and only the top may join both wings."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from converters.convert import convert
from converters.converted import Converted
from converters.evidence import Data
from edgecnn.data import training_splits
from edgecnn.errors import ConversionError
from edgecnn.runs import Run


def convert_model(
    source: Path | str,
    *,
    schemes: Sequence[str],
    data: Data = None,
    allow_training: bool = False,
    progress: Callable[[str], None] = lambda line: None,
    training_progress: Callable[[str], None] | None = None,
    **words: Any,
) -> list[Converted]:
    """Write a network as `.tflite` files that keep what they promise.

    Args:
        source: a run folder, a Keras file, a SavedModel, or a float `.tflite`.
        schemes: "float32" or keys of `converters.schemes.SCHEMES`.
        data: images to calibrate with and to judge on; see `converters.convert.convert`.
        allow_training: where no other remedy helps, train the run with quantization; takes as long as some
            epochs of its training, and leaves a run folder `qat` beside the files.
        progress: told what begins and what came of it, one line each.
        training_progress: told how the training goes, several lines a second; None is `progress`.
        words: see `converters.convert.convert` and its `Options`.

    Raises:
        NotCertified: a file does not keep its promise and was not written; its `results` say more.
        EdgecnnError: see `converters.convert.convert` and `edgecnn.compression.quantize.train_quantized`.
    """

    def retrain(run: Path, out: Path) -> None:
        from edgecnn.compression.quantize import train_quantized
        from edgecnn.training.progress import line

        if data is None:
            raise ConversionError("training needs labelled images. Give them with --data.")
        parts = data
        if isinstance(parts, Path | str):
            parts = training_splits(parts, task=Run(run).read_card().task)
        tell = training_progress or progress
        train_quantized(run, parts, out=out, force=True, progress=lambda now: tell(line(now)))

    return convert(
        Path(source),
        schemes=schemes,
        data=data,
        retrain=retrain if allow_training else None,
        progress=progress,
        **words,
    )
