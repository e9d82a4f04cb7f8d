"""From a run to the files that ship: Keras to float TFLite once, then every scheme from that file.

A file takes its name only when it has been written, loaded and compared with what it was made from; whatever
goes wrong before that leaves the folder as it was. What a step does, its neighbours know; here is the order.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import file_digest
from importlib.metadata import version
from math import inf, isfinite
from pathlib import Path
from time import perf_counter
from typing import Any

from calibration.observe import calibrate
from calibration.ranges import Ranges
from calibration.samples import COUNT, choose
from converters import quantize, verify
from converters.evidence import Data, Evidence, gather
from converters.quantize import Io
from converters.verify import Outputs
from edgecnn import archive, files
from edgecnn import card as cards
from edgecnn import image as images
from edgecnn.card import Card
from edgecnn.errors import ConversionError
from edgecnn.graph import read
from edgecnn.runs import Run
from edgecnn.runtime.model import Model, load
from edgecnn.tasks import TASKS

FLOAT = "float32"

VERIFIED = 64
"""Images on which a file is compared with the float model: enough to see a ruin, and takes half a second."""

VERIFIED_FLOAT = 16
"""Images on which float32 is compared with Keras: rounding needs no statistics."""


@dataclass(frozen=True)
class Converted:
    """One file that was written, or was there and is still true.

    Attributes:
        path: of the file.
        scheme: "float32" or a key of `converters.quantize.SCHEMES`.
        size_bytes: of the file, card included.
        agreement: see `converters.verify.Comparison`: float32 compared with Keras, the others with float32;
            None where nothing was compared.
        snr_db: likewise; inf where nothing was compared.
        images: how many it was compared on.
        seconds: what making, writing and comparing it took, calibration included.
        reused: the file was there before and belongs to the run's weights.
    """

    path: Path
    scheme: str
    size_bytes: int
    agreement: float | None
    snr_db: float
    images: int
    seconds: float
    reused: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values; an infinite ratio is None."""
        ratio = self.snr_db if isfinite(self.snr_db) else None
        return {**asdict(self), "path": str(self.path), "snr_db": ratio}


def convert(
    run: Path,
    *,
    schemes: Sequence[str],
    data: Data = None,
    io: Io = "int8",
    samples: int = COUNT,
    seed: int = 0,
    out: Path | None = None,
    force: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Converted]:
    """Write a run's network as `.tflite` files.

    The float32 file is made in any case, because the others are made from it; it is used again while it
    belongs to the run's weights. When a scheme fails, the files before it stay.

    Args:
        run: the run folder.
        schemes: what to write: "float32" or keys of `converters.quantize.SCHEMES`.
        data: images to calibrate with and to compare on: a data set, of which the training and the validation
            part are taken, or the two themselves. Without, schemes that calibrate are refused, and files are
            compared on noise.
        io: type of inputs and outputs of int8.
        samples: how many training images to calibrate with.
        seed: which ones.
        out: folder for the files; None is the run itself.
        force: replace files that are there.
        progress: told what begins, one line each.

    Returns:
        One for each scheme asked for, in that order.

    Raises:
        ConversionError: an unknown scheme, a missing or foreign file, a network that cannot be converted, a
            file that does not compute what it should, a disk that cannot be written.
        DataError: this is no run, the data do not fit it, or an image cannot be read.
        CardError: the run's card cannot be understood.
        MissingExtra: packages for converting are not installed.
    """
    wanted = _distinct(schemes)
    others = [scheme for scheme in wanted if scheme != FLOAT]
    integer = [scheme for scheme in others if quantize.known(scheme).integer]
    quantize.check_ends(io)
    home, places = Run(run), Run(out or run)
    card = home.read_card()
    _refuse_to_overwrite([places.tflite(scheme) for scheme in others], force)
    evidence = gather(data, card, calibrated=integer)

    begin = perf_counter()
    base = _still_true(home, places.tflite(FLOAT), card, force=force, replaced=force and FLOAT in wanted)
    if base is None:
        base = _float_file(home, places.tflite(FLOAT), card, evidence, progress)
    found = {FLOAT: replace(base, seconds=perf_counter() - begin)}
    if others:
        with load(base.path, threads=_threads()) as source:
            ranges: Ranges | None = None
            for scheme in others:
                begin = perf_counter()
                if scheme in integer and ranges is None:
                    progress(f"calibrating on {samples} images")
                    ranges = _calibrated(source, evidence, samples, seed)
                progress(f"converting to {scheme}")
                made = _quantized(source, places.tflite(scheme), scheme, ranges, io, evidence)
                found[scheme] = replace(made, seconds=perf_counter() - begin)
    return [found[scheme] for scheme in wanted]


