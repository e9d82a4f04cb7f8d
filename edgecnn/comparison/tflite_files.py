"""The float32 and int8 file of a run: its own, where they were made from its present weights, else new ones.

A file that is not the run's own lies in a temporary folder and is gone after the comparison.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgecnn import card as cards
from edgecnn import runs
from edgecnn.card import Card
from edgecnn.comparison.figures import SCHEMES, Scheme
from edgecnn.errors import CardError, ConversionError
from edgecnn.runs import Run

if TYPE_CHECKING:
    from converters.evidence import Data

_BLOCK: Final = 1 << 20


@dataclass(frozen=True)
class Converted:
    """One `.tflite` file of a run.

    Attributes:
        path: of the file.
        is_own: it lies in the run.
    """

    path: Path
    is_own: bool


def files_of(run: Run, data: "Data", folder: Path, *, tell: Callable[[str], None]) -> dict[Scheme, Converted]:
    """Both files of a run; those that it lacks are made now.

    Args:
        run: stays as it is.
        data: training and validation images to calibrate with; None where the run must have its files.
        folder: where files are made that the run lacks.
        tell: told what is made, one line each.

    Raises:
        ConversionError: a file is missing and cannot be made.
        DataError, CardError: the run or the data cannot be read.
    """
    card, origin = run.read_card(), f"{run.model.name} sha256 {runs.fingerprint(run.model)}"
    own = {scheme: run.tflite(scheme) for scheme in SCHEMES if _belongs(run.tflite(scheme), card, origin)}
    missing = [scheme for scheme in SCHEMES if scheme not in own]
    if not missing:
        return {scheme: Converted(own[scheme], True) for scheme in SCHEMES}
    if data is None:
        raise ConversionError(
            f"{run.path}: has no {missing[0]}.tflite of its present weights. Make it with: edgecnn convert "
            f"{run.path} --float32 --int8 --data DATA, or give training images to compare with."
        )
    from edgecnn.conversion import convert_model

    tell(f"{run.path}: converting to {' and '.join(missing)}, for this comparison only")
    made = convert_model(
        run.path, schemes=list(SCHEMES), data=data, out=folder, progress=tell,
        uncertified=True, audited=False,  # nothing ships here; whoever converts to ship is told
    )  # fmt: skip
    fresh = {scheme: Converted(one.path, False) for scheme, one in zip(SCHEMES, made, strict=True)}
    return {scheme: Converted(own[scheme], True) if scheme in own else fresh[scheme] for scheme in SCHEMES}


def certificate_of(path: Path) -> str:
    """What the gate said of a file: "certified", "unproven" or "refused"; "" where nothing was judged.

    Raises:
        CardError: its card cannot be understood.
    """
    card = cards.read(path)
    return str(card.certificate.get("outcome", "")) if card is not None else ""


def zipped_bytes(path: Path) -> int:
    """How large a file is after deflate at level 9, without the few bytes of an archive's directory."""
    packer, size = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            size += len(packer.compress(block))
    return size + len(packer.flush())


def _belongs(path: Path, card: Card, origin: str) -> bool:
    """Whether a file was made from these weights, for this card."""
    if not path.is_file():
        return False
    try:
        there = cards.read(path)
    except CardError:  # of another version, or damaged: not a file to compare with
        return False
    return (
        there is not None
        and (there.task, there.input, there.labels) == (card.task, card.input, card.labels)
        and any(origin in line for line in there.lineage)
    )
