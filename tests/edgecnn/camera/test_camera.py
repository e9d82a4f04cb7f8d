"""`camera`: every output gets what it should, none of them can end it, and everything written is whole."""

import json
import threading

import cv2
import numpy as np
import pytest

from edgecnn.camera import Outputs, camera
from edgecnn.errors import CameraError, DataError, ModelError
from edgecnn.runtime.tracking.places import Line, Zone


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def results(path):
    return [one for one in lines(path) if "results" in one]


def pictures(path):
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    return count


@pytest.fixture(autouse=True)
def nothing_left_behind():
    before = set(threading.enumerate())
    yield
    assert not [one for one in threading.enumerate() if one not in before and one.is_alive()]


def test_a_source_without_frames_gives_a_report_of_nothing(model, given, tmp_path):
    outputs = Outputs(save=tmp_path / "out.mp4", json=tmp_path / "out.jsonl")
    report = camera(model, lambda: given([]), outputs=outputs)
    assert report.statistics.results == 0
    assert report.ended == "the source has ended"
    assert not (tmp_path / "out.mp4").exists()
    assert [one for one in lines(tmp_path / "out.jsonl") if "report" in one]
    assert report.lines()


def test_in_every_frame_mode_each_frame_is_answered_and_recorded_once(model, given, colours, tmp_path):
    outputs = Outputs(save=tmp_path / "out.mp4", json=tmp_path / "out.jsonl")
    report = camera(
        model, lambda: given(colours(50), fps=25), outputs=outputs, every_frame=True, paced=False, threads=1
    )
    found = results(tmp_path / "out.jsonl")
    assert [one["index"] for one in found] == list(range(50))
    assert [one["results"][0]["label"] for one in found[:3]] == ["red", "green", "blue"]
    assert (report.statistics.results, report.statistics.dropped) == (50, 0)
    assert pictures(tmp_path / "out.mp4") == 50
    assert report.written == (tmp_path / "out.mp4", tmp_path / "out.jsonl")
    (said,) = [one["report"] for one in lines(tmp_path / "out.jsonl") if "report" in one]
    assert said["statistics"]["results"] == 50
    assert said["written"] == [str(tmp_path / "out.mp4")]
    assert said["delegation"]["operators"] == 3


def test_it_ends_after_so_many_results(model, given, colours):
    report = camera(model, lambda: given(colours(500)), frames=7, every_frame=True)
    assert report.ended == "7 frames"
    assert report.statistics.results >= 7


def test_it_ends_after_so_long_and_a_live_recording_lasts_as_long(model, given, colours, tmp_path):
    outputs = Outputs(save=tmp_path / "out.mkv")
    report = camera(model, lambda: given(colours(500), fps=20, live=True), outputs=outputs, seconds=1.5)
    assert report.ended == "1.5 seconds"
    assert 1.5 <= report.statistics.seconds < 4
    assert pictures(tmp_path / "out.mkv") / 20 == pytest.approx(1.5, abs=0.4)


def test_it_ends_when_asked_also_while_no_frame_comes(model, given, colours):
    endless = threading.Event()

    class Silent(given):
        def __next__(self):
            endless.wait(2.0)
            raise StopIteration

        def close(self):
            endless.set()

    reasons = iter([None, None, "enough"])
    report = camera(model, lambda: Silent([], live=True, fps=1), stop=lambda: next(reasons, "enough"))
    assert report.ended == "enough"
    assert report.statistics.results == 0


def test_an_output_that_fails_is_told_of_once_and_the_others_go_on(
    model, given, colours, tmp_path, monkeypatch
):
    def fail(recording, image, time_s):
        raise DataError("the disk is full")

    monkeypatch.setattr("edgecnn.runtime.outputs.recording.Recording.write", fail)
    told = []
    outputs = Outputs(save=tmp_path / "out.mp4", json=tmp_path / "out.jsonl")
    report = camera(
        model, lambda: given(colours(20)), outputs=outputs, every_frame=True, on_notice=told.append
    )
    assert len(results(tmp_path / "out.jsonl")) == 20
    assert report.unsaved == ("--save: the disk is full.",)
    assert [one.text for one in told if one.kind == "unsaved"] == [
        "--save: the disk is full. The camera goes on without it."
    ]
    assert [one for one in lines(tmp_path / "out.jsonl") if one.get("notice") == "unsaved"]
    assert any("NOT written" in line for line in report.lines())


