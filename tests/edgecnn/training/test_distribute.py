import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.card import InputSpec
from edgecnn.data import training_splits
from edgecnn.errors import TrainingError
from edgecnn.training import distribute
from edgecnn.training.fit import train
from edgecnn.training.recipe import Recipe, to_json
from edgecnn.zoo.keras import keras

pytestmark = pytest.mark.tensorflow

# Batch norm and augmentation see their own part of a batch; without them two workers compute what one does.
RECIPE = Recipe(
    "lecture",
    InputSpec(16, 16),
    width=0.05,
    epochs=2,
    batch=8,
    optimizer="adam",
    rate=0.001,
    label_smoothing=0.0,
)

WORKER = """
import sys
from pathlib import Path
from edgecnn.data import training_splits
from edgecnn.training import fit, learner
from edgecnn.training.recipe import from_json
from edgecnn.zoo.keras import keras
import numpy as np

data, recipe, out, weights = sys.argv[1:]
kept = []
make = fit.learner
fit.learner = lambda *a, **k: kept.append(make(*a, **k)) or kept[-1]
fit.train(training_splits(data), from_json(recipe, "test"), out=Path(out))
np.savez(weights, *kept[0].model.get_weights())
"""


def test_one_process_on_one_processor_is_its_own_chief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    alone = distribute.cluster()
    assert (alone.chief, alone.workers, alone.replicas, list(alone.parts)) == (True, 1, 1, [0])
    assert alone.hand_out([np.arange(3)]).numpy().tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "malformed"),
        ("[]", "malformed"),
        ('{"cluster": {}}', "malformed .KeyError: 'worker'"),
        ({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker"}}, "malformed .KeyError: 'index'"),
        (
            {"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}},
            "worker 1, but lists 1 workers",
        ),
        ({"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}, "ps 0"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(
    monkeypatch: pytest.MonkeyPatch, config: Any, message: str
) -> None:
    monkeypatch.setenv("TF_CONFIG", config if isinstance(config, str) else json.dumps(config))
    with pytest.raises(TrainingError, match=message) as caught:
        distribute.cluster()
    assert "\n" not in str(caught.value)


def test_a_batch_that_cannot_be_shared_is_refused(colours: Any) -> None:
    from edgecnn.training.lesson import check

    with pytest.raises(TrainingError, match="batch of 8 cannot be shared evenly by 3"):
        check((colours(30, seed=1), colours(9, seed=2)), RECIPE, replicas=3)


@pytest.mark.slow
def test_two_workers_learn_what_one_learns(pictures: str, tmp_path: Path) -> None:
    with socket.socket() as one, socket.socket() as other:
        for end in (one, other):
            end.bind(("127.0.0.1", 0))
        workers = [f"127.0.0.1:{end.getsockname()[1]}" for end in (one, other)]
    processes = []
    for index in range(2):
        config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TF_CONFIG": json.dumps(config)}
        arguments = [pictures, to_json(RECIPE), str(tmp_path / "two"), str(tmp_path / f"{index}.npz")]
        processes.append(subprocess.Popen([sys.executable, "-c", WORKER, *arguments], env=environment))
    alone = train(training_splits(pictures), RECIPE, out=tmp_path / "one")
    assert [process.wait(timeout=180) for process in processes] == [0, 0]

    with np.load(tmp_path / "0.npz") as first, np.load(tmp_path / "1.npz") as second:
        assert all(np.array_equal(first[name], second[name]) for name in first.files)
    one, two = (
        keras.models.load_model(path / "model.keras", compile=False).get_weights()
        for path in (alone.path, tmp_path / "two")
    )
    for expected, found in zip(one, two, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    losses = [
        float(row.split(",")[2]) for row in (tmp_path / "two" / "history.csv").read_text().splitlines()[1:]
    ]
    assert losses[1] < losses[0]
    assert not list((tmp_path / "two").rglob(".*"))
