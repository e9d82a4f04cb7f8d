import csv
import errno
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import runs
from edgecnn.card import InputSpec
from edgecnn.data.augment import Augment
from edgecnn.data.dataset import Dataset
from edgecnn.errors import TrainingError
from edgecnn.runs import Run
from edgecnn.training import checkpoint
from edgecnn.training.fit import _Clock, train
from edgecnn.training.progress import Progress
from edgecnn.training.recipe import Recipe, from_json
from edgecnn.zoo.keras import keras

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("tiny")]

Splits = tuple[Dataset, Dataset]
RECIPE = Recipe(
    "tiny",
    InputSpec(16, 16, mean=(127.5,), std=(127.5,)),
    epochs=3,
    batch=8,
    rate=0.05,
    warmup_epochs=0.2,
    augment=Augment(flip=True, shift=0.1),
)


@pytest.fixture(scope="module")
def splits(colours: Callable[..., Dataset]) -> Splits:
    return colours(75, seed=1), colours(30, seed=2)


@pytest.fixture(scope="module")
def learned(splits: Splits, tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(splits, RECIPE, out=tmp_path_factory.mktemp("runs") / "learned")


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


def test_a_run_holds_what_was_learned_and_how(learned: Run, splits: Splits) -> None:
    assert runs.is_run(learned.path)
    assert from_json(learned.recipe.read_text(), "here") == RECIPE
    rows = history(learned)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    best = max(rows, key=lambda row: (float(row["val_accuracy"]), -float(row["val_loss"])))
    assert float(best["val_accuracy"]) > 0.9
    outcome = json.loads(learned.training.read_text())
    assert outcome["best_epoch"] == int(best["epoch"])
    assert outcome["top1"] == pytest.approx(float(best["val_accuracy"]), abs=1e-5)
    assert np.sum(outcome["confusion"]) == outcome["val_images"] == 30
    assert [row["label"] for row in outcome["per_class"]] == list(splits[0].labels)
    card = learned.read_card()
    assert (card.name, card.task, card.labels) == ("tiny", "classification", splits[0].labels)
    assert card.input == RECIPE.input
    assert card.options == {"scores": "logits"}
    assert card.metrics["val_accuracy"] == pytest.approx(outcome["top1"])
    assert "colours (75 images)" in card.lineage[0]


def test_the_same_recipe_gives_the_same_bits(learned: Run, splits: Splits, tmp_path: Path) -> None:
    again = train(splits, RECIPE, out=tmp_path / "again", cache_bytes=0)
    assert weights(again) == weights(learned)
    assert history(again) == history(learned)


def test_another_seed_gives_other_bits(learned: Run, splits: Splits, tmp_path: Path) -> None:
    other = train(splits, replace(RECIPE, seed=1, epochs=1), out=tmp_path / "other")
    assert weights(other)[0] != weights(learned)[0]


class Stopped(Exception):  # noqa: N818  (nothing went wrong)
    """Stands for a kill: leaves `train` at once, wherever it is."""


@pytest.mark.parametrize("moments", [(1,), (4, 6), (9, 13, 3)])
def test_a_training_cut_off_and_resumed_ends_with_the_same_bits(
    learned: Run, splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moments: tuple[int, ...]
) -> None:
    """Each session ends when its nth checkpoint (one for each step) is about to be written."""
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
            train(splits, RECIPE, out=tmp_path / "cut", resume=session > 0)
    monkeypatch.setattr(checkpoint, "write", write)
    resumed = train(splits, None, out=tmp_path / "cut", resume=True)
    assert weights(resumed) == weights(learned)
    assert history(resumed) == history(learned)


def test_ctrl_c_writes_a_checkpoint_and_says_how_to_go_on(
    learned: Run, splits: Splits, tmp_path: Path
) -> None:
    presses = iter([signal.SIGINT])

    def interrupt(now: Progress) -> None:
        if now.phase == "training" and now.epoch == 2 and next(presses, None):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match=r"epoch 2 of 3.*--resume.*step 1"):
        train(splits, RECIPE, out=tmp_path / "a", progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    newest = checkpoint.newest(tmp_path / "a" / "checkpoints")
    assert newest is not None
    assert newest.name == "epoch-00001-step-0000001.npz"
    assert weights(train(splits, RECIPE, out=tmp_path / "a", resume=True)) == weights(learned)


def test_a_finished_run_resumes_to_itself(learned: Run, splits: Splits) -> None:
    before = {path: path.stat().st_mtime_ns for path in learned.path.rglob("*")}
    assert train(splits, RECIPE, out=learned.path, resume=True) == learned
    assert {path: path.stat().st_mtime_ns for path in learned.path.rglob("*")} == before


def test_nothing_is_overwritten_unless_forced(learned: Run, splits: Splits, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"already holds a run.*--resume.*--force"):
        train(splits, RECIPE, out=learned.path)
    (tmp_path / "letter.txt").write_text("dear")
    for force in (False, True):
        with pytest.raises(TrainingError, match="not empty and is not a run"):
            train(splits, RECIPE, out=tmp_path, force=force)
    with pytest.raises(TrainingError, match="is a file"):
        train(splits, RECIPE, out=tmp_path / "letter.txt")
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_force_replaces_a_run_and_what_was_made_from_it(splits: Splits, tmp_path: Path) -> None:
    out, short = tmp_path / "run", replace(RECIPE, epochs=1)
    run = train(splits, short, out=out)
    for stale in (run.tflite("int8"), run.measurements):
        stale.write_text("old")
    (out / "notes.txt").write_text("mine")
    train(splits, replace(short, seed=1), out=out, force=True)
    assert not run.tflite("int8").exists()
    assert not run.measurements.exists()
    assert (out / "notes.txt").read_text() == "mine"
    assert from_json(run.recipe.read_text(), "here").seed == 1


def test_resuming_with_another_recipe_names_what_differs(learned: Run, splits: Splits) -> None:
    with pytest.raises(TrainingError, match=r"rate \(0.05 → 0.1\), seed \(0 → 4\)"):
        train(splits, replace(RECIPE, rate=0.1, seed=4), out=learned.path, resume=True)


def test_resuming_with_other_images_is_refused(
    splits: Splits, colours: Callable[..., Dataset], tmp_path: Path
) -> None:
    def stop(now: Progress) -> None:
        if now.epoch == 2:
            raise Stopped

    with pytest.raises(Stopped):
        train(splits, RECIPE, out=tmp_path / "a", progress=stop)
    other = colours(75, seed=1).subset([*range(1, 75), 0])
    with pytest.raises(TrainingError, match="other images or labels"):
        train((other, splits[1]), RECIPE, out=tmp_path / "a", resume=True)


def test_there_must_be_something_to_resume(splits: Splits, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no training to resume"):
        train(splits, RECIPE, out=tmp_path / "a", resume=True)
    with pytest.raises(TrainingError, match="needs a recipe"):
        train(splits, None, out=tmp_path / "a")
    with pytest.raises(TrainingError, match="choose one"):
        train(splits, RECIPE, out=tmp_path / "a", resume=True, force=True)
    assert not (tmp_path / "a").exists()


def test_a_rate_that_is_too_high_is_said_and_the_last_good_checkpoint_stays(
    splits: Splits, tmp_path: Path
) -> None:
    lively = replace(RECIPE, rate=90.0, epochs=9, warmup_epochs=0.0, weight_decay=9.0)
    with pytest.raises(
        TrainingError, match=r"loss became infinite in epoch \d, by step \d+: the rate 90 .*Try rate 30"
    ):
        train(splits, lively, out=tmp_path / "a", checkpoint_seconds=0)
    newest = checkpoint.newest(tmp_path / "a" / "checkpoints")
    assert newest is not None
    with np.load(newest) as archive:
        assert all(np.isfinite(archive[name]).all() for name in archive.files)


def test_a_full_disk_is_said_and_leaves_the_checkpoint_before(
    learned: Run, splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    fsync = os.fsync

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match=r"No space left.*--resume") as caught:
        train(splits, RECIPE, out=tmp_path / "a")
    monkeypatch.setattr(os, "fsync", fsync)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "a").rglob(".*"))
    assert weights(train(splits, RECIPE, out=tmp_path / "a", resume=True)) == weights(learned)


