import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.evaluation import Agreement, Evaluation, Judged, measurement
from edgecnn.runs import append, measurements
from edgecnn.tasks.classification import Metrics

LABELS = ("cat", "dog", "owl")
CONFUSION = np.array([[8, 2, 0], [1, 4, 0], [5, 0, 0]])
FOUND = Evaluation(
    Metrics(LABELS, CONFUSION, top5_correct=20, images=20, ties=1),
    np.zeros(20, np.int64),
    np.zeros(20, np.int64),
    Judged("pets.zip", "test", 20, "ab" * 32),
    unreadable=("cut.jpg: truncated",),
    agreement=Agreement(20, 19, 0, 1),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "int8.tflite"
    path.write_bytes(b"a model")
    return path


def test_a_measurement_names_the_file_the_images_and_the_machine(file):
    found = measurement(FOUND, file, scheme="int8", conditions={"threads": 1, "runtime": "litert 2.3"})
    assert (found.model, found.scheme, found.source) == (str(file), "int8", "measured")
    assert (found.size_bytes, found.sha256) == (7, hashlib.sha256(b"a model").hexdigest())
    assert found.device
    assert found.environment["data"] == {
        "name": "pets.zip",
        "split": "test",
        "images": 20,
        "sha256": "ab" * 32,
    }
    assert found.environment["threads"] == 1
    assert found.environment["date"]
    assert found.latency_ms == {}


def test_a_measurement_survives_its_file(file):
    found = measurement(FOUND, file, reference=file)
    append(file.parent / "measurements.jsonl", found)
    (back,) = measurements(file.parent / "measurements.jsonl")
    assert json.loads(json.dumps(asdict(found))) == asdict(back)
    assert back.metrics["top1"] == 0.6
    assert back.metrics["confusion"] == CONFUSION.tolist()
    assert back.metrics["agreement"]["share"] == 0.95
    assert back.metrics["agreement"]["with"] == "int8.tflite"
    assert back.metrics["unreadable"] == ["cut.jpg: truncated"]


def test_the_most_frequent_mistakes_come_first(file):
    found = measurement(FOUND, file).metrics["mistakes"]
    assert found == [
        {"truth": "owl", "answer": "cat", "images": 5},
        {"truth": "cat", "answer": "dog", "images": 2},
        {"truth": "dog", "answer": "cat", "images": 1},
    ]


def test_many_labels_leave_the_confusion_matrix_out(file):
    labels = tuple(str(i) for i in range(101))
    many = replace(FOUND, metrics=Metrics(labels, np.eye(101, dtype=np.int64), 101, 101, 0))
    found = measurement(many, file)
    assert "confusion" not in found.metrics
    assert len(found.metrics["per_class"]) == 101


def test_a_model_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.tflite: cannot be read"):
        measurement(FOUND, tmp_path / "gone.tflite")
