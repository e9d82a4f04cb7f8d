"""From a network to the files that ship: float TFLite once, then every scheme from that file.

A file takes its name only when it has kept its promise on validation images (`converters.gate`); until then
the folder stays as it was. What a step does, its neighbours know; here is the order.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any

from converters import quantize, schemes
from converters.converted import Converted
from converters.evidence import Data, Evidence, gather
from converters.options import Options, options
from converters.publish import publish, publish_float, threads
from converters.source import Source, open_source
from converters.workshop import Retrain, Workshop
from edgecnn import card as cards
from edgecnn.errors import ConversionError, NotCertified
from edgecnn.runs import Run
from edgecnn.runtime.model import load
from edgecnn.runtime.stranger import Given

FLOAT = "float32"


def convert(
    source: Path,
    *,
    schemes: Sequence[str],
    data: Data = None,
    out: Path | None = None,
    force: bool = False,
    given: Given = Given(),  # noqa: B008  (frozen)
    retrain: Retrain | None = None,
    progress: Callable[[str], None] = lambda line: None,
    **words: Any,
) -> list[Converted]:
    """Write a network as `.tflite` files that keep what they promise.

    The float32 file is made in any case, because the others are made from it; it is used again while it
    belongs to the source. When a scheme fails, the files before it stay.

    Args:
        source: a run folder, a Keras file, a SavedModel, or a float `.tflite`.
        schemes: what to write: "float32" or keys of `converters.schemes.SCHEMES`.
        data: images to calibrate with and to judge on: a data set, of which the training and the validation
            part are taken, or the two themselves. Without, schemes that calibrate are refused, and files are
            compared on noise.
        out: folder for the files; None is the source's own: see `converters.source.Source`.
        force: replace files that are there.
        given: what to know about a source that is no run; of a run, only `resize`.
        retrain: trains a run with quantization, as the last rung of the ladder; None: not allowed.
        progress: told what begins and what came of it, one line each.
        words: fields of `converters.options.Options`.

    Returns:
        One for each scheme asked for, in that order.

    Raises:
        NotCertified: a file does not keep its promise; its `results` are what is returned otherwise.
        ConversionError: an unknown scheme or option, a missing or foreign file, a network that cannot be
            converted, a file that does not compute what it should, a disk that cannot be written.
        DataError: this is no run, the data do not fit it, or an image cannot be read.
        CardError: the card cannot be understood, or something must be known that nobody said.
        MissingExtra: packages for converting are not installed.
    """
    chosen = options(words)
    wanted = _distinct(schemes, chosen)
    others = [scheme for scheme in wanted if scheme != FLOAT]
    integer = [scheme for scheme in others if quantize.known(scheme).integer]
    origin = open_source(Path(source), given)
    places = Run(out or origin.folder)
    if origin.is_quantization_aware and (unfit := [each for each in others if each != "int8"]):
        raise ConversionError(
            f"{source}: was trained for int8 and rounds as int8 does, so {unfit[0]} gains nothing. Convert "
            "the run that it came from."
        )
    _refuse_to_overwrite([places.tflite(scheme) for scheme in others], force)
    evidence = gather(data, origin.card, calibrated=integer, unlabelled=chosen.unlabelled)
    for assumption in origin.assumptions:
        progress(f"assumed: {assumption}")

    begin = perf_counter()
    base = _float_file(origin, places, evidence, progress, force=force, replaced=force and FLOAT in wanted)
    found = {FLOAT: replace(base, seconds=perf_counter() - begin)}
    if others:
        with load(base.path, threads=threads()) as model:
            workshop = Workshop(origin, model, places, evidence, chosen, retrain, progress)
            for scheme in others:
                begin = perf_counter()
                progress(f"converting to {scheme}")
                if warning := quantize.known(scheme).warning:
                    progress(f"{scheme}: {warning}")
                found[scheme] = replace(workshop.make(scheme), seconds=perf_counter() - begin)
    results = [found[scheme] for scheme in wanted]
    if refused := [one for one in results if not one.written]:
        raise NotCertified(_refusal(refused[0]), results)
    return results


def _float_file(
    source: Source,
    places: Run,
    evidence: Evidence,
    progress: Callable[[str], None],
    *,
    force: bool,
    replaced: bool,
) -> Converted:
    """The float32 file: the one that is there, if it was made from the source as it is now, else a new one.

    Raises:
        ConversionError: there is one of another source, which may not be replaced.
    """
    path = places.tflite(FLOAT)
    if path.exists() and path.samefile(source.path):
        raise ConversionError(f"{path}: is the source itself. Choose another folder with --out.")
    if path.exists() and not replaced:
        if _belongs(path, source):
            return Converted(path, FLOAT, path.stat().st_size, None, inf, 0, 0.0, reused=True)
        if not force:
            made_from = source.origin.partition(" sha256")[0]
            raise ConversionError(
                f"{path}: is already there, but was not made from the present {made_from}. Replace "
                "it with --force, or choose another --out."
            )
    progress(f"reading {source.path}")
    content, original = source.float32()
    line = f"convert {FLOAT}: tensorflow {version('tensorflow')}, {source.origin}"
    if source.kind == "tflite":
        line = f"convert {FLOAT}: {source.origin}"
    card = replace(source.card, lineage=(*source.card.lineage, line))
    # Two computers of a network that rounds within differ by a step here and there.
    placed = publish if source.is_quantization_aware else publish_float
    comparison = placed(path, content, card, original, evidence)
    return Converted(
        path,
        FLOAT,
        path.stat().st_size,
        comparison.agreement,
        comparison.snr_db,
        comparison.images,
        0.0,
    )


def _belongs(path: Path, source: Source) -> bool:
    there = cards.read(path)
    return (
        there is not None
        and (there.task, there.input, there.labels)
        == (source.card.task, source.card.input, source.card.labels)
        and any(source.origin in line for line in there.lineage)
    )


def _refusal(one: Converted) -> str:
    said = one.verdict.header(one.scheme) if one.verdict else f"refused: {one.scheme}"
    tried = f" {len(one.rungs)} ways were tried." if len(one.rungs) > 1 else ""
    advice = f" {one.verdict.advice}" if one.verdict else ""
    return f"{one.path}: not written: {said}.{tried}{advice} To write it all the same: --force-uncertified."


def _refuse_to_overwrite(paths: Sequence[Path], force: bool) -> None:
    if not force and (there := [path for path in paths if path.exists()]):
        raise ConversionError(
            f"{there[0]}: is already there. Replace it with --force, or choose another --out."
        )


def _distinct(wanted: Sequence[str], options: Options) -> list[str]:
    """The schemes, each once, all known, and able to have the ends that were asked for."""
    if not wanted:
        known = ", ".join(schemes.SCHEMES)
        raise ConversionError(f"no scheme was asked for. There are: {FLOAT}, {known}.")
    for scheme in wanted:
        if scheme != FLOAT:
            quantize.known(scheme)
            schemes.check_ends(options.io, scheme)
    if options.io is not None and not any(each != FLOAT and quantize.known(each).integer for each in wanted):
        raise ConversionError(
            f"inputs and outputs of {', '.join(wanted)} are float32. Leave --io out, or ask for --int8."
        )
    return list(dict.fromkeys(wanted))