@pytest.mark.parametrize(
    ("change", "train_count", "message"),
    [
        ({"batch": 100}, 75, "a batch of 100 is larger than the 75 training images"),
        ({"model": "lecture", "input": InputSpec(8, 8)}, 75, "lecture.*at least 16x16 pixels, got 8x8"),
        ({"model": "resnet9"}, 75, "resnet8"),
        ({"width": -1.0}, 75, "width"),
        ({"pretrained": "imagenet"}, 75, "tiny comes without ImageNet weights"),
        ({"pretrained": "/nowhere/w.pth"}, 75, "no such weight file"),
        ({}, 0, "no training image shows 'blue'"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_the_door(
    splits: Splits,
    colours: Callable[..., Dataset],
    tmp_path: Path,
    change: dict[str, Any],
    train_count: int,
    message: str,
) -> None:
    with pytest.raises(TrainingError, match=message) as caught:
        train((colours(train_count, seed=1), splits[1]), replace(RECIPE, **change), out=tmp_path / "a")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "a").exists()


def test_splits_must_have_the_same_labels_and_no_image_in_common(
    splits: Splits, colours: Callable[..., Dataset], tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="not of one kind"):
        train((splits[0], colours(9, labels=("a", "b", "c"))), RECIPE, out=tmp_path / "a")
    with pytest.raises(TrainingError, match="1/0 is in both"):
        train((splits[0], splits[0].subset([0, 1])), RECIPE, out=tmp_path / "a")


def test_broken_images_stop_a_training_before_it_starts_or_are_reported(
    splits: Splits, colours: Callable[..., Dataset], tmp_path: Path
) -> None:
    broken = colours(30, seed=1, broken=(4, 7)), splits[1]
    with pytest.raises(TrainingError, match=r"2 of 30 images cannot be read: 1/4: not an image; 1/7"):
        train(broken, RECIPE, out=tmp_path / "a")
    assert not (tmp_path / "a").exists()
    run = train(broken, replace(RECIPE, epochs=1), out=tmp_path / "a", skip_unreadable=True)
    outcome = json.loads(run.training.read_text())
    assert outcome["train_images"] == 28
    assert outcome["unreadable"] == ["1/4: not an image.", "1/7: not an image."]


def test_mixed_precision_learns_and_saves_a_float32_network(splits: Splits, tmp_path: Path) -> None:
    run = train(splits, replace(RECIPE, precision="bfloat16"), out=tmp_path / "a")
    model = keras.models.load_model(run.model, compile=False)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert json.loads(run.training.read_text())["top1"] > 0.8
    assert keras.mixed_precision.global_policy().name == "float32"


def test_a_run_gives_its_weights_to_another_with_other_classes(
    learned: Run, splits: Splits, colours: Callable[..., Dataset], tmp_path: Path
) -> None:
    two = colours(40, seed=5, labels=("x", "y")), colours(20, seed=6, labels=("x", "y"))
    recipe = replace(RECIPE, pretrained=str(learned.path), epochs=1, rate=1e-9)
    run = train(two, recipe, out=tmp_path / "a")
    source, target = (keras.models.load_model(r.model, compile=False) for r in (learned, run))
    np.testing.assert_allclose(
        target.layers[1].get_weights()[0], source.layers[1].get_weights()[0], atol=1e-6
    )
    assert target.output_shape == (None, 2)
    with pytest.raises(TrainingError, match="same network, width"):
        train(two, replace(recipe, width=0.5), out=tmp_path / "b")
