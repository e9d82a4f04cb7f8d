"""The zip archive behind a model: small files that travel in the `.tflite` and that no interpreter sees.

TFLite interpreters read the flatbuffer from the front; zip readers start from the back. The card lies here,
and TFLite Metadata keeps its label files the same way. Knows bytes and entries, not what they mean.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from edgecnn import files
from edgecnn.errors import CardError

MAX_BYTES = 16 * 2**20
"""Of all entries together, unpacked."""

_END = struct.Struct("<4s16xH")  # a zip archive's last record: signature, length of the comment behind it
_FIXED_DATE = (1980, 1, 1, 0, 0, 0)  # so that the same entries give the same bytes


def read_entries(path: Path) -> dict[str, bytes]:
    """The small files (card, label files) in the zip archive behind the flatbuffer; {} without archive.

    Raises:
        CardError: the archive is damaged or an entry is larger than `MAX_BYTES`.
    """
    try:
        with path.open("rb") as file:
            if not _ends_in_archive(file):
                return {}
            with zipfile.ZipFile(file) as archive:
                infos = archive.infolist()
                _check_entries(infos, path)
                return {info.filename: archive.read(info) for info in infos}
    except FileNotFoundError:
        raise CardError(f"{path}: there is no such file") from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        RuntimeError,
        ValueError,
        OverflowError,
        OSError,
        EOFError,
    ) as error:
        if isinstance(error, CardError):
            raise
        raise CardError(
            f"{path}: the archive behind the model is damaged ({error}). Copy the file again."
        ) from None


def write_entries(path: Path, entries: Mapping[str, bytes]) -> None:
    """Put these entries behind the model, in place of those that are there; its own bytes do not change.

    Raises:
        CardError: the archive that is there points outside the file.
    """
    model = flatbuffer_bytes(path.read_bytes())
    files.write_bytes(path, model + _archive(entries, len(model)))


def write_beside(model: Path, out: Path, content: bytes) -> None:
    """Write a file made from another, with the entries of that one, so that it has its card.

    Args:
        model: the file whose entries are taken.
        out: the new file; it is there whole, or not at all.
        content: its FlatBuffer.

    Raises:
        CardError: the archive of `model` cannot be read.
    """
    entries = read_entries(model)
    with files.replacing(out) as beside:
        beside.write_bytes(content)
        if entries:
            write_entries(beside, entries)


def flatbuffer_bytes(data: bytes) -> bytes:
    """The model without the archive behind it.

    Raises:
        CardError: the archive's directory points outside the file.
    """
    if not _ends_in_archive(io.BytesIO(data)):
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        start = min((info.header_offset for info in archive.infolist()), default=archive.start_dir)
    if not 0 <= start <= len(data):
        raise CardError("the archive behind the model points outside the file")
    return data[:start]


def _ends_in_archive(file: BinaryIO) -> bool:
    """Whether the end of the file is the end of a zip archive.

    `zipfile.is_zipfile` is content with the four bytes of the signature anywhere in the last 64 kB, where
    weights may hold them by chance.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _END.size - 0xFFFF))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    return 0 <= at <= len(tail) - _END.size and at + _END.size + _END.unpack_from(tail, at)[1] == len(tail)


def _check_entries(infos: Sequence[zipfile.ZipInfo], path: Path) -> None:
    """Refuse what no model carries, before anything is unpacked."""
    if len(infos) > 100:
        raise CardError(
            f"{path}: {len(infos)} entries in the archive behind the model; not a model's own files"
        )
    for info in infos:
        if info.file_size > MAX_BYTES:
            raise CardError(f"{path}: {info.filename!r} has {info.file_size} bytes; not a model's own file")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise CardError(f"{path}: {info.filename!r} is compressed in a way that is not read; use deflate")
    if (total := sum(info.file_size for info in infos)) > MAX_BYTES:
        raise CardError(
            f"{path}: the files behind the model have {total} bytes together; not a model's own files"
        )


def _archive(entries: Mapping[str, bytes], offset: int) -> bytes:
    """A zip archive whose offsets count from the start of the model before it."""
    buffer = io.BytesIO()
    buffer.write(b"\0" * offset)
    # Stored, not deflated: MediaPipe Tasks refuses a model with any compressed file behind it.
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name, _FIXED_DATE), data)
    return buffer.getvalue()[offset:]
