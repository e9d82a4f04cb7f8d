"""`edgecnn camera`: signals, exit codes, where what is printed, and files that are whole."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from edgecnn.cli.app import app

ROOT = Path(__file__).resolve().parents[3]


def run(*words):
    return CliRunner().invoke(app, ["camera", *map(str, words)])


@pytest.fixture
def model(tmp_path):
    return shutil.copy(ROOT / "tests" / "golden" / "colours.tflite", tmp_path / "colours.tflite")


@pytest.fixture
def clip(tmp_path):
    """24 pictures at 12 a second."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 12, (64, 48))
    for number in range(24):
        image = np.full((48, 64, 3), 20, np.uint8)
        image[..., 2 - number % 3] = 220
        writer.write(image)
    writer.release()
    return path


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "edgecnn", "camera", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_lines(path, count, process):
    for _ in range(600):
        if process.poll() is not None or (path.exists() and path.read_bytes().count(b"\n") >= count):
            return
        time.sleep(0.05)


def pictures(path):
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    return count


def test_help_ends_with_two_real_command_lines():
    said = run("--help")
    assert said.exit_code == 0
    assert said.stdout.split("Examples:")[1].count("edgecnn camera") == 2


def test_every_frame_of_a_clip_is_seen_exactly_once(model, clip, tmp_path):
    out = tmp_path / "seen.jsonl"
    words = ("--every-frame", "--as-fast-as-possible", "--json", out, "--save", tmp_path / "seen.mp4")
    done = run(model, "--source", clip, "--threads", 1, *words)
    assert done.exit_code == 0, done.output
    read = [json.loads(line) for line in out.read_text().splitlines()]
    found = [one for one in read if "results" in one]
    assert [one["index"] for one in found] == list(range(24))
    assert [one["results"][0]["label"] for one in found[:3]] == ["red", "green", "blue"]
    assert pictures(tmp_path / "seen.mp4") == 24
    assert "24 results" in done.stdout
    assert f"written: {out}" in done.stdout


def test_json_on_standard_output_is_alone_there(model, clip):
    words = ("--every-frame", "--as-fast-as-possible", "--json", "-", "--frames", 5)
    done = run(model, "--source", clip, *words)
    assert done.exit_code == 0, done.output
    read = [json.loads(line) for line in done.stdout.splitlines()]
    assert sum("results" in one for one in read) == 5
    assert "5 frames" in done.stderr


@pytest.mark.parametrize(("number", "code", "word"), [(2, 130, "interrupted"), (15, 143, "terminated")])
def test_a_signal_completes_every_file_and_prints_the_report(model, tmp_path, number, code, word):
    out, video = tmp_path / "seen.jsonl", tmp_path / "seen.mp4"
    process = start(model, "--source", "drawn:3", "--json", out, "--save", video, "--threads", 1)
    wait_for_lines(out, 15, process)
    process.send_signal(signal.Signals(number))
    said, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert f"drawn:3 with {model}: {word}" in said
    read = [json.loads(line) for line in out.read_text().splitlines()]
    assert sum("results" in one for one in read) >= 15
    assert read[-1]["report"]["ended"] == word
    assert pictures(video) >= 10
    assert not list(tmp_path.glob("*.part.*"))


def test_a_second_ctrl_c_ends_at_once(model, tmp_path):
    out = tmp_path / "seen.jsonl"
    code = (
        "import sys, time\n"
        "import edgecnn.runtime.outputs.jsonl as jsonl\n"
        "jsonl.JsonLines.close = lambda lines: time.sleep(60)\n"
        "from edgecnn.cli.app import main\n"
        "main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "camera", str(model), "--source", "drawn:3", "--json", str(out)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for_lines(out, 3, process)
    process.send_signal(signal.SIGINT)
    for _ in range(200):
        if b'"report"' in out.read_bytes():
            break
        time.sleep(0.05)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == -signal.SIGINT


def test_a_reader_that_goes_away_ends_it_and_the_recording_is_whole(model, tmp_path):
    video = tmp_path / "seen.mp4"
    process = start(model, "--source", "drawn:3", "--json", "-", "--save", video)
    for _ in range(10):
        process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 141
    assert "Traceback" not in errors
    assert pictures(video) >= 5


def test_a_window_without_a_screen_is_one_line(model, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    done = run(model, "--source", "drawn:1", "--show", "--frames", 1)
    assert done.exit_code == 1
    assert "--live" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_screen_that_cannot_be_reached_is_one_line_and_does_not_kill_it(model, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":97")
    done = run(model, "--source", "drawn:1", "--show", "--frames", 1)
    assert done.exit_code == 1
    assert ":97 cannot be used" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--threads", "many"), 2, "auto"),
        (("--threads", "0"), 2, "auto"),
        (("--zone", "door=1,2"), 1, "door"),
        (("--line", "gate=1,2,3"), 1, "gate"),
        (("--size", "3x4x5"), 2, "320x240"),
        (("--save", "out.gif"), 1, ".mp4"),
        (("--option", "threshold=0.5"), 1, "threshold"),
        (("--frames", "0"), 2, "1"),
        (("--track",), 1, "detector"),
        (("--source", "/dev/video97"), 1, "/dev/video97"),
    ],
)
def test_what_makes_no_sense_is_refused(model, words, code, says):
    done = run(model, "--source", "drawn:1", "--frames", 1, *words)
    assert done.exit_code == code, done.output
    assert says in done.stderr
    assert "Traceback" not in done.stderr
