import json
from pathlib import Path

import cv2
import pytest

from edgecnn.errors import DataError
from edgecnn.quickstart import Quickstart, quickstart
from edgecnn.runs import Run, measurements

TINY = {"scenes": "drawn?size=64x48&train=64&val=16&test=16", "epochs": 1, "bench_seconds": 0.1}


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[Quickstart, list[str], Path]:
    out = tmp_path_factory.mktemp("first") / "quickstart"
    lines: list[str] = []
    return quickstart(out, progress=lines.append, **TINY), lines, out


@pytest.mark.tensorflow
@pytest.mark.slow
def test_it_ends_with_a_report_about_two_files_and_a_picture(done):
    found, _, out = done
    assert found.report == out / "report.html"
    assert cv2.imread(str(found.picture)).shape[1] > 1000
    report = json.loads((out / "report.json").read_bytes())
    assert [model["scheme"] for model in report["models"]] == ["float32", "int8"]
    assert all(model["accuracy"]["metrics"]["images"] == 16 for model in report["models"])
    assert all(model["latencies"][0]["total_ms"]["p50"] > 0 for model in report["models"])
    assert report["models"][1]["accuracy"]["metrics"]["agreement"]["with"] == "float32.tflite"
    assert report["notes"] == []


@pytest.mark.tensorflow
@pytest.mark.slow
def test_what_it_leaves_is_an_ordinary_run(done):
    run = Run(done[0].run)
    assert run.read_card().labels == ("ball", "box", "cone", "sign")
    assert run.tflite("int8").stat().st_size < run.tflite("float32").stat().st_size
    assert len(list(measurements(run.measurements))) == 4


@pytest.mark.tensorflow
@pytest.mark.slow
def test_every_stage_is_told(done):
    told = "\n".join(done[1])
    for word in (
        "TensorFlow",
        "drawing",
        "epoch 1/1",
        "float32",
        "auditing",
        "int8",
        "judging",
        "timing",
        "report",
    ):
        assert word in told


@pytest.mark.tensorflow
@pytest.mark.slow
def test_it_is_not_overwritten_unasked(done):
    found, _, out = done
    before = found.report.read_bytes()
    with pytest.raises(DataError, match=r"run is there from an earlier quickstart.*--force"):
        quickstart(out, **TINY)
    assert found.report.read_bytes() == before


def test_one_that_was_killed_half_way_is_not_overwritten_unasked_either(tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    with pytest.raises(DataError, match="run is there from an earlier quickstart"):
        quickstart(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(DataError, match="out is a file"):
        quickstart(tmp_path / "out")
