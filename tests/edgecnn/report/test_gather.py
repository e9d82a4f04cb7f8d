import json
from pathlib import Path

import pytest

from edgecnn.errors import CardError, DataError
from edgecnn.report.gather import gather
from edgecnn.runs import Measurement, append, measurements


def test_a_folder_without_runs_says_how_to_make_one(tmp_path):
    with pytest.raises(DataError, match=r"holds no run .* and no measurement"):
        gather([tmp_path])


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="gone: there is no such folder"):
        gather([tmp_path / "gone"])


def test_a_run_that_was_only_trained_has_a_history_and_no_files(a_run):
    run = a_run()
    run.trained()
    found = gather([run.path])
    assert found.variants == ()
    assert found.notes == ()
    (only,) = found.runs
    assert (only.name, only.card, len(only.history)) == ("cats", run.card, 12)
    assert only.history[0].epoch == 1
    assert only.history[0].val_accuracy == pytest.approx(0.95 - 0.6)
    assert only.training["seconds"] == 49.2


def test_accuracy_and_latency_of_a_file_come_together(whole_run):
    found = gather([whole_run.path])
    assert [v.name for v in found.variants] == ["float32.tflite", "int8.tflite"]
    int8 = found.variants[1]
    assert int8.accuracy.value > 0.8
    assert int8.accuracy.agreement["with"] == "float32.tflite"
    assert int8.latencies[0].total_ms["p50"] == 0.8
    assert list(int8.latencies[0].stages_ms) == ["prepare", "invoke", "decode", "bare_invoke"]
    assert int8.latencies[0].condition.name == "A Processor, 1 thread, litert 2.3.0"
    assert int8.lineage == ("train resnet8 on drawn",)
    assert found.baseline(int8) is found.variants[0]
    assert found.baseline(found.variants[0]) is None
    assert found.notes == ()


def test_the_newest_measurement_counts(whole_run):
    whole_run.timed("int8", 0.7)
    whole_run.judged("int8", whole_run.evaluation(0.5))
    int8 = gather([whole_run.path]).variants[1]
    assert int8.accuracy.value < 0.8
    assert [latency.total_ms["p50"] for latency in int8.latencies] == [0.7]


def test_latencies_under_other_conditions_stand_beside_each_other(whole_run):
    whole_run.timed("int8", 9.0, device="Raspberry Pi 4")
    whole_run.timed("int8", 5.0, device="Raspberry Pi 4", source="estimated")
    found = gather([whole_run.path])
    assert len(found.variants[1].latencies) == 3
    assert [(c.device, c.source) for c in found.conditions] == [
        ("A Processor", "measured"),
        ("Raspberry Pi 4", "measured"),
        ("Raspberry Pi 4", "estimated"),
    ]


def test_numbers_of_a_file_that_was_rewritten_are_left_out_with_a_note(whole_run):
    whole_run.file("int8", 1200)
    found = gather([whole_run.path])
    int8 = found.variants[1]
    assert (int8.accuracy, int8.latencies, int8.size_bytes > 1200) == (None, (), True)
    assert found.notes == (
        "int8.tflite was rewritten since 2 of its 2 measurements; these are left out. "
        "Measure it again with edgecnn evaluate and edgecnn bench.",
    )


def test_new_numbers_of_a_rewritten_file_count(whole_run):
    whole_run.file("int8", 1200)
    whole_run.timed("int8", 0.6)
    found = gather([whole_run.path])
    assert found.variants[1].latencies[0].total_ms["p50"] == 0.6
    assert "2 of its 3 measurements" in found.notes[0]


def test_agreement_with_a_file_that_was_rewritten_is_left_out_with_a_note(whole_run):
    whole_run.file("float32", 4400)
    found = gather([whole_run.path])
    assert found.variants[1].accuracy.agreement is None
    assert any("float32.tflite was rewritten since int8.tflite was compared" in note for note in found.notes)


def test_a_file_that_is_gone_keeps_its_numbers_with_a_note(whole_run):
    whole_run.run.tflite("int8").unlink()
    found = gather([whole_run.path])
    assert found.variants[1].latencies
    assert found.notes == (
        "int8.tflite is not in its folder any more: its numbers are those of the file that was there.",
    )


def test_a_file_that_was_never_measured_is_listed_with_a_note(whole_run):
    whole_run.file("float16", 2000)
    found = gather([whole_run.path])
    assert [v.scheme for v in found.variants] == ["float32", "float16", "int8"]
    assert found.notes == (
        "float16.tflite was never measured. Do it with edgecnn evaluate and edgecnn bench.",
    )


def test_accuracy_on_other_images_is_left_out_with_a_note(whole_run):
    whole_run.file("float16", 2000)
    whole_run.judged("float16", whole_run.evaluation(0.99, images=90, data="bb" * 32))
    found = gather([whole_run.path])
    assert [v.accuracy is None for v in found.variants] == [False, True, False]
    assert found.notes == (
        "float16.tflite was judged on other images than the rest (90 drawn:1 test); "
        "that accuracy is left out.",
    )


