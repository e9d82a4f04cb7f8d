"""What calibration finds out about a float model is found out once, however many files are made of it."""

from types import SimpleNamespace

import pytest

from calibration.ranges import Ranges
from converters import drafts as module
from converters.drafts import Level, Material


@pytest.fixture
def asked(monkeypatch):
    """What was asked of calibration, in order."""
    calls = []
    monkeypatch.setattr(
        module, "calibrate", lambda *a, **k: calls.append("whole") or Ranges({}, "minmax", 3, "")
    )
    monkeypatch.setattr(module, "histograms", lambda *a, **k: calls.append("counted"))
    monkeypatch.setattr(
        module, "ranges_of", lambda found, method: calls.append(method) or Ranges({}, method, 3, "00")
    )
    monkeypatch.setattr(module, "quantize", lambda *a, **k: b"made")
    monkeypatch.setattr(
        module, "correct_biases", lambda *a, **k: SimpleNamespace(content=b"corrected", layers=(1, 2))
    )
    return calls


def level(**words):
    given = {"content": b"float", "name": "net", "chosen": (1, 2, 3), "spec": None} | words
    return Level(Material(**given), b"float", lambda line: None)


def test_nothing_is_calibrated_before_a_file_is_made(asked):
    level()
    assert asked == []


def test_each_method_is_asked_for_once(asked):
    made = level()
    for method in ("minmax", "mse", "minmax", "mse", "entropy"):
        made.draft(method)
    assert asked == ["whole", "counted", "mse", "entropy"]


def test_the_rung_and_the_words_say_how_it_was_made(asked):
    made = level(weights="tensor").draft("mse", {"a": "float32"})
    assert made.rung == "mse, 1 kept"
    finished = made.finish()
    assert finished.content == b"corrected"
    assert finished.words == (
        "mse over 3 images (sha256 00); weights per tensor; kept a in float32; 2 biases corrected"
    )
    assert (finished.method, finished.kept) == ("mse", {"a": "float32"})


def test_biases_stay_where_nobody_wants_them_corrected(asked):
    finished = level(corrects=False).draft("minmax").finish()
    assert finished.content == b"made"
    assert "corrected" not in finished.words


@pytest.mark.parametrize(("method", "rung"), [("minmax", "equalization"), ("mse", "equalization, mse")])
def test_a_rescaled_model_names_the_rung(asked, method, rung):
    material = Material(content=b"float", name="net", chosen=(), spec=None)
    assert Level(material, b"other", lambda line: None, "2 groups").draft(method).rung == rung
