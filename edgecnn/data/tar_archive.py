"""Tar archives: a plain .tar is read in place; a compressed one is unpacked once, to a temporary file.

Compressed archives have no random access. The temporary file lies in `$TMPDIR` (default `/tmp`), has no name,
and so is gone with the process however it ends; it is as large as the .tar would be, at most `MAX_UNPACKED`.
Whoever opens such an archive often unpacks it for good: `gunzip data.tar.gz`.
"""

import bz2
import gzip
import lzma
import os
import tarfile
import tempfile
import weakref
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from edgecnn.data.members import MAX_BYTES, Listing, checked
from edgecnn.errors import DataError

MAX_UNPACKED = 16 << 30
"""The most that a compressed archive may unpack to, in bytes."""

_COMPRESSIONS: dict[bytes, Callable[[Path], IO[bytes]]] = {
    b"\x1f\x8b": gzip.open,  # type: ignore[dict-item]  # its default mode is "rb"
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}


def recognizes(start: bytes) -> bool:
    """Whether a file that starts so (512 bytes) is a tar archive, or compressed as tar archives are."""
    return start[257:262] == b"ustar" or start.startswith(tuple(_COMPRESSIONS))


class Tar:
    """The members of a tar file. Holds a file open until it is garbage."""

    def __init__(self, path: Path) -> None:
        """Find all members.

        Raises:
            DataError: the archive is damaged, too large, holds links or devices, or a name leads out of it.
        """
        self.path = path
        self.name = path.name
        try:
            with _plain(path) as file:
                self._members = _members(path, file)
                self._file = os.dup(file.fileno())
        except OSError as error:
            raise DataError(f"{path}: cannot be read or unpacked ({error.strerror or error})") from None
        self.listing = Listing.of(self._members)
        weakref.finalize(self, os.close, self._file)

    def __reduce__(self) -> tuple[type["Tar"], tuple[Path]]:
        return Tar, (self.path,)  # the other process opens (and unpacks) its own

    def read(self, path: str) -> bytes:
        """See `edgecnn.data.storage.Storage.read`."""
        offset, size = self._members[path]
        data = os.pread(self._file, size, offset)
        if len(data) != size:
            raise DataError(f"{self.name}/{path}: the archive ends inside it. Copy the archive again.")
        return data

    def start(self, path: str, count: int) -> bytes:
        """See `edgecnn.data.storage.Storage.start`."""
        offset, size = self._members[path]
        return os.pread(self._file, min(size, count), offset)


def _plain(path: Path) -> IO[bytes]:
    file = path.open("rb")
    start = file.read(512)
    unpack = next((opened for magic, opened in _COMPRESSIONS.items() if start.startswith(magic)), None)
    if unpack is None:
        return file
    file.close()
    whole = tempfile.TemporaryFile()  # noqa: SIM115  (the caller closes it)
    try:
        with unpack(path) as packed:
            while piece := packed.read(1 << 20):
                whole.write(piece)
                if whole.tell() > MAX_UNPACKED:
                    raise DataError(
                        f"{path}: unpacks to more than {MAX_UNPACKED >> 30} GB. Unpack it yourself."
                    )
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        whole.close()
        raise DataError(f"{path}: a damaged or truncated archive ({error}). Copy it again.") from None
    except BaseException:
        whole.close()
        raise
    whole.flush()
    return whole


def _members(path: Path, file: IO[bytes]) -> dict[str, tuple[int, int]]:
    """Offset and size of every file, by name; folders, by name and `/`."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    members: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(fileobj=_Sparing(file, path), mode="r:") as archive:
            while (entry := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # else tarfile keeps 1 kB of each
                if entry.isdir():
                    members[checked(entry.name + "/", path.name)] = (0, 0)
                    continue
                _refuse(path, entry)
                if entry.offset_data + entry.size > size:
                    raise DataError(f"{path}: ends inside {entry.name!r}. Copy it again.")
                name = checked(entry.name, path.name)
                if name in members:
                    raise DataError(f"{path}: holds {name!r} twice. Pack it again.")
                members[name] = (entry.offset_data, entry.size)
            _expect_end(path, file, archive.offset)
    except (tarfile.TarError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: not a tar archive, or a damaged one ({error}). Copy it again.") from None
    return members


def _expect_end(path: Path, file: IO[bytes], offset: int) -> None:
    """A block of zeros ends an archive (POSIX ustar); tarfile takes damage in the middle for the end, too."""
    if os.pread(file.fileno(), 512, offset) != bytes(512):
        raise DataError(f"{path}: damaged or cut short after {offset} bytes. Copy it again.")


def _refuse(path: Path, entry: tarfile.TarInfo) -> None:
    if not entry.isreg() or entry.issparse():
        raise DataError(f"{path}: {entry.name!r} is a link, a device or sparse. Pack the archive without.")
    if entry.size > MAX_BYTES:
        raise DataError(f"{path}: {entry.name!r} is larger than {MAX_BYTES >> 20} MB. Pack it without.")


class _Sparing:
    """A file that gives at most 1 MB at once: tarfile reads names as long as a header claims."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self._path = path

    def read(self, size: int) -> bytes:
        if size > 1 << 20:
            raise DataError(f"{self._path}: a header claims {size} bytes. Copy the archive again.")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
