"""Detectors: what of them is certified, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from calibration.observe import calibrate
from converters.certificate import Budget
from converters.convert import convert
from converters.judging import detection
from converters.publish import opened
from converters.quantize import quantize
from edgecnn import card as cards
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.unlabelled import UNLABELLED
from edgecnn.errors import ConversionError, DataError, NotCertified
from edgecnn.results import Boxes
from edgecnn.runs import Run
from edgecnn.runtime.model import load
from edgecnn.runtime.selftest import selftest

pytestmark = pytest.mark.tensorflow

BUDGET = Budget(max_class_drop=detection.MAX_CLASS_DROP)


@pytest.fixture(scope="module")
def known(float_detector, scenes):
    """What the float model saw, and its card."""
    with load(float_detector / "float32.tflite") as model:
        return detection.reference(model, scenes[1], record={}, most=None), model.card


@pytest.fixture(scope="module")
def exported(detector):
    """A function that writes the detector with other outputs: (boxes, scores) to outputs by role."""
    from converters.from_keras import fix, to_tflite

    def export(call, roles):
        network = fix("detector", lambda image: call(*detector(image)), (1, 64, 64, 3), roles=roles,
                      variables=detector.variables)  # fmt: skip
        return to_tflite(network)

    return export


def judged(content, card, known, budget=BUDGET):
    with opened(content, card, name="made.tflite", threads=1) as made:
        return detection.judge(known, made, budget)


def predictions(boxes, scores):
    """Boxes in pixels and probabilities in one tensor, as YOLO's exports have them: (1, n, 4 + c)."""
    from edgecnn.keras import tf

    place = (np.arange(8, dtype=np.float32) + 0.5) * 8
    y, x = np.meshgrid(place, place, indexing="ij")
    centre = np.stack([x.ravel(), y.ravel()], 1)[None] + 4 * tf.stack([boxes[..., 1], boxes[..., 0]], -1)
    code = tf.stack([boxes[..., 3], boxes[..., 2]], -1)
    side = 16 * (1 + code * (1 + code * (0.5 + code / 6)))  # int8 knows no exponential
    return tf.concat([centre, side, tf.sigmoid(scores)], -1)


def test_without_images_or_boxes_nothing_can_be_judged(float_detector, scenes):
    with load(float_detector / "float32.tflite") as model:
        empty = Dataset("none", "detection", model.card.labels, [])
        with pytest.raises(DataError, match="holds no images"):
            detection.reference(model, empty, record={}, most=None)
        nothing = Boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), model.card.labels)
        bare = [Sample(sample.image, nothing) for sample in scenes[1].samples[:4]]
        with pytest.raises(DataError, match="no box is drawn in 4 images"):
            detection.reference(model, replace(scenes[1], samples=bare), record={}, most=None)


def test_a_file_equals_itself(float_detector, known):
    reference, card = known
    verdict = judged((float_detector / "float32.tflite").read_bytes(), card, reference)
    assert verdict.drop == 0
    assert verdict.signal.snr_db == np.inf
    assert verdict.agreement.share > 0.9  # it is shown over a threshold of its own
    assert verdict.outcome in ("certified", "unproven")


def test_a_healthy_detector_becomes_int8(detector_run, scenes):
    made = convert(detector_run, schemes=["int8"], data=scenes)[0]
    assert made.written
    assert made.verdict.outcome in ("certified", "unproven")
    card = cards.read(made.path)
    assert set(card.outputs) == {"boxes", "scores"}
    assert card.certificate["metric"] == "map, map50"
    assert set(card.certificate["snr_db_by_output"]) == {"boxes", "scores"}
    assert min(card.certificate["snr_db_by_output"].values()) == card.certificate["snr_db"] > 20
    assert card.options["threshold"] == pytest.approx(card.certificate["threshold"]["file"], abs=1e-4)
    assert "threshold" in card.lineage[-1]
    with load(made.path) as model:
        ends = [model.graph.tensors[index] for index in model.graph.outputs]
        assert {tensor.dtype for tensor in ends} == {"int8"}
        assert len({float(tensor.scale[0]) for tensor in ends}) == 2
    assert selftest(made.path).passed


