"""What the float model said about the validation images."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from converters.reference import Reference, recorded
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.unlabelled import UNLABELLED
from edgecnn.errors import ConversionError, DataError
from edgecnn.evaluation import evaluate
from edgecnn.results import Boxes, Classes
from edgecnn.runs import Run
from edgecnn.runtime.model import load

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "colours.tflite"
LABELS = ("red", "green", "blue")


@dataclass(frozen=True)
class Tint:
    """A tint of one colour; readable or not."""

    name: str
    label_id: int
    seed: int = 0
    is_readable: bool = True

    def read(self):
        if not self.is_readable:
            raise DataError(f"{self.name}: truncated. Copy it again or remove it.")
        pixels = np.random.default_rng((self.seed, self.label_id)).integers(0, 90, (9, 9, 3))
        pixels[..., 2 - self.label_id] += 120
        return pixels.astype(np.uint8)


def tints(count, *, labels=LABELS, swapped=(), unreadable=()):
    """`count` images of each label; those of `swapped` labels show another colour."""
    samples = []
    for number in range(count):
        for label_id, label in enumerate(labels):
            shown = LABELS.index(label)
            if label in swapped:
                shown = (shown + 1) % 3
            source = Tint(f"tints/{label}/{number}.png", shown, number, (label, number) not in unreadable)
            samples.append(Sample(source, Classes.truth(label_id, labels)))
    return Dataset("tints", "classification", labels, tuple(samples), "val")


@pytest.fixture(scope="module")
def model():
    with load(GOLDEN) as opened:
        yield opened


def test_no_images_are_no_reference(model):
    with pytest.raises(DataError, match="holds no images"):
        Reference.of(model, tints(0))


def test_it_keeps_what_the_model_says_and_which_images_it_saw(model):
    data = tints(20)
    found = Reference.of(model, data)
    judged = evaluate(model.map, data)
    assert found.data == judged.data
    assert (found.answers.decisions == judged.decisions).all()
    assert found.truths.tolist() == [0, 1, 2] * 20
    rows = np.stack([model(sample.read()).score for sample in data.samples])
    assert (found.outputs == rows).all()
    assert (found.answers.confidence == rows.max(1)).all()


def test_labels_are_matched_by_name(model):
    found = Reference.of(model, tints(4, labels=("blue", "red")))
    assert found.truths.tolist() == [2, 0] * 4


def test_of_many_images_a_balanced_choice_is_kept(model):
    found = Reference.of(model, tints(20), most=9)
    assert np.bincount(found.truths).tolist() == [3, 3, 3]
    assert len(found.outputs) == found.data.images == len(found.dataset) == 9


def test_none_of_many_images_is_too_few(model):
    with pytest.raises(DataError, match="at least 1 image"):
        Reference.of(model, tints(3), most=0)


def test_memory_sets_a_limit(model, monkeypatch):
    monkeypatch.setattr("converters.reference.MEMORY", 4 * 3 * 6)
    assert len(Reference.of(model, tints(20)).outputs) == 6
    assert len(Reference.of(model, tints(20), most=50).outputs) == 6


def test_without_labels_the_models_word_is_the_truth(model):
    data = replace(
        tints(5), task=UNLABELLED, labels=(), samples=[Sample(s.image, None) for s in tints(5).samples]
    )
    found = Reference.of(model, data)
    assert not found.is_labelled
    assert (found.truths == found.answers.decisions).all()
    assert found.data.sha256 != Reference.of(model, tints(5)).data.sha256
    assert found.contradictions(5) == ()


def test_an_unreadable_image_is_named_or_left_out(model):
    data = tints(4, unreadable={("green", 2)})
    with pytest.raises(DataError, match=r"green/2\.png"):
        Reference.of(model, data)
    found = Reference.of(model, data, skip_unreadable=True)
    assert found.data.images == len(found.truths) == 11
    assert len(found.unreadable) == 1
    assert found.truths.tolist() == [0, 1, 2, 0, 1, 2, 0, 2, 0, 1, 2]


def test_where_no_image_can_be_read_it_says_so(model):
    with pytest.raises(DataError, match="no image of 3 can be read"):
        Reference.of(model, tints(1, unreadable={(label, 0) for label in LABELS}), skip_unreadable=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ("red", "green", "mauve")}, "'mauve' is not one of the 3"),
        ({"task": "detection"}, "is for detection"),
    ],
)
def test_data_for_something_else_are_refused(model, change, message):
    with pytest.raises(DataError, match=message):
        Reference.of(model, replace(tints(2), **change))


@pytest.mark.parametrize("truth", [None, Boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0), LABELS)])
def test_a_truth_that_is_no_class_is_named(model, truth):
    data = tints(1)
    data = replace(data, samples=(Sample(data.samples[0].image, truth),))
    with pytest.raises(DataError, match=r"red/0\.png: its truth is"):
        Reference.of(model, data)


def test_a_task_that_nobody_can_judge_is_refused(model, monkeypatch):
    monkeypatch.setattr("converters.reference.JUDGING", {})
    with pytest.raises(ConversionError, match="not classification"):
        Reference.of(model, tints(1))


RECORD = dict.fromkeys(LABELS, 0.98)


def test_data_that_agree_with_the_record_raise_no_doubt(model):
    assert Reference.of(model, tints(60), record=RECORD).contradictions(5) == ()
    assert Reference.of(model, tints(60, swapped={"red"})).contradictions(5) == ()  # nothing to contradict


def test_a_class_with_other_peoples_labels_contradicts_the_record(model):
    found = Reference.of(model, tints(60, swapped={"green"}), record=RECORD)
    lines = found.contradictions(5)
    assert lines[0] == "class 'green' 0% here, 98% in training"
    assert lines[1].startswith("all classes 67% here, 98% in training")
    assert len(lines) == 2


def test_a_few_images_contradict_nothing(model):
    assert Reference.of(model, tints(1, swapped={"green"}), record=RECORD).contradictions(5) == ()


def test_a_difference_within_the_tolerance_contradicts_nothing(model):
    found = Reference.of(model, tints(60, swapped={"green"}), record={**RECORD, "green": 0.06})
    assert found.contradictions(5) == ()


def test_a_record_of_some_classes_judges_those(model):
    found = Reference.of(model, tints(60, swapped={"green"}), record={"red": 0.98, "elsewhere": 0.5})
    assert found.contradictions(5) == ()


def test_a_run_without_a_record_has_none(tmp_path):
    assert recorded(Run(tmp_path)) == {}


@pytest.mark.parametrize("text", ["[]", "{}", '{"per_class": 3}', '{"per_class": [{"label": "red"}, 4]}'])
def test_a_record_of_another_shape_says_nothing(tmp_path, text):
    (tmp_path / "training.json").write_text(text)
    assert recorded(Run(tmp_path)) == {}


def test_the_record_is_the_recall_of_each_class(tmp_path):
    text = '{"per_class": [{"label": "red", "recall": 0.5}, {"label": "green", "recall": null}]}'
    (tmp_path / "training.json").write_text(text)
    assert recorded(Run(tmp_path)) == {"red": 0.5}


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "training.json").write_text("{")
    with pytest.raises(DataError, match=r"training\.json: not JSON"):
        recorded(Run(tmp_path))
