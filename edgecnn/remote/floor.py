"""Which files another machine needs to run a model: the device floor."""

from pathlib import Path
from typing import Final

FLOOR: Final = (
    "runtime", "tasks", "image", "image_file", "results", "metadata", "detector_metadata", "archive", "card",
    "graph", "flatbuffer", "files", "errors",
)  # fmt: skip
"""The modules and packages of edgecnn on it: those of the import contract in pyproject.toml."""


def floor_files() -> dict[str, Path]:
    """The source files of the device floor: their names in an archive, such as "edgecnn/card.py"."""
    package = Path(__file__).resolve().parents[1]
    found = [package / "__init__.py"]
    for name in FLOOR:
        folder = package / name
        found += sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    return {f"{package.name}/{path.relative_to(package).as_posix()}": path for path in found}
