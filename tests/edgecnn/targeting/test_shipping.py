"""Converting for a device."""

import importlib.util
import os
import stat
import sys

import pytest

from converters.to_edgetpu import COMPILER
from edgecnn import card
from edgecnn.errors import OverBudget, TargetError
from edgecnn.graph import read
from edgecnn.targeting.shipping import ship
from targets.budget import Limits

pytestmark = pytest.mark.tensorflow


def test_the_edge_tpu_gets_its_scheme_its_inputs_and_one_dense_scale(tints_run, tints, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = ship(tints_run, "coral_usb", data=tints)
    (one,) = found.converted
    assert one.scheme == "int8"
    graph = read(one.path)
    assert graph.tensors[graph.inputs[0]].dtype == "uint8"
    dense = [op for op in graph.ops if op.kind == "FULLY_CONNECTED"]
    assert all(len(graph.tensors[op.inputs[1]].scale) == 1 for op in dense)
    convolutions = [op for op in graph.ops if op.kind == "CONV_2D"]
    assert any(len(graph.tensors[op.inputs[1]].scale) > 1 for op in convolutions)
    (made,) = found.made
    assert set(made.answer.support.units) == {"edge_tpu"}
    assert made.files == ()
    assert "apt-get install edgetpu-compiler" in made.said[0]


def test_the_compiler_is_called_and_compared_where_it_is_installed(tints_run, tints, monkeypatch, tmp_path):
    program = tmp_path / COMPILER
    program.write_text(
        f"#!{sys.executable}\nimport shutil, sys\n"
        "shutil.copy(sys.argv[-1], sys.argv[-2] + '/model_edgetpu.tflite')\n"
        "print('Edge TPU Compiler version 16.0\\nNumber of Edge TPU subgraphs: 1\\n'\n"
        "      'CONV_2D   1   Mapped to Edge TPU')\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (made,) = ship(tints_run, "coral_usb", data=tints).made
    assert made.files == (tints_run / "int8_edgetpu.tflite",)
    assert card.read(made.files[0]) == card.read(tints_run / "int8.tflite")
    assert made.figures["compiled"] is True
    assert any("predicted" in line for line in made.said)  # the script maps one convolution and no more


def test_a_microcontroller_gets_source_and_a_measured_arena(tints_run, tints):
    if importlib.util.find_spec("tflite_micro") is None:
        pytest.skip("tflite-micro is not installed")
    (made,) = ship(tints_run, "cortex_m7", data=tints).made
    assert [path.suffix for path in made.files] == [".h", ".cc"]
    assert all(path.is_file() for path in made.files)
    assert made.figures["arena_bytes_measured"] == pytest.approx(made.answer.ram_bytes, rel=0.1)


def test_an_ethos_u_gets_a_compiled_file_with_velas_figures(tints_run, tints):
    if importlib.util.find_spec("ethosu") is None:
        pytest.skip("ethos-u-vela is not installed")
    (made,) = ship(tints_run, "ethos_u55", data=tints).made
    assert made.files[0].name == "int8_vela.tflite"
    assert {path.suffix for path in made.files[1:]} == {".h", ".cc"}
    assert made.figures["cycles"] > 0
    assert made.said == ("operators for the resolver: EthosU",)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"schemes": ["float16"]}, TargetError, "coral_usb takes int8, not float16"),
        ({"io": "float32"}, TargetError, "takes uint8, int8 inputs, not float32"),
        ({"limits": Limits(flash_bytes=100)}, OverBudget, "over budget on coral_usb: flash"),
    ],
)
def test_it_fails_before_it_calibrates(tints_run, tints, words, error, message):
    said = []
    with pytest.raises(error, match=message):
        ship(tints_run, "coral_usb", data=tints, progress=said.append, **words)
    assert not (tints_run / "int8.tflite").exists()
    assert not any("converting to" in line for line in said)


def test_what_does_not_run_there_ends_early(tints_run, tints, monkeypatch):
    from targets import tflite_micro

    monkeypatch.setattr(tflite_micro, "KERNELS", {})
    with pytest.raises(TargetError, match="does not run on cortex_m7: operator 0"):
        ship(tints_run, "cortex_m7", data=tints)
    assert not (tints_run / "int8.tflite").exists()


def test_what_gains_nothing_from_the_accelerator_ends_early(tints_run, tints, monkeypatch):
    from targets import edge_tpu

    monkeypatch.setattr(edge_tpu, "MAPPED", {})
    with pytest.raises(TargetError, match="nothing of it would run on coral_usb"):
        ship(tints_run, "coral_usb", data=tints)
