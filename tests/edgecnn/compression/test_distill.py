import json
from dataclasses import replace

import numpy as np
import pytest

from edgecnn.card import InputSpec
from edgecnn.errors import TrainingError
from edgecnn.runs import Run

pytestmark = pytest.mark.tensorflow

SPEC = InputSpec(16, 16, mean=(127.5,), std=(127.5,))


@pytest.fixture(scope="module")
def recipe():
    """Of a student with weights of its own, that normalizes its images in another way than the teacher."""
    from edgecnn.data.augment import Augment
    from edgecnn.training.recipe import Recipe

    return Recipe(
        "resnet8", SPEC, width=0.25, epochs=2, batch=16, rate=0.02, augment=Augment(shift=0.1), seed=4
    )


@pytest.fixture(scope="module")
def student(run, data, recipe, tmp_path_factory):
    from edgecnn.compression.distill import train_student

    return train_student(run, data, recipe, out=tmp_path_factory.mktemp("runs") / "student")


def weights(path):
    from edgecnn.training.predict import read_model

    return [value.tobytes() for value in read_model(path / "model.keras").get_weights()]


def test_a_teachers_weight_and_temperature_are_refused_where_they_cannot_be():
    from edgecnn.compression.distill import Teaching

    for wrong in ({"weight": -0.1}, {"weight": 1.5}, {"temperature": 0.0}, {"temperature": 1e3}):
        with pytest.raises(TrainingError, match=next(iter(wrong))):
            Teaching(**wrong)


def test_the_students_card_names_its_teacher_and_the_run_says_how_it_taught(run, student):
    (line,) = student.read_card().lineage
    said = json.loads(student.teacher.read_text())
    assert line.startswith(f"train resnet8 width 0.25, distilled from resnet8 {said['fingerprint']} (weight ")
    assert line.endswith("on tinted (96 images), epoch 2 of 2, seed 4") or "epoch 1 of 2" in line
    assert (said["run"], said["lineage"]) == (str(run.resolve()), list(Run(run).read_card().lineage))
    assert (said["temperature"], said["features"]) == (4.0, False)


def test_stopped_and_resumed_it_ends_with_the_bits_of_one_that_was_not(run, data, recipe, student, tmp_path):
    from edgecnn.compression.distill import train_student

    def stop(now):
        if now.phase == "training" and now.epoch == 2:
            raise KeyboardInterrupt

    cut = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        train_student(run, data, recipe, out=cut, progress=stop)
    assert train_student(None, data, out=cut, resume=True).path == cut
    assert weights(cut) == weights(student.path)


def test_what_is_resumed_is_resumed_with_its_own_teacher_only(run, data, recipe, tmp_path):
    from edgecnn.compression.distill import Teaching, train_student
    from edgecnn.training.fit import train

    def stop(now):
        if now.phase == "training":
            raise KeyboardInterrupt

    cut, alone = tmp_path / "cut", tmp_path / "alone"
    with pytest.raises(KeyboardInterrupt):
        train_student(run, data, recipe, out=cut, progress=stop)
    with pytest.raises(TrainingError, match=r"learned as .*teacher.json says, and is now resumed otherwise"):
        train(data, recipe, out=cut, resume=True)
    with pytest.raises(TrainingError, match="resumed otherwise"):
        train_student(run, data, recipe, out=cut, resume=True, teaching=Teaching(weight=0.1))
    with pytest.raises(KeyboardInterrupt):
        train(data, recipe, out=alone, progress=stop)
    with pytest.raises(TrainingError, match="learned from no teacher, and is now resumed otherwise"):
        train_student(run, data, recipe, out=alone, resume=True)
    with pytest.raises(TrainingError, match=r"has learned from no teacher .no teacher.json."):
        train_student(None, data, out=alone, resume=True)
    with pytest.raises(KeyboardInterrupt):
        train(data, recipe, out=cut, force=True, progress=stop)
    assert not Run(cut).teacher.exists()