def test_runs_below_a_folder_are_found_and_told_apart(a_run, tmp_path):
    for name in ("a/cats", "b/cats", "a/.hidden"):
        run = a_run(name)
        run.trained()
        run.file("int8")
    found = gather([tmp_path, tmp_path / "a"])
    assert [run.name for run in found.runs] == ["a/cats", "b/cats"]
    assert [v.name for v in found.variants] == ["a/cats/int8.tflite", "b/cats/int8.tflite"]


def test_measurements_without_a_run_are_enough(a_run):
    run = a_run("strangers")
    run.file("mobilenet")
    run.timed("mobilenet", 3.0)
    found = gather([run.path])
    assert found.runs[0].card is None
    assert found.variants[0].name == "mobilenet.tflite"


def test_a_damaged_card_in_a_file_is_noted_and_its_numbers_stay(whole_run):
    file = whole_run.run.tflite("int8")
    whole_run.card = whole_run.card.__class__(**{**whole_run.card.__dict__, "lineage": ()})
    data = file.read_bytes().replace(b"edgecnn_card.json", b"edgecnn_card.jsom")
    file.write_bytes(data[: len(data) // 2] + data[len(data) // 2 :].replace(b"PK\x01\x02", b"PK\x01\x03"))
    whole_run.timed("int8", 0.5)
    found = gather([whole_run.path])
    assert any(note.startswith("Lineage unknown: ") for note in found.notes)
    assert found.variants[1].latencies


def test_a_damaged_card_of_a_run_is_an_error(whole_run):
    whole_run.run.card.write_text("{", encoding="utf-8")
    with pytest.raises(CardError, match=r"card\.json"):
        gather([whole_run.path])


def test_a_link_in_a_circle_ends(whole_run):
    (whole_run.path / "again").symlink_to(whole_run.path)
    assert len(gather([whole_run.path]).runs) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"top1": 1.5}, "top1 1.5"),
        ({"top1": float("nan")}, "top1 nan"),
        ({"top1": "good"}, "malformed"),
        ({"top1_interval": [0.1]}, "malformed"),
        ({"images": 0}, "0 images"),
        ({"labels": ["ball"]}, "malformed"),
        ({"per_class": [{}]}, "malformed"),
        ({"confusion": [[1, 2], [3]]}, "confusion"),
        ({"mistakes": [{"truth": "a"}]}, "mistake"),
        ({"agreement": {"share": 2.0}}, "malformed"),
        ({"agreement": {"share": 2.0, "difference_interval": [0, 0]}}, "agreement"),
        ({"agreement": [1]}, "malformed"),
    ],
)
def test_malformed_accuracy_is_an_error_that_names_the_file(whole_run, change, message):
    line = next(measurements(whole_run.run.measurements))
    append(
        whole_run.run.measurements,
        Measurement(**{**line.__dict__, "metrics": {**line.metrics, **change}}),
    )
    with pytest.raises(DataError, match=rf"float32\.tflite: its accuracy .*{message}"):
        gather([whole_run.path])


@pytest.mark.parametrize(
    "latency",
    [
        {"total": 3},
        {"total": {"p50": "fast"}},
        {"prepare": {"p50": 1}},
        {"total": {"p50": 0, "p90": 1, "p99": 1}},
        {"total": {"p50": 1}},
    ],
)  # fmt: skip
def test_malformed_latency_is_an_error_that_names_the_file(whole_run, latency):
    line = list(measurements(whole_run.run.measurements))[2]
    append(whole_run.run.measurements, Measurement(**{**line.__dict__, "latency_ms": latency}))
    with pytest.raises(DataError, match=r"float32\.tflite: its latency in measurements\.jsonl is malformed"):
        gather([whole_run.path])


@pytest.mark.parametrize(
    "text", ["epoch,loss\n1,2\n", "nonsense\n", "epoch,loss,accuracy,val_loss,val_accuracy\n1,a,b,c,d\n"]
)
def test_a_malformed_history_is_named_with_its_line(whole_run, text):
    whole_run.run.history.write_text(text + "x\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"history\.csv:2"):
        gather([whole_run.path])


@pytest.mark.parametrize("text", ["[1]", "{"])
def test_a_malformed_outcome_is_named(whole_run: object, text: str):
    Path(whole_run.run.training).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"training\.json"):
        gather([whole_run.path])


def test_what_was_read_is_what_was_written(whole_run):
    """Nothing is invented: each number in the evidence stands in measurements.jsonl."""
    lines = [json.loads(line) for line in whole_run.run.measurements.read_text().splitlines()]
    found = gather([whole_run.path])
    assert [v.accuracy.metrics for v in found.variants] == [lines[0]["metrics"], lines[1]["metrics"]]
    assert [v.sha256 for v in found.variants] == [lines[0]["sha256"], lines[1]["sha256"]]
