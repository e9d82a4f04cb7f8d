"""The command line: what a person sees, and with which exit code."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgecnn.cli.app import app

ROOT = Path(__file__).resolve().parents[3]


def edgecnn(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def start(*words, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "edgecnn", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


VERBS = [
    "run",
    "camera",
    "bench",
    "doctor",
    "selftest",
    "train",
    "compress",
    "convert",
    "audit",
    "evaluate",
    "diff",
    "report",
    "quickstart",
    "inspect",
    "models",
    "pretrained",
]


@pytest.mark.parametrize("verb", [*VERBS, "data info"])
def test_help_of_every_verb_ends_with_real_command_lines(verb):
    said = edgecnn(*verb.split(), "--help")
    assert said.exit_code == 0
    assert f"edgecnn {verb}" in said.stdout.split("Examples:")[1]


def test_the_version_is_told():
    assert edgecnn("--version").stdout.startswith("edgecnn 0.")


@pytest.mark.parametrize(
    "words",
    [
        ("run", "nothing.tflite", "x.jpg"),
        ("evaluate", "nothing.tflite", "--data", "nothing"),
        ("inspect", "nothing.tflite"),
        ("bench", "nothing.tflite"),
        ("data", "info", "nothing"),
        ("convert", "nothing", "--int8"),
        ("report", "nothing"),
    ],
)
def test_an_error_is_one_line_that_names_the_file_and_exits_1(words):
    said = edgecnn(*words)
    assert said.exit_code == 1
    lines = said.stderr.strip().splitlines()
    assert len(lines) == 1, said.stderr
    assert lines[0].startswith("edgecnn: ")
    assert "nothing" in lines[0]


@pytest.mark.parametrize(
    "words",
    [
        ("run",),
        ("nosuchverb",),
        ("convert", "."),
        ("run", "m.tflite", "x.jpg", "--mean", "many"),
        ("run", "m.tflite", "x.jpg", "--size", "3x4x5"),
        ("bench", "m.tflite", "--threads", "0"),
    ],
)
def test_wrong_usage_exits_2(words):
    assert edgecnn(*words).exit_code == 2


def test_run_prints_results_and_one_json_object_for_each_image(colours_model, colours_data):
    said = edgecnn("run", colours_model, colours_data / "test" / "green", "--top", "1")
    assert said.exit_code == 0, said.stderr
    assert said.stdout.count("green") >= 4
    said = edgecnn("run", colours_model, colours_data / "test" / "red", "--json", "--top", 2)
    objects = [json.loads(line) for line in said.stdout.splitlines()]
    assert len(objects) == 4
    for one in objects:
        assert set(one) == {"source", "task", "results", "latency_ms"}
        assert one["results"][0]["label"] == "red"
        assert len(one["results"]) == 2
        assert set(one["latency_ms"]) == {"prepare", "invoke", "decode", "total"}


def test_run_tells_of_a_broken_image_goes_on_and_exits_1(colours_model, colours_data):
    folder = colours_data / "test" / "red"
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:60])
    said = edgecnn("run", colours_model, folder, "--json")
    assert said.exit_code == 1
    assert len(said.stdout.splitlines()) == 3
    assert said.stderr.count("1.png") == 1


def test_run_saves_pictures_and_does_not_overwrite_them(colours_model, colours_data, tmp_path):
    words = ("run", colours_model, colours_data / "test" / "blue", "--save", tmp_path / "seen")
    assert edgecnn(*words).exit_code == 0
    assert len(list((tmp_path / "seen").glob("*.jpg"))) == 4
    assert edgecnn(*words).exit_code == 1
    assert edgecnn(*words, "--force").exit_code == 0


def test_evaluate_tells_accuracy_with_its_interval(colours_model, colours_data):
    said = edgecnn("evaluate", colours_model, "--data", colours_data, "--against", colours_model)
    assert said.exit_code == 0, said.stderr
    assert "91.67 %" in said.stdout
    assert "agreement 100.00 %" in said.stdout
    found = json.loads(edgecnn("evaluate", colours_model, "--data", colours_data, "--json").stdout)
    assert found["top1"] == 11 / 12
    assert found["labels"] == ["blue", "green", "red"]
    assert found["confusion"][0] == [3, 0, 1]


def test_inspect_bench_doctor_and_data_info_speak_text_and_json(colours_model, colours_data):
    assert "FULLY_CONNECTED" in edgecnn("inspect", colours_model).stdout
    assert json.loads(edgecnn("inspect", colours_model, "--json").stdout)["layers"]["parameters"] == 12
    assert "p99" in edgecnn("bench", colours_model, "--runs", 3).stdout
    assert json.loads(edgecnn("bench", colours_model, "--runs", 3, "--json").stdout)["runs"] == 3
    assert "litert" in edgecnn("doctor").stdout
    assert [json.loads(line) for line in edgecnn("doctor", "--json").stdout.splitlines()]
    assert "red" in edgecnn("data", "info", colours_data).stdout
    assert json.loads(edgecnn("data", "info", colours_data, "--json").stdout)["images"] == 12


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.ENOSPC, "disk is full"), (errno.EACCES, "no permission"), (errno.EROFS, "read-only")],
)
def test_a_disk_that_cannot_be_written_is_one_line(
    monkeypatch, colours_model, colours_data, tmp_path, number, says
):
    def full(*_):
        raise OSError(number, os.strerror(number), str(tmp_path / "seen" / "0.jpg"))

    monkeypatch.setattr("edgecnn.files.write_bytes", full)
    said = edgecnn("run", colours_model, colours_data / "test" / "red", "--save", tmp_path / "seen")
    assert said.exit_code == 1
    assert says in said.stderr
    assert "0.jpg" in said.stderr


def test_a_bug_shows_its_traceback(monkeypatch):
    def broken():
        raise ZeroDivisionError("our own mistake")

    monkeypatch.setattr("edgecnn.runtime.doctor.doctor", broken)
    assert isinstance(edgecnn("doctor").exception, ZeroDivisionError)


def test_ctrl_c_ends_with_one_line_and_130(colours_model, colours_data):
    process = start("bench", colours_model, "--seconds", 60)
    mapped = Path(f"/proc/{process.pid}/maps")
    for _ in range(300):  # on a loaded machine it may take long until the runtime is there
        if not mapped.exists() or "litert" in mapped.read_text():
            break
        time.sleep(0.1)
    time.sleep(2.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert errors.strip().splitlines()[-1] == "edgecnn: interrupted"


def test_a_reader_that_goes_away_is_no_error(colours_model, colours_data):
    with start("run", colours_model, *[colours_data / "test" / "red"] * 300, "--json") as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors


@pytest.mark.tensorflow
@pytest.mark.slow
def test_a_training_that_is_interrupted_says_how_to_go_on_and_goes_on(tmp_path):
    words = ("train", "drawn?size=32x32&train=400&val=40&test=4", "--model", "resnet8", "--no-flip")
    process = start(*words, "--seed", 3, "--epochs", 200, "--out", tmp_path / "run")
    while not list((tmp_path / "run").glob("checkpoints/*")) and process.poll() is None:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "--resume" in errors.strip().splitlines()[-1]
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["augment"]["flip"] is False
    said = edgecnn(*words, "--epochs", 100, "--out", tmp_path / "run", "--resume")
    assert said.exit_code == 1
    assert "another recipe: epochs" in said.stderr
    process = start(words[0], words[1], "--out", tmp_path / "run", "--resume")
    while "epoch" not in (line := process.stderr.readline()) and line:
        pass
    process.kill()
    process.communicate()
    assert "epoch" in line
