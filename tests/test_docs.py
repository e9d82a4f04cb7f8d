"""Every command that the README and the docs show, run as a reader would run it."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
DETECTION = ROOT / "docs" / "detection.md"
LIVE = ROOT / "docs" / "live.md"
COMPRESSION = ROOT / "docs" / "compression.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def commands(page: Path) -> list[str]:
    return list(exit_codes(page))


def exit_codes(page: Path) -> dict[str, int]:
    """Each command and the exit code that its comment says (`# exit code 3`), else 0."""
    lines = (line.partition("  #") for block in blocks(page, "sh") for line in block.splitlines())
    codes = {line.strip(): re.match(r" exit code (\d)", comment) for line, _, comment in lines}
    return {
        line: int(code[1]) if code else 0 for line, code in codes.items() if line and not line.startswith("#")
    }


def photos(folder: Path) -> None:
    """Two classes that a small network can tell apart: round things and square things.

    As many as it takes to prove that a file loses at most one point: about 400 are validation images.
    """
    random = np.random.default_rng(0)
    for name, draw in (("cat", cv2.circle), ("dog", None)):
        (folder / name).mkdir(parents=True)
        for number in range(2200):
            image = random.integers(0, 90, (48, 64, 3), np.uint8)
            x, y, r = (int(v) for v in random.integers((18, 14, 8), (46, 34, 13)))
            color = tuple(int(v) for v in random.integers(150, 256, 3))
            if draw:
                cv2.circle(image, (x, y), r, color, -1)
            else:
                cv2.rectangle(image, (x - r, y - r), (x + r, y + r), color, -1)
            cv2.imwrite(str(folder / name / f"{number:04}.jpg"), image)


def run(line: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    words = shlex.split(line)
    if words[0] == "edgecnn":
        words = [sys.executable, "-m", "edgecnn", *words[1:]]
    elif words[0] == "python":
        words[0] = sys.executable
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)


def run_all(lines: dict[str, int], cwd: Path, *, least: int) -> None:
    """Run the edgecnn commands, of which there are at least so many; each must end as the page says."""
    lines = {line: code for line, code in lines.items() if line.startswith("edgecnn")}
    assert len(lines) >= least
    for line, code in lines.items():
        ended = run(line, cwd)
        assert ended.returncode == code, f"{line}\n{ended.stdout}\n{ended.stderr}"


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_five_things_of_the_readme_work_in_the_order_they_are_told(tmp_path):
    photos(tmp_path / "photos")
    names = ("README.md", "docs/data.md", "docs/conversion.md", "docs/targets.md")
    pages = [ROOT / name for name in names]
    lines = {line: code for page in pages for line, code in exit_codes(page).items()}
    elsewhere = exit_codes(DETECTION)  # what the README shows of detectors is run with their page
    run_all({line: code for line, code in lines.items() if line not in elsewhere}, tmp_path, least=20)
    assert (tmp_path / "runs" / "report.html").stat().st_size > 1000
    assert list((tmp_path / "seen").glob("*.jpg"))
    for page, says in zip(pages, ("cat", "4000", "certified", "ms estimated"), strict=True):
        (block,) = blocks(page, "python")
        ended = run(f"python -c {shlex.quote(block)}", tmp_path)
        assert ended.returncode == 0, ended.stderr
        assert says in ended.stdout


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_detector_is_made_as_its_page_tells_and_decoded_without_edgecnn(tmp_path):
    run_all(exit_codes(DETECTION), tmp_path, least=9)
    assert list((tmp_path / "seen").glob("*"))
    (block,) = blocks(DETECTION, "python")
    ended = run(f"python -c {shlex.quote(block)}", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert re.match(r"[1-9]\d* boxes, equal: True", ended.stdout), ended.stdout


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_camera_watches_as_its_page_tells(tmp_path):
    run_all(exit_codes(LIVE), tmp_path, least=12)
    assert cv2.VideoCapture(str(tmp_path / "seen.mp4")).read()[0]
    assert (tmp_path / "seen.jsonl").read_text().count('"results"') >= 25
    (block,) = blocks(LIVE, "python")
    ended = run(f"python -c {shlex.quote(block)}", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"^\d+ results, the last \d+ ms old$", ended.stdout, re.MULTILINE), ended.stdout


@pytest.mark.slow
@pytest.mark.tensorflow
def test_networks_become_smaller_as_their_page_tells(tmp_path):
    run_all(exit_codes(COMPRESSION), tmp_path, least=9)
    assert (tmp_path / "runs" / "both-channels" / "model.keras").is_file()
    (block,) = blocks(COMPRESSION, "python")
    ended = run(f"python -c {shlex.quote(block)}", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "MACs" in ended.stdout


@pytest.mark.tensorflow
def test_detectors_are_as_large_as_their_page_says():
    from edgecnn.zoo import detector
    from edgecnn.zoo.count import count

    rows = re.findall(
        r"^\| `(\w+)(?: --width ([\d.]+))?` \| ([\d.]+) \| (\d+) \|", DETECTION.read_text(), re.M
    )
    assert len(rows) == 4
    for name, width, params, macs in rows:
        found = count(detector.structure(name, input_shape=(96, 96, 3), classes=3, width=float(width or 1)))
        assert (f"{found.trainable / 1e6:.2f}", f"{found.macs / 1e6:.0f}") == (params, macs), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_and_benchmarks_that_a_page_names_exist(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in commands(page):
        words = shlex.split(line)
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), line
        elif words[0] == "python":
            assert (ROOT / words[1]).is_file(), line
            ended = run(f"python {ROOT / words[1]} --help", ROOT)
            assert ended.returncode == 0, ended.stderr
        else:
            assert words[0] in ("edgecnn", "pip"), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_of_a_page_exist(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_pip_extras_that_the_readme_names_exist():
    extras = set(re.findall(r"\[([a-z,-]+)\]'", (ROOT / "README.md").read_text(encoding="utf-8")))
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in extras:
        assert re.search(rf"^{extra} = \[", declared, re.MULTILINE), extra
