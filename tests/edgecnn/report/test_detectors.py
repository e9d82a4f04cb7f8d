"""Detectors in a report: by mAP, class by class, and never in one chart with accuracies."""

import json
import re

import pytest

from edgecnn.errors import DataError
from edgecnn.report import write_report
from edgecnn.report.gather import gather
from edgecnn.report.verdict import judge


def written(run, tmp_path):
    page = write_report([run.path], out=tmp_path / "out").read_text(encoding="utf-8")
    return page, (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


def test_a_detectors_figure_is_its_map_with_its_interval(detector_run):
    found = gather([detector_run.path])
    float32 = found.variants[0].accuracy
    wanted = detector_run.boxes(0.9).metrics
    assert (float32.figure, float32.value) == ("map", wanted.map)
    assert float32.interval == wanted.map_interval
    assert found.figure == "map"


def test_the_verdict_speaks_of_map_and_of_what_int8_lost_over_the_same_images(detector_run):
    said = " ".join(judge(gather([detector_run.path])).sentences)
    assert said.startswith("Take float32.tflite: mAP@0.5:0.95 ")
    assert "over 30 images" in said
    assert "images right" not in said
    assert "points less accurate" in said


def test_the_page_names_its_axis_columns_and_curves(detector_run, tmp_path):
    page, markdown = written(detector_run, tmp_path)
    assert "<h2>mAP@0.5:0.95 against latency</h2>" in page
    assert "mAP@0.5:0.95 against latency: " in page  # what the drawing says of itself
    for text in (page, markdown):
        assert "images right" not in text
        assert "in best five" not in text
        assert "same boxes" in text
    assert "mean IoU in training" in page
    assert "| class | boxes |" in markdown


def test_every_class_has_its_average_precision_and_what_int8_lost(detector_run, tmp_path):
    _, markdown = written(detector_run, tmp_path)
    records = detector_run.boxes(0.9).metrics.per_class()
    for record in records:
        row = re.search(rf"\| {record['label']} \|.*", markdown)
        assert row is not None
        assert f"| {record['boxes']} |" in row[0]
        assert f"{100 * record['ap']:.1f}\u00a0%" in row[0]


def test_a_detector_on_a_coarse_grid_is_told_by_its_f1_and_not_beside_a_map(a_run, tmp_path):
    run = a_run("dots")
    run.file("float32")
    run.file("int8", 500)
    run.judged("float32", run.boxes(0.8))
    run.judged("int8", run.boxes(0.8, decode="centroids"))
    found = gather([run.path])
    assert [v.accuracy is None for v in found.variants] == [False, True]
    assert "int8.tflite was judged by another figure (mean F1)" in " ".join(found.notes)
    other = a_run("alone")
    other.file("int8")
    other.judged("int8", other.boxes(0.8, decode="centroids"))
    page, markdown = written(other, tmp_path)
    assert "mean F1" in page
    assert "F1 over the threshold" in markdown


def test_a_classifier_and_a_detector_share_no_chart(detector_run, a_run):
    other = a_run("pets")
    other.file("float32")
    other.judged("float32", other.evaluation(0.9))
    other.timed("float32", 1.0)
    found = gather([detector_run.path, other.path])
    assert {v.accuracy.figure for v in found.variants if v.accuracy} == {"map"}
    assert "by another figure (images right)" in " ".join(found.notes)


def test_what_lost_boxes_nothing_can_be_told_of_is_said(a_run):
    run = a_run("empty")
    run.file("float32")
    run.judged("float32", run.boxes(0.0))
    assert gather([run.path]).variants[0].accuracy.value == 0.0


@pytest.mark.parametrize(
    "change", [{"map": 1.5}, {"map": None}, {"map_interval": [0.9, 0.1]}, {"per_class": [{}]}]
)
def test_figures_that_cannot_be_are_refused_by_name(detector_run, change):
    file = detector_run.run.measurements
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[0]["metrics"] |= change
    file.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    with pytest.raises(DataError, match=r"float32\.tflite: its accuracy in measurements\.jsonl is malformed"):
        gather([detector_run.path])
