"""Benchmarks over a real ssh: the line is that of home, a failure says what to do, nothing stays behind."""

import json
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from typer.testing import CliRunner

from edgecnn import card as cards
from edgecnn.cli.app import app
from edgecnn.errors import CardError, DataError, ModelError, TargetError
from edgecnn.measure import bench_models
from edgecnn.remote import bench_over_ssh
from edgecnn.remote.host import Host
from edgecnn.report.gather import gather
from edgecnn.runs import Run, fingerprint, measurements

runner = CliRunner()


def lines(model):
    return list(measurements(Run(model.parent).measurements))


def bench(model, python, **words):
    return bench_over_ssh([model], Host("box", python), **{"runs": 20, "warmup": 1, **words})


def refusal(kind, model, python, there, **words):
    """The one line that is raised; nothing was recorded, nothing is left there."""
    with pytest.raises(kind) as caught:
        bench(model, python, **words)
    assert lines(model) == []
    assert there.is_clean()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_measurement_is_that_of_a_local_benchmark_and_says_where_it_was_made(server, there, proven_model):
    ((here, local),) = bench_models([proven_model], runs=20, warmup=1, record=False)
    told = []
    ((timed, measured),) = bench(proven_model, there.python(), tell=told.append)
    assert there.is_clean()
    assert measured.environment.keys() == local.environment.keys() | {"remote"}
    assert measured.environment["remote"] == "ssh box"
    assert {key: list(value) for key, value in measured.latency_ms.items()} == {
        key: list(value) for key, value in local.latency_ms.items()
    }
    same = ("model", "scheme", "device", "metrics", "size_bytes", "source", "sha256")
    assert [getattr(measured, key) for key in same] == [getattr(local, key) for key in same]
    assert timed.delegation == here.delegation
    assert (timed.runs, timed.warmup, timed.threads) == (20, 1, 1)
    assert "box computes what it computed at home, to the last bit" in told[1]


def test_the_line_is_recorded_and_the_report_takes_it(server, there, proven_model):
    ((_, measured),) = bench(proven_model, there.python())
    assert lines(proven_model) == [measured]
    assert measured.sha256 == fingerprint(proven_model)
    (variant,) = gather([proven_model.parent]).variants
    assert variant.latencies[0].total_ms["p50"] == measured.latency_ms["total"]["p50"]
    bench(proven_model, there.python(), record=False)
    assert len(lines(proven_model)) == 1


def test_the_command_shows_what_the_other_machine_printed_and_records_the_same(server, there, proven_model):
    words = [
        "bench",
        proven_model.parent,
        "--ssh",
        "box",
        "--remote-python",
        there.python(),
        "--runs",
        20,
        "--json",
    ]
    found = runner.invoke(app, [str(word) for word in words])
    assert found.exit_code == 0, found.output
    (line,) = lines(proven_model)
    assert json.loads(found.stdout)["latency_ms"] == line.latency_ms
    assert "computes what it computed at home" in found.stderr


def test_several_models_and_images_take_turns_there(server, there, proven_model, colours_model, tmp_path):
    other = tmp_path / "it's $(touch gone); other.tflite"
    other.write_bytes(colours_model.read_bytes())
    picture = np.zeros((30, 40, 3), np.uint8)
    found = bench_over_ssh(
        [proven_model, other], Host("box", there.python()), images=[picture], runs=5, threads=2
    )
    assert [line.model for _, line in found] == [str(proven_model), str(other)]
    assert [timed.threads for timed, _ in found] == [2, 2]


def test_a_model_without_checks_is_timed_and_that_is_said(server, there, colours_model):
    told = []
    bench(colours_model, there.python(), tell=told.append)
    assert "holds no checks, so nothing proves that box computes the same" in told[1]


def test_a_failed_self_test_is_an_error_and_nothing_is_timed(server, there, proven_model):
    card = cards.read(proven_model)
    cards.attach(proven_model, replace(card, labels=("green", "red", "blue")))
    said = refusal(ModelError, proven_model, there.python(), there)
    assert "box does NOT compute what it computed at home, so it was not timed: labels" in said
    words = ["bench", proven_model, "--ssh", "box", "--remote-python", there.python()]
    found = runner.invoke(app, [str(word) for word in words])
    assert found.exit_code == 1
    assert found.stdout == ""
    assert lines(proven_model) == []


def test_a_shell_that_greets_does_not_disturb(server, there, proven_model):
    python = there.python("echo Welcome; echo '[1]'; echo '{\"news\": 1}'; echo '{broken'; echo hello >&2")
    assert len(bench(proven_model, python)) == 1


def test_a_python_below_the_home_folder_is_found(server, there, proven_model):
    assert Host("box", "~/venv/bin/python").command(b"")[-1].startswith("venv/bin/python -c ")


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        ({"Port": 1}, "box: it refuses the connection"),
        ({"HostName": "no-such-machine.invalid"}, "box: no machine of that name is known"),
        ({"UserKnownHostsFile": "/dev/null"}, "box: its key is not known here. Connect once by hand"),
        ({"NoSuchOption": 1}, "box: ssh does not accept its configuration"),
        ({"ProxyCommand": "false"}, "box: ssh cannot connect"),
    ],
)
def test_a_machine_that_is_not_reached(server, there, proven_model, configured, said):
    server.configure(**configured)
    assert refusal(TargetError, proven_model, there.python(), there).startswith(said)


