"""Names of the classes: from a label file, from a sequence, from the archive inside a model.

Two styles are read: one name for each line, and Coral's numbered lines ("0  background"). Knows nothing of
models; whether there are as many names as classes is for the caller.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from edgecnn.errors import DataError

MAX_BYTES = 16 * 2**20

_NUMBERED = re.compile(r"(\d{1,6})(?:\s*:\s*|\s+)(\S.*)")


def read(source: Path | str | Sequence[str]) -> tuple[str, ...]:
    """Labels from a file (given by its path), or as they are from a sequence.

    Raises:
        DataError: the file cannot be read, or holds no labels: see `parse`.
    """
    if not isinstance(source, str | Path):
        return tuple(source)
    path = Path(source)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: {path.stat().st_size} bytes is no label file. One name for each line.")
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(f"{path}: the label file cannot be read ({error.strerror})") from None


def parse(data: bytes, name: str) -> tuple[str, ...]:
    """Labels from a label file's content, index 0 first.

    Numbers at the start of the lines are read as indices where every line has one and they increase; an index
    that no line names becomes "class <index>". Empty lines at the end do not count.

    Args:
        data: the file.
        name: what to call it in errors.

    Raises:
        DataError: not UTF-8, no labels, an empty line between labels.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}:{line}: not UTF-8 text. Save the label file as UTF-8.") from None
    lines = [" ".join(line.split("\t")).strip() for line in text.rstrip().split("\n")] if text.strip() else []
    if not lines:
        raise DataError(f"{name}: no labels in it. Give a file with one name for each line.")
    if "" in lines:
        raise DataError(
            f"{name}:{lines.index('') + 1}: an empty line between labels. Remove it, or name the class."
        )
    return _numbered(lines) or tuple(lines)


def only_text_file(entries: Mapping[str, bytes]) -> str | None:
    """The name of the one `.txt` file in the archive behind a model; None where there is none, or several."""
    names = [name for name in entries if name.lower().endswith(".txt")]
    return names[0] if len(names) == 1 else None


def unnamed(count: int) -> tuple[str, ...]:
    """Stand-ins for `count` missing names: "class 0", "class 1" and so on."""
    return tuple(f"class {index}" for index in range(count))


def count_hint(labels: int, classes: int) -> str:
    """What to do about a wrong number of labels."""
    if labels == classes - 1:
        return "One label too few: the model probably has a background class. Add a first line 'background'."
    if labels == classes + 1:
        return (
            "One label too many: the list probably starts with a background class, which this model does not "
            "have. Remove the first line."
        )
    return f"Give a label file with {classes} lines."


def _numbered(lines: Sequence[str]) -> tuple[str, ...]:
    found = [_NUMBERED.fullmatch(line) for line in lines]
    pairs = [(int(match[1]), match[2]) for match in found if match]
    indices = [index for index, _ in pairs]
    increasing = all(before < after for before, after in pairwise(indices))
    if len(pairs) < len(lines) or not increasing:
        return ()
    names = list(unnamed(indices[-1] + 1))
    for index, label in pairs:
        names[index] = label
    return tuple(names)
