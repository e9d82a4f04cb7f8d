import time
from itertools import islice

import numpy as np
import pytest

from edgecnn.data.drawn.video import drawn_video
from edgecnn.errors import DataError
from edgecnn.results import Array, Boxes
from edgecnn.runtime.tracking.track import Tracker, Tracks
from edgecnn.tasks.boxes import iou

LABELS = ("ball", "cone")


def boxes(*rows: tuple[float, ...], score: float = 0.9, label_id: int = 0) -> Boxes:
    """Boxes of 40 pixels around (x, y)."""
    centre = np.array(rows, float).reshape(-1, 2)
    n = len(centre)
    return Boxes(
        np.concatenate([centre - 20, centre + 20], 1), np.full(n, score), np.full(n, label_id), LABELS
    )


def numbers(tracks: Tracks) -> list[int]:
    return tracks.track_id.tolist()


def centre(tracks: Tracks) -> Array:
    return (tracks.boxes.xyxy[:, :2] + tracks.boxes.xyxy[:, 2:]) / 2


def test_nothing_seen_is_nothing_followed() -> None:
    tracker = Tracker()
    for time_s in (0.0, 1.0):
        tracks = tracker.update(boxes(), time_s)
        assert len(tracks) == 0
        assert tracks.records() == []
        assert tracks.boxes.labels == LABELS
        assert len(tracks.at(9.0)) == 0
        assert tracks.speed_px_s.shape == (0,)


def test_a_thing_gets_its_number_when_a_second_frame_shows_it() -> None:
    tracker = Tracker()
    assert numbers(tracker.update(boxes((50, 50)), 0.0)) == []
    tracks = tracker.update(boxes((50, 50)), 0.1)
    assert numbers(tracks) == [1]
    assert tracks.seen.tolist() == [True]
    assert tracks.records()[0].keys() == {"track", "label", "score", "box_xyxy", "velocity_px_s", "seen"}
    assert tracks.records()[0]["label"] == "ball"


@pytest.mark.parametrize("hits", [1, 2, 4])
def test_a_thing_is_shown_after_as_many_frames_as_asked(hits: int) -> None:
    tracker = Tracker(hits=hits)
    shown = [len(tracker.update(boxes((50, 50)), number / 10)) for number in range(5)]
    assert shown == [0] * (hits - 1) + [1] * (6 - hits)


def test_a_false_box_of_one_frame_is_never_shown() -> None:
    tracker = Tracker()
    tracker.update(boxes((50, 50)), 0.0)
    for number in range(1, 20):
        place = (50 + 200 * (number % 3), 50)
        assert 2 not in numbers(tracker.update(boxes(place) if number % 3 else boxes(), number / 10))


def test_velocity_is_in_pixels_a_second_however_irregular_the_frames() -> None:
    random = np.random.default_rng(0)
    tracker, time_s = Tracker(), 0.0
    for _ in range(60):
        time_s += float(random.uniform(0.01, 0.3))
        tracks = tracker.update(boxes((100 + 70 * time_s, 300 - 20 * time_s)), time_s)
    assert numbers(tracks) == [1]
    assert tracks.velocity_px_s[0] == pytest.approx([70, -20], abs=2)
    assert tracks.speed_px_s[0] == pytest.approx(72.8, abs=2)
    later = tracks.at(time_s + 0.5)
    assert centre(later)[0] == pytest.approx(centre(tracks)[0] + [35, -10], abs=1.5)
    assert later.time_s == time_s + 0.5
    assert numbers(later) == [1]


def test_what_comes_nearer_grows_in_the_prediction() -> None:
    tracker = Tracker()
    for number in range(30):
        half = 20 + number  # 60 pixels a second wider at 30 frames a second
        row = np.array([[200 - half, 200 - half, 200 + half, 200 + half]])
        tracks = tracker.update(Boxes(row, np.ones(1), np.zeros(1), LABELS), number / 30)
    assert tracks.growth_px_s[0] == pytest.approx([60, 60], abs=6)
    width = tracks.boxes.xyxy[0, 2] - tracks.boxes.xyxy[0, 0]
    grown = tracks.at(tracks.time_s + 0.5).boxes.xyxy[0]
    assert grown[2] - grown[0] == pytest.approx(width + 30, abs=3)
    far = tracks.at(tracks.time_s + 60).boxes.xyxy[0]
    assert far[2] - far[0] == pytest.approx(2 * width, rel=1e-3)


