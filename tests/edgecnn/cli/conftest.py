"""A run of a small network and the images it has learned from, on disk: where `edgecnn convert` starts."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

TINTS = ("blue", "green", "red")


def tint(label_id, random):
    """A smooth picture (24, 26, 3) uint8 with more of one colour than of the others, more or less."""
    coarse = random.uniform(30, 130, (4, 4, 3))
    coarse[..., label_id] += random.uniform(50, 100)
    picture = cv2.resize(coarse, (26, 24), interpolation=cv2.INTER_CUBIC)
    return (picture + random.normal(0, 3, picture.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def tints(tmp_path_factory) -> Path:
    """A data set: <split>/<label>/<number>.png, 24 to train with and 80 to validate on, of each label."""
    folder = tmp_path_factory.mktemp("data") / "tints"
    random = np.random.default_rng(5)
    for split, count in (("train", 24), ("val", 80)):
        for label_id, label in enumerate(TINTS):
            place = folder / split / label
            place.mkdir(parents=True)
            for number in range(count):
                cv2.imwrite(str(place / f"{number}.png"), tint(label_id, random))
    return folder


@pytest.fixture(scope="session")
def _tints_run(tints, tmp_path_factory) -> Path:
    from edgecnn.card import Card, InputSpec
    from edgecnn.data import training_splits
    from edgecnn.evaluation import evaluate
    from edgecnn.image import lookup, prepare
    from edgecnn.keras import keras
    from edgecnn.runs import Run, write_card
    from edgecnn.training.recipe import Recipe, to_json

    keras.utils.set_random_seed(7)
    layers, spec = keras.layers, InputSpec(16, 16, mean=(127.5,), std=(127.5,))
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, 2, "same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.Add()([x, layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.8)(y))])
    model = keras.Model(image, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x)))
    train, val = training_splits(tints)
    table = lookup(spec, np.float32)
    images = np.concatenate([prepare(sample.read(), table, spec)[0] for sample in train.samples])
    truths = np.array([sample.truth.label_id for sample in train.samples])
    model.compile(keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, truths, batch_size=16, epochs=40, verbose=0)
    run = Run(tmp_path_factory.mktemp("runs") / "tints")
    run.path.mkdir()
    model.save(run.model, save_format="keras")
    run.recipe.write_text(to_json(Recipe("resnet8", spec, epochs=40, batch=16)))
    card = Card(
        "tints", "classification", spec, TINTS, options={"scores": "logits"}, lineage=("train tints",)
    )
    write_card(run, card)
    from converters.convert import convert
    from edgecnn.runtime.model import load

    (one,) = convert(run.path, schemes=["float32"])
    with load(one.path) as loaded:
        found = evaluate(loaded.map, val)
    run.training.write_text(json.dumps({"per_class": found.metrics.per_class()}))
    assert found.metrics.top1 == 1
    return run.path


@pytest.fixture
def tints_run(_tints_run, tmp_path) -> Path:
    """The run, the test's own: what training leaves, its record of validation too, and float32.tflite."""
    return Path(shutil.copytree(_tints_run, tmp_path / "tints"))
