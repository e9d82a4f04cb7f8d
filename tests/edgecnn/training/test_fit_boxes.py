"""A detector from data to run folder: what is written, that it resumes to the same bits, what it finds."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.card import InputSpec
from edgecnn.data import training_splits
from edgecnn.data.augment import Augment
from edgecnn.data.dataset import Dataset
from edgecnn.errors import CardError, TrainingError
from edgecnn.evaluation import evaluate
from edgecnn.results import Boxes
from edgecnn.runs import Run
from edgecnn.tasks import detection
from edgecnn.training import checkpoint
from edgecnn.training.fit import _Clock, train
from edgecnn.training.predict import predictor
from edgecnn.training.recipe import Recipe
from edgecnn.zoo.keras import keras

pytestmark = pytest.mark.tensorflow

DRAWN = "drawn:3?size=64x64&train=26&val=10&test=2"
Splits = tuple[Dataset, Dataset]


@pytest.fixture(scope="module")
def splits() -> Splits:
    return training_splits(DRAWN, task="detection")


@pytest.fixture(scope="module")
def recipe(tiny_backbone: str) -> Recipe:
    return Recipe(
        tiny_backbone,
        InputSpec(64, 64, mean=(127.5,), std=(127.5,), fit="letterbox"),
        task="detection",
        width=0.25,
        epochs=3,
        repeats=2,
        batch=8,
        optimizer="adam",
        rate=3e-3,
        warmup_epochs=0.2,
        label_smoothing=0.0,
        ema=0.8,
        augment=Augment(flip=True, scale=(0.8, 1.4), brightness=0.1, mosaic=0.5),
        calm=0.34,
    )


@pytest.fixture(scope="module")
def learned(splits: Splits, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(splits, recipe, out=tmp_path_factory.mktemp("runs") / "learned")


def weights(run: Run) -> list[bytes]:
    """Of the best model and of the last checkpoint."""
    model = keras.models.load_model(run.model, compile=False)
    newest = checkpoint.newest(run.checkpoints)
    assert newest is not None
    with np.load(newest) as last:
        state = [last[name].tobytes() for name in last.files if name != "header"]
    return [w.tobytes() for w in model.get_weights()] + state


def history(run: Run) -> list[dict[str, str]]:
    with run.history.open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def pictures(data: Dataset) -> Iterator[Any]:
    return (sample.read() for sample in data.samples)


def test_a_run_holds_what_was_learned_and_how_it_is_read(learned: Run, splits: Splits) -> None:
    card, outcome, rows = learned.read_card(), json.loads(learned.training.read_text()), history(learned)
    assert (card.task, card.labels) == ("detection", splits[0].labels)
    assert dict(card.outputs) == {"boxes": "boxes", "scores": "scores"}
    assert set(card.options) == {"decode", "scores", "strides", "anchor_px", "scale_yxhw", "threshold"}
    assert 0.01 <= card.options["threshold"] <= 1
    assert outcome["threshold"] == card.options["threshold"]
    assert [row["label"] for row in outcome["per_class"]] == list(card.labels)
    assert outcome["boxes"] == sum(len(sample.truth) for sample in splits[1].samples)
    assert (outcome["train_images"], outcome["val_images"]) == (26, 10)
    assert len(rows) == 3
    best = rows[outcome["best_epoch"] - 1]
    assert float(best["val_accuracy"]) == max(float(row["val_accuracy"]) for row in rows)
    assert outcome["map"] == pytest.approx(float(best["val_accuracy"]), abs=1e-5)
    assert all(np.isfinite(float(row["val_loss"])) for row in rows)


def test_the_card_is_a_whole_one_for_the_device(learned: Run) -> None:
    card = learned.read_card()
    model = keras.models.load_model(learned.model, compile=False)
    assert [shape[1] for shape in model.output_shape] == [len(detection.anchors(card))] * 2


@pytest.mark.parametrize("moments", [(4, 9)])
def test_a_training_cut_off_and_resumed_ends_with_the_same_bits(
    learned: Run,
    splits: Splits,
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moments: tuple[int, ...],
) -> None:
    """Mosaics, running means and repeats included; images are read again each time where memory is short."""

    class Stopped(Exception):  # noqa: N818  (nothing went wrong)
        """Stands for a kill."""

    monkeypatch.setattr(_Clock, "checkpoint_due", lambda self: True)
    write = checkpoint.write
    for session, moment in enumerate(moments):
        calls = iter(range(1, moment))

        def cut(*arguments: Any, calls: Any = calls) -> Path:
            if next(calls, None) is None:
                raise Stopped
            return write(*arguments)

        monkeypatch.setattr(checkpoint, "write", cut)
        with pytest.raises(Stopped):
            train(splits, recipe, out=tmp_path / "cut", resume=session > 0, cache_bytes=0)
    monkeypatch.setattr(checkpoint, "write", write)
    resumed = train(splits, None, out=tmp_path / "cut", resume=True)
    assert weights(resumed) == weights(learned)
    assert history(resumed) == history(learned)
    assert resumed.read_card().options == learned.read_card().options


def test_the_predictor_gives_boxes_under_the_options_that_are_asked_for(learned: Run, splits: Splits) -> None:
    _, val = splits
    own = list(predictor(learned)(pictures(val)))
    all_of_them = list(predictor(learned, options=detection.JUDGING)(pictures(val)))
    few = list(predictor(learned, options={"threshold": 0.0, "most": 2})(pictures(val)))
    assert len(own) == len(all_of_them) == len(few) == len(val)
    threshold = np.float32(learned.read_card().options["threshold"])
    for ours, every, two in zip(own, all_of_them, few, strict=True):
        assert isinstance(ours, Boxes)
        assert (ours.score >= threshold).all()
        assert len(every) == max(len(ours), len(every))
        assert len(two) == 2
    assert any(len(every) > len(ours) for ours, every in zip(own, all_of_them, strict=True))
    with pytest.raises(CardError, match="treshold"):
        list(predictor(learned, options={"treshold": 0.5})(pictures(val)))


def test_validation_by_the_predictor_is_what_training_said(learned: Run, splits: Splits) -> None:
    outcome = json.loads(learned.training.read_text())
    predict = predictor(learned, options=detection.JUDGING)
    found = evaluate(predict, splits[1], options=learned.read_card().options).metrics
    assert found.map == pytest.approx(outcome["map"], abs=1e-6)
    assert found.f1 == pytest.approx(outcome["f1"], abs=1e-6)


def test_no_images_give_no_results(learned: Run) -> None:
    assert list(predictor(learned)(iter(()))) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "classification"}, "is for detection, but the recipe is for classification"),
        ({"design": "fcos"}, "no design 'fcos'; there is: anchors, centroids"),
        ({"input": InputSpec(100, 64)}, "multiples of 32.*Take 64x96"),
        ({"model": "resnet8"}, "resnet8 does not shrink its images"),
        ({"batch": 27}, "a batch of 27 is larger than the 26 training images"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_the_door(
    splits: Splits, recipe: Recipe, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message) as caught:
        train(splits, replace(recipe, **change), out=tmp_path / "a")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "a").exists()


def test_a_detector_s_recipe_does_not_take_classes(
    recipe: Recipe, colours: Callable[..., Dataset], tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="colours is for classification, but the recipe is for detection"):
        train((colours(30, seed=1), colours(9, seed=2)), recipe, out=tmp_path / "a")


def test_places_are_learned_and_found_too(splits: Splits, recipe: Recipe, tmp_path: Path) -> None:
    run = train(splits, replace(recipe, design="centroids", epochs=1), out=tmp_path / "a")
    card, outcome = run.read_card(), json.loads(run.training.read_text())
    assert set(card.options) == {"decode", "scores", "stride", "threshold"}
    assert dict(card.outputs) == {"scores": "scores"}
    assert outcome["map"] is None
    assert outcome["threshold"] == card.options["threshold"]
    assert all(isinstance(found, Boxes) for found in predictor(run)(pictures(splits[1])))
