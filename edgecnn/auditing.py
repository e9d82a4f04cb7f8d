"""Calibration sets by their path: is what int8 would be calibrated with fit for the model?

Takes the images that `edgecnn convert` would take, and lets `calibration.audit` look at them.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from calibration.audit import Audit, audit
from calibration.representative import representative
from calibration.samples import COUNT
from edgecnn import archive
from edgecnn.data import training_splits
from edgecnn.data.dataset import Dataset
from edgecnn.data.unlabelled import open_images
from edgecnn.errors import DataError
from edgecnn.runs import Run, is_run
from edgecnn.runtime.interpreter import model_bytes
from edgecnn.runtime.model import load


def audit_model(
    model: Path | str,
    data: Path | str | tuple[Dataset, Dataset],
    *,
    samples: int = COUNT,
    seed: int = 0,
    unlabelled: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    **words: Any,
) -> Audit:
    """Audit the images that a conversion would calibrate with, against all validation images.

    Args:
        model: a float `.tflite` file, or a run folder with a float32.tflite.
        data: a data set's place, or its training and validation part.
        samples: how many training images to calibrate with.
        seed: which ones.
        unlabelled: the place holds photographs without labels.
        progress: told how many images are done, of how many.
        words: how to read a stranger's `.tflite`; see `edgecnn.runtime.model.load`.

    Raises:
        ConversionError: the file is no float model.
        DataError: the run has no float file yet, or the data cannot be read.
        ModelError: the model cannot be read or run.
        CardError: it has no card, and something must be known that nobody said.
    """
    with load(_float_file(Path(model)), threads=min(4, os.cpu_count() or 1), **words) as source:
        if isinstance(data, tuple):
            training, validation = data
        else:
            training, validation = (
                open_images(data) if unlabelled else training_splits(data, task=source.card.task)
            )
        content = archive.flatbuffer_bytes(model_bytes(source.path))
        chosen = representative(
            content, training, source.card.input, count=samples, seed=seed, name=str(source.path)
        )
        return audit(source, chosen, validation=validation, most_validation=None, progress=progress)


def _float_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    if not is_run(path):
        raise DataError(f"{path} is not a run. Give a run folder or a float .tflite file.")
    found = Run(path).tflite("float32")
    if not found.is_file():
        raise DataError(
            f"{path}: there is no {found.name} to audit with. Make it with: edgecnn convert {path} --float32"
        )
    return found
