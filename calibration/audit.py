"""Is a calibration set fit for its model? What is wrong with it, how surely, and what to do.

Everything that can be seen in one pass over the images is: pixels, copies, activations, what the model
answers. Only what looks suspicious is looked at again. A false alarm costs trust, so a finding is told when
measured; `calibration.findings` says what each means.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from calibration import findings, observe, spread
from calibration.duplicates import Signatures
from calibration.findings import Finding
from calibration.pixels import Pixels
from calibration.ranges import Ranges
from calibration.spread import Growth, Spread
from edgecnn import archive
from edgecnn import image as images
from edgecnn.data.dataset import Dataset
from edgecnn.errors import ConversionError
from edgecnn.evaluation.agreement import decide
from edgecnn.evaluation.reading import Reading
from edgecnn.image import Array
from edgecnn.results import Boxes, Classes
from edgecnn.runtime.interpreter import model_bytes
from edgecnn.runtime.model import Model

Progress: TypeAlias = Callable[[int, int], None]

VALIDATION: Final = 500
"""Validation images that are searched for calibration images, unless asked for more."""


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        data: name of the data set.
        images: how many were to calibrate with.
        validation: how many validation images were compared with them.
        findings: worst first.
        growth: how ranges grow with the number of images.
        accuracy: of the float model on the calibration images; None without labels.
        seconds: what it took.
        ranges: from the lowest to the highest value, as `observe.calibrate` finds them by minmax: all that is
            needed for that went by.
    """

    data: str
    images: int
    validation: int
    findings: tuple[Finding, ...]
    growth: Growth
    accuracy: float | None
    seconds: float
    ranges: Ranges | None = field(default=None, repr=False)

    @property
    def stops(self) -> tuple[Finding, ...]:
        """The findings for which nothing should be converted."""
        return tuple(one for one in self.findings if one.severity == "error")

    def as_dict(self) -> dict[str, Any]:
        """Everything but the ranges as JSON-ready values."""
        found = asdict(replace(self, ranges=None))
        del found["ranges"]
        return {**found, "stops": len(self.stops)}


def audit(
    source: Model,
    chosen: Dataset,
    *,
    validation: Dataset | None = None,
    most_validation: int | None = VALIDATION,
    progress: Progress = lambda done, total: None,
) -> Audit:
    """Look at a calibration set before it is used. Of each image, 24 bytes are kept.

    Args:
        source: the float model, loaded with its card.
        chosen: what `calibration.samples.choose` chose, with or without labels.
        validation: images that must not be among them.
        most_validation: how many of those are looked at; None is all.
        progress: told how many images are done, of how many.

    Raises:
        ConversionError: there are no images, or the model is not a float model or broken on them.
        DataError: an image cannot be read; names it.
        ModelError: the model cannot be run.
    """
    begin = perf_counter()
    if not len(chosen):
        raise ConversionError(f"{chosen.name}: there is no image to calibrate with. Give other data.")
    compared = _some(validation, most_validation)
    total = len(chosen) + len(compared.samples if compared else ())
    pixels, seen, spreads, decisions, ranges = _pass(source, chosen, lambda done: progress(done, total))
    others = Signatures()
    if compared is not None:
        with Reading(compared.samples) as reading:
            for done, image in enumerate(reading, len(chosen) + 1):
                reading.handed.clear()
                others.add(image)
                progress(done, total)
    truths = _truths(chosen, source.card.labels)
    growth = spread.growth(spreads)
    found = [
        *findings.of_pixels(pixels),
        *findings.of_classes(chosen, source.card.labels, _shown(chosen, source.card.labels, truths)),
        *findings.of_copies(seen, chosen),
        *findings.of_leaks(seen, chosen, others, compared),
        *(
            findings.of_box_ways(source, chosen)
            if source.card.task == "detection"
            else findings.of_ways(source, chosen, truths, decisions)
        ),
        *findings.of_spreads(spreads, growth, chosen),
    ]
    order = {"error": 0, "warning": 1, "note": 2}
    known = truths >= 0
    return Audit(
        data=chosen.name,
        images=len(chosen),
        validation=len(others),
        findings=tuple(sorted(found, key=lambda one: order[one.severity])),
        growth=growth,
        accuracy=float((decisions == truths)[known].mean()) if len(decisions) and known.any() else None,
        seconds=perf_counter() - begin,
        ranges=ranges,
    )


