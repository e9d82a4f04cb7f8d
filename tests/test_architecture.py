"""The law of the house, as far as tests can hold it."""

import json
import os
import subprocess
import sys
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import edgecnn

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("numpy", "cv2", "ai_edge_litert", "tflite_runtime", "tensorflow", "tf_keras", "matplotlib")


def python(code: str, *, cwd: Path = ROOT, **environment: str) -> "subprocess.CompletedProcess[str]":
    paths = {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, **paths, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_imports_point_down_and_never_across_the_wings():
    tool = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(
    "code",
    [
        "import edgecnn",
        "import edgecnn.cli.app",
        "import sys; sys.argv = ['edgecnn', '--help']; import edgecnn.__main__",
    ],
)
def test_importing_edgecnn_and_asking_for_help_load_nothing_heavy(code):
    tail = f"print([m for m in {HEAVY!r} if m in sys.modules])"
    ended = python(f"import sys, atexit\natexit.register(lambda: {tail})\n{code}")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip().splitlines()[-1] == "[]"


def test_help_answers_within_three_tenths_of_a_second_of_processor_time():
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-m", "edgecnn", "--help"], cwd=ROOT, check=True, capture_output=True)
        after = os.times()
        seconds.append(
            after.children_user + after.children_system - before.children_user - before.children_system
        )
    assert min(seconds) < 0.3, f"processor seconds of three runs: {seconds}"


@pytest.mark.parametrize("name", sorted(set(edgecnn.__all__) - {"__version__"}))
def test_every_exported_name_can_be_imported(name):
    if name in ("evaluate", "write_report") and find_spec("jinja2") is None:
        pytest.skip("needs the report extra")
    value = getattr(edgecnn, name)
    assert getattr(value, "__name__", repr(value)) == name


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        edgecnn.laod  # noqa: B018


def test_dir_lists_what_is_exported():
    assert set(dir(edgecnn)) == set(edgecnn.__all__)


@pytest.fixture
def robot(tmp_path):
    """A user's own folder, with files named like our packages; importing one leaves a trace and fails."""
    for name in ("calibration", "targets", "converters"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the user\\'s own file was imported')\n")
    return tmp_path


def test_a_users_own_calibration_py_does_not_break_import_edgecnn_on_a_device(robot):
    code = "import edgecnn; edgecnn.load, edgecnn.frames, edgecnn.benchmark; print('fine')"
    assert python(code, cwd=robot).stdout.strip() == "fine"


def test_a_users_own_calibration_py_does_not_break_the_command_line(robot):
    script = Path(sys.executable).with_name("edgecnn")
    starts = [[sys.executable, "-m", "edgecnn"]] + ([[str(script)]] if script.exists() else [])
    for start in starts:
        ended = subprocess.run(
            [*start, "convert", "nothing-here", "--int8"],
            cwd=robot,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "own file" not in ended.stderr
        assert ended.returncode == 1, ended.stderr
        assert "nothing-here" in ended.stderr


@pytest.mark.slow
def test_the_wheel_holds_the_four_packages_and_their_data_and_no_tests(tmp_path):
    build = "from setuptools.build_meta import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
    copy = tmp_path / "source"
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in tracked.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=copy, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(n for n in names if n.endswith("/METADATA"))).decode()
    tops = {name.split("/")[0] for name in names}
    assert {"edgecnn", "converters", "targets", "calibration"} == {
        t for t in tops if not t.endswith(".dist-info")
    }
    wanted = [n for n in tracked.stdout.splitlines() if n.split("/")[0] in tops]
    assert set(wanted) <= set(names), f"not in the wheel: {sorted(set(wanted) - set(names))}"
    base = [
        line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line
    ]
    assert not [line for line in base if "tensorflow" in line or "tf" in line.split()[1].split("-")[0]]


def test_no_init_file_under_tests_hides_a_package():
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_time_is_measured_by_a_clock_that_cannot_jump():
    wall = [p for p in (ROOT / "edgecnn").rglob("*.py") if "time.time()" in p.read_text()]
    assert not wall, f"use time.monotonic() or perf_counter(): {wall}"
    assert time.get_clock_info("monotonic").monotonic


def test_all_golden_and_source_files_are_small():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    sizes = {n: (ROOT / n).stat().st_size for n in tracked.stdout.splitlines() if (ROOT / n).is_file()}
    large = {name: size for name, size in sizes.items() if size > 2**20}
    assert not large, json.dumps(large)
