"""Devices that nobody has at hand, beside what was measured: on the page, in its tables, in its twins."""

import csv
import json
import shutil
from dataclasses import replace

import pytest

from edgecnn.errors import TargetError
from edgecnn.report import write_report
from edgecnn.report.advice import advise
from edgecnn.report.estimates import with_estimates
from edgecnn.report.gather import gather
from edgecnn.targeting.answer import answer


@pytest.fixture
def real_run(a_run, colours_model):
    """Files that are models, judged and timed."""
    run = a_run("colours", ("red", "green", "blue"))
    run.trained()
    for scheme in ("float32", "int8"):
        shutil.copy(colours_model, run.run.tflite(scheme))
        run.judged(scheme, run.evaluation(0.9))
        run.timed(scheme, 1.0)
    return run


def estimated(evidence):
    return {
        (variant.scheme, latency.environment["target"]): latency
        for variant in evidence.variants
        for latency in variant.latencies
        if latency.condition.source == "estimated"
    }


def test_an_estimate_says_what_python_says_of_the_same_file(real_run):
    evidence = with_estimates(gather([real_run.path]), ["raspberry_pi_4"], threads=2)
    found = estimated(evidence)["int8", "raspberry_pi_4"]
    said = answer(real_run.run.tflite("int8"), "raspberry_pi_4", threads=2)
    assert found.total_ms["p50"] == said.latency_ms
    assert found.interval == (said.estimate.low_ms, said.estimate.high_ms)
    assert found.environment["band"] == said.estimate.band
    assert found.environment["ram_bytes"] == said.ram_bytes
    assert found.environment["threads"] == 2


def test_what_a_device_does_not_take_has_a_reason_instead(real_run):
    evidence = with_estimates(gather([real_run.path]), ["coral_usb", "cortex_m7"])
    assert ("float32", "coral_usb") not in estimated(evidence)
    reasons = {variant.scheme: variant.unfit for variant in evidence.variants}
    assert "only int8 files run there" in reasons["float32"]["Coral USB Accelerator"]
    assert any("Cortex-M7" in device for device in reasons["int8"])


def test_every_device_has_its_recommendation(real_run):
    evidence = with_estimates(gather([real_run.path]), ["raspberry_pi_4", "raspberry_pi_5"])
    texts = [advice.text for advice in advise(evidence)]
    assert len(texts) == 3
    assert "measured" in texts[0]
    assert all("an estimated" in text and "measure it there" in text for text in texts[1:])
    assert "Raspberry Pi 5" in texts[2]


def test_the_page_and_its_twins_keep_estimates_apart(real_run, tmp_path):
    page = write_report([real_run.path], out=tmp_path / "out", targets=["raspberry_pi_4"], threads=1)
    with (tmp_path / "out" / "report.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["scheme"], row["source"]) for row in rows] == [
        ("float32", "measured"), ("float32", "estimated"), ("int8", "measured"), ("int8", "estimated"),
    ]  # fmt: skip
    of_pi = rows[3]
    assert of_pi["target"] == "raspberry_pi_4"
    assert float(of_pi["estimate_low_ms"]) < float(of_pi["p50_ms"]) < float(of_pi["estimate_high_ms"])
    assert (of_pi["p90_ms"], rows[2]["estimate_low_ms"]) == ("", "")
    assert of_pi["flash_bytes"] == str(real_run.run.tflite("int8").stat().st_size)
    html = page.read_text(encoding="utf-8")
    assert "Every file on every device" in html
    assert "timed on A Processor · estimated for Raspberry Pi 4 Model B" in html
    assert "Raspberry Pi 4 Model B, 1 thread" in html
    json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert "## Recommendation" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


def test_a_device_that_is_not_known_is_one_line(real_run, tmp_path):
    with pytest.raises(TargetError, match="Did you mean raspberry_pi_4"):
        write_report([real_run.path], out=tmp_path / "out", targets=["raspberry_pi4"])
    assert not (tmp_path / "out").exists()


def test_an_estimate_stands_beside_what_was_measured_on_that_device(real_run):
    real_run.timed("int8", 5.0, device="Raspberry Pi 4 Model B Rev 1.4")
    found = with_estimates(gather([real_run.path]), ["raspberry_pi_4"])
    place = next(place for place in found.places if place.device.endswith("Rev 1.4"))
    assert [condition.source for condition in place.conditions] == ["measured", "estimated"]
    assert {condition.threads for condition in place.conditions} == {1}  # as it was measured
    assert len(found.places) == 2


def test_a_device_that_takes_none_of_the_files_says_why(real_run):
    found = gather([real_run.path])
    found = replace(found, variants=tuple(v for v in found.variants if v.scheme == "float32"))
    *_, coral = advise(with_estimates(found, ["coral_usb"]))
    assert coral.take is None
    assert coral.text == (
        "Nothing to recommend for Coral USB Accelerator. "
        "Without a figure there: float32 (only int8 files run there)."
    )


def test_a_spreadsheet_computes_nothing(a_run, tmp_path):
    run = a_run("=1+1")
    run.file("int8")
    run.timed("int8", 1.0, device="@SUM(A1)")
    write_report([run.path], out=tmp_path / "out")
    with (tmp_path / "out" / "report.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["run"], row["device"]) == ("'=1+1", "'@SUM(A1)")
