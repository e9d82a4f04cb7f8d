"""A finished file takes its name: with its card, its golden checks and TFLite Metadata, run once more before.

Everything is written beside the place and renamed at the end; whatever goes wrong before that leaves the
folder as it was.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from converters import golden, verify
from converters.evidence import Evidence
from converters.tflite_metadata import with_metadata, with_raw_pixels
from converters.verify import Comparison, Outputs
from edgecnn import archive, files
from edgecnn import card as cards
from edgecnn.card import Card
from edgecnn.errors import ConversionError
from edgecnn.graph import read
from edgecnn.runtime.model import Model, load

VERIFIED = 64
"""Images on which a file is compared with the float model: enough to see a ruin, and takes half a second."""

VERIFIED_FLOAT = 16
"""Images on which float32 is compared with its source: rounding needs no statistics."""

GOLDEN = 3
"""Checks in the card: a drawn image and two real ones."""


def publish_float(path: Path, content: bytes, card: Card, source: Outputs, evidence: Evidence) -> Comparison:
    """Write a float32 file once it has computed what its source computes.

    Raises:
        ConversionError: it does not, or the file cannot be written.
    """
    shown = evidence.images(card.input, VERIFIED_FLOAT)
    with _placed(path, content, card, evidence) as made:
        comparison = verify.compare(source, verify.outputs_of(made), shown, card)
        verify.check_equal(comparison, str(path))
    return comparison


def publish(
    path: Path, content: bytes, card: Card, source: Outputs, evidence: Evidence, *, as_it_is: bool = False
) -> Comparison:
    """Write a file once it has been seen to be no ruin.

    Args:
        path: its name.
        content: the `.tflite`, without a card.
        card: what its numbers mean; the names of its outputs and its checks are filled in here.
        source: the float model as a function of an image.
        evidence: images to compare on.
        as_it_is: write it even if it is ruined.

    Raises:
        ConversionError: it is ruined, or cannot be written.
    """
    shown = evidence.images(card.input, VERIFIED)
    with _placed(path, content, card, evidence) as made:
        comparison = verify.compare(source, verify.outputs_of(made), shown, card)
        if not as_it_is:
            verify.check_sound(comparison, str(path), real_images=evidence.is_real)
    return comparison


@contextmanager
def opened(content: bytes, card: Card, *, name: str, threads: int) -> Iterator[Model]:
    """A file that has no name yet, loaded with its card.

    Args:
        content: the `.tflite`, without a card.
        card: what its numbers mean; the names of its outputs are filled in here.
        name: of the file; it lies in a temporary folder.
        threads: of the interpreter.

    Raises:
        ConversionError: it cannot be written.
        ModelError: it cannot be run.
    """
    with TemporaryDirectory(prefix="edgecnn-") as folder:
        path = Path(folder, name)
        try:
            _write(path, content, card)
        except OSError as error:
            raise ConversionError(
                f"{path}: cannot be written ({error.strerror}). Free some space there, or name another "
                "folder for temporary files in TMPDIR."
            ) from error
        with load(path, threads=threads) as model:
            yield model


def with_outputs(content: bytes, card: Card) -> Card:
    """The card with the names that the outputs have in this file."""
    graph = read(content, card.name)
    if not graph.signatures:
        return card
    roles = {role: graph.tensors[index].name for role, index in graph.signatures[0].outputs.items()}
    return replace(card, outputs=roles)


def threads() -> int:
    """How many threads the interpreter may use while converting."""
    return min(4, os.cpu_count() or 1)


def _write(path: Path, content: bytes, card: Card) -> Card:
    """The file as it ships, but for its checks; what is judged is what gets the name, byte by byte.

    Returns:
        The card as it was written.
    """
    card = with_outputs(content, card)
    card = with_raw_pixels(read(content, card.name), card)
    described, entries = with_metadata(content, card)
    path.write_bytes(described)
    archive.write_entries(path, entries)
    cards.attach(path, card)
    return card


@contextmanager
def _placed(path: Path, content: bytes, card: Card, evidence: Evidence) -> Iterator[Model]:
    """The file under another name, loaded, to be refused or to get its checks and its name."""
    try:
        with files.replacing(path) as beside:
            card = _write(beside, content, card)
            with load(beside, threads=threads()) as made:
                yield made
                checks = golden.checks(made, evidence.images(card.input, GOLDEN), count=GOLDEN)
            cards.attach(beside, replace(card, checks=checks))
    except OSError as error:
        raise ConversionError(
            f"{path}: cannot be written ({error.strerror}). Free some space, or choose another folder with "
            "--out."
        ) from error