def test_a_window_that_is_closed_ends_it(model, given, colours, monkeypatch):
    class Window:
        def __init__(self, title):
            self.shown = 0
            self.closed = False

        def show(self, image):
            self.shown += 1
            assert image.shape == (24, 32, 3)
            self.closed = self.shown == 3

        def look(self):
            """Nothing is pressed between pictures."""

        def close(self):
            """It is not there."""

    monkeypatch.setattr("edgecnn.camera.opening.Window", Window)
    report = camera(model, lambda: given(colours(100)), outputs=Outputs(show=True), every_frame=True)
    assert report.ended == "the window was closed"


def test_hard_cases_are_kept(model, given, tmp_path):
    grey = [np.full((24, 32, 3), 100, np.uint8)] * 5
    outputs = Outputs(hard_cases=tmp_path / "cases")
    report = camera(model, lambda: given(grey), outputs=outputs, every_frame=True)
    (picture,) = (tmp_path / "cases").glob("*.jpg")  # one a second
    np.testing.assert_allclose(cv2.imread(str(picture)), 100, atol=3)
    assert report.written == (tmp_path / "cases",)


def test_a_result_that_becomes_too_old_is_marked_in_the_recording(model, given, colours, tmp_path):
    class Stuck(given):
        def __next__(self):
            if self._index == 5:
                threading.Event().wait(0.6)
            return super().__next__()

    statuses = []
    report = camera(
        model,
        lambda: Stuck(colours(7, (320, 240)), fps=20, live=True),
        outputs=Outputs(save=tmp_path / "out.avi"),
        max_age_ms=150,
        on_status=lambda statistics, seen: statuses.append(seen),
    )
    capture = cv2.VideoCapture(str(tmp_path / "out.avi"))
    edges = []  # a red frame around the picture
    while (read := capture.read())[0]:
        edges.append(bool((np.abs(read[1][:, 0].astype(int) - (40, 40, 230)).max(1) < 60).all()))
    assert sum(edges) >= 5  # of 20 a second, for 0.45 s
    assert not edges[0]
    assert report.notices["stale"] >= 1


def test_tracks_and_events_are_written_down_and_drawn(detector_file, given, colours, tmp_path):
    scores = [[0, 0, 0], [0, 0.9, 0], [0, 0, 0], [0, 0, 0]]  # a dog, top right
    outputs = Outputs(json=tmp_path / "out.jsonl", save=tmp_path / "out.mp4")
    camera(
        detector_file(scores),
        lambda: given(colours(30, (320, 240)), fps=10),
        outputs=outputs,
        every_frame=True,
        zones=[Zone("right", ((0.5, 0), (1, 0), (1, 1), (0.5, 1)))],
        lines=[Line("gate", (160, 0), (160, 239))],
        labels=["cat", "dog", "bird"],
    )
    found = results(tmp_path / "out.jsonl")
    assert len(found) == 30
    assert {one["label"] for one in found[-1]["tracks"]} == {"dog"}
    assert len({one["track"] for said in found for one in said["tracks"]}) == 1
    assert [event["name"] for said in found for event in said["events"]] == ["right"]
    assert pictures(tmp_path / "out.mp4") == 30


@pytest.mark.parametrize("name", ["out.mp4", "out.jsonl"])
def test_nothing_is_overwritten_and_the_other_output_leaves_nothing_open(
    model, given, colours, tmp_path, name
):
    (tmp_path / name).write_text("mine")
    outputs = Outputs(save=tmp_path / "out.mp4", json=tmp_path / "out.jsonl")
    with pytest.raises(DataError, match="is there already"):
        camera(model, lambda: given(colours(5)), outputs=outputs)
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ({"frames": 0}, DataError),
        ({"seconds": 0}, DataError),
        ({"max_age_ms": -1}, DataError),
        ({"source": "/dev/video97"}, CameraError),
        ({"source": "nothing.mp4"}, DataError),
        ({"track": True}, DataError),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_start(model, words, error):
    with pytest.raises(error):
        camera(model, **({"source": "drawn:1"} | words))


def test_a_model_that_is_none_is_refused(tmp_path, given):
    with pytest.raises(ModelError):
        camera(tmp_path / "nothing.tflite", lambda: given([]))


def test_what_was_written_is_whole_when_the_caller_is_interrupted(model, given, colours, tmp_path):
    count = 0

    def stop():
        nonlocal count
        count += 1
        if count == 10:
            raise KeyboardInterrupt
        return

    outputs = Outputs(save=tmp_path / "out.mp4", json=tmp_path / "out.jsonl")
    with pytest.raises(KeyboardInterrupt):
        camera(model, lambda: given(colours(100), fps=10), outputs=outputs, every_frame=True, stop=stop)
    assert len(results(tmp_path / "out.jsonl")) == 10
    assert pictures(tmp_path / "out.mp4") == 10
