import sys
import threading
import time
from pathlib import Path

import pytest
from scripted import Openings, Scripted, picture, until

from edgecnn.errors import CameraError, DataError
from edgecnn.runtime.sources.source import DamagedFrame
from edgecnn.runtime.watch.patience import Patience
from edgecnn.runtime.watch.reader import Reader

SOON = Patience(retry_s=(0.01, 0.08), freeze_s=0.1, hang_s=0.2)


class Told(list):
    """What was told, by kind."""

    def __call__(self, notice):
        self.append(notice)

    @property
    def kinds(self):
        return [notice.kind for notice in self]


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def reading(told):
    """Makes readers and closes them; nothing may be left behind."""
    before = set(threading.enumerate())
    made = []

    def read(opening, **what):
        made.append(Reader(opening, patience=SOON, on_notice=told, **what))
        return made[-1]

    yield read
    for reader in made:
        reader.close()
    until(lambda: set(threading.enumerate()) <= before)


def taken(reader, *, timeout_s=1.0):
    frames = []
    while (pair := reader.take(timeout_s)) is not None:
        frames.append(pair[0])
    return frames


def test_a_source_without_frames_ends_at_once(reading, told):
    reader = reading(lambda: Scripted(endless=False))
    assert reader.take(1) is None
    assert (reader.ended, reader.error, reader.captured) == (True, None, 0)
    until(lambda: told.kinds == ["ended"])


def test_a_source_that_is_not_there_is_an_error_at_the_door(reading):
    with pytest.raises(CameraError, match="no such camera"):
        reading(Openings(CameraError("no such camera")))


def test_whoever_is_slow_gets_the_newest_frame_and_the_others_are_counted(reading):
    reader = reading(lambda: Scripted(fps=200))
    first = reader.take(1)[0]
    time.sleep(0.2)
    second = reader.take(1)[0]
    assert second.index - first.index > 20
    assert time.monotonic() - second.time_s < 0.05
    assert second.index == pytest.approx(1 + reader.dropped, abs=1)


def test_where_every_frame_counts_none_is_lost_however_slow_the_taker(reading):
    reader = reading(
        lambda: Scripted([picture(i) for i in range(30)], fps=None, endless=False), every_frame=True
    )
    frames = []
    while (pair := reader.take(1)) is not None:
        frames.append(pair[0].index)
        time.sleep(0.003)
    assert frames == list(range(30))
    assert (reader.dropped, reader.captured) == (0, 30)


def test_only_a_few_frames_are_held_at_once(reading):
    source = Scripted(fps=None)
    reader = reading(lambda: source, every_frame=True)
    time.sleep(0.1)
    assert source.index <= 4
    assert reader.take(1)[0].index == 0


def test_a_vanished_source_is_opened_again_with_growing_pauses(reading, told):
    gone = CameraError("scripted: unplugged.")
    openings = Openings(Scripted([picture(0), gone]), gone, gone, gone, Scripted())
    reader = reading(openings)
    until(lambda: "back" in told.kinds)
    assert [kind for kind in told.kinds if kind != "resized"] == ["vanished"] * 4 + ["back"]
    pauses = [float(n.text.split("again in ")[1].split()[0]) for n in told if n.kind == "vanished"]
    assert pauses == [0.01, 0.02, 0.04, 0.08]
    assert reader.restarts == 1
    assert openings.opened[0].closed.is_set()
    assert reader.take(1) is not None


def test_the_pause_has_a_limit(reading, told):
    gone = CameraError("scripted: unplugged.")
    reading(Openings(Scripted([gone]), gone))
    until(lambda: told.kinds.count("vanished") >= 6)
    assert "again in 0.08 s" in told[5].text


def test_a_file_that_breaks_off_is_an_error_and_not_tried_again(reading):
    broken = DataError("clip.mp4: ends after 2 frames")
    reader = reading(
        Openings(Scripted([picture(0), picture(1), broken], live=False, fps=None)), every_frame=True
    )
    assert [frame.index for frame in taken(reader)] == [0, 1]
    assert reader.error is broken


def test_a_damaged_frame_is_left_out_and_told(reading, told):
    reader = reading(
        lambda: Scripted(
            [picture(0), DamagedFrame("frame 1 is no image."), picture(2)], fps=None, endless=False
        ),
        every_frame=True,
    )
    assert [frame.index for frame in taken(reader)] == [0, 2]
    assert (reader.damaged, told.kinds) == (1, ["damaged", "ended"])


