"""What is seen as JSON lines: each object on one line, to a file or to standard output, each line whole.

A line holds a result (source, index, time_s, age_ms, …), a notice (notice, text, time_s), or whatever else
the caller says once, such as a report.
"""

import errno
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from edgecnn.errors import DataError
from edgecnn.results import Classes
from edgecnn.runtime.seen import Seen

_MOST_CLASSES: Final = 5


class JsonLines:
    """A file of JSON lines. Use it in a `with` block, or close it.

    Attributes:
        name: where the lines go.
    """

    def __init__(self, path: Path | str, *, force: bool = False) -> None:
        """Open the file; missing folders are made.

        Args:
            path: of the file; "-" is standard output.
            force: overwrite a file that is there.

        Raises:
            DataError: it is there already, or cannot be written.
        """
        self.name = "standard output" if str(path) == "-" else str(path)
        self._whole = 0  # bytes of complete lines
        if str(path) == "-":
            self._file = None
            return
        path = Path(path)
        if path.exists() and not force:
            raise DataError(f"{path} is there already. Choose another, or overwrite with force (--force).")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # no buffer of ours: what was not taken by the disk must not come again later
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror})") from None

    def write(self, value: Mapping[str, Any]) -> None:
        """Add one line, at once.

        Raises:
            OSError: it could not be written; the file then ends with the line before.
            BrokenPipeError: likewise; whoever read standard output has gone.
        """
        line = (json.dumps(value, ensure_ascii=False) + "\n").encode()
        if self._file is None:
            sys.stdout.write(line.decode())
            sys.stdout.flush()
            return
        try:
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.name)
        except OSError:
            self._file.truncate(self._whole)
            raise
        self._whole += len(line)

    def close(self) -> None:
        """Close the file. Twice does no harm."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def record(seen: Seen) -> dict[str, Any]:
    """One result as a JSON-ready dict.

    source, task, results (of classes the five best) and latency_ms as in `Seen.as_dict`; index of the frame;
    time_s of its capture (monotonic); age_ms now; delay_ms until the result was there; where things are
    followed, tracks and events.
    """
    said = {
        **seen.as_dict(top=_MOST_CLASSES if isinstance(seen.result, Classes) else None),
        "index": seen.frame.index,
        "time_s": round(seen.frame.time_s, 4),
        "age_ms": round(seen.age_ms, 3),
        "delay_ms": round(seen.delay_ms, 3),
    }
    if seen.tracks is not None:
        said["tracks"] = seen.tracks.records()
        said["events"] = [event.as_dict() for event in seen.events]
    return said
