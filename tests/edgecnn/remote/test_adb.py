"""Benchmarks on a phone, as far as they can be tested without one: adb is a script that runs all of it here.

No phone was at hand. What is tested is that the right commands are given, that what benchmark_model is known
to print is read, and that nothing stays on the phone.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgecnn.cli.app import app
from edgecnn.errors import DataError, ModelError, TargetError
from edgecnn.remote import bench_over_adb
from edgecnn.report.gather import gather
from edgecnn.runs import Run, fingerprint, measurements

runner = CliRunner()
OLDER, NEWER = (Path(__file__).with_name(f"printed_{age}.txt").read_text() for age in ("older", "newer"))

ADB = """
echo "$@" >> {log}
[ "$1" = devices ] && {{ printf 'List of devices attached\\n{devices}\\n'; exit 0; }}
[ "$1" = -s ] || exit 64
shift 2
case "$1" in
push) {gone} cp "$2" "{phone}$3" && echo "$2: 1 file pushed" ;;
shell) PATH={tools}:$PATH exec sh -c "$(printf %s "$2" | sed 's|/data/local/tmp|{phone}/data/local/tmp|g')" ;;
esac
"""
GETPROP = """case "$1" in
ro.product.manufacturer) echo Google ;;
ro.product.model) echo Pixel 8 ;;
ro.build.version.release) echo 14 ;;
esac
"""


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)
    return path


class Phone:
    def __init__(self, folder):
        self.folder, self.log, self.tools = folder / "phone", folder / "log", folder / "tools"
        self.tmp = self.folder / "data/local/tmp"
        self.tmp.mkdir(parents=True)
        script(self.tools / "getprop", GETPROP)
        script(self.tools / "dumpsys", "echo '  temperature: 285'\n")
        # a phone's mktemp answers with the path that a phone has
        script(self.tools / "mktemp", f"/usr/bin/env -i /bin/mktemp \"$@\" | sed 's|{self.folder}||'\n")
        self.adb = folder / "bin" / "adb"
        self.attach("ABC123\\tdevice")

    def attach(self, devices, gone=""):
        words = {"log": self.log, "phone": self.folder, "tools": self.tools, "devices": devices, "gone": gone}
        script(self.adb, ADB.format(**words))

    @property
    def commands(self):
        return self.log.read_text()


@pytest.fixture
def phone(tmp_path, monkeypatch):
    made = Phone(tmp_path)
    monkeypatch.setenv("PATH", f"{made.adb.parent}{os.pathsep}{os.environ['PATH']}")
    return made


@pytest.fixture
def tool(tmp_path):
    """A function that writes a benchmark_model which prints something."""

    def write(said, before=""):
        return script(tmp_path / "benchmark_model", f"{before}\ncat <<'END'\n{said}END\n")

    return write


def lines(model):
    return list(measurements(Run(model.parent).measurements))


def test_what_the_tool_printed_becomes_a_line_that_the_report_takes(phone, tool, proven_model):
    told = []
    ((timed, measured),) = bench_over_adb([proven_model], tool(NEWER), threads=4, runs=25, tell=told.append)
    assert timed.latency_ms["p50"] == 141.253
    assert measured.device == "Google Pixel 8"
    assert measured.environment["interpreter_ms"] == timed.latency_ms
    assert measured.environment["android"] == "14"
    assert measured.environment["battery_temperature_c"] == 28.5
    assert measured.environment["threads"] == 4
    assert measured.environment["delegated_operators"] == "539 of 548 on TfLiteXNNPackDelegate"
    assert "none" in measured.environment["selftest"]
    assert "ABC123" not in str(measured)
    assert measured.sha256 == fingerprint(proven_model)
    assert measured.latency_ms == {}  # of a whole image, nothing is known
    assert lines(proven_model) == [measured]
    assert gather([proven_model.parent]).variants[0].latencies == ()
    assert "no self-test runs there" in told[0]


def test_the_tool_gets_the_model_and_its_words_and_nothing_stays(phone, tool, proven_model):
    before = 'echo "$@" > ../words; cmp model.tflite ' + shlex.quote(str(proven_model)) + " || exit 1"
    bench_over_adb([proven_model], tool(OLDER, before), runs=7, delegate="nnapi", record=False)
    words = (phone.tmp / "words").read_text()
    assert words.startswith("--graph=model.tflite --num_threads=1 --num_runs=7 ")
    assert words.endswith("--use_nnapi=true\n")
    assert [path.name for path in phone.tmp.iterdir()] == ["words"]
    assert "-s ABC123 push" in phone.commands
    assert lines(proven_model) == []


def test_the_command_alone_or_with_a_serial_number(phone, tool, proven_model):
    path = tool(NEWER)
    for words in (["--adb"], ["--adb", "ABC123"], ["--json", "--adb"]):
        found = runner.invoke(app, ["bench", *words, str(proven_model), "--benchmark-model", str(path)])
        assert found.exit_code == 0, found.output
        assert "141.253" in found.stdout
    assert len(lines(proven_model)) == 3


def test_a_share_of_operators_can_be_required(phone, tool, proven_model):
    bench_over_adb([proven_model], tool(NEWER), require_delegate=0.9, record=False)
    with pytest.raises(ModelError, match="takes 98% of the operators, 100% are required"):
        bench_over_adb([proven_model], tool(NEWER), require_delegate=1)
    with pytest.raises(ModelError, match="does not tell how many operators"):
        bench_over_adb([proven_model], tool(OLDER), require_delegate=0.1)
    assert lines(proven_model) == []
    assert list(phone.tmp.iterdir()) == []


def test_a_tool_that_fails_says_why_and_nothing_stays(phone, tool, proven_model):
    with pytest.raises(ModelError, match="did not time it: ERROR: no such operator"):
        bench_over_adb([proven_model], tool("ERROR: no such operator\n"))
    assert list(phone.tmp.iterdir()) == []
    assert lines(proven_model) == []


@pytest.mark.parametrize(
    ("devices", "serial", "said"),
    [
        ("", None, "adb sees no phone"),
        ("A1\\tdevice\\nB2\\tdevice", None, "adb sees 2 phones. Say which: --adb A1 or B2"),
        ("A1\\tdevice", "B2", "adb sees no phone B2; there is A1"),
        ("A1\\tunauthorized", None, "has not allowed this computer"),
        ("A1\\toffline", None, "is offline"),
        ("A1\\tno permissions (user in plugdev)", None, "may not be opened by this user"),
        ("A1\\tdevice", "-x", "is no serial number"),
        ("A1\\tdevice", "a;b", "is no serial number"),
    ],
)
def test_a_phone_that_is_not_reached(phone, tool, proven_model, devices, serial, said):
    phone.attach(devices)
    with pytest.raises(TargetError, match=said):
        bench_over_adb([proven_model], tool(NEWER), serial=serial)


def test_a_phone_that_goes_in_the_middle(phone, tool, proven_model):
    phone.attach("A1\\tdevice", gone="echo 'adb: error: device A1 not found' >&2; exit 1;")
    with pytest.raises(TargetError, match="the phone A1 has gone"):
        bench_over_adb([proven_model], tool(NEWER))
    phone.attach("A1\\tdevice", gone="echo 'adb: error: failed to copy: No space left on device'; exit 1;")
    with pytest.raises(TargetError, match=r"the phone A1 refused a file .*No space left"):
        bench_over_adb([proven_model], tool(NEWER))


def test_what_is_missing_here(monkeypatch, tmp_path, tool, proven_model):
    with pytest.raises(TargetError, match="--benchmark-model PATH"):
        bench_over_adb([proven_model], None)
    with pytest.raises(TargetError, match="there is no such file"):
        bench_over_adb([proven_model], tmp_path / "none")
    with pytest.raises(DataError, match="not 0, 1"):
        bench_over_adb([proven_model], tool(NEWER), runs=0)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError, match="there is no adb on this machine"):
        bench_over_adb([proven_model], tool(NEWER))


def test_ctrl_c_ends_the_tool_there_and_nothing_stays(phone, tool, proven_model, tmp_path):
    path = tool("", before=f"echo $$ > {tmp_path}/running; exec sleep 60")
    words = ["bench", str(proven_model), "--adb", "--benchmark-model", str(path)]
    with subprocess.Popen([sys.executable, "-m", "edgecnn", *words], stderr=subprocess.PIPE) as running:
        end = time.monotonic() + 20
        while not (tmp_path / "running").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
    assert running.returncode == 130
    assert list(phone.tmp.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "running").read_text()), 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ssh", "pi", "--adb", "A1"], "two places"),
        (["--ssh", "pi", "--minutes", "1"], "for this machine alone"),
        (["--adb", "A1", "--threads", "auto"], "--threads auto"),
        (["--adb", "A1", "--backend", "litert"], "--backend"),
    ],
)
def test_what_a_place_cannot_do_is_wrong_usage(proven_model, words, said):
    found = runner.invoke(app, ["bench", str(proven_model), *words])
    assert found.exit_code == 2
    assert said in " ".join(found.output.replace("│", " ").split())


def test_an_empty_address_is_not_this_machine(proven_model):
    found = runner.invoke(app, ["bench", str(proven_model), "--ssh", ""])
    assert found.exit_code == 1
    assert "is no address for ssh" in found.output
