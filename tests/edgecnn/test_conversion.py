"""Conversion from Python: the ladder's last rung is training, where it is allowed."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from edgecnn import conversion
from edgecnn.errors import ConversionError

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def asked(monkeypatch):
    """What `converters.convert.convert` was asked for."""
    found = {}

    def convert(source, **words):
        found.update(words, source=source)
        return ["done"]

    monkeypatch.setattr(conversion, "convert", convert)
    return found


def test_nothing_is_trained_unless_that_is_allowed(asked):
    assert conversion.convert_model("runs/cats", schemes=["int8"], data="photos/") == ["done"]
    assert asked["source"] == Path("runs/cats")
    assert asked["retrain"] is None
    assert asked["data"] == "photos/"


def test_every_other_word_reaches_the_converter(asked):
    conversion.convert_model("cats.tflite", schemes=["int8"], data=None, max_drop=2.0, samples=8, force=True)
    assert (asked["max_drop"], asked["samples"], asked["force"]) == (2.0, 8, True)


def test_a_word_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConversionError, match="there is no option 'max_loss'"):
        conversion.convert_model(tmp_path, schemes=["int8"], max_loss=2.0)


def test_training_takes_the_run_the_images_and_the_place_and_tells_how_it_goes(asked, monkeypatch):
    calls, told = [], []
    data = (SimpleNamespace(name="train"), SimpleNamespace(name="val"))

    def train_quantized(run, parts, *, out, force, progress):
        calls.append((run, parts, out, force))
        progress("a step")

    monkeypatch.setattr("edgecnn.compression.quantize.train_quantized", train_quantized)
    monkeypatch.setattr("edgecnn.training.progress.line", lambda now: f"line of {now}")
    conversion.convert_model(
        "runs/cats", schemes=["int8"], data=data, allow_training=True, training_progress=told.append
    )
    asked["retrain"](Path("runs/cats"), Path("runs/cats/qat"))
    assert calls == [(Path("runs/cats"), data, Path("runs/cats/qat"), True)]
    assert told == ["line of a step"]


def test_training_without_images_asks_for_them(asked):
    conversion.convert_model("runs/cats", schemes=["int8"], allow_training=True)
    with pytest.raises(ConversionError, match=r"training needs labelled images. Give them with --data"):
        asked["retrain"](Path("runs/cats"), Path("runs/cats/qat"))
