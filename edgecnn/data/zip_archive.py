"""Zip archives read in place: the central directory once, then each member with one positioned read.

The file position is never shared, so any number of threads and forked processes read at the same time.
Layout: APPNOTE.TXT, PKWARE, sections 4.3.7 (local header) and 4.4.
"""

import os
import stat
import struct
import weakref
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

from edgecnn.data.members import MAX_BYTES, Listing, checked
from edgecnn.errors import DataError


def recognizes(start: bytes) -> bool:
    """Whether a file that starts so is a zip archive."""
    return start.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"))


class Zip:
    """The members of a .zip file. Holds the file open until it is garbage."""

    def __init__(self, path: Path) -> None:
        """Read the central directory.

        Raises:
            DataError: the archive is damaged, encrypted, holds links, or a name leads out of it.
        """
        self.path = path
        self.name = path.name
        self._members = _members(path)
        self.listing = Listing.of(self._members)
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._file)

    def __reduce__(self) -> tuple[type["Zip"], tuple[Path]]:
        return Zip, (self.path,)  # the other process opens its own

    def read(self, path: str) -> bytes:
        """See `edgecnn.data.storage.Storage.read`."""
        member = self._members[path]
        data = self._unpacked(path, member.packed, member.size + 1)
        if len(data) != member.size or zlib.crc32(data) != member.checksum:
            raise DataError(f"{self.name}/{path}: damaged, its checksum is wrong. Copy the archive again.")
        return data

    def start(self, path: str, count: int) -> bytes:
        """See `edgecnn.data.storage.Storage.start`."""
        if not count:
            return b""  # to zlib, 0 is no limit
        # deflate can make data longer, by 5 bytes in 16 kB (RFC 1951, 3.2.4)
        packed = min(self._members[path].packed, count + count // 1000 + 100)
        return self._unpacked(path, packed, count)

    def _unpacked(self, path: str, packed_bytes: int, most: int) -> bytes:
        """At most `most` bytes of what the first `packed_bytes` of a member hold."""
        member = self._members[path]
        # the name's length in the local header is almost always the central one; the extra field is a guess
        guess = 30 + member.name_bytes + 32 + packed_bytes
        packed = os.pread(self._file, guess, member.offset)
        if len(packed) < 30 or not packed.startswith(b"PK\x03\x04"):
            raise DataError(
                f"{self.name}/{path}: not where the archive's directory says. Copy the archive again."
            )
        name_bytes, extra_bytes = struct.unpack_from("<HH", packed, 26)
        start = 30 + name_bytes + extra_bytes
        if start + packed_bytes > len(packed):
            packed = os.pread(self._file, packed_bytes, member.offset + start)
            start = 0
        packed = packed[start : start + packed_bytes]
        if member.method != zipfile.ZIP_DEFLATED:
            return packed[:most]
        try:
            return zlib.decompressobj(-15).decompress(packed, most)
        except zlib.error:
            raise DataError(f"{self.name}/{path}: cannot be unpacked. Copy the archive again.") from None


class _Member(NamedTuple):
    offset: int
    packed: int
    size: int
    checksum: int
    method: int
    name_bytes: int


def _members(path: Path) -> dict[str, _Member]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, struct.error, NotImplementedError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: a damaged zip archive ({error}). Copy it again.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    members: dict[str, _Member] = {}
    for entry in entries:
        name = checked(entry.filename, path.name)
        _refuse(path, entry)
        if name in members:
            raise DataError(f"{path}: holds {name!r} twice. Pack it again.")
        members[name] = _Member(
            entry.header_offset,
            entry.compress_size,
            entry.file_size,
            entry.CRC,
            entry.compress_type,
            len(entry.orig_filename),
        )
    return members


def _refuse(path: Path, entry: zipfile.ZipInfo) -> None:
    mode = entry.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(f"{path}: {entry.filename!r} is a link or a device. Pack the archive without.")
    if entry.flag_bits & 1:
        raise DataError(
            f"{path}: {entry.filename!r} is encrypted. Unpack it, and pack it without a password."
        )
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(
            f"{path}: {entry.filename!r} is packed by method {entry.compress_type}; only 0 (stored) and 8 "
            "(deflate) are read. Pack it again with: zip -r"
        )
    if entry.header_offset < 0:
        raise DataError(
            f"{path}: {entry.filename!r} lies before the start of the file. Copy the archive again."
        )
    if max(entry.file_size, entry.compress_size) > MAX_BYTES:
        raise DataError(f"{path}: {entry.filename!r} is larger than {MAX_BYTES >> 20} MB. Pack it without.")
