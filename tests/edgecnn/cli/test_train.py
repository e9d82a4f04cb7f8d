import json
import re

import pytest
from typer.testing import CliRunner

from edgecnn.cli.app import app

pytestmark = pytest.mark.tensorflow

DRAWN = "drawn:3?size=64x64&train=64&val=16&test=16"


def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in ("train", *words)])


def test_a_detector_s_outcome_is_told_class_by_class(tiny_backbone, tmp_path):
    out = tmp_path / "run"
    words = (DRAWN, "--task", "detection", "--model", tiny_backbone, "--out", out, "--width", 0.25)
    ended = run(*words, "--size", 64, "--epochs", 1, "--batch", 16, "--upside-down", "--no-flip")
    assert ended.exit_code == 0, ended.output
    outcome = json.loads((out / "training.json").read_text())
    lines = ended.stdout.splitlines()
    for name in ("class", "validation boxes", "AP@0.5", "AP@0.5:0.95", "recall", "precision"):
        assert name in lines[0]
    for record in outcome["per_class"]:
        (line,) = (line for line in lines if line.split()[:1] == [record["label"]])
        assert str(record["boxes"]) in line.split()
    told = re.search(r"mAP@0\.5 ([\d.]+)", ended.stdout)
    assert float(told[1]) == pytest.approx(100 * outcome["map50"], abs=0.1)  # rounded once here, twice there
    assert f"at threshold {outcome['threshold']:.2f}" in ended.stdout
    assert "next: edgecnn convert" in lines[-1]
    recipe = json.loads((out / "recipe.json").read_text())
    assert (recipe["task"], recipe["design"], recipe["input"]["fit"]) == ("detection", "", "letterbox")
    assert recipe["augment"]["upside_down"] is True
    assert recipe["augment"]["flip"] is False
    again = run(*words[:3], "--out", out, "--resume", "--json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout) == {"run": str(out), **outcome}


def test_a_detector_of_places_tells_no_overlaps(tiny_backbone, tmp_path):
    words = (DRAWN, "--task", "detection", "--design", "centroids", "--model", tiny_backbone)
    ended = run(*words, "--out", tmp_path / "run", "--size", 64, "--epochs", 1, "--batch", 16)
    assert ended.exit_code == 0, ended.output
    assert "mAP" not in ended.stdout
    assert "F1" in ended.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--task", "detection", "--size", "100"), "Take 96x96"),
        (("--task", "detection", "--design", "fcos"), "there is: anchors, centroids"),
        (("--task", "detection", "--model", "resnet8", "--size", "64"), "resnet8 does not shrink"),
        (("--design", "centroids"), "classification has no design 'centroids'"),
        (("--task", "segmentation"), "nothing learns the task 'segmentation'"),
    ],
)
def test_what_cannot_be_learned_is_refused_in_one_line(tmp_path, words, message):
    ended = run(DRAWN, "--out", tmp_path / "run", *words)
    assert ended.exit_code == 1
    assert message in ended.output
    assert len(ended.output.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_student_has_a_teacher_and_resumes_with_it_unasked(tints, tints_run, tmp_path):
    out = tmp_path / "small"
    words = (tints, "--model", "resnet8", "--width", 0.25, "--size", 16, "--out", out, "--epochs", 1)
    ended = run(*words, "--batch", 16, "--distill", tints_run)
    assert ended.exit_code == 0, ended.output
    (line,) = json.loads((out / "card.json").read_text())["lineage"]
    assert "width 0.25, distilled from tints " in line
    (out / "training.json").unlink()
    assert run(tints, "--out", out, "--resume").exit_code == 0
    assert json.loads((out / "card.json").read_text())["lineage"] == [line]


def test_a_teacher_that_is_none_is_refused_in_one_line(tints, tmp_path):
    ended = run(tints, "--out", tmp_path / "run", "--distill", tints)
    assert ended.exit_code == 1
    assert "is not a run" in ended.output
    assert len(ended.output.strip().splitlines()) == 1
