"""Names of the classes of a model without a card: from the caller, or from what lies behind the model."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edgecnn import archive
from edgecnn.errors import CardError
from edgecnn.metadata import TensorFacts
from edgecnn.runtime import labels as label_files
from edgecnn.runtime.given import Given

_EXPORTED: Final = "metadata.json"
"""What Ultralytics' exporter puts behind a model; its older releases wrote a Python literal, which is not
read."""

_NOT_LABELS: Final = "temp_meta.txt"
_NOBODY: Final = re.compile(r"\W*|unlabell?ed|background|none|n/?a|_*background_*", re.IGNORECASE)


def names(
    path: Path, facts: TensorFacts | None, given: Given, assumptions: list[str]
) -> tuple[str, ...] | None:
    """The names of the classes; None where nobody says them.

    Args:
        path: the model's file.
        facts: what TFLite Metadata says of the output that the names belong to.
        given: the caller's word.
        assumptions: what was assumed is added here.

    Raises:
        CardError: the metadata names a label file that is not there.
        DataError: the label file cannot be read.
    """
    if given.labels is not None:
        return label_files.read(given.labels)
    entries = archive.read_entries(path)
    named = facts.label_file.name if facts is not None and facts.label_file is not None else None
    if named is not None and named not in entries:
        raise CardError(
            f"its metadata names the label file {named!r}, which is not behind the model. Give --labels."
        )
    exported = _exported(entries) if named is None else None
    if exported is not None:
        return exported
    name = named or label_files.only_text_file({n: data for n, data in entries.items() if n != _NOT_LABELS})
    if name is None:
        return None
    if named is None:
        assumptions.append(
            f"labels are those of {name!r}, the only text file behind the model (--labels otherwise)"
        )
    return label_files.parse(entries[name], f"{path}/{name}")


def unnamed(classes: int, assumptions: list[str]) -> tuple[str, ...]:
    """Stand-ins for names that nobody says, and an assumption that says so."""
    assumptions.append("the classes have no names (--labels FILE gives them)")
    return label_files.unnamed(classes)


def is_nobody(name: str) -> bool:
    """Whether a name stands for no class: `???`, `background`, `N/A`."""
    return _NOBODY.fullmatch(name) is not None


def told_apart(found: tuple[str, ...]) -> tuple[str, ...]:
    """The names, with "class 11" for the `???` that stand for none: labels differ from each other."""
    return tuple(f"class {number}" if is_nobody(name) else name for number, name in enumerate(found))


def _exported(entries: Mapping[str, bytes]) -> tuple[str, ...] | None:
    """The names in the exporter's file, {"names": {"0": "person", …}}; None where it is not that."""
    try:
        raw: Any = json.loads(entries.get(_EXPORTED, b"null"))
    except (ValueError, RecursionError):
        return None
    found = raw.get("names") if isinstance(raw, dict) else None
    if not isinstance(found, dict) or list(found) != [str(number) for number in range(len(found))]:
        return None
    texts = tuple(found.values())
    return texts if texts and all(isinstance(text, str) and text for text in texts) else None
