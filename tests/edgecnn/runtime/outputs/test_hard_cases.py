"""Hard cases: which frames they are, and that a folder of them has bounds."""

import json
from datetime import datetime

import cv2
import numpy as np
import pytest

from edgecnn import files
from edgecnn.errors import DataError
from edgecnn.results import Boxes, Classes, Values
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.model import Timings
from edgecnn.runtime.outputs.hard_cases import Doubt, HardCases
from edgecnn.runtime.seen import Seen

LABELS = ("cat", "dog", "bird")
IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
HARD = (0.4, 0.35, 0.25)
EASY = (0.9, 0.06, 0.04)


def boxes(*scores):
    return Boxes([[0, 0, 9, 9]] * len(scores), scores, [1] * len(scores), LABELS)


def seen(time_s=0.0, scores=HARD):
    frame = Frame(IMAGE, 3, time_s, "cam#3")
    return Seen(frame, "classification", Classes(scores, LABELS), Timings(1, 1, 1), time_s)


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (Boxes(np.zeros((0, 4)), [], [], LABELS), None),
        (boxes(0.9), None),
        (boxes(0.9, 0.46), None),
        (boxes(0.9, 0.44, 0.31), "dog 0.44, not far above the threshold 0.30"),
        (Classes(EASY, LABELS), None),
        (Classes((0.5, 0.3, 0.2), LABELS), "cat 0.50, below 0.60"),
        (Classes((0.1, 0.3, 0.6), LABELS), None),
        (Classes((0.75, 0.62, 0.0), LABELS), "cat 0.75, but dog 0.62"),
        (Classes((0.9,), ("cat",)), None),
        (Values([1.0], ("angle_deg",)), None),
    ],
)
def test_what_is_in_doubt(result, why):
    assert Doubt().about(result, 0.3) == why


def test_an_easy_frame_leaves_nothing(tmp_path):
    cases = HardCases(tmp_path / "cases", task="classification")
    assert cases.look(seen(scores=EASY)) is None
    assert list((tmp_path / "cases").iterdir()) == []


def test_a_hard_frame_is_kept_with_what_the_model_said(tmp_path):
    cases = HardCases(tmp_path, task="classification")
    path = cases.look(seen())
    kept = cv2.imread(str(path))
    assert kept.shape == IMAGE.shape
    said = json.loads(path.with_suffix(".json").read_text())
    assert said["why"] == "cat 0.40, below 0.60"
    assert (said["source"], said["index"]) == ("cam#3", 3)
    assert said["results"][0] == {"label": "cat", "score": pytest.approx(0.4)}
    assert said["taken"].endswith("+00:00")
    assert sorted(tmp_path.iterdir()) == sorted([path, path.with_suffix(".json")])


def test_neighbours_are_left_out(tmp_path):
    cases = HardCases(tmp_path, task="classification", pause_s=1.0)
    kept = [cases.look(seen(number / 10)) is not None for number in range(31)]
    assert np.flatnonzero(kept).tolist() == [0, 10, 20, 30]


def test_an_easy_frame_does_not_delay_a_hard_one(tmp_path):
    cases = HardCases(tmp_path, task="classification")
    cases.look(seen(0.0, EASY))
    assert cases.look(seen(0.1)) is not None


def test_a_folder_holds_no_more_than_it_may_whoever_filled_it(tmp_path):
    first = HardCases(tmp_path, task="classification", pause_s=0, most=3)
    for number in range(2):
        first.look(seen(number))
    second = HardCases(tmp_path, task="classification", pause_s=0, most=3)
    assert [second.look(seen(number)) is not None for number in range(3)] == [True, False, False]
    assert second.full
    assert len(list(tmp_path.glob("*.jpg"))) == 3
    one = sum(path.stat().st_size for path in tmp_path.iterdir()) / 3
    by_bytes = HardCases(tmp_path, task="classification", pause_s=0, most_bytes=round(4.5 * one))
    kept = [by_bytes.look(seen(number)) is not None for number in range(4)]
    assert sum(kept) == 2


def test_a_clock_that_stands_still_overwrites_nothing(tmp_path, monkeypatch):
    class Stopped(datetime):
        @classmethod
        def now(cls, zone=None):
            return cls(2026, 1, 1, tzinfo=zone)

    monkeypatch.setattr("edgecnn.runtime.outputs.hard_cases.datetime", Stopped)
    monkeypatch.setattr(Seen, "age_ms", 0.0)
    cases = HardCases(tmp_path, task="classification", pause_s=0)
    paths = {cases.look(seen(number)) for number in range(3)}
    assert len(paths) == 3
    assert len(list(tmp_path.iterdir())) == 6


def test_on_a_full_disk_no_half_case_is_left(tmp_path, monkeypatch):
    cases = HardCases(tmp_path, task="classification")

    def full(path, text):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(files, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        cases.look(seen())
    assert list(tmp_path.iterdir()) == []
    assert cases.kept == 0


def test_a_task_without_confidence_is_refused(tmp_path):
    with pytest.raises(DataError, match="no confidence"):
        HardCases(tmp_path, task="regression")


def test_a_folder_that_is_a_file_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="for hard cases"):
        HardCases(tmp_path / "file", task="classification")
