import json
from itertools import pairwise

import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.results import Boxes
from edgecnn.runtime.tracking.places import Line, Point, Zone, parse_line, parse_zone
from edgecnn.runtime.tracking.tracks import Tracks
from edgecnn.runtime.tracking.zones import Event, Zones

SIZE = (200, 100)
MIDDLE = Zone("middle", ((0.25, 0), (0.75, 0), (0.75, 1), (0.25, 1)))
GATE = Line("gate", (0.5, 0), (0.5, 1))
"""From top to bottom."""


def tracks(time_s: float, *points: Point, seen: bool = True, first: int = 1) -> Tracks:
    """Things of 20 x 20 pixels that stand (lower edge) at these points."""
    n = len(points)
    xyxy = np.array([(x - 10, y - 20, x + 10, y) for x, y in points]).reshape(-1, 4)
    found = Boxes(xyxy, np.ones(n), np.zeros(n), ("ball", "cone"))
    return Tracks(found, np.arange(first, first + n), np.zeros((n, 2)), time_s, np.full(n, seen))


def walk(zones: Zones, *points: Point) -> list[Event]:
    """One thing, one point a second."""
    events: list[Event] = []
    for second, point in enumerate(points):
        events += zones.update(tracks(float(second), point), SIZE)
    return events


def test_nothing_happens_where_there_is_nothing() -> None:
    assert Zones().update(tracks(0.0), SIZE) == ()
    assert Zones().counts() == {}
    assert Zones([MIDDLE], [GATE]).update(tracks(0.0), SIZE) == ()


def test_who_walks_through_a_zone_enters_and_leaves_and_was_inside_for_so_long() -> None:
    zones = Zones([MIDDLE])
    events = walk(zones, (20, 50), (60, 50), (100, 50), (140, 50), (180, 50))
    assert [(event.kind, event.time_s) for event in events] == [("enter", 1.0), ("leave", 4.0)]
    assert events[1].inside_s == 2.0
    assert zones.counts() == {"middle": {"enter": {"ball": 1}, "leave": {"ball": 1}, "inside": {}}}
    words = {"event": "leave", "name": "middle", "track": 1, "label": "ball", "time_s": 4.0, "inside_s": 2.0}
    assert events[1].as_dict() == words
    assert json.loads(json.dumps(zones.counts())) == zones.counts()


def test_who_appears_inside_enters_and_whose_track_ends_inside_leaves() -> None:
    zones = Zones([MIDDLE])
    assert [event.kind for event in walk(zones, (100, 50), (100, 50))] == ["enter"]
    assert zones.counts()["middle"]["inside"] == {"ball": 1}
    (event,) = zones.update(tracks(5.0), SIZE)
    assert (event.kind, event.time_s, event.inside_s, event.label) == ("leave", 5.0, 1.0, "ball")


def test_who_trembles_on_a_border_enters_once() -> None:
    zones = Zones([MIDDLE], [Line("edge", (50, 0), (50, 100))])
    random = np.random.default_rng(0)
    places = [(30.0, 50.0)] + [(50 + float(random.uniform(-1.9, 1.9)), 50.0) for _ in range(300)]
    events = walk(zones, *places)
    assert [event.kind for event in events] == ["enter"]
    without = Zones([MIDDLE], margin=0)
    assert len(walk(without, *places)) > 10


def test_the_edge_of_the_image_is_no_border() -> None:
    zones = Zones([MIDDLE])
    assert [event.kind for event in walk(zones, (100, 99), (100, 100), (100, 130), (100, 100))] == ["enter"]


def test_who_is_not_seen_does_nothing_until_seen_again() -> None:
    zones = Zones([MIDDLE], [GATE])
    walk(zones, (60, 50), (80, 50))
    assert zones.update(tracks(2.0, (190, 50), seen=False), SIZE) == ()
    assert [event.kind for event in zones.update(tracks(3.0, (180, 50)), SIZE)] == ["leave", "cross"]


@pytest.mark.parametrize(
    ("line", "way", "direction"),
    [
        (GATE, ((80, 50), (120, 50)), "forward"),
        (GATE, ((120, 50), (80, 50)), "backward"),
        (Line("level", (0, 0.5), (1, 0.5)), ((50, 80), (50, 20)), "forward"),
        (Line("level", (0, 0.5), (1, 0.5)), ((50, 20), (50, 80)), "backward"),
        (Line("turned", (1, 0.5), (0, 0.5)), ((50, 20), (50, 80)), "forward"),
        (Line("pixels", (100, 0), (100, 100)), ((80, 50), (120, 50)), "forward"),
    ],
)
def test_a_line_says_in_which_direction_it_is_crossed(
    line: Line, way: tuple[Point, Point], direction: str
) -> None:
    zones = Zones(lines=[line])
    (event,) = walk(zones, *way)
    assert (event.kind, event.name, event.direction) == ("cross", line.name, direction)
    assert event.as_dict()["direction"] == direction
    assert zones.counts()[line.name][direction] == {"ball": 1}