def _still_true(run: Run, path: Path, card: Card, *, force: bool, replaced: bool) -> Converted | None:
    """The float32 file that is there, if it was made from the run's weights and is not to be replaced.

    Raises:
        ConversionError: there is one of other weights, which may not be replaced; or there are no weights.
    """
    if not run.model.is_file():
        raise ConversionError(f"{run.path}: there are no weights ({run.model.name} is missing). Train first.")
    if not path.exists() or replaced:
        return None
    there = cards.read(path)
    if (
        there is not None
        and _means_the_same(there, card)
        and any(_weights(run) in line for line in there.lineage)
    ):
        return Converted(path, FLOAT, path.stat().st_size, None, inf, 0, 0.0, reused=True)
    if not force:
        raise ConversionError(
            f"{path}: is already there, but was not made from the run's present {run.model.name}. Replace it "
            "with --force, or choose another --out."
        )
    return None


def _means_the_same(one: Card, other: Card) -> bool:
    return (one.task, one.input, one.labels) == (other.task, other.input, other.labels)


def _float_file(
    run: Run, path: Path, card: Card, evidence: Evidence, progress: Callable[[str], None]
) -> Converted:
    from converters.from_keras import read_keras, to_tflite  # TensorFlow takes seconds to load

    progress(f"reading {run.model}")
    spec = card.input
    network = read_keras(
        run.model, image_shape=(spec.height, spec.width, spec.channels), roles=TASKS[card.task].ROLES
    )
    progress(f"converting to {FLOAT}")
    table = images.lookup(spec, "float32")
    line = f"convert {FLOAT}: tensorflow {version('tensorflow')}, {_weights(run)}"
    return _published(
        path,
        to_tflite(network),
        replace(card, lineage=(*card.lineage, line)),
        FLOAT,
        lambda image: network(images.prepare(image, table, spec)[0]),
        evidence,
    )


def _calibrated(source: Model, evidence: Evidence, count: int, seed: int) -> Ranges:
    if evidence.training is None:
        raise ConversionError("there are no training images to calibrate with. Give them with --data.")
    chosen = choose(evidence.training, count=count, seed=seed)
    content = source.path.read_bytes()
    return calibrate(content, chosen, source.card.input, name=str(source.path), threads=_threads())


def _quantized(
    source: Model, path: Path, scheme: str, ranges: Ranges | None, io: Io, evidence: Evidence
) -> Converted:
    content = archive.flatbuffer_bytes(source.path.read_bytes())
    made = quantize.quantize(content, scheme, name=str(source.path), ranges=ranges, io=io)
    line = f"convert {scheme}: ai-edge-quantizer {version('ai-edge-quantizer')}"
    if quantize.known(scheme).integer and ranges is not None:
        line += (
            f", {ranges.method} over {ranges.samples} training images (sha256 {ranges.sha256}), "
            f"{io} inputs and outputs"
        )
    # What was measured of the source was not measured of this file.
    card = replace(source.card, lineage=(*source.card.lineage, line), metrics={}, checks=())
    return _published(path, made, card, scheme, verify.outputs_of(source), evidence)


def _published(
    path: Path, content: bytes, card: Card, scheme: str, source: Outputs, evidence: Evidence
) -> Converted:
    """Write the file with its card, load it, compare it, and only then let it take its name."""
    graph = read(content, str(path))
    roles = {role: graph.tensors[index].name for role, index in graph.signatures[0].outputs.items()}
    shown = evidence.images(card.input, VERIFIED_FLOAT if scheme == FLOAT else VERIFIED)
    try:
        with files.replacing(path) as beside:
            beside.write_bytes(content)
            cards.attach(beside, replace(card, outputs=roles))
            with load(beside, threads=_threads()) as made:
                comparison = verify.compare(source, verify.outputs_of(made), shown)
            if scheme == FLOAT:
                verify.check_equal(comparison, str(path))
            else:
                verify.check_sound(comparison, str(path), real_images=evidence.is_real)
            size = beside.stat().st_size
    except OSError as error:
        raise ConversionError(
            f"{path}: cannot be written ({error.strerror}). Free some space, or choose another folder with "
            "--out."
        ) from error
    return Converted(path, scheme, size, comparison.agreement, comparison.snr_db, comparison.images, 0.0)


def _refuse_to_overwrite(paths: Sequence[Path], force: bool) -> None:
    if not force and (there := [path for path in paths if path.exists()]):
        raise ConversionError(
            f"{there[0]}: is already there. Replace it with --force, or choose another --out."
        )


def _distinct(schemes: Sequence[str]) -> list[str]:
    """The schemes, each once, all known."""
    if not schemes:
        raise ConversionError(f"no scheme was asked for. There are: {FLOAT}, {', '.join(quantize.SCHEMES)}.")
    for scheme in schemes:
        if scheme != FLOAT:
            quantize.known(scheme)
    return list(dict.fromkeys(schemes))


def _weights(run: Run) -> str:
    """The run's weights, as the lineage names them."""
    with run.model.open("rb") as file:
        return f"{run.model.name} sha256 {file_digest(file, 'sha256').hexdigest()}"


def _threads() -> int:
    return min(4, os.cpu_count() or 1)