def test_a_key_that_is_not_let_in(server, there, proven_model, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    server.configure(IdentityFile=tmp_path / "other")
    said = refusal(TargetError, proven_model, there.python(), there)
    assert said == (
        "box: it does not let this user in by key, and passwords are not asked for. Put your key there: "
        "ssh-copy-id box"
    )


def test_a_machine_that_is_another(server, there, proven_model, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} {(tmp_path / 'other.pub').read_text()}")
    server.configure(UserKnownHostsFile=known)
    assert "its key is not the one it had before" in refusal(TargetError, proven_model, there.python(), there)


OLD = 'import sys; sys.version_info = (3, 9, 2); sys.version = "3.9.2 (old)"; exec(sys.argv[1])'
BROKEN = "raise ImportError('libGL.so.1: cannot open\\n it')"


def without(*packages):
    """Modules that make packages look as if they were not installed."""
    text = (
        "import importlib.util as util\nfound = util.find_spec\n"
        f"util.find_spec = lambda name: None if name in {packages!r} else found(name)\n"
    )
    return {"sitecustomize": text}


@pytest.mark.parametrize(
    ("before", "modules", "said"),
    [
        ([f"exec {sys.executable} -c '{OLD}' \"$2\""], {}, "is Python 3.9.2; 3.11 or newer is needed"),
        (["echo no licence >&2; exit 3"], {}, "did not start (no licence). Is it a Python?"),
        ([], without("numpy"), "has no working NumPy. Install there: "),
        ([], without("numpy", "cv2"), "has no working NumPy, OpenCV. Install there: "),
        ([], without("numpy", "cv2"), "-m pip install numpy opencv-python (where"),
        ([], {"cv2": BROKEN}, "OpenCV (libGL.so.1: cannot open it). Install there"),
        ([], without("ai_edge_litert", "tflite_runtime"), "-m pip install ai-edge-litert"),
        (["ulimit -f 1"], {}, "cannot write to "),
        ([], {"cv2": "import os\nos.kill(os.getpid(), 11)"}, "ended the process there by SIGSEGV"),
        ([], {"cv2": "import os\nos.kill(os.getpid(), 9)"}, "by SIGKILL; it may have run out of memory"),
        ([], {"cv2": "raise OSError('input/output error')"}, "the work there failed (OSError: input/output"),
    ],
)
def test_a_machine_that_lacks_something(server, there, proven_model, before, modules, said):
    kind = ModelError if "SIG" in said else TargetError
    found = refusal(kind, proven_model, there.python(*before, modules=modules), there)
    assert found.startswith("box: ")
    assert said in found


def test_no_python_there(server, there, proven_model):
    there.python()
    for name in ("/no/such/python", "no-such-python", "/etc"):
        said = refusal(TargetError, proven_model, name, there)
        assert said.startswith(f"box: there is no {name}. Install Python 3.11 or newer there")


def test_a_broken_model_is_named_as_it_is_called_here(server, there, proven_model):
    proven_model.write_bytes(b"nothing of the kind")
    said = refusal(ModelError, proven_model, there.python(), there)
    assert said.startswith(f"on box: {proven_model}: ")


def test_a_model_that_is_newer_than_the_runtime_there(server, there, proven_model):
    model = schema.ModelT.InitFromPackedBuf(proven_model.read_bytes(), 0)
    for code in model.operatorCodes:
        code.version = 99
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    card = cards.read(proven_model)
    proven_model.write_bytes(bytes(builder.Output()))
    cards.attach(proven_model, card)
    said = refusal(ModelError, proven_model, there.python(), there)
    assert said.startswith(f"{proven_model}: is newer than litert 2")
    assert "version 99. Install a newer one there: pip install --upgrade ai-edge-litert" in said


def test_errors_there_keep_their_kind(server, there, proven_model):
    card = cards.read(proven_model)
    cards.attach(proven_model, replace(card, checks=({"image": "none"},)))
    assert refusal(CardError, proven_model, there.python(), there).startswith(
        f"on box: {proven_model}: check 1"
    )
    assert "there are xnnpack" in refusal(ModelError, proven_model, there.python(), there, delegate="coral")


def test_a_missing_file_and_an_empty_folder_are_refused_before_anyone_is_asked(tmp_path):
    with pytest.raises(ModelError, match="there is no such file"):
        bench_over_ssh([tmp_path / "none.tflite"], "box")
    with pytest.raises(DataError, match=r"no \.tflite file to time"):
        bench_over_ssh([tmp_path], "box")
    with pytest.raises(DataError, match="no model to time"):
        bench_over_ssh([], "box")


def test_no_ssh_here(monkeypatch, proven_model, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError, match="there is no ssh on this machine"):
        bench_over_ssh([proven_model], "box")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ending_it_here_ends_it_there_and_leaves_nothing(server, there, proven_model, number, wait_for):
    words = ["bench", str(proven_model), "--ssh", "box", "--remote-python", there.python(), "--seconds", "60"]
    with subprocess.Popen(
        [sys.executable, "-m", "edgecnn", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        wait_for(there.working, "the other machine works")
        running.send_signal(number)
        out, _ = running.communicate(timeout=30)
    assert out == ""
    assert running.returncode != 0
    if number == signal.SIGINT:
        assert running.returncode == 130
        assert there.is_clean()
    wait_for(there.is_clean, "the other machine has cleaned up")
    assert lines(proven_model) == []


def test_a_connection_that_is_lost_is_an_error_and_the_other_machine_cleans_up(
    short_lived_server, there, proven_model, wait_for
):
    def cut():
        wait_for(there.working, "the other machine works")
        short_lived_server.drop()

    python = there.python()
    cutting = threading.Thread(target=cut)
    cutting.start()
    with pytest.raises(TargetError, match="box: the connection was lost before the answer came"):
        bench(proven_model, python, runs=None, seconds=60)
    cutting.join()
    assert lines(proven_model) == []
    wait_for(there.is_clean, "the other machine has cleaned up")
