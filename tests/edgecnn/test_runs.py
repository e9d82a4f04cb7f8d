import hashlib
import json
from dataclasses import asdict

import pytest

from edgecnn.card import Card, InputSpec
from edgecnn.errors import CardError, DataError
from edgecnn.runs import Measurement, Run, append, fingerprint, is_run, measurements, write_card

LINE = Measurement(
    model="runs/cats/int8.tflite",
    scheme="int8",
    device="a processor",
    metrics={"top1": 0.9, "per_class": [{"label": "a\u2028b\n<c>", "recall": None}]},
    latency_ms={"total": {"p50": 1.5}},
    size_bytes=1000,
    environment={"threads": 1},
    sha256="ab" * 32,
)


def test_a_folder_without_measurements_has_none(tmp_path):
    assert list(measurements(tmp_path / "measurements.jsonl")) == []


def test_measurements_come_back_in_the_order_they_were_added(tmp_path):
    path = tmp_path / "measurements.jsonl"
    second = Measurement("x", "", "y", source="estimated")
    append(path, LINE)
    append(path, second)
    assert list(measurements(path)) == [LINE, second]
    assert len(path.read_bytes().splitlines()) == 2


def test_a_line_torn_by_a_power_cut_does_not_swallow_the_next(tmp_path):
    path = tmp_path / "measurements.jsonl"
    append(path, LINE)
    with path.open("ab") as file:
        file.write(b'{"model": "hal')
    append(path, LINE)
    lines = path.read_bytes().split(b"\n")
    assert [len(lines), lines[1], lines[3]] == [4, b'{"model": "hal', b""]
    assert lines[0] == lines[2]
    with pytest.raises(DataError, match=r"measurements\.jsonl:2: not a measurement"):
        list(measurements(path))


def test_fields_of_a_later_version_are_passed_over(tmp_path):
    path = tmp_path / "measurements.jsonl"
    path.write_text(json.dumps({**asdict(LINE), "humidity": 0.4}) + "\n\n", encoding="utf-8")
    assert list(measurements(path)) == [LINE]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"[]", "an object is wanted, not list"),
        (b"3", "an object is wanted, not int"),
        (b'{"model": "x"}', "missing"),
        (b'{"model": "x", "scheme": "", "device": 3}', "device must be of type str, not int"),
        (
            b'{"model": "x", "scheme": "", "device": "", "metrics": []}',
            "metrics must be of type dict, not list",
        ),
        (b'{"model": "x", "scheme": "", "device": "", "size_bytes": true}', "size_bytes must be of type int"),
        (b'{"model": "x", "scheme": "", "device": "", "source": "guessed"}', "measured or estimated"),
        (b"\xff\xfe", "not a measurement"),
        (b"[" * 100_000, "not a measurement"),
    ],
)
def test_a_line_that_is_no_measurement_is_named_with_its_number(tmp_path, line, message):
    path = tmp_path / "measurements.jsonl"
    append(path, LINE)
    with path.open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(DataError, match=message) as caught:
        list(measurements(path))
    assert f"{path}:2: " in str(caught.value)


def test_a_fingerprint_is_the_sha256_of_the_bytes(tmp_path):
    path = tmp_path / "int8.tflite"
    path.write_bytes(b"")
    assert fingerprint(path) == hashlib.sha256(b"").hexdigest()
    path.write_bytes(b"abc" * 100_000)
    assert fingerprint(path) == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_a_file_without_fingerprint_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.tflite: cannot be read \(No such file"):
        fingerprint(tmp_path / "gone.tflite")


def test_a_folder_with_a_card_is_a_run(tmp_path):
    run = Run(tmp_path / "cats")
    assert not is_run(run.path)
    card = Card("cats", "classification", InputSpec(32, 32), ("cat", "dog"))
    write_card(run, card)
    assert is_run(run.path)
    assert run.read_card() == card
    assert run.tflite("int8") == tmp_path / "cats" / "int8.tflite"


def test_a_folder_that_is_no_run_says_how_to_make_one(tmp_path):
    with pytest.raises(DataError, match=r"is not a run: it has no card\.json"):
        Run(tmp_path).read_card()


def test_a_damaged_card_is_named(tmp_path):
    (tmp_path / "card.json").write_text("{", encoding="utf-8")
    with pytest.raises(CardError, match=r"card\.json: the card is not JSON"):
        Run(tmp_path).read_card()
