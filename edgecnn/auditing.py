"""Calibration sets by their path: is what int8 would be calibrated with fit for the model?

Takes the images that `edgecnn convert` would take, and lets `calibration.audit` look at them; or draws what
the model makes of them, tensor by tensor, on a page.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calibration.audit import Audit, audit
from calibration.observe import histograms
from calibration.ranges import METHODS, ranges_of
from calibration.representative import representative
from calibration.samples import COUNT
from edgecnn import archive
from edgecnn.data import training_splits
from edgecnn.data.dataset import Dataset
from edgecnn.data.unlabelled import open_images
from edgecnn.errors import ConversionError, DataError
from edgecnn.runs import Run, is_run
from edgecnn.runtime.interpreter import model_bytes
from edgecnn.runtime.model import Model, load


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
    with _opened(model, data, samples, seed, unlabelled, words) as (source, _, chosen, validation):
        return audit(source, chosen, validation=validation, most_validation=None, progress=progress)


def write_histogram_page(
    page: Path,
    model: Path | str,
    data: Path | str | tuple[Dataset, Dataset],
    *,
    samples: int = COUNT,
    seed: int = 0,
    unlabelled: bool = False,
    force: bool = False,
    **words: Any,
) -> Path:
    """Draw what goes by in each tensor while the model looks at the images that it would be calibrated with.

    Below each histogram stands the range by every method of `calibration.ranges.METHODS`.

    Args:
        page: the .html file to write.
        model: as for `audit_model`; likewise what is not named here.
        data: see there.
        samples: see there.
        seed: see there.
        unlabelled: see there.
        force: replace the page if it is there.
        words: see there.

    Returns:
        The path of the page.

    Raises:
        DataError: the page is there already; or as `audit_model`.
        ConversionError: the file is no float model.
        ModelError: the model cannot be read or run.
        CardError: it has no card, and something must be known that nobody said.
    """
    from edgecnn.report.difference import refuse_existing
    from edgecnn.report.histograms import write_histograms

    refuse_existing(page, force)
    with _opened(model, data, samples, seed, unlabelled, words) as (source, content, chosen, _):
        counted = histograms(
            content, chosen, source.card.input, name=str(source.path), threads=source.threads
        )
    ranges = {method: ranges_of(counted, method) for method in METHODS}
    return write_histograms(page, counted, ranges, title=f"Activations of {source.path.name}")


@contextmanager
def _opened(
    model: Path | str,
    data: Path | str | tuple[Dataset, Dataset],
    samples: int,
    seed: int,
    unlabelled: bool,
    words: dict[str, Any],
) -> Iterator[tuple[Model, bytes, Dataset, Dataset]]:
    """The float model, its content, the images to calibrate with, and those of validation."""
    with load(_float_file(Path(model)), threads=min(4, os.cpu_count() or 1), **words) as source:
        if isinstance(data, tuple):
            training, validation = data
        else:
            training, validation = (
                open_images(data) if unlabelled else training_splits(data, task=source.card.task)
            )
        if source.graph.tensors[source.graph.inputs[0]].dtype != "float32":
            raise ConversionError(
                f"{source.path}: is no float model, so there is nothing to calibrate. "
                "Audit the float32 file instead."
            )
        content = archive.flatbuffer_bytes(model_bytes(source.path))
        chosen = representative(
            content, training, source.card.input, count=samples, seed=seed, name=str(source.path)
        )
        yield source, content, chosen, validation


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