def test_a_student_that_only_imitates_learns_classes_from_a_teacher_though_its_labels_are_wrong(
    run, data, recipe, tmp_path
):
    from edgecnn.compression.distill import Teaching, train_student
    from edgecnn.results import Classes

    train, val = data
    wrong = [
        replace(one, truth=Classes.truth((one.truth.label_id + 1) % 3, train.labels)) for one in train.samples
    ]
    chosen = replace(recipe, epochs=12, optimizer="adam", rate=5e-3)
    made = train_student(
        run, (replace(train, samples=wrong), val), chosen, out=tmp_path / "new", teaching=Teaching(weight=1.0)
    )
    assert json.loads(made.training.read_text())["top1"] > 0.9


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_teacher_is_asked_about_the_images_as_it_would_have_seen_them(run, data, recipe, precision):
    from edgecnn import heads
    from edgecnn.compression.teacher import answers, read_teacher
    from edgecnn.image import lookup, prepare

    head = heads.find("classification")
    teacher = read_teacher(run, head, SPEC, task="classification", labels=data[0].labels)
    ask = answers(teacher, head, SPEC, computing=precision)

    def seen(spec):
        table = lookup(spec, np.float32)
        return np.concatenate([prepare(sample.read(), table, spec)[0] for sample in data[1].samples])

    (found,) = ask(seen(SPEC))
    expected = teacher.model(seen(teacher.card.input), training=False)
    assert found.dtype.name == precision
    tolerance = 1e-4 if precision == "float32" else 0.1
    np.testing.assert_allclose(np.float32(found), expected, atol=tolerance * np.abs(expected).max())


def test_a_student_of_another_size_is_taught_through_a_resized_image(run, data, recipe):
    from edgecnn import heads
    from edgecnn.compression.teacher import answers, read_teacher

    head, larger = heads.find("classification"), replace(SPEC, height=32, width=32)
    teacher = read_teacher(run, head, larger, task="classification", labels=data[0].labels)
    slopes = np.random.default_rng(0).uniform(-1, 1, (4, 1, 1, 3))

    def ramps(side):
        x = (np.arange(side) + 0.5) / side
        return np.float32(slopes * x[:, None, None] + slopes[::-1] * x[:, None])

    (small,) = answers(teacher, head, SPEC, computing="float32")(ramps(16))
    (large,) = answers(teacher, head, larger, computing="float32")(ramps(32))
    assert np.ptp(small) > 0.5
    np.testing.assert_allclose(large, small, atol=0.02 * np.ptp(small))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "detection"}, "does detection and cannot teach classification"),
        ({"labels": ("green", "blue", "red")}, "must know the same labels in the same order"),
        ({"options": {"scores": "probabilities"}}, "gives outputs of scores 'probabilities'"),
        ({"input": InputSpec(16, 16, color="bgr")}, "sees bgr, the student rgb"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused_before_anything_is_written(
    run, data, recipe, tmp_path, change, message
):
    import shutil

    from edgecnn.compression.distill import train_student
    from edgecnn.runs import write_card

    other = Run(tmp_path / "teacher")
    shutil.copytree(run, other.path)
    write_card(other, replace(other.read_card(), **change))
    with pytest.raises(TrainingError, match=message):
        train_student(other.path, data, recipe, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_run_is_never_its_own_teacher(run, data, recipe):
    from edgecnn.compression.distill import train_student

    with pytest.raises(TrainingError, match="is the teacher itself"):
        train_student(run, data, recipe, out=run, force=True)


def test_a_finished_run_learns_on_from_a_larger_ones_answers_and_where_it_looks(run, data, student, tmp_path):
    from edgecnn.compression.distill import Teaching, distill

    made = distill(
        run, data, teacher=student.path, out=tmp_path / "new", epochs=1, teaching=Teaching(features=True)
    )
    before, after = Run(run).read_card(), made.read_card()
    assert after.lineage[:-1] == before.lineage
    assert after.lineage[-1].startswith("compress: trained on at rate 0.05, distilled from resnet8 ")
    assert "temperature 4, features)" in after.lineage[-1]
    assert weights(made.path) != weights(run)
    assert json.loads(made.teacher.read_text())["name"] == "resnet8"


def test_a_detector_learns_from_a_detector_of_its_own_size_only(tiny_backbone, tmp_path):
    from edgecnn.compression.distill import train_student
    from edgecnn.data import training_splits
    from edgecnn.data.augment import Augment
    from edgecnn.training.fit import train
    from edgecnn.training.recipe import Recipe

    splits = training_splits("drawn:3?size=64x64&train=16&val=8&test=2", task="detection")
    spec = InputSpec(64, 64, mean=(127.5,), std=(127.5,), fit="letterbox")
    large = Recipe(
        tiny_backbone, spec, task="detection", design="centroids", width=0.5, epochs=1, batch=8,
        optimizer="adam", rate=3e-3, warmup_epochs=0.1, label_smoothing=0.0, ema=0.8, augment=Augment(),
    )  # fmt: skip
    teacher = train(splits, large, out=tmp_path / "large")
    small = train_student(teacher.path, splits, replace(large, width=0.25), out=tmp_path / "small")
    card = small.read_card()
    assert card.options["decode"] == "centroids"
    assert "(weight 0.5, temperature 1), on drawn" in card.lineage[0]
    other = replace(large, input=replace(spec, height=96, width=96))
    with pytest.raises(TrainingError, match="Train the student with the teacher's size: 64x64"):
        train_student(teacher.path, splits, other, out=tmp_path / "other")