def test_many_damaged_frames_in_a_row_are_told_once_and_counted(reading, told):
    bad = [DamagedFrame("no image.")] * 50
    reader = reading(lambda: Scripted([*bad, picture(0), *bad], fps=None, endless=False), every_frame=True)
    assert len(taken(reader)) == 1
    assert reader.damaged == 100
    assert told.kinds == ["damaged", "damaged", "ended"]


def test_a_frame_that_cannot_be_prepared_is_left_out(reading, told):
    def arrived(frame):
        if frame.index == 1:
            raise DataError("an image of 0 pixels.")
        return frame.index * 10

    reader = reading(
        lambda: Scripted([picture(i) for i in range(3)], fps=None, endless=False),
        every_frame=True,
        arrived=arrived,
    )
    assert [(frame.index, made) for frame, made in iter(lambda: reader.take(1), None)] == [(0, 0), (2, 20)]
    assert "damaged" in told.kinds


def watched(reader, true, *, seconds=5.0):
    def looked():
        reader.check(time.monotonic())
        return true()

    until(looked, seconds=seconds)


def test_the_same_picture_again_and_again_is_a_frozen_camera(reading, told):
    still = picture(7)
    reader = reading(lambda: Scripted([still] * 60, fps=200))
    watched(reader, lambda: "thawed" in told.kinds)
    assert [kind for kind in told.kinds if kind in ("frozen", "thawed")] == ["frozen", "thawed"]
    assert 30 < reader.repeated < 60  # those after the first tenth of a second
    while (pair := reader.take(0)) is not None:
        assert pair[0].index >= 60 or pair[0].time_s - reader._moved_s < 0.2


def test_frames_of_a_frozen_camera_are_not_handed_over(reading, told):
    still = picture(7)
    reader = reading(lambda: Scripted([still] * 1000, fps=200))
    watched(reader, lambda: "frozen" in told.kinds)
    reader.take(0)
    assert reader.take(0.1) is None


def test_no_frames_at_all_is_frozen_too(reading, told):
    reader = reading(lambda: Scripted([picture(0), 0.15], fps=None))
    watched(reader, lambda: "frozen" in told.kinds)
    watched(reader, lambda: "thawed" in told.kinds)


@pytest.mark.parametrize("clock", ["schedule"])
def test_a_recording_may_stand_still(reading, told, clock):
    reader = reading(lambda: Scripted([picture(7)] * 80, fps=200, clock=clock, endless=False))
    watched(reader, lambda: reader.ended)
    assert told.kinds == ["ended"]
    assert reader.repeated == 0


def test_another_size_is_told(reading, told):
    reader = reading(
        lambda: Scripted([picture(0), picture(1, size_wh=(32, 32))], fps=None, endless=False),
        every_frame=True,
    )
    assert [frame.image.shape for frame in taken(reader)] == [(48, 64, 3), (32, 32, 3)]
    assert "32x32" in told[0].text
    assert told.kinds == ["resized", "ended"]


def test_a_source_that_does_not_come_back_is_left_behind_and_opened_again(reading, told):
    openings = Openings(Scripted([picture(0), 0.6]), Scripted())
    reader = reading(openings)
    watched(reader, lambda: "back" in told.kinds)
    assert "hung" in told.kinds
    assert reader.restarts == 1
    assert reader.left_behind == 1
    newest = reader.take(1)[0]
    time.sleep(0.7)  # the first reading comes back, and its frame reaches nobody
    assert reader.left_behind == 0
    assert reader.take(1)[0].index > newest.index


def test_closing_does_not_wait_for_a_frame(reading):
    reader = reading(lambda: Scripted(fps=0.5))
    reader.take(1)
    start = time.monotonic()
    reader.close()
    reader.close()
    assert time.monotonic() - start < 0.5
    assert reader.take(0) is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_in_a_source_is_shown_and_ends_the_reading(reading):
    reader = reading(lambda: Scripted([picture(0), ZeroDivisionError("a bug")], fps=None))
    until(lambda: reader.ended)
    assert "traceback" in str(reader.error)


def test_many_openings_and_closings_leave_nothing(reading):
    files = len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0
    for _ in range(20):
        reader = Reader(lambda: Scripted(fps=None))
        reader.take(1)
        reader.close()
    if sys.platform == "linux":
        assert len(list(Path("/proc/self/fd").iterdir())) == files
