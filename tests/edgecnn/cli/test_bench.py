"""`edgecnn bench` and its neighbours on the command line: delegates, threads, minutes."""

import json
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from edgecnn.cli.app import app

runner = CliRunner()


def edgecnn(*words):
    return runner.invoke(app, [str(word) for word in words])


@pytest.mark.parametrize("verb", ["bench", "selftest"])
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--threads", "0"), 2, "write auto, or a number from 1 to 64"),
        (("--threads", "many"), 2, "write auto, or a number from 1 to 64"),
        (("--require-delegate", "0"), 2, "range"),
        (("--delegate", "coral"), 1, "there are xnnpack, none, edgetpu"),
        (("--delegate", "nnapi"), 1, "Android"),
    ],
)
def test_what_cannot_compute_is_refused(colours_model, verb, words, code, said):
    found = edgecnn(verb, colours_model, *words)
    assert found.exit_code == code
    assert said in " ".join((found.output + str(found.exception)).split())


def test_bench_tells_which_operators_ran_where(colours_model, stand_in_delegate):
    found = edgecnn("bench", colours_model, "--runs", 1, "--delegate", f"{stand_in_delegate}:claim_upto=1")
    assert found.exit_code == 0
    assert f"1 of 3 operators on {stand_in_delegate}, 2 on xnnpack" in found.stderr
    assert "computes what xnnpack computes" in found.stderr


def test_bench_fails_where_a_delegate_computes_something_else(colours_model, stand_in_delegate):
    word = f"{stand_in_delegate}:claim=all;wrong=1"
    found = edgecnn("bench", colours_model, "--runs", 1, "--delegate", word, "--json")
    assert found.exit_code == 1
    assert not json.loads(found.stdout)["parity"]["passed"]
    assert "its speed is worth nothing" in found.stderr


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ((), ("--require-delegate",), 1),
        (("--require-delegate",), (), 1),  # the model's path is no share
        ((), ("--require-delegate", "1.0"), 1),
        ((), ("--require-delegate", ".3"), 0),
    ],
)
def test_a_delegate_is_required_for_all_operators_or_for_a_share(
    colours_model, stand_in_delegate, before, after, code
):
    words = ("--runs", 1, "--delegate", stand_in_delegate)
    found = edgecnn("bench", *before, colours_model, *words, *after)
    assert found.exit_code == code
    if code:
        assert "computes 1 of 3 operators, but 100% are required" in str(found.exception) + found.output


def test_bench_for_minutes_tells_each_and_a_verdict(colours_model):
    found = edgecnn("bench", colours_model, "--minutes", 0.005)
    assert found.exit_code == 0
    assert found.stderr.count(" min  p50 ") == 4
    assert "after" in found.stdout
    assert "95 %" in found.stdout
    told = json.loads(edgecnn("bench", colours_model, "--minutes", 0.005, "--json").stdout)
    assert len(told["intervals"]) == 4
    assert told["verdict"] in ("steady", "slower", "faster", "unsure")


def test_minutes_are_for_one_model(colours_model):
    found = edgecnn("bench", colours_model, colours_model, "--minutes", 1)
    assert found.exit_code == 2
    assert "give one .tflite file" in found.output


def test_bench_chooses_threads_and_tells_what_it_measured(colours_model, monkeypatch):
    monkeypatch.setattr("edgecnn.runtime.threads.numbers_to_try", lambda: [1, 2])
    found = edgecnn("bench", colours_model, "--runs", 1, "--threads", "auto")
    assert found.exit_code == 0
    assert "1 threads " in found.stderr
    assert ", 2 threads " in found.stderr


def test_ctrl_c_ends_the_minutes_with_what_was_measured(colours_model):
    command = [sys.executable, "-m", "edgecnn", "bench", str(colours_model), "--minutes", "0.15", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        told = ""
        while " min  p50 " not in told and running.poll() is None:
            told = running.stderr.readline()  # the first stretch is over
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=60)
    found = json.loads(out)
    assert running.returncode == 130
    assert found["was_interrupted"]
    assert 1 <= len(found["intervals"]) < 4
