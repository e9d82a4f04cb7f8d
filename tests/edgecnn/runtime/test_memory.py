"""A model's memory, measured where nothing else is."""

from pathlib import Path

import pytest

from edgecnn.errors import ModelError
from edgecnn.runtime import memory

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux only")


def test_where_the_system_does_not_tell_nothing_is_claimed(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "memory_mib", lambda key: None)
    assert memory.measure(tmp_path / "nothing.tflite") == {}


def test_a_models_memory_is_the_difference_it_makes(model_file, monkeypatch):
    filler = bytearray(300 * 2**20)  # this process is large; the model's is not
    found = memory.measure(model_file())
    assert found.keys() == {"process", "runtime", "model"}
    assert 20 < found["runtime"] < found["process"] < 250
    assert found["model"] == pytest.approx(found["process"] - found["runtime"], abs=0.01)
    assert found["model"] < 20
    assert len(filler)


def test_a_larger_model_needs_more(model_file, shared):
    small = memory.measure(model_file())
    large = memory.measure(shared / "models" / "coral" / "tf2_mobilenet_v2_1.0_224_ptq.tflite")
    assert large["model"] > small["model"] + 4  # its weights alone are 4 MB
    assert abs(large["runtime"] - small["runtime"]) < 5


def test_a_file_beside_which_it_is_called_cannot_get_in_between(model_file, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise RuntimeError('not the json you wanted')")
    monkeypatch.chdir(tmp_path)
    assert memory.measure(model_file())["model"] >= 0


def test_a_model_that_does_not_run_is_named_with_what_its_process_said(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"no model")
    with pytest.raises(
        ModelError, match=r"m\.tflite: cannot be run in a process of its own \(.*cannot be loaded"
    ):
        memory.measure(path)


def test_a_process_that_takes_too_long_is_ended(model_file, monkeypatch):
    monkeypatch.setattr(memory, "_TIMEOUT_S", 0.01)
    with pytest.raises(ModelError, match=r"took more than 0\.01 s"):
        memory.measure(model_file())