@pytest.mark.parametrize("io", ["float32", "uint8"])
def test_its_ends_may_have_another_type(detector_run, scenes, io):
    made = convert(detector_run, schemes=["int8"], data=scenes, io=io, audited=False)[0]
    with load(made.path) as model:
        assert {model.graph.tensors[index].dtype for index in model.graph.outputs} == {io}


def test_swapped_classes_are_refused_by_name(exported, known):
    from edgecnn.keras import tf

    reference, card = known
    content = exported(
        lambda boxes, scores: (boxes, tf.gather(scores, [1, 0, 2], axis=-1)), ("boxes", "scores")
    )
    verdict = judged(content, card, reference)
    assert verdict.outcome == "refused"
    assert not verdict.may_be_written
    assert "'red'" in verdict.reasons[-1]
    assert "'green'" in verdict.reasons[-1]
    assert {row.label: row.state for row in verdict.classes}["blue"] != "refused"


def test_boxes_in_pixels_and_scores_on_one_scale_are_refused_by_name(exported, known, scenes):
    _, card = known
    options = {"decode": "yolov8", "scores": "probabilities", "boxes": "pixels", "threshold": 0.4}
    joined = replace(card, options=options, outputs={}, checks=(), certificate={})
    content = exported(predictions, ("predictions",))
    with opened(content, joined, name="float32.tflite", threads=1) as model:
        reference = detection.reference(model, scenes[1], record={}, most=None)
    # the input of a detector is larger than a test's, and so are its boxes in pixels
    ranges = calibrate(content, scenes[0], card.input)
    wide = {name: (low, 640.0) if high > 30 else (low, high) for name, (low, high) in ranges.low_high.items()}
    made = quantize(content, "int8", ranges=replace(ranges, low_high=wide))
    verdict = judged(made, joined, reference)
    assert verdict.outcome == "refused"
    assert any(f"{label!r}" in " ".join(verdict.reasons) for label in card.labels)
    assert verdict.signal.by_role["scores"] < 10 < verdict.signal.by_role["boxes"]


def test_outputs_that_never_move_are_refused(exported, known):
    reference, card = known
    content = exported(lambda boxes, scores: (0 * boxes, scores), ("boxes", "scores"))
    assert judged(content, card, reference).reasons[0] == "its output boxes is the same for all images"


def test_a_stated_budget_must_be_proven(detector_run, scenes):
    few = scenes[0], scenes[1].subset(range(6))
    with pytest.raises(NotCertified, match=r"up to .* are possible|one box weighs"):
        convert(detector_run, schemes=["int8"], data=few, max_drop=0.5, audited=False)
    assert not Run(detector_run).tflite("int8").exists()


def test_without_labels_the_float_models_own_boxes_are_the_truth(detector_run, scenes):
    parts = tuple(
        replace(part, task=UNLABELLED, labels=(), samples=[Sample(s.image, None) for s in part.samples])
        for part in scenes
    )
    made = convert(detector_run, schemes=["int8"], data=parts, unlabelled=True)[0]
    assert not made.verdict.is_labelled
    assert made.verdict.figures_of_all[0].before == pytest.approx(1.0, abs=0.01)
    assert cards.read(made.path).certificate["truth"] == "float model's own boxes"
    assert any("nobody drew boxes" in note for note in made.verdict.notes)


def test_a_record_that_the_images_contradict_certifies_nothing(float_detector, known, scenes):
    with load(float_detector / "float32.tflite") as model:
        mixed = []
        for sample in scenes[1].samples:
            truth = sample.truth
            swapped = np.array([1, 0, 2])[truth.label_id]
            mixed.append(Sample(sample.image, Boxes(truth.xyxy, truth.score, swapped, truth.labels)))
        record = dict.fromkeys(model.card.labels, 0.95)
        wrong = detection.reference(model, replace(scenes[1], samples=mixed), record=record, most=None)
        verdict = detection.judge(wrong, model, BUDGET)
    assert verdict.outcome == "refused"
    assert "contradict" in verdict.reasons[0]
    assert not verdict.another_may_pass


def test_another_file_with_other_labels_is_no_file_of_this_model(float_detector, known):
    reference, card = known
    content = (float_detector / "float32.tflite").read_bytes()
    with pytest.raises(ConversionError, match="labels"):
        judged(content, replace(card, labels=("a", "b", "c"), lineage=()), reference)
