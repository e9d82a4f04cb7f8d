import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecnn import image, runs
from edgecnn.card import InputSpec
from edgecnn.data.dataset import Dataset
from edgecnn.errors import CardError, DataError, ModelError
from edgecnn.runs import Run
from edgecnn.tasks import classification
from edgecnn.training.fit import train
from edgecnn.training.predict import predictor
from edgecnn.training.recipe import Recipe
from edgecnn.zoo.keras import keras

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def run(tiny: str, colours: Callable[..., Dataset], tmp_path_factory: pytest.TempPathFactory) -> Run:
    recipe = Recipe(tiny, InputSpec(16, 16, fit="letterbox"), epochs=2, batch=8, rate=0.05)
    return train((colours(48, seed=1), colours(12, seed=2)), recipe, out=tmp_path_factory.mktemp("p") / "run")


@pytest.mark.parametrize("count", [0, 1, 4, 9])
def test_every_image_gets_its_own_result_in_order(run: Run, count: int) -> None:
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (20 + n, 30, 3), np.uint8) for n in range(count)]
    card, model = run.read_card(), keras.models.load_model(run.model, compile=False)
    table = image.lookup(card.input, np.float32)
    found = list(predictor(run.path, batch=4)(iter(images)))
    assert len(found) == count
    for picture, result in zip(images, found, strict=True):
        logits = model(image.prepare(picture, table, card.input)[0]).numpy()[0]
        np.testing.assert_allclose(result.score, classification.softmax(logits), atol=1e-5)
        assert result.labels == card.labels


def test_validation_by_the_predictor_is_what_training_said(run: Run, colours: Callable[..., Dataset]) -> None:
    val = colours(12, seed=2)
    results = list(predictor(run)(sample.read() for sample in val.samples))
    judged = classification.score(results, [sample.truth for sample in val.samples])
    assert judged.as_dict()["confusion"] == json.loads(run.training.read_text())["confusion"]


def test_it_reads_no_further_ahead_than_a_batch(run: Run) -> None:
    taken = 0

    def stream():
        nonlocal taken
        for _ in range(20):
            taken += 1
            yield np.zeros((8, 8, 3), np.uint8)

    results = predictor(run, batch=3)(stream())
    next(results)
    assert taken == 3


def test_a_run_that_is_none_or_half_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a run"):
        predictor(tmp_path)
    half = Run(tmp_path)
    runs.write_card(half, run.read_card())
    with pytest.raises(ModelError, match="no model yet"):
        predictor(half)
    half.model.write_bytes(b"PK\x03\x04 not a model")
    with pytest.raises(ModelError, match="cannot be read") as caught:
        predictor(half)
    assert "\n" not in str(caught.value)


def test_a_card_of_another_model_is_refused(run: Run, tmp_path: Path) -> None:
    other, card = Run(tmp_path), run.read_card()
    other.model.write_bytes(run.model.read_bytes())
    runs.write_card(other, replace(card, input=replace(card.input, height=20)))
    with pytest.raises(CardError, match=r"\(20, 16, 3\).*\(16, 16, 3\)"):
        predictor(other)
    runs.write_card(other, replace(card, outputs={"scores": "sorces"}))
    with pytest.raises(CardError, match="'sorces'"):
        predictor(other)
