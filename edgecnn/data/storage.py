"""Where a data set's files lie: a folder or an archive, listed once and read in place.

Knows paths and bytes, nothing of images or labels. Formats see a `Storage` and never ask which kind it is.
Paths are relative, with `/`, and sorted. Hidden files (`.name`) and the `__MACOSX` folder that macOS puts
into archives are left out.
"""

import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Protocol

from edgecnn.data import tar_archive, zip_archive
from edgecnn.data.members import MAX_BYTES, Listing
from edgecnn.errors import DataError


class Storage(Protocol):
    """A listed place. Picklable; `read` may be called from several threads and forked processes at once."""

    @property
    def name(self) -> str:
        """The folder's or archive's own name, such as `cifar10.zip`."""

    @property
    def listing(self) -> Listing:
        """What is in it."""

    def read(self, path: str) -> bytes:
        """The content of one listed file.

        Raises:
            DataError: the file is damaged, gone or larger than `MAX_BYTES`; names it.
        """

    def start(self, path: str, count: int) -> bytes:
        """The first `count` bytes of one listed file, or all, where it has fewer. Not checked for damage.

        Raises:
            DataError: the file is gone or cannot be unpacked; names it.
        """


class Place:
    """Where a data set is said to be: its path or name, and its files, listed when a format first asks."""

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)

    def __str__(self) -> str:
        return self.path

    @property
    def exists(self) -> bool:
        """Whether there is such a file or folder."""
        return Path(self.path).exists()

    @cached_property
    def storage(self) -> Storage:
        """See `open_storage`; opened once, however many formats look at it."""
        return open_storage(Path(self.path))


def open_storage(path: Path) -> Storage:
    """List a folder, .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz; the kind is seen from the content.

    Raises:
        DataError: nothing is there, it is neither, or an archive is damaged or unsafe.
    """
    if path.is_dir():
        return Folder(path)
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file or folder") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if not start:
        raise DataError(f"{path}: the file is empty (0 bytes). Copy it again.")
    if zip_archive.recognizes(start):
        return zip_archive.Zip(path)
    if tar_archive.recognizes(start):
        return tar_archive.Tar(path)
    raise DataError(
        f"{path}: neither a folder nor a zip or tar archive (starts with {start[:4].hex(' ')}). "
        "Give the folder, .zip, .tar or .tar.gz that holds the images."
    )


def text(storage: Storage, path: str) -> str:
    """A text file's content, UTF-8 with or without mark.

    Raises:
        DataError: it is something else.
    """
    try:
        return storage.read(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{storage.name}/{path}: not a text file in UTF-8. Save it as UTF-8.") from None


class Folder:
    """A folder on disk. Symbolic links are followed: they are the owner's own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name or path.resolve().name
        self.listing = Listing.of(self._walk())

    def read(self, path: str) -> bytes:
        """See `Storage.read`."""
        try:
            with (self.path / path).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise DataError(f"{self.path / path}: cannot be read ({error.strerror})") from None
        if len(data) > MAX_BYTES:
            raise DataError(
                f"{self.path / path}: larger than {MAX_BYTES >> 20} MB. Remove it or make it smaller."
            )
        return data

    def start(self, path: str, count: int) -> bytes:
        """See `Storage.start`."""
        try:
            with (self.path / path).open("rb", buffering=0) as file:
                return file.read(count)
        except OSError as error:
            raise DataError(f"{self.path / path}: cannot be read ({error.strerror})") from None

    def _walk(self) -> Iterable[str]:
        """Paths of files, and of folders with `/` at the end."""
        seen: set[tuple[int, int]] = set()  # a link to a folder above would go round for ever
        waiting = [""]
        while waiting:
            inside = waiting.pop()
            try:
                status = (self.path / inside).stat()
                entries = list(os.scandir(self.path / inside))
            except OSError as error:
                raise DataError(f"{self.path / inside}: cannot be listed ({error.strerror})") from None
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            for entry in entries:
                if entry.is_dir():
                    yield f"{inside}{entry.name}/"
                    waiting.append(f"{inside}{entry.name}/")
                elif entry.is_file() or entry.is_symlink():  # a broken link is a file that cannot be read
                    yield f"{inside}{entry.name}"
