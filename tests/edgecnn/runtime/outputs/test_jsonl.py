"""JSON lines: each one whole, also on a disk that fills up."""

import json
import subprocess

import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.results import Boxes, Classes
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.model import Timings
from edgecnn.runtime.outputs.jsonl import JsonLines, record
from edgecnn.runtime.seen import Seen
from edgecnn.runtime.tracking.tracks import Tracks
from edgecnn.runtime.tracking.zones import Event

IMAGE = np.zeros((48, 64, 3), np.uint8)


def seen(result, **more):
    return Seen(Frame(IMAGE, 7, 100.0, "cam#7"), "detection", result, Timings(1, 2, 3), 100.05, **more)


def test_without_a_line_the_file_is_empty(tmp_path):
    with JsonLines(tmp_path / "deep" / "out.jsonl"):
        assert (tmp_path / "deep" / "out.jsonl").read_text() == ""


def test_a_line_is_in_the_file_at_once(tmp_path):
    with JsonLines(tmp_path / "out.jsonl") as lines:
        for number in range(3):
            lines.write({"number": number, "label": "Fuß\ngänger"})
            read = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
            assert [json.loads(line)["number"] for line in read] == list(range(number + 1))


def test_a_file_that_is_there_stays_unless_told(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("mine")
    with pytest.raises(DataError, match="is there already"):
        JsonLines(path)
    assert path.read_text() == "mine"
    JsonLines(path, force=True).close()
    assert path.read_text() == ""


def test_a_dash_is_standard_output(capsys):
    with JsonLines("-") as lines:
        lines.write({"a": 1})
    assert capsys.readouterr().out == '{"a": 1}\n'


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        JsonLines(tmp_path / "file" / "out.jsonl")


def until_full(lines):
    """How many lines the disk takes."""
    for number in range(10_000):
        try:
            lines.write({"number": number, "padding": "x" * 100})
        except OSError:
            return number
    raise AssertionError("the disk was not full")


def test_on_a_full_disk_the_file_ends_with_a_whole_line(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no small disk to fill: mounting one needs root")
    try:
        lines = JsonLines(folder / "out.jsonl")
        written = until_full(lines)
        lines.close()
        read = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
        assert [one["number"] for one in read] == list(range(written))
        assert written > 100
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_result_tells_its_frame_and_its_age():
    said = record(seen(Boxes([[1, 2, 3, 4]], [0.5], [0], ("ball",))))
    assert (said["source"], said["index"], said["time_s"]) == ("cam#7", 7, 100.0)
    assert said["delay_ms"] == 50.0
    assert said["age_ms"] > 50.0
    assert said["results"] == [{"label": "ball", "score": 0.5, "box_xyxy": [1, 2, 3, 4]}]
    assert said["latency_ms"]["total"] == 6
    assert "tracks" not in said


def test_of_a_thousand_classes_five_are_said():
    labels = tuple(f"class {number}" for number in range(1000))
    said = record(seen(Classes(np.linspace(0, 1, 1000), labels)))
    assert [one["label"] for one in said["results"]] == [f"class {999 - number}" for number in range(5)]


def test_tracks_and_events_are_said_where_things_are_followed():
    boxes = Boxes([[1, 2, 3, 4]], [0.5], [0], ("ball",))
    events = (Event(100.0, "enter", "door", 4, "ball"),)
    said = record(seen(boxes, tracks=Tracks(boxes, [4], [[1, 0]], 100.0), events=events))
    assert said["tracks"][0]["track"] == 4
    assert said["events"] == [
        {"event": "enter", "name": "door", "track": 4, "label": "ball", "time_s": 100.0}
    ]
    json.dumps(said)
