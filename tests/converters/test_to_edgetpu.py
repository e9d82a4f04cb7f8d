"""Google's compiler, stood in for by a script that says what the real one printed."""

import os
import stat
import sys

import pytest

from converters.to_edgetpu import COMPILER, HOW_TO_GET, find_compiler, parse, to_edgetpu
from edgecnn import card
from edgecnn.card import Card, InputSpec
from edgecnn.errors import ConversionError
from edgecnn.graph import read

# As edgetpu_compiler 16.0 printed it of yolov5s at 224 pixels: github.com/google-coral/edgetpu/issues/512.
SAID = """Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 2653 ms.

Input model: yolov5s-int8.tflite
Input size: 7.31MiB
Output model: yolov5s-int8_edgetpu.tflite
Output size: 8.34MiB
On-chip memory used for caching model parameters: 6.08MiB
On-chip memory remaining for caching model parameters: 0.00B
Off-chip memory used for streaming uncached model parameters: 1.70MiB
Number of Edge TPU subgraphs: 2
Total number of operations: 294
Operation log: yolov5s-int8-224_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU.
Number of operations that will run on Edge TPU: 31
Number of operations that will run on CPU: 2

Operator                       Count      Status

CONCATENATION                  1          Operation is otherwise supported, but not mapped due to some \
unspecified limitation
CONCATENATION                  17         Mapped to Edge TPU
STRIDED_SLICE                  13         Mapped to Edge TPU
TRANSPOSE                      1          More than one subgraph is not supported
RESHAPE                        1          Mapped to Edge TPU
Compilation child process completed within timeout period.
Compilation succeeded!
"""


NEWER = """
print("ERROR: Didn't find op for builtin opcode 'FULLY_CONNECTED' version '12'")
sys.exit(1)
"""


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """A function that puts a compiler on the path that does what the body says."""

    def put(body: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / COMPILER
        program.write_text(f"#!{sys.executable}\nimport shutil, sys\nargs = sys.argv[1:]\n{body}\n")
        program.chmod(program.stat().st_mode | stat.S_IEXEC)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return put


COMPILES = f"""
assert args[0] == "-s" and args[-3] == "-o"
shutil.copy(args[-1], args[-2] + "/model_edgetpu.tflite")
print({SAID!r})
"""


@pytest.fixture
def model(shared, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes((shared / "models/coral/mobilenet_v1_0.25_128_quant.tflite").read_bytes())
    card.attach(path, Card("net", "classification", InputSpec(128, 128), labels=("cat", "dog")))
    return path


def test_the_report_is_read():
    report = parse(SAID, model_bytes=5)
    assert report.version == "16.0.384591198"
    assert dict(report.mapped) == {"CONCATENATION": 17, "STRIDED_SLICE": 13, "RESHAPE": 1}
    assert [(kind, count) for kind, count, _ in report.on_cpu] == [("CONCATENATION", 1), ("TRANSPOSE", 1)]
    assert report.on_cpu[1][2] == "More than one subgraph is not supported"
    assert (report.subgraphs, report.model_bytes, report.remaining_bytes) == (2, 5, 0)
    assert report.cached_bytes == round(6.08 * 1024**2)
    assert report.streamed_bytes == round(1.70 * 1024**2)


@pytest.mark.parametrize(
    "said", ["", "Edge TPU Compiler version 16.0\nnothing", SAID.replace("Edge TPU Comp", "")]
)
def test_words_without_a_table_are_refused(said):
    with pytest.raises(ConversionError, match="no table of operators"):
        parse(said)


def test_the_compiled_file_keeps_the_card(compiler, model, tmp_path):
    compiler(COMPILES)
    report = to_edgetpu(model, tmp_path / "made.tflite")
    assert card.read(tmp_path / "made.tflite") == card.read(model)
    assert len(read(tmp_path / "made.tflite").ops) == 31
    assert report.mapped["CONCATENATION"] == 17


def test_an_older_runtime_is_asked_for(compiler, model, tmp_path):
    compiler('assert args[1:3] == ["-m", "13"], args' + COMPILES)
    assert to_edgetpu(model, tmp_path / "made.tflite", runtime=13).subgraphs == 2


def test_without_the_compiler_it_says_how_to_get_it(model, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_compiler() is None
    with pytest.raises(ConversionError, match="apt-get install edgetpu-compiler"):
        to_edgetpu(model, tmp_path / "made.tflite")
    assert "coral-edgetpu-stable" in HOW_TO_GET


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (NEWER, r"version '12'"),
        ('print("Compilation failed!")', r"\(Compilation failed!\)"),
        ("sys.exit(3)", r"\(nothing\)"),
    ],
)  # fmt: skip
def test_a_refusal_is_one_line_and_leaves_no_file(compiler, model, tmp_path, body, message):
    compiler(body)
    with pytest.raises(ConversionError, match=message) as caught:
        to_edgetpu(model, tmp_path / "made.tflite")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "made.tflite").exists()


def test_a_file_that_is_there_is_kept(compiler, model, tmp_path):
    compiler(COMPILES)
    (tmp_path / "made.tflite").write_text("mine")
    with pytest.raises(ConversionError, match="is there already"):
        to_edgetpu(model, tmp_path / "made.tflite")
    assert (tmp_path / "made.tflite").read_text() == "mine"
    to_edgetpu(model, tmp_path / "made.tflite", force=True)
    assert len(read(tmp_path / "made.tflite").ops) == 31


def test_the_model_itself_is_never_overwritten(compiler, model):
    compiler(COMPILES)
    before = model.read_bytes()
    with pytest.raises(ConversionError, match="is the model itself"):
        to_edgetpu(model, model, force=True)
    assert model.read_bytes() == before


def test_a_program_that_is_none_is_one_line(tmp_path, model, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / COMPILER).write_bytes(b"\x7fELF nonsense")
    (folder / COMPILER).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(ConversionError, match="cannot be started"):
        to_edgetpu(model, tmp_path / "made.tflite")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('sys.stdout.buffer.write(b"\\xff\\xfe broken"); sys.exit(1)', "broken"),
        ('shutil.copy(args[-1], args[-2] + "/model_edgetpu.tflite"); print("done")', "no table of operators"),
    ],
)
def test_words_that_cannot_be_read_leave_no_file(compiler, model, tmp_path, body, message):
    compiler(body)
    with pytest.raises(ConversionError, match=message):
        to_edgetpu(model, tmp_path / "made.tflite")
    assert not (tmp_path / "made.tflite").exists()
