"""Every finding of the doctor, and what it says to do about it."""

import json

import pytest

from edgecnn.errors import ModelError
from edgecnn.runtime import doctor as doctors
from edgecnn.runtime import interpreter
from edgecnn.runtime.doctor import doctor, extra, numpy_version, opencv, processor, runtimes, system


def test_this_machine_runs_models_and_the_report_is_json():
    checks = doctor()
    names = [check.name for check in checks]
    assert len(set(names)) == len(names)
    assert {
        "python",
        "system",
        "processor",
        "numpy",
        "opencv",
        "runtime litert",
        "cameras",
        "extra train",
    } <= set(names)
    assert json.loads(json.dumps([check.as_dict() for check in checks]))
    for check in checks:
        assert check.found
        assert "\n" not in check.found + check.advice
        assert check.status != "problem" or check.advice
        assert check.status != "ok" or not check.advice
    (litert,) = (check for check in checks if check.name == "runtime litert")
    assert litert.status == "ok"


@pytest.mark.parametrize(
    ("machine", "libc", "status", "advice"),
    [
        ("x86_64", "glibc-2.36", "ok", ""),
        ("aarch64", "glibc-2.27", "ok", ""),
        ("aarch64", "glibc-2.26", "note", "LiteRT needs glibc 2.27 or newer"),
        ("armv7l", "glibc-2.36", "note", "no wheel for armv7l. Use a 64-bit system"),
        ("x86_64", "", "ok", ""),
        ("x86_64", "musl-1.2", "note", "wheels are for glibc"),
        ("armv7l", "glibc-2.31", "note", "tflite-runtime 2.14 glibc 2.34 or newer. Use a 64-bit system"),
        ("armv6l", "glibc-2.36", "note", "tflite-runtime one of x86_64, aarch64, armv7l"),
    ],
)
def test_a_system_without_a_litert_wheel_is_told(machine, libc, status, advice):
    found = system(machine, libc, (3, 11))
    assert found.status == status
    assert advice in found.advice
    assert machine in found.found


def test_a_system_for_which_there_is_no_runtime_at_all_is_told():
    found = system("armv7l", "glibc-2.41", (3, 13))  # Raspberry Pi OS Trixie, 32 bit
    assert "Python 3.11 or older, not 3.13. Use a 64-bit system" in found.advice
    assert system("aarch64", "glibc-2.41", (3, 13)).status == "ok"


@pytest.mark.parametrize(
    ("features", "said"),
    [(["asimd", "asimddp"], False), (["asimd"], True), (["avx2", "avx512_vnni"], False), ([], False)],
)
def test_a_processor_on_which_int8_gains_less_is_told(features, said):
    assert ("no 8-bit dot products" in processor({"processor_features": features}).found) == said


@pytest.mark.parametrize(
    ("machine", "status", "said"),
    [
        ({}, "ok", ""),
        ({"governor": "performance", "throttled": "0"}, "ok", ""),
        ({"governor": "ondemand"}, "note", "frequency-set -g performance"),
        ({"throttled": "50005"}, "problem", "throttles or did (50005)"),
        ({"throttled": "0x50000", "governor": "ondemand"}, "problem", "stronger power supply"),
    ],
)
def test_a_processor_that_slows_down_is_told(machine, status, said):
    found = processor(machine)
    assert (found.status, said in found.advice) == (status, True)


@pytest.mark.parametrize(
    ("number", "status"), [("1.26.4", "ok"), ("2.4.6", "ok"), ("2.0.0rc1", "ok"), ("1.25.2", "problem")]
)
def test_an_old_numpy_is_told(number, status):
    assert numpy_version(number).status == status


BUILD = "  Video I/O:\n    FFMPEG:       {}\n    GStreamer:    NO\n    v4l/v4l2:     YES (linux)\n"


@pytest.mark.parametrize(
    ("build", "packages", "status", "said"),
    [
        (BUILD.format("YES"), {"opencv-python": "5.0"}, "ok", "FFMPEG, v4l/v4l2"),
        (BUILD.format("NO"), {"opencv-python": "5.0"}, "note", "without video files"),
        ("", {}, "note", "without video files"),
        (
            BUILD.format("YES"),
            {"opencv-python": "5.0", "opencv-python-headless": "4.9"},
            "problem",
            "share one folder",
        ),
    ],
)
def test_an_opencv_that_lacks_something_or_is_there_twice_is_told(build, packages, status, said):
    found = opencv("5.0.0", build, packages)
    assert (found.status, said in found.found) == (status, True)


def present(monkeypatch, *packages):
    monkeypatch.setattr(interpreter, "find_spec", lambda package: object() if package in packages else None)


def test_no_runtime_at_all_is_a_problem_with_a_command(monkeypatch):
    present(monkeypatch)
    found = {check.name: check for check in runtimes()}
    assert {check.status for check in found.values()} == {"problem"}
    assert found["runtime litert"].advice == "pip install ai-edge-litert"
    assert found["runtime tflite-runtime"].advice == "pip install 'edgecnn[tflite-runtime]'"


def test_litert_alone_is_fine(monkeypatch):
    present(monkeypatch, "ai_edge_litert")
    litert, other = runtimes()
    assert (litert.status, other.status, other.advice) == ("ok", "note", "")
    assert litert.found.endswith(", used")


@pytest.mark.parametrize(("broken", "status"), [("litert", "problem"), ("tflite-runtime", "note")])
def test_a_runtime_that_does_not_work_is_a_problem_if_it_is_the_one_that_is_used(monkeypatch, broken, status):
    present(monkeypatch, "ai_edge_litert", "tflite_runtime")

    def choose(name):
        if name == broken:
            raise ModelError("GLIBC_2.99 not found")
        return interpreter.Backend(name, "1.0")

    monkeypatch.setattr(interpreter, "choose", choose)
    found = {check.name: check for check in runtimes()}[f"runtime {broken}"]
    assert (found.status, found.advice) == (status, "GLIBC_2.99 not found")


@pytest.mark.parametrize(
    ("found", "versions", "status", "said"),
    [
        (
            {"tensorflow": True, "tf_keras": False},
            {"tensorflow": "2.21.0"},
            "note",
            "pip install 'edgecnn[train]'",
        ),
        ({"tensorflow": True, "tf_keras": True}, {"tensorflow": "2.21.0", "tf-keras": "2.21.1"}, "ok", ""),
        (
            {"tensorflow": True, "tf_keras": True},
            {"tensorflow": "2.21.0", "tf-keras": "2.18.0"},
            "problem",
            "They must have the same number: pip install 'tf-keras==2.21.*'",
        ),
    ],
)
def test_an_extra_that_is_missing_or_does_not_fit_together_is_told(found, versions, status, said):
    check = extra("train", found, versions)
    assert (check.status, check.advice) == (status, said)


@pytest.mark.parametrize(
    ("text", "numbers"), [("", ()), ("2", (2,)), ("2.36", (2, 36)), ("1.26.4rc1", (1, 26, 4)), ("git", ())]
)
def test_versions_are_compared_as_numbers(text, numbers):
    assert doctors._numbers(text) == numbers