@pytest.mark.parametrize("fps", [30, 10, 5])
def test_a_moving_thing_keeps_its_number_behind_another_for_half_a_second(fps: int) -> None:
    tracker, found = Tracker(), set[int]()
    for number in range(3 * fps):
        time_s = number / fps
        hidden = 1.0 < time_s <= 1.5
        tracks = tracker.update(boxes() if hidden else boxes((50 + 100 * time_s, 100)), time_s)
        found.update(numbers(tracks))
        assert tracks.seen.tolist() == [not hidden] * len(tracks)
        if len(tracks):
            assert centre(tracks)[0, 0] == pytest.approx(50 + 100 * time_s, abs=12)
    assert found == {1}


@pytest.mark.parametrize("fps", [30, 10])
def test_things_of_one_label_keep_their_numbers_where_they_cross(fps: int) -> None:
    random = np.random.default_rng(0)
    tracker, last = Tracker(), np.zeros(0)
    for number in range(4 * fps):
        time_s = number / fps
        there, back = (100 + 60 * time_s, 100), (340 - 60 * time_s, 112)
        shaken = np.array([there, back]) + random.normal(0, 1, (2, 2))
        tracks = tracker.update(boxes(*map(tuple, shaken)), time_s)
        if number == fps:
            last = tracks.track_id[np.argsort(centre(tracks)[:, 0])]
    assert tracks.track_id[np.argsort(centre(tracks)[:, 0])].tolist() == last[::-1].tolist() != []


def test_a_box_of_low_score_goes_on_with_a_track_but_begins_none() -> None:
    tracker = Tracker()
    for number in range(30):
        weak = boxes((50, 50), (200, 200), score=0.2)
        tracks = tracker.update(weak if number > 2 else boxes((50, 50)), number / 10)
    assert numbers(tracks) == [1]
    assert tracks.seen.all()
    assert tracks.boxes.score[0] == pytest.approx(0.2)
    assert not tracker.update(boxes((50, 50), score=0.05), 3.0).seen.any()


def test_scores_are_adjusted_while_the_tracks_go_on() -> None:
    tracker = Tracker(high=0.95, hits=1)
    assert len(tracker.update(boxes((50, 50)), 0.0)) == 0
    tracker.adjust(high=0.5, low=0.1)
    assert numbers(tracker.update(boxes((50, 50)), 0.1)) == [1]
    tracker.adjust(high=0.3, low=0.3)
    assert numbers(tracker.update(boxes((50, 50), (200, 50)), 0.2)) == [1, 2]
    with pytest.raises(DataError, match=r"low 0\.4 and high 0\.3"):
        tracker.adjust(high=0.3, low=0.4)


def test_labels_are_kept_apart_unless_they_may_change() -> None:
    for per_label, expected in ((True, [1, 2]), (False, [1])):
        tracker = Tracker(per_label=per_label)
        for number in range(6):
            tracks = tracker.update(boxes((50, 50), label_id=number // 3), number / 10)
        assert numbers(tracks) == expected
        assert tracks.boxes.label_id[-1] == 1


def test_a_track_ends_after_its_time_and_its_number_is_never_used_again() -> None:
    tracker = Tracker(keep_s=0.5)
    time_s, found = 0.0, []
    for _ in range(5):
        for _ in range(3):
            time_s += 0.1
            tracks = tracker.update(boxes((50, 50)), time_s)
        found += numbers(tracks)
        assert len(tracker.update(boxes(), time_s + 0.49)) == 1
        time_s += 0.51
        assert len(tracker.update(boxes(), time_s)) == 0
    assert found == [1, 2, 3, 4, 5]


def test_a_track_outlives_a_long_pause_that_nobody_looked() -> None:
    tracker = Tracker(keep_s=0.5)
    for time_s in (0.0, 2.0, 4.0, 6.0):
        tracks = tracker.update(boxes((50, 50)), time_s)
    assert numbers(tracks) == [1]


@pytest.mark.parametrize("time_s", [1.0, 0.5, float("nan"), float("inf")])
def test_a_frame_that_is_not_later_is_refused_and_changes_nothing(time_s: float) -> None:
    tracker = Tracker(hits=1)
    tracker.update(boxes((50, 50)), 1.0)
    with pytest.raises(DataError, match="once and in order"):
        tracker.update(boxes((50, 50)), time_s)
    assert numbers(tracker.update(boxes((50, 50)), 1.1)) == [1]


def test_boxes_of_another_model_are_refused() -> None:
    tracker = Tracker()
    tracker.update(boxes(), 0.0)
    with pytest.raises(DataError, match="wants another Tracker"):
        tracker.update(Boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0), ("dog",)), 1.0)


