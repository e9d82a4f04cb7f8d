"""Two files made from one network, tensor by tensor, by their paths: where the second goes wrong, and why.

Knows where images come from and how each file wants them; what is measured says `calibration.dissect`, what
it means `calibration.blame`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from edgecnn import card as cards
from edgecnn import metadata
from edgecnn.card import Card, Color, Fit, InputSpec
from edgecnn.data.dataset import Dataset
from edgecnn.errors import CardError, DataError
from edgecnn.evaluation.reading import Reading
from edgecnn.graph import Graph, check, read
from edgecnn.image import Array, lookup, prepare
from edgecnn.runtime.interpreter import model_bytes
from edgecnn.runtime.stranger import Given, image_size, input_words

IMAGES = 32
"""Enough for decibels: the error is summed over every value of a tensor, not over answers."""


@dataclass(frozen=True, eq=False)
class Difference:
    """How a file differs from the one it was made from.

    Attributes:
        reference: the file that is right.
        made: the file that is judged.
        data: what the images are called.
        measured: a `calibration.dissect.Measured`: tensor by tensor.
        blame: a `calibration.blame.Blame`: the operators that do damage, and why.
        notes: what a reader must know about the comparison, one sentence each.
    """

    reference: Path
    made: Path
    data: str
    measured: Any
    blame: Any
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values. An SQNR without error, and every other infinity, is None."""
        from calibration.telling import told

        found: dict[str, Any] = {
            "reference": str(self.reference),
            "made": str(self.made),
            "data": self.data,
            "notes": list(self.notes),
            **told(self.measured, self.blame),
        }
        return {name: finite(value) for name, value in found.items()}


