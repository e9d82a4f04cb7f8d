"""What is sent is the device floor, whole and nothing more."""

import ast
import tomllib
from pathlib import Path

from edgecnn.remote.floor import FLOOR, floor_files

ROOT = Path(__file__).resolve().parents[3]


def test_the_floor_is_that_of_the_import_contract():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    (device,) = [one for one in contracts if one["name"].startswith("The device floor is")]
    assert {f"edgecnn.{name}" for name in FLOOR} == set(device["source_modules"])


def test_every_file_is_there_and_has_its_own_name():
    files = floor_files()
    assert "edgecnn/__init__.py" in files
    assert "edgecnn/runtime/benchmark.py" in files
    assert "edgecnn/card.py" in files
    assert all(path == ROOT / name for name, path in files.items())
    assert all(path.is_file() for path in files.values())


def test_what_its_modules_import_of_edgecnn_is_among_them():
    files = floor_files()
    names = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files}
    for name, path in files.items():
        if name == "edgecnn/__init__.py":  # its names are looked up when they are asked for
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("edgecnn"):
                assert node.module in names, f"{name} imports {node.module}"
