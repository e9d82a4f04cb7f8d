"""The device floor runs where there is nothing but Python, NumPy, OpenCV and a TFLite runtime."""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FLOOR = (
    "runtime",
    "tasks",
    "image",
    "results",
    "metadata",
    "detector_metadata",
    "card",
    "graph",
    "flatbuffer",
    "files",
    "errors",
    "image_file",
)

# Refuses every import but those of the standard library, of edgecnn and of the packages named.
DOOR = """
import sys

ALLOWED = set(sys.argv[1].split(",")) | sys.stdlib_module_names | {"edgecnn"}

class Door:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top not in ALLOWED and not top.startswith("_"):
            raise ImportError(f"refused: {name}")
        return None

sys.meta_path.insert(0, Door())
"""


def modules():
    """Every module of the device floor, from its files."""
    found = []
    for path in sorted((ROOT / "edgecnn").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if len(parts) > 1 and parts[1] in FLOOR:
            found.append(".".join(part for part in parts if part != "__init__"))
    return found


def runtimes_own():
    """What the TFLite runtime itself may import: the packages its wheel asks for."""
    names = {"numpy", "cv2", "ai_edge_litert", "tflite_runtime", "google"}  # google: protobuf's folder
    try:
        wanted = distribution("ai-edge-litert").requires or []
    except PackageNotFoundError:
        return names
    plain = [re.split(r"[ ;<>=!~\\[]", line)[0] for line in wanted if "extra ==" not in line]
    return names | {name.replace("-", "_").split(".")[0] for name in plain} | {"backports"}


def behind_the_door(code, *arguments, allowed=None):
    names = ",".join(sorted(runtimes_own() if allowed is None else allowed))
    return subprocess.run(
        [sys.executable, "-c", DOOR + code, names, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_the_floor_has_the_modules_it_should_have():
    tops = {name.split(".")[1] for name in modules()}
    assert tops == set(FLOOR)


def test_the_door_does_refuse():
    for package in ("typer", "tensorflow", "hypothesis", "calibration"):
        ended = behind_the_door(f"import {package}")
        assert ended.returncode != 0
        assert f"refused: {package}" in ended.stderr


def test_every_module_of_the_device_floor_can_be_imported_there():
    ended = behind_the_door(
        "import importlib\nfor name in sys.argv[2:]: importlib.import_module(name)", *modules()
    )
    assert ended.returncode == 0, ended.stderr


def test_cards_graphs_and_results_need_no_runtime_and_no_opencv():
    light = [
        f"edgecnn.{name}"
        for name in ("card", "graph", "metadata", "results", "files", "errors", "flatbuffer")
    ]
    ended = behind_the_door(
        "import importlib\nfor name in sys.argv[2:]: importlib.import_module(name)", *light, allowed={"numpy"}
    )
    assert ended.returncode == 0, ended.stderr


def test_a_model_names_what_it_sees_there(shared):
    model = shared / "models" / "coral" / "tf2_mobilenet_v2_1.0_224_ptq.tflite"
    image = shared / "models" / "images" / "burger.jpg"
    ended = behind_the_door(
        "import edgecnn\n"
        "with edgecnn.load(sys.argv[2]) as model:\n"
        "    for frame in edgecnn.frames(sys.argv[3]): print(model(frame.image).label)\n",
        str(model),
        str(image),
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "cheeseburger\n"


@pytest.mark.parametrize("name", ["calibration", "converters", "targets"])
def test_a_robots_own_module_of_that_name_is_not_touched(tmp_path, shared, name):
    (tmp_path / f"{name}.py").write_text("raise RuntimeError('the robot started')")
    model = shared / "models" / "coral" / "mobilenet_v1_0.25_128_quant.tflite"
    code = f"import edgecnn\nedgecnn.load({str(model)!r}).close()"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )
    assert ended.returncode == 0, ended.stderr
