"""Before and after a compression, as a run's compression.json tells it; `edgecnn.comparison` wrote it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edgecnn import runs
from edgecnn.comparison import rows
from edgecnn.errors import DataError

NAME: Final = "compression.json"


def read_compression(run: Path, name: str, notes: list[str]) -> Mapping[str, Any]:
    """What was found when the run was made; {} where nothing was, or where it is not true any more.

    Args:
        run: the run folder.
        name: of the run in the report.
        notes: gets one sentence where something is left out.

    Raises:
        DataError: the file is malformed.
    """
    path = run / NAME
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
        _shown(found, name)
        files = {scheme: (one["is_own"], one["sha256"]) for scheme, one in found["after"]["files"].items()}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise DataError(f"{path}: malformed ({error!r}). Delete it, or compare the runs again.") from None
    for scheme, (is_own, sha256) in files.items():
        file = run / f"{scheme}.tflite"
        if is_own and (not file.is_file() or runs.fingerprint(file) != sha256):
            notes.append(
                f"{name}: {file.name} is not the one any more that was compared with the network before "
                "compression; that comparison is left out. Compare the runs again."
            )
            return {}
    return dict(found)


def comparisons(found: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Each run's comparison as a section shows it; runs without one are left out.

    Args:
        found: name of a run in the report, and what `read_compression` gave.
    """
    return [_shown(one, name) for name, one in found if one]


def _shown(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {
        "name": name,
        "verdict": str(found["verdict"]),
        "before": Path(found["before"]["run"]).name,
        "header": rows.HEADER[1:],
        "rows": rows.rows(found),
        "class_header": rows.class_header(found),
        "classes": rows.class_rows(found),
        "conditions": rows.conditions(found),
        "notes": [str(note) for note in found["notes"]],
    }
