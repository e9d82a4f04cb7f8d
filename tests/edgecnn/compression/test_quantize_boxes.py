"""Quantization-aware training of a detector: two outputs, each rounded to a range of its own."""

import numpy as np
import pytest

from converters.convert import convert
from edgecnn.card import InputSpec
from edgecnn.compression.quantize import train_quantized
from edgecnn.data import training_splits
from edgecnn.data.augment import Augment
from edgecnn.graph import read
from edgecnn.runs import Run
from edgecnn.runtime.model import load
from edgecnn.training.fit import train
from edgecnn.training.predict import predictor
from edgecnn.training.recipe import Recipe

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def splits():
    return training_splits("drawn:3?size=64x64&train=16&val=8&test=2", task="detection")


@pytest.fixture(scope="module")
def aware(splits, tiny_backbone, tmp_path_factory) -> Run:
    """A run that learned for an epoch, and another with the rounding of int8."""
    folder = tmp_path_factory.mktemp("runs")
    spec = InputSpec(64, 64, mean=(127.5,), std=(127.5,), fit="letterbox")
    recipe = Recipe(
        tiny_backbone, spec, task="detection", width=0.25, epochs=1, batch=8, optimizer="adam", rate=3e-3,
        warmup_epochs=0.1, label_smoothing=0.0, ema=0.8, augment=Augment(flip=True),
    )  # fmt: skip
    source = train(splits, recipe, out=folder / "plain")
    return train_quantized(source.path, splits, out=folder / "aware", epochs=1)


def test_the_new_run_is_a_detectors_with_its_threshold_and_its_lineage(aware):
    card = aware.read_card()
    assert (card.task, card.options["decode"]) == ("detection", "anchors")
    assert 0.01 <= card.options["threshold"] <= 1
    assert len(card.lineage) == 2
    assert "quantization-aware" in card.lineage[1]


def test_its_int8_file_has_two_scales_and_computes_what_was_trained(aware, splits):
    (made,) = convert(aware.path, schemes=["int8"], data=splits, audited=False, uncertified=True)
    graph = read(made.path)
    ends = [graph.tensors[index] for index in graph.outputs]
    assert {tensor.dtype for tensor in ends} == {"int8"}
    assert len({float(tensor.scale[0]) for tensor in ends}) == 2
    answers = predictor(aware, options={"threshold": 0.0, "nms": "none", "most": 20})
    picture = splits[1].samples[0].read()
    (expected,) = answers([picture])
    with load(made.path, options={"threshold": 0.0, "nms": "none", "most": 20}) as model:
        found = model(picture)
    assert np.abs(np.sort(found.score) - np.sort(expected.score)).max() < 0.02