class _Decisions:
    """Watches a classifier's output and keeps the label of each image."""

    def __init__(self) -> None:
        self.labels: list[int] = []
        self._spread = Spread()

    def watch(self, values: Array) -> None:
        self._spread.watch(values)
        self.labels.append(int(decide(values.reshape(1, -1))[0]))

    def range(self) -> tuple[float, float]:
        return self._spread.range()

    @property
    def spread(self) -> Spread:
        return self._spread


def _pass(
    source: Model, chosen: Dataset, progress: Callable[[int], None]
) -> tuple[Pixels, Signatures, list[Spread], npt.NDArray[np.int64], Ranges]:
    """Everything that one look at each image gives."""
    spec, name = source.card.input, str(source.path)
    pixels, seen, digest = Pixels(spec), Signatures(), hashlib.sha256()

    def tensors() -> Iterator[Array]:
        table = images.lookup(spec, np.float32)
        tensor = None
        with Reading(chosen.samples) as reading:
            for image in reading:
                sample = reading.handed.popleft()
                pixels.look(image, sample.image.name)
                seen.add(image)
                tensor, _ = images.prepare(image, table, spec, out=tensor)
                digest.update(tensor.data)
                yield tensor
                progress(len(seen))

    content = archive.flatbuffer_bytes(model_bytes(source.path))
    exposed, names = observe.expose(content)
    if not names or source.graph.tensors[source.graph.inputs[0]].dtype != "float32":
        raise ConversionError(
            f"{name}: is no float model, so there is nothing to calibrate. Audit the float32 file instead."
        )
    decisions = _Decisions()
    answer = _answer(source)
    watchers = [decisions if tensor == answer else Spread() for tensor in names]
    observe.show(exposed, tensors(), names, watchers, name, source.threads)
    spreads = [one.spread if isinstance(one, _Decisions) else one for one in watchers]
    found = {tensor: one.range() for tensor, one in zip(names, spreads, strict=True)}
    found |= observe.of_inputs(source.graph, spec)
    ranges = Ranges(found, "minmax", len(seen), digest.hexdigest())
    return pixels, seen, spreads, np.array(decisions.labels, np.int64), ranges


def _answer(source: Model) -> str | None:
    """The name of the tensor that holds a classifier's scores."""
    if source.card.task != "classification":
        return None
    return source.card.outputs.get("scores") or source.graph.tensors[source.graph.outputs[0]].name


def _some(dataset: Dataset | None, most: int | None) -> Dataset | None:
    """Evenly spread images of a data set."""
    if dataset is None or most is None or len(dataset) <= most:
        return dataset
    return dataset.subset(np.linspace(0, len(dataset) - 1, most).round().astype(np.int64))


def _truths(dataset: Dataset, labels: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """The true label of each image as the model numbers them, (n,); -1 where it is not known."""
    numbers = {label: number for number, label in enumerate(labels)}
    table = [numbers.get(label, -1) for label in dataset.labels]
    return np.array(
        [
            table[sample.truth.label_id] if isinstance(sample.truth, Classes) else -1
            for sample in dataset.samples
        ],
        np.int64,
    )


def _shown(dataset: Dataset, labels: tuple[str, ...], truths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The classes that images show, each once for each image that shows it, (k,)."""
    if dataset.task != "detection":
        return truths
    numbers = {label: number for number, label in enumerate(labels)}
    return np.array(
        [
            numbers.get(dataset.labels[label], -1)
            for sample in dataset.samples
            if isinstance(sample.truth, Boxes)
            for label in np.unique(sample.truth.label_id).tolist()
        ],
        np.int64,
    )
