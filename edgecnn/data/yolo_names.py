"""The small part of YAML in which a YOLO data set names its classes and splits, read strictly.

    path: ../cells          # comments
    train: images/train     val: [a, b]     test:
    names: [red, white]     names: {0: red, 1: white}     names: and lines of `- red` or `0: red`

Of other keys, whatever they hold is passed over. Anchors, tags and blocks of text are refused in these.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from edgecnn.errors import DataError

_KEYS = ("path", "train", "val", "valid", "test", "names")


class Named(NamedTuple):
    """What a data.yaml says.

    Attributes:
        labels: the classes' names; () where it does not say.
        root: `path`, or "".
        splits: of each split (train, val, test) the folders or lists of images.
    """

    labels: tuple[str, ...]
    root: str
    splits: dict[str, tuple[str, ...]]


def parse(text: str, name: str) -> Named:
    """Read a data.yaml.

    Args:
        text: its content.
        name: what to call it in an error.

    Raises:
        DataError: one of the keys above says something else; names the line.
    """
    found: dict[str, tuple[int, list[str] | dict[str, str] | str]] = {}
    for line, key, lines in _entries(text, name):
        if key in _KEYS:
            if key in found:
                raise DataError(f"{name}:{line}: {key} occurs twice. Remove one.")
            found[key] = (line, _value(lines, line, name))
    if "valid" in found:
        found.setdefault("val", found["valid"])
    splits = {}
    for key in ("train", "val", "test"):
        line, value = found.get(key, (0, ""))
        if isinstance(value, dict):
            raise DataError(f"{name}:{line}: {key} must be a folder, a list file, or a list of these.")
        if folders := tuple(each for each in ([value] if isinstance(value, str) else value) if each):
            splits[key] = folders
    line, root = found.get("path", (0, ""))
    if not isinstance(root, str):
        raise DataError(f"{name}:{line}: path must be one folder.")
    return Named(_labels(*found.get("names", (0, [])), name), root, splits)


def _labels(line: int, names: list[str] | dict[str, str] | str, name: str) -> tuple[str, ...]:
    if isinstance(names, str):
        raise DataError(f"{name}:{line}: names must be a list, or a map from 0, 1, … to names.")
    if isinstance(names, list):
        return tuple(names)
    if sorted(names) != sorted(str(number) for number in range(len(names))):
        raise DataError(f"{name}:{line}: names must be numbered 0, 1, … without a gap.")
    return tuple(names[str(number)] for number in range(len(names)))


def _entries(text: str, name: str) -> Iterator[tuple[int, str, list[str]]]:
    """Each top-level key: its line, itself, and the lines of its value, the first being behind the key."""
    entry: tuple[int, str, list[str]] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = _without_comment(raw)
        if entry is not None and (not line or line[0] in " \t-]}"):
            entry[2].append(line)
            continue
        if not line or line in ("---", "..."):
            continue
        found = re.fullmatch(r"""["']?([\w .-]+?)["']?\s*:(?:\s+(.*))?""", line)
        if found is None:
            raise DataError(
                f"{name}:{number}: {raw.strip()[:60]!r} is not understood. Write it as key: value."
            )
        if entry is not None:
            yield entry
        entry = (number, found[1], [found[2] or ""])
    if entry is not None:
        yield entry


def _value(lines: list[str], line: int, name: str) -> list[str] | dict[str, str] | str:
    """A scalar, a list or a map, in one line's style or in a block."""
    first = lines[0].strip()
    flow = " ".join(each.strip() for each in lines).strip()
    if first[:1] in ("[", "{"):
        if flow[-1] != {"[": "]", "{": "}"}[first[0]]:
            raise DataError(f"{name}:{line}: {first[:60]!r} is opened but not closed.")
        parts = [part for part in _parts(flow[1:-1]) if part.strip()]
        return [_scalar(part, line, name) for part in parts] if first[0] == "[" else _map(parts, line, name)
    block = [(line + offset, each.strip()) for offset, each in enumerate(lines[1:], 1) if each.strip()]
    if first or not block:
        if block:
            raise DataError(
                f"{name}:{block[0][0]}: {block[0][1][:60]!r} continues the line before it. Join the two."
            )
        return _scalar(first, line, name)
    if block[0][1].startswith("- "):
        for number, each in block:
            if not each.startswith("- "):
                raise DataError(f"{name}:{number}: {each[:60]!r} is not understood. Write it as - name.")
        return [_scalar(each[2:], number, name) for number, each in block]
    pairs: dict[str, str] = {}
    for number, each in block:
        for key, value in _map([each], number, name).items():
            if key in pairs:
                raise DataError(f"{name}:{number}: {key} occurs twice. Remove one.")
            pairs[key] = value
    return pairs


def _map(parts: list[str], line: int, name: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in parts:
        key, colon, value = part.partition(":")
        key = _scalar(key, line, name)
        if not colon or key in pairs:
            raise DataError(f"{name}:{line}: {part.strip()[:60]!r} is not understood, or occurs twice.")
        pairs[key] = _scalar(value, line, name)
    return pairs


def _parts(flow: str) -> list[str]:
    """What stands between commas outside of quotes."""
    parts = [""]
    for piece in _pieces(flow):
        if piece == ",":
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _pieces(text: str) -> Iterator[str]:
    """The characters of a text; what is in quotes, as one. An apostrophe within a word is no quote."""
    at = 0
    before = ""
    while at < len(text):
        quoted = _QUOTED.match(text, at) if before in ("", *"-:,[{") else None
        piece = quoted[0] if quoted else text[at]
        at += len(piece)
        before = piece if piece.strip() else before
        yield piece


_QUOTED = re.compile(r""""(?:\\.|[^"\\])*"|'(?:''|[^'])*'""")


def _scalar(text: str, line: int, name: str) -> str:
    """A word, plain or in quotes; null is nothing."""
    text = text.strip()
    if text[:1] == '"':
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = None
        if isinstance(value, str):
            return value
    elif text[:1] == "'":
        if re.fullmatch("'(''|[^'])*'", text):
            return text[1:-1].replace("''", "'")
    elif text in ("", "~", "null"):
        return ""
    elif text[0] not in "&*!|>%@`[{" and ": " not in text:
        return text
    raise DataError(
        f"{name}:{line}: {text[:60]!r} is not understood. Write a plain word or put it into quotes."
    )


def _without_comment(line: str) -> str:
    """A line without what follows ` #` outside of quotes, and without space at its end."""
    kept = ""
    for piece in _pieces(line):
        if piece == "#" and (not kept or kept[-1] in " \t"):
            break
        kept += piece
    return kept.rstrip()