@pytest.mark.parametrize(
    "options", [{"high": 1.5}, {"low": 0.9}, {"hits": 0}, {"keep_s": -1.0}, {"low": -0.1}]
)
def test_an_impossible_option_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(DataError, match="tracker: "):
        Tracker(**options)  # type: ignore[arg-type]


def test_only_some_can_be_kept() -> None:
    tracker = Tracker(hits=1)
    tracker.update(boxes((50, 50), (200, 50)), 0.0)
    tracks = tracker.update(boxes((200, 50)), 0.1)
    assert numbers(tracks) == [1, 2]
    assert numbers(tracks.only(tracks.seen)) == [2]


def test_tracks_are_checked_and_never_change() -> None:
    given = boxes((50, 50))
    tracks = Tracks(given, np.array([7]), np.array([[1, 2]]), 0.0)
    assert tracks.seen.all()
    with pytest.raises(ValueError, match="read-only"):
        tracks.track_id[0] = 1
    with pytest.raises(DataError, match="velocity_px_s"):
        Tracks(given, np.array([7]), np.array([1, 2]), 0.0)


def test_what_was_given_stays_as_it_was() -> None:
    tracker = Tracker(hits=1)
    first = tracker.update(boxes((50, 50)), 0.0)
    before = first.boxes.xyxy.copy()
    tracker.update(boxes((60, 50)), 0.1)
    assert (first.boxes.xyxy == before).all()
    assert first.seen.all()


def test_things_of_a_drive_keep_their_numbers() -> None:
    """Ten seconds at 10 frames a second, one box in ten missing, the rest shaking by 4 %."""
    random, tracker = np.random.default_rng(0), Tracker()
    partner: dict[int, int] = {}
    switches = found = 0
    for shot in islice(drawn_video(5, size_wh=(320, 240), fps=10), 100):
        truth = shot.boxes
        there = random.random(len(truth)) > 0.1
        size = np.tile(truth.xyxy[:, 2:] - truth.xyxy[:, :2], 2)
        xyxy = (truth.xyxy + random.normal(0, 0.04, size.shape) * size)[there]
        given = Boxes(
            np.concatenate([np.minimum(xyxy[:, :2], xyxy[:, 2:]), np.maximum(xyxy[:, :2], xyxy[:, 2:])], 1),
            np.full(there.sum(), 0.8),
            truth.label_id[there],
            truth.labels,
        )
        tracks = tracker.update(given, shot.time_s)
        overlap = iou(truth.xyxy, tracks.boxes.xyxy)
        for row, number in enumerate(shot.numbers.tolist()):
            if len(tracks) and overlap[row].max() > 0.5:
                found += 1
                track = int(tracks.track_id[overlap[row].argmax()])
                switches += partner.get(number, track) != track
                partner[number] = track
    assert found > 500
    assert switches <= found / 50


def test_an_update_with_ten_boxes_is_quick() -> None:
    tracker, taken = Tracker(), []
    random = np.random.default_rng(0)
    place = random.random((10, 2)) * 1000
    for number in range(200):
        given = boxes(*map(tuple, place + random.normal(0, 2, (10, 2))))
        begun = time.perf_counter()
        tracker.update(given, number / 30)
        taken.append(time.perf_counter() - begun)
    assert np.median(taken) < 0.002  # 0.0002 when nothing else runs
