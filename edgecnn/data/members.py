"""The names in a folder or an archive: which are safe, which count, and how they are kept."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from edgecnn.errors import DataError

MAX_BYTES = 1 << 30
"""The most that one file may hold: by an archive's directory, and when it is unpacked.

COCO's own training annotations are one file of 450 MB.
"""


@dataclass(frozen=True)
class Listing:
    """What lies in a storage.

    Attributes:
        files: relative paths, sorted.
        folders: relative paths without `/` at the end, sorted; also those that hold nothing.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...]

    @staticmethod
    def of(names: Iterable[str]) -> "Listing":
        """Sort names into files and folders (`/` at the end), leaving out what is hidden."""
        files = []
        folders = set()
        for name in names:
            if not name or _HIDDEN.search(name):
                continue
            if name.endswith("/"):
                folders.add(name.rstrip("/"))
            else:
                files.append(name)
                above = name.rpartition("/")[0]
                while above and above not in folders:
                    folders.add(above)
                    above = above.rpartition("/")[0]
        return Listing(tuple(sorted(files)), tuple(sorted(folders)))


_HIDDEN = re.compile(r"(^|/)(\.|__MACOSX(/|$))")


def checked(name: str, archive: str) -> str:
    """A member's name as a relative path: `/` between the parts, no `.` or empty parts, `/` after a folder.

    The archive itself (`./`) becomes the empty name.

    Raises:
        DataError: the name leads out of the archive.
    """
    path = name.replace("\\", "/")  # some writers on Windows
    if _LEADS_OUT.search(path):
        raise DataError(f"{archive}: the member {name!r} leads out of the archive. Do not use this archive.")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "/".join(parts) + ("/" if path.endswith("/") and parts else "")


_LEADS_OUT = re.compile(r"^/|(^|/)\.\.(/|$)|^[A-Za-z]:|\0")
