"""Models by their path: judged, timed, and written down where they belong."""

import shutil

import pytest

from edgecnn import runs
from edgecnn.card import Card, InputSpec
from edgecnn.errors import DataError, ModelError
from edgecnn.measure import bench_models, evaluate_model, judged_split, scheme_of
from edgecnn.runs import Run


@pytest.fixture
def run(tmp_path, colours_model):
    made = Run(tmp_path / "run")
    made.path.mkdir()
    runs.write_card(made, Card("colours", "classification", InputSpec(8, 6), ("red", "green", "blue")))
    shutil.copy(colours_model, made.tflite("float32"))
    shutil.copy(colours_model, made.tflite("int8"))
    return made


def test_a_file_is_judged_on_the_test_split(colours_model, colours_data):
    found, measured = evaluate_model(colours_model, colours_data)
    assert (found.data.split, found.metrics.images, found.metrics.top1) == ("test", 12, 11 / 12)
    assert measured.metrics["top1"] == 11 / 12
    assert measured.environment["runtime"].startswith("litert")
    assert measured.source == "measured"


def test_a_model_agrees_with_itself(colours_model, colours_data):
    found, _ = evaluate_model(colours_model, colours_data, against=colours_model)
    assert found.agreement is not None
    assert found.agreement.share == 1.0


def test_a_file_in_a_run_gets_a_line_in_its_measurements_unless_told_not_to(run, colours_data):
    evaluate_model(run.tflite("int8"), colours_data, record=False)
    assert not run.measurements.exists()
    evaluate_model(run.tflite("int8"), colours_data)
    (line,) = runs.measurements(run.measurements)
    assert (line.scheme, line.metrics["top1"]) == ("int8", 11 / 12)


def test_a_file_outside_a_run_leaves_no_trace(colours_model, colours_data, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    evaluate_model(colours_model, colours_data)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_stands_for_its_files_when_timed(run):
    both = bench_models([run.path], runs=3, warmup=1)
    assert [measured.scheme for _, measured in both] == ["float32", "int8"]
    for timed, measured in both:
        spread = measured.latency_ms["total"]
        assert 0 < spread["p50"] <= spread["p90"] <= spread["p99"]
        assert measured.environment["runs"] == timed.runs == 3
        assert measured.environment["threads"] == 1
    assert len(list(runs.measurements(run.measurements))) == 2


def test_a_run_without_files_cannot_be_timed(run):
    for scheme in ("float32", "int8"):
        run.tflite(scheme).unlink()
    with pytest.raises(DataError, match=r"no \.tflite file to time.*edgecnn convert"):
        bench_models([run.path])


def test_a_missing_file_is_named(tmp_path, colours_data):
    with pytest.raises(ModelError, match=r"nothing\.tflite"):
        evaluate_model(tmp_path / "nothing.tflite", colours_data)


def test_a_folder_that_is_no_run_is_named(tmp_path, colours_data):
    with pytest.raises(DataError, match="is not a run"):
        evaluate_model(tmp_path, colours_data)


@pytest.mark.parametrize(
    ("path", "scheme"),
    [("int8.tflite", "int8"), ("float32.tflite", "float32"), ("cats.tflite", ""), (".", "keras")],
)
def test_the_path_says_the_scheme(tmp_path, path, scheme):
    assert scheme_of(tmp_path / path) == scheme


def test_a_data_set_without_test_images_is_judged_by_val(colours_data):
    (colours_data / "test").rename(colours_data / "val")
    assert judged_split(colours_data).split == "val"