def test_who_stops_on_a_line_and_goes_on_crosses_it_once_and_who_turns_back_never() -> None:
    on = [(99.0, 50.0), (101.0, 50.0), (99.5, 50.0), (101.5, 50.0)]
    assert len(walk(Zones(lines=[GATE]), (80, 50), *on, (120, 50))) == 1
    assert not walk(Zones(lines=[GATE]), (80, 50), *on, (80, 50))
    assert not walk(Zones(lines=[GATE]), *on)


def test_who_passes_beyond_the_end_of_a_line_does_not_cross_it() -> None:
    short = Line("short", (0.5, 0), (0.5, 0.4))
    assert not walk(Zones(lines=[short]), (80, 70), (120, 70))
    assert not walk(Zones(lines=[short]), (80, 70), (120, 70), (120, 20))
    assert len(walk(Zones(lines=[short]), (80, 70), (120, 70), (120, 20), (80, 20))) == 1


def test_a_thing_may_stand_at_its_middle() -> None:
    upper = Zone("upper", ((0, 0), (1, 0), (1, 0.5), (0, 0.5)))
    assert not Zones([upper]).update(tracks(0.0, (100, 55)), SIZE)
    assert Zones([upper], stands="centre").update(tracks(0.0, (100, 55)), SIZE)


def test_fractions_fit_any_image_and_pixels_only_theirs() -> None:
    zones = Zones([MIDDLE, Zone("far", ((150, 0), (190, 0), (190, 90)))])
    assert [event.name for event in zones.update(tracks(0.0, (100, 50)), SIZE)] == ["middle"]
    with pytest.raises(DataError, match="'far' lies outside the image, which is 100x50"):
        zones.update(tracks(1.0, (50, 25)), (100, 50))


def test_two_places_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match="'gate'"):
        Zones([Zone("gate", MIDDLE.points)], [GATE])


@pytest.mark.parametrize("seed", range(4))
def test_events_of_random_walks_make_sense(seed: int) -> None:
    """Enter and leave take turns, and crossings of a line through all of the image change direction."""
    random = np.random.default_rng(seed)
    zones = Zones([MIDDLE], [GATE])
    place, kinds, directions = np.array([100.0, 50.0]), [], []
    for number in range(2000):
        place = (place + random.normal(0, 8, 2)).clip(0, SIZE)
        for event in zones.update(tracks(number / 10, (float(place[0]), float(place[1]))), SIZE):
            (directions if event.kind == "cross" else kinds).append(event.direction or event.kind)
    assert len(kinds) > 10
    assert len(directions) > 10
    assert set(pairwise(kinds)) == {("enter", "leave"), ("leave", "enter")}
    turns = {("forward", "backward"), ("backward", "forward")}
    assert set(pairwise(directions)) == turns


def test_places_are_read_as_typed() -> None:
    corners = ((0.1, 0.2), (0.5, 0.2), (0.5, 0.9))
    assert parse_zone("door=0.1,0.2,0.5,0.2,0.5,0.9") == Zone("door", corners)
    assert parse_line("gate = 100, 0, 100, 90") == Line("gate", (100, 0), (100, 90))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("", "give a name"),
        ("door", "give a name"),
        ("=0,0,1,0,1,1", "give a name"),
        ("door=0,0,1", "give a name"),
        ("door=0,0;1,0;1,1", "give a name"),
        ("door=0,0,1,1", "three or more"),
        ("door=0,0,1,1,1,0,0,1", "crosses itself"),
        ("door=0,0,0.5,0.5,1,1", "one line"),
        ("door=0,0,1.2,0,1,1", "neither fractions"),
        ("door=0,0,nan,0,1,1", "finite"),
    ],
)
def test_a_word_that_is_no_zone_says_what_is_wrong(word: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_zone(word)


@pytest.mark.parametrize(
    ("word", "message"),
    [("gate=0,0,1", "give a name"), ("gate=0,0,1,1,0,1", "3 points"), ("gate=1,1,1,1", "wants a length")],
)
def test_a_word_that_is_no_line_says_what_is_wrong(word: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_line(word)