def diff_models(
    reference: Path | str,
    made: Path | str,
    data: Path | str | Dataset,
    *,
    images: int = IMAGES,
    split: str | None = None,
    seed: int = 0,
    bad_db: float | None = None,
    card: Card | None = None,
    mean: float | tuple[float, ...] | None = None,
    std: float | tuple[float, ...] | None = None,
    color: Color | None = None,
    fit: Fit | None = None,
    size_wh: tuple[int, int] | None = None,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Difference:
    """Compare two `.tflite` files made from one network, on the same images.

    Args:
        reference: the file that is right, usually float32.
        made: the file that is judged, of any scheme.
        data: a data set, its path, or a folder or archive of images; labels are not looked at.
        images: how many are looked at.
        split: of a labelled data set; None takes "test" where there is one, else "val".
        seed: another seed takes other images.
        bad_db: own SQNR below which an operator is bad; None takes `calibration.blame.BAD_DB`.
        card: for both files, instead of those in them.
        mean: as in `edgecnn.load`, for both files; likewise what follows.
        std: see there.
        color: see there.
        fit: see there.
        size_wh: see there.
        threads: how many the interpreters may use.
        progress: told how many images are done, of how many.

    Raises:
        DataError: the images cannot be read.
        ModelError: a file cannot be read or run, or takes something else than one image.
        CardError: how a pixel becomes its input is not known: says which option tells it.
        ConversionError: the files were not made from one network, or the reference is broken.
    """
    from calibration.blame import BAD_DB, blame
    from calibration.dissect import measure
    from calibration.samples import choose

    given = Given(card=card, mean=mean, std=std, color=color, fit=fit, size_wh=size_wh)
    paths = Path(reference), Path(made)
    contents = model_bytes(paths[0]), model_bytes(paths[1])
    graphs = read(contents[0], str(paths[0])), read(contents[1], str(paths[1]))
    for graph in graphs:
        check(graph)
    specs, notes = _specs(paths, graphs, given)
    known = next((one for one in (card, *map(cards.read, paths)) if one is not None), None)
    chosen = choose(_images(data, split, known.task if known else None), count=images, seed=seed)
    measured = measure(
        *contents,
        _feeds(chosen, graphs, specs, progress),
        names=(str(paths[0]), str(paths[1])),
        threads=threads,
    )
    name = f"{chosen.name} {chosen.split or ''}".rstrip()
    found = blame(measured, bad_db=BAD_DB if bad_db is None else bad_db)
    return Difference(*paths, name, measured, found, notes)


def finite(value: Any) -> Any:
    """The same JSON value with None for every number that JSON does not have."""
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _images(data: Path | str | Dataset, split: str | None, task: str | None) -> Dataset:
    """A labelled data set's judging part, or images that nobody labelled."""
    if isinstance(data, Dataset):
        return data
    from edgecnn.data import open_dataset, split_names
    from edgecnn.data.unlabelled import open_images

    try:
        names = split_names(data)
        wanted = split or ("test" if not names or "test" in names else "val")
        return open_dataset(data, task=task or "classification", split=wanted)
    except DataError:
        if split is not None or not Path(data).exists():
            raise
        return open_images(data)[1]


def _specs(
    paths: tuple[Path, Path], graphs: tuple[Graph, Graph], given: Given
) -> tuple[tuple[InputSpec, InputSpec], tuple[str, ...]]:
    """How each file wants its image, and what must be said about it."""
    own = [given.card or cards.read(path) for path in paths]
    found: list[InputSpec | None] = []
    for graph, carded in zip(graphs, own, strict=True):
        height, width, channels = image_size(
            graph, given.size_wh, (carded.input.width, carded.input.height) if carded else None
        )
        words = input_words(given)
        if carded is not None:
            found.append(replace(carded.input, height=height, width=width, **words))
            continue
        words = {"color": "gray" if channels == 1 else "rgb", "resize": "bilinear"} | _stated(graph) | words
        found.append(InputSpec(height, width, **words) if {"mean", "std"} <= words.keys() else None)
    first, second = found[0] or found[1], found[1] or found[0]
    if first is None or second is None:
        raise CardError(
            f"neither {paths[0].name} nor {paths[1].name} says how a pixel becomes its input. Give mean and "
            "std as in training: --mean 127.5 --std 127.5 for -1..1, --mean 0 --std 255 for 0..1."
        )
    notes = [
        f"{path.name} has no card: its images are prepared as those of {other.name}"
        for path, other, spec in zip(paths, reversed(paths), found, strict=True)
        if spec is None
    ]
    if first != second:
        notes.append(f"the two files prepare images differently: {first} and {second}")
    return (first, second), tuple(notes)


def _stated(graph: Graph) -> dict[str, Any]:
    """The normalization that a stranger's file states, or its uint8 input implies: see `runtime.stranger`."""
    tensor = graph.tensors[graph.inputs[0]]
    if tensor.dtype == "uint8":
        scaled = bool(len(tensor.scale))
        return {
            "mean": float(tensor.zero_point[0]) if scaled else 0.0,
            "std": 1.0 / float(tensor.scale[0]) if scaled else 1.0,
        }
    said = metadata.read(graph)
    if said is None or not said.inputs or not said.inputs[0].mean:
        return {}
    return {"mean": said.inputs[0].mean, "std": said.inputs[0].std}


def _feeds(
    dataset: Dataset,
    graphs: tuple[Graph, Graph],
    specs: tuple[InputSpec, InputSpec],
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[Array, Array]]:
    """The input tensor of either file for each image."""
    tables = [_table(graph, spec) for graph, spec in zip(graphs, specs, strict=True)]
    with Reading(dataset.samples) as reading:
        for done, image in enumerate(reading, 1):
            reading.handed.clear()
            first, second = (prepare(image, t, s)[0] for t, s in zip(tables, specs, strict=True))
            yield first, second
            if progress is not None:
                progress(done, len(dataset))


def _table(graph: Graph, spec: InputSpec) -> Array:
    tensor = graph.tensors[graph.inputs[0]]
    if tensor.dtype == "uint8" and not len(tensor.scale):
        return lookup(spec, "uint8", scale=1.0)
    scale, zero = (float(tensor.scale[0]), int(tensor.zero_point[0])) if len(tensor.scale) else (0.0, 0)
    return lookup(spec, tensor.dtype, scale=scale, zero_point=zero)
