"""The page without a browser: addresses, tokens, origins, viewers that vanish, what is left behind."""

import asyncio
import json
import socket
import struct
import sys
import threading
import time
from contextlib import AsyncExitStack
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from staged import Numbers, seen_now, striped, until

from edgecnn.errors import CameraError, CardError, MissingExtra
from edgecnn.live.page import Page
from edgecnn.results import Boxes, Classes
from edgecnn.runtime.tracking.tracks import Tracks
from edgecnn.runtime.tracking.zones import Event, Line, Zone
from edgecnn.runtime.watch.notice import Notice

aiohttp = pytest.importorskip("aiohttp", reason="needs the live extra")

TOKEN = "a token / of & my own"


@pytest.fixture
def page():
    with Page("0", title="a model · a source", threshold=0.5) as opened:
        yield opened


def run(coroutine, seconds=20):
    return asyncio.run(asyncio.wait_for(coroutine, seconds))


async def request(page, path="/", *, method="GET", **given):
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"http://127.0.0.1:{page.address.port}{path}", **given) as answer,
    ):
        return answer.status, await answer.read(), dict(answer.headers)


async def connect(http, page, **given):
    """A web socket, for `async with`: a session that ends before its sockets leaves them to the collector."""
    query = urlsplit(page.url).query
    return await http.ws_connect(
        f"http://127.0.0.1:{page.address.port}/live" + (f"?{query}" if query else ""), **given
    )


async def receive(connection, kind):
    """The next message of a kind; "picture" gives (age_ms, trip_ms, words, image)."""
    while True:
        message = await connection.receive(10)
        if message.type == aiohttp.WSMsgType.BINARY and kind == "picture":
            age_ms, trip_ms, length = struct.unpack_from(">ddI", message.data)
            words = json.loads(message.data[20 : 20 + length])
            image = cv2.imdecode(np.frombuffer(message.data[20 + length :], np.uint8), cv2.IMREAD_COLOR)
            return age_ms, trip_ms, words, image
        if message.type == aiohttp.WSMsgType.TEXT and json.loads(message.data)["kind"] == kind:
            return json.loads(message.data)
        assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), message


def watched(page, kind, *, before=lambda: None):
    """What a viewer gets first of a kind."""

    async def look():
        async with aiohttp.ClientSession() as http, await connect(http, page) as connection:
            before()
            return await receive(connection, kind)

    return run(look())


def test_before_anything_is_seen_the_page_is_there_and_a_snapshot_is_not(page):
    status, body, _ = run(request(page))
    assert (status, b"<!doctype html>" in body) == (200, True)
    assert run(request(page, "/snapshot", method="POST"))[0] == 409
    assert watched(page, "hello")["title"] == "a model · a source"
    assert watched(page, "numbers")["age_ms"] is None


def test_a_viewer_gets_the_newest_frame_its_boxes_and_its_age(page):
    page.show(seen_now(delay_ms=500.0), Numbers())
    page.show(seen_now(delay_ms=50.0, index=1), Numbers())
    age_ms, _, words, image = watched(page, "picture")
    assert words["name"] == "drawn#1"
    assert words["size"] == [320, 240]
    assert 50 <= words["delay_ms"] < 60
    assert words["delay_ms"] <= age_ms < 5000
    assert [(box["label"], box["score"]) for box in words["boxes"]] == [("ball", 0.9), ("cone", 0.4)]
    assert words["boxes"][0]["xyxy"] == [20, 30, 120, 130]
    assert np.abs(image.astype(int) - striped()).mean() < 6


def test_tracks_take_the_place_of_boxes_and_say_which_are_guesses(page):
    boxes = Boxes([[0, 0, 10, 10], [5, 5, 50, 50]], [0.5, 0.8], [0, 1], ("ball", "cone"))
    tracks = Tracks(boxes, [7, 9], np.zeros((2, 2)), 1.0, seen=[True, False])
    page.show(seen_now(boxes, tracks=tracks), Numbers())
    found = watched(page, "picture")[2]["boxes"]
    assert [(box["track"], box["guess"]) for box in found] == [(9, True), (7, False)]


def test_a_classifiers_best_five_are_sent(page):
    page.show(seen_now(Classes(np.arange(8) / 8, tuple("abcdefgh"))), Numbers())
    assert [bar["label"] for bar in watched(page, "picture")[2]["bars"]] == ["h", "g", "f", "e", "d"]


def test_scores_that_are_no_numbers_do_not_silence_the_page(page):
    page.show(seen_now(Classes(np.array([np.nan, np.inf, 0.5]), ("a", "b", "c"))), Numbers())
    assert len(watched(page, "picture")[2]["bars"]) == 3


def test_large_frames_become_smaller_and_snapshots_do_not(page):
    page.show(seen_now(image=striped((2000, 1000))), Numbers())
    words, image = watched(page, "picture")[2:]
    assert words["size"] == [2000, 1000]
    assert image.shape == (640, 1280, 3)
    status, body, headers = run(request(page, "/snapshot", method="POST"))
    assert status == 200
    assert cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR).shape == (1000, 2000, 3)
    assert headers["Content-Disposition"].startswith('attachment; filename="snapshot-')


def test_snapshots_are_kept_in_the_folder_and_a_failure_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder, saved in ((tmp_path / "new" / "shots", "yes"), (tmp_path / "file", "no")):
        with Page("0", title="t", snapshots=folder) as page:
            page.show(seen_now(), Numbers())
            status, _, headers = run(request(page, "/snapshot", method="POST"))
            assert (status, headers["Edgecnn-Saved"]) == (200, saved)
            (line,) = watched(page, "log")["lines"]
            assert line["kind"] == ("saved" if saved == "yes" else "unsaved")
    (kept,) = (tmp_path / "new" / "shots").iterdir()
    assert kept.suffix == ".jpg"


def test_notices_and_events_are_in_the_log_with_how_long_ago_they_were(page):
    page.notice(Notice("vanished", "camera 0 is gone", time.monotonic() - 30))
    event = Event(time.monotonic(), "leave", "door", 3, "ball", inside_s=1.25)
    page.show(seen_now(events=(event,)), Numbers())
    gone, left = watched(page, "log")["lines"]
    assert (gone["kind"], gone["text"]) == ("vanished", "camera 0 is gone")
    assert 30 <= gone["ago_s"] < 40
    assert left["text"] == "ball 3 leaves door after 1.2 s"


def test_zones_and_lines_say_whether_they_are_fractions():
    zones, lines = [Zone("z", ((0, 0), (1, 0), (0.5, 1)))], [Line("l", (10, 20), (30, 40))]
    with Page("0", title="t", zones=zones, lines=lines) as page:
        zone, line = watched(page, "hello")["places"]
    assert (zone["name"], zone["closed"], zone["fractions"]) == ("z", True, True)
    assert (line["points"], line["closed"], line["fractions"]) == ([[10, 20], [30, 40]], False, False)


def test_numbers_hold_the_ages_of_the_last_minute_and_statistics_are_asked_for_only_while_someone_looks(page):
    asked = []

    def statistics():
        asked.append(threading.current_thread().name)
        return Numbers(max_age_ms=100)

    for delay_ms in (10.0, 20.0, 90.0):
        page.show(seen_now(delay_ms=delay_ms), statistics)
    time.sleep(0.7)
    assert asked == []
    told = watched(page, "numbers")
    assert asked[0].startswith("edgecnn-page")
    assert 20 <= told["p50_ms"] < 25
    assert 90 <= told["p99_ms"] < 95
    assert max(value for value in told["oldest_ms"] if value is not None) == told["p99_ms"]
    assert told["stale_ms"] == 100
    assert told["is_stale"]
    assert told["statistics"]["captured"] == 375


def test_a_result_becomes_stale_within_a_fraction_of_a_second(page):
    async def look():
        async with aiohttp.ClientSession() as http, await connect(http, page) as connection:
            page.show(seen_now(delay_ms=1.0), Numbers(max_age_ms=300))
            start = time.monotonic()
            while not (await receive(connection, "numbers"))["is_stale"]:
                pass
            return time.monotonic() - start

    assert 0.2 < run(look()) < 1.2


def test_the_slider_reaches_the_device_and_the_other_viewers_and_only_the_newest_value_counts():
    got = []

    def adjust(*, threshold):
        got.append(threshold)
        time.sleep(0.2)

    async def look(page):
        async with (
            aiohttp.ClientSession() as http,
            await connect(http, page) as mine,
            await connect(http, page) as other,
        ):
            for value in range(20, 41):
                await mine.send_json({"threshold": value / 100})
            while (await receive(other, "threshold"))["threshold"] != 0.4:
                pass
            async with await connect(http, page) as late:
                return await receive(late, "hello")

    with Page("0", title="t", adjust=adjust, threshold=0.5) as page:
        assert run(look(page))["threshold"] == 0.4
    assert got[-1] == 0.4
    assert len(got) < 6


def test_a_threshold_that_the_device_refuses_stays_and_is_told():
    def adjust(*, threshold):
        raise CardError("no such option")

    async def look(page):
        async with aiohttp.ClientSession() as http, await connect(http, page) as connection:
            await connection.send_json({"threshold": 0.9})
            told = await receive(connection, "threshold")
            async with await connect(http, page) as late:
                return told["threshold"], (await receive(late, "log"))["lines"][-1]["text"]

    with Page("0", title="t", adjust=adjust, threshold=0.5) as page:
        assert run(look(page)) == (0.5, "the threshold stays as it was: no such option")


@pytest.mark.parametrize(
    "said",
    [
        "",
        "{",
        "[" * 900,
        "[]",
        '{"threshold": 0}',
        '{"threshold": NaN}',
        '{"threshold": true}',
        '{"threshold": "0.5"}',
        '{"threshold": 1e999}',
        '{"looking": 3}',
        "x" * 5000,
        b"\0",
    ],
)
def test_a_viewer_that_talks_nonsense_is_sent_away_and_the_page_goes_on(page, said):
    async def talk():
        async with aiohttp.ClientSession() as http, await connect(http, page) as connection:
            await (connection.send_bytes if isinstance(said, bytes) else connection.send_str)(said)
            while (message := await connection.receive(10)).type == aiohttp.WSMsgType.TEXT:
                pass
            assert message.type == aiohttp.WSMsgType.CLOSE
            return message.data

    assert run(talk()) in (1008, 1009)
    assert watched(page, "hello")["threshold"] == 0.5


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css", "/live", "/nothing", "/snapshot"])
def test_without_its_token_a_page_says_no_to_everything(path):
    with Page("0", title="t", token=TOKEN) as page:
        for wrong in ("", "?token=", "?token=a%20token", "?token=%F0%9F%98%80", "?token=%ff"):
            status, body, headers = run(request(page, path + wrong))
            assert status == 403, wrong
            assert b"token" in body
            assert "Set-Cookie" not in headers


def test_the_token_opens_the_page_once_and_then_a_strict_cookie_does():
    with Page("0", title="t", token=TOKEN) as page:
        path = page.url.removeprefix(f"http://127.0.0.1:{page.address.port}")
        status, _, headers = run(request(page, path))
        assert status == 200
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        (morsel,) = SimpleCookie(cookie).values()
        cookies = {"Cookie": f"{morsel.key}={morsel.value}"}
        assert run(request(page, "/page.js", headers=cookies))[0] == 200
        assert run(request(page, "/page.js", headers={"Cookie": f"{morsel.key}={morsel.value}0"}))[0] == 403
        assert watched(page, "hello")["title"] == "t"


def test_where_others_get_in_a_token_is_made():
    with Page("0.0.0.0:0", title="t") as page, Page("0.0.0.0:0", title="t") as other:
        token = urlsplit(page.url).query
        assert len(token) > len("token=") + 40
        assert token != urlsplit(other.url).query
        assert run(request(page))[0] == 403
        assert run(request(page, f"/?{token}"))[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:{port}"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "localhost:{port}"}, 200),
        ({"Host": "[::1]:{port}"}, 200),
    ],
)
def test_a_name_that_only_leads_here_is_refused(page, headers, status):
    filled = {name: value.format(port=page.address.port) for name, value in headers.items()}
    assert run(request(page, headers=filled))[0] == status


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://evil.example", 403),
        ("http://127.0.0.1:1", 403),
        ("http://localhost:{port}", 403),
        ("null", 403),
        ("", 403),
        ("http://127.0.0.1:{port}", 101),
    ],
)
def test_another_pages_web_socket_or_snapshot_is_refused(token, origin, status):
    async def look(page, headers):
        async with aiohttp.ClientSession() as http:
            try:
                async with await connect(http, page, headers=headers):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    with Page("0", title="t", token=token) as page:
        headers = {"Origin": origin.format(port=page.address.port)}
        assert run(look(page, headers)) == status
        path = f"/snapshot?{urlsplit(page.url).query}"
        assert run(request(page, path, method="POST", headers=headers))[0] == (403 if status == 403 else 409)


def test_every_answer_forbids_all_that_does_not_come_from_here(page):
    for path in ("/", "/page.js", "/page.css", "/nothing"):
        headers = run(request(page, path))[2]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "no address of a page"),
        ("eighty", "no address of a page"),
        ("70000", "no address of a page"),
        ("-1", "no address of a page"),
        (":8000", "no address of a page"),
        ("::1:8000", "brackets"),
        ("host:", "no address of a page"),
        ("no.such.host.invalid:0", "not known"),
        ("192.0.2.1:0", "no address of this machine"),
    ],
)
def test_an_address_that_cannot_be_is_refused_in_one_line(address, words):
    with pytest.raises(CameraError, match=words) as told:
        Page(address, title="t")
    assert "\n" not in str(told.value)


def test_a_port_that_is_taken_is_named_and_nothing_is_left_open(page):
    before = open_files()
    with pytest.raises(CameraError, match=f"port {page.address.port} of 127.0.0.1 is taken"):
        Page(str(page.address.port), title="t")
    with pytest.raises(CameraError, match="3 characters, 8 is the least"):
        Page("0", title="t", token="abc")
    assert open_files() == before


def test_a_page_at_an_ipv6_address_opens():
    if not socket.has_ipv6:
        pytest.skip("no IPv6 on this machine")
    try:
        page = Page("[::1]:0", title="t")
    except CameraError as error:
        pytest.skip(f"no IPv6 on this machine: {error}")
    with page:
        assert page.url == f"http://[::1]:{page.address.port}/"

        async def look():
            async with aiohttp.ClientSession() as http, http.get(page.url) as answer:
                return answer.status

        assert run(look()) == 200


def test_without_aiohttp_the_extra_is_named(monkeypatch):
    for name in ("edgecnn.live.server", "edgecnn.live.viewers"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(MissingExtra, match=r"edgecnn\[live\]"):
        Page("0", title="t")


def open_files():
    """How many files and sockets this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def page_threads():
    return [
        thread.name for thread in threading.enumerate() if thread.name.startswith(("edgecnn-page", "asyncio"))
    ]


def raw_viewer(page):
    """A viewer that says hello by hand and never reads, with the smallest buffers there are."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(("127.0.0.1", page.address.port))
    reader.sendall(
        b"GET /live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    return reader


def test_viewers_that_vanish_leave_nothing_and_the_others_go_on(page):
    before = open_files()
    random = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)

    async def look():
        for number in range(12):
            viewer = raw_viewer(page)
            page.show(seen_now(image=random, index=number), Numbers())
            await asyncio.sleep(0.03)
            if number % 2:  # a reset instead of a goodbye, in the middle of a picture
                viewer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            viewer.close()
        async with aiohttp.ClientSession() as http, await connect(http, page) as connection:
            page.show(seen_now(index=99), Numbers())
            # On a busy machine the picture before may still be on its way.
            names = [(await receive(connection, "picture"))[2]["name"]]
            if names[-1] != "drawn#99":
                names.append((await receive(connection, "picture"))[2]["name"])
            return names

    assert run(look())[-1] == "drawn#99"
    assert until(lambda: page.viewers == 0)
    assert until(lambda: open_files() == before)


def test_a_viewer_that_never_reads_costs_nothing_and_does_not_slow_the_others(page):
    never = [raw_viewer(page) for _ in range(3)]

    async def look():
        names = []
        async with aiohttp.ClientSession() as http, await connect(http, page) as connection:
            for index in range(40):
                page.show(seen_now(index=index), Numbers())
                names.append((await receive(connection, "picture"))[2]["name"])
                await connection.send_json({"got": True})
        return names

    assert until(lambda: page.viewers == 3)
    assert run(look()) == [f"drawn#{index}" for index in range(40)]
    for one in never:
        one.close()
    assert until(lambda: page.viewers == 0)


def test_a_viewer_that_acknowledges_nothing_gets_two_pictures_and_later_the_newest(page):
    async def look():
        async with aiohttp.ClientSession() as http, await connect(http, page) as connection:
            names = []
            for index in range(10):
                page.show(seen_now(index=index), Numbers())
                await asyncio.sleep(0.06)
            for _ in range(2):
                names.append((await receive(connection, "picture"))[2]["name"])
            await connection.send_json({"got": True})
            _, trip_ms, words, _ = await receive(connection, "picture")
            return [*names, words["name"]], trip_ms

    names, trip_ms = run(look())
    assert names == ["drawn#0", "drawn#1", "drawn#9"]
    assert trip_ms > 400


def test_who_looks_away_gets_no_pictures_and_none_are_made(page, monkeypatch):
    made = []
    encode = cv2.imencode
    monkeypatch.setattr(cv2, "imencode", lambda *given: (made.append(1), encode(*given))[1])

    async def look():
        page.show(seen_now(index=0), Numbers())
        await asyncio.sleep(0.2)
        assert made == []
        async with aiohttp.ClientSession() as http, AsyncExitStack() as opened:
            viewers = [await opened.enter_async_context(await connect(http, page)) for _ in range(5)]
            for viewer in viewers:
                await receive(viewer, "picture")
            assert len(made) == 1
            for viewer in viewers:
                await viewer.send_json({"looking": False})
            await asyncio.sleep(0.3)
            for index in range(1, 6):
                page.show(seen_now(index=index), Numbers())
                await asyncio.sleep(0.05)
            assert len(made) == 1
            await viewers[0].send_json({"looking": True})
            return (await receive(viewers[0], "picture"))[2]["name"]

    assert run(look()) == "drawn#5"
    assert len(made) == 2


def test_no_more_than_32_browsers_look(page):
    async def look():
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
            AsyncExitStack() as opened,
        ):
            viewers = [await opened.enter_async_context(await connect(http, page)) for _ in range(32)]
            assert not any(viewer.closed for viewer in viewers)
            with pytest.raises(aiohttp.WSServerHandshakeError) as told:
                await connect(http, page)
            return told.value.status

    assert run(look()) == 503


def test_closing_says_goodbye_and_leaves_no_thread_socket_or_file():
    before, threads = open_files(), page_threads()
    for _ in range(3):
        page = Page("0", title="t")

        async def look(page):
            async with aiohttp.ClientSession() as http, await connect(http, page) as connection:
                page.show(seen_now(), Numbers())
                await receive(connection, "picture")
                await asyncio.to_thread(page.close)
                while (message := await connection.receive(10)).type != aiohttp.WSMsgType.CLOSE:
                    pass
                return message.data

        assert run(look(page)) == 1001
        page.close()
        page.show(seen_now(), Numbers())  # a camera that has not heard of it yet
        page.notice(Notice("ended", "the end"))
    assert page_threads() == threads
    assert until(lambda: open_files() == before)


def test_closing_does_not_wait_for_a_viewer_that_never_reads():
    page = Page("0", title="t")
    never = raw_viewer(page)
    noise = np.random.default_rng(0).integers(0, 256, (960, 1280, 3), np.uint8)
    until(lambda: page.viewers == 1)
    for _ in range(3):
        page.show(seen_now(image=noise), Numbers())
        time.sleep(0.1)
    start = time.monotonic()
    page.close()
    assert time.monotonic() - start < 4
    assert page_threads() == []
    never.close()


def test_showing_from_many_threads_at_once_while_the_page_closes_harms_nobody():
    page = Page("0", title="t")
    going = threading.Event()

    def show():
        while not going.is_set():
            page.show(seen_now(), Numbers())

    threads = [threading.Thread(target=show) for _ in range(3)]
    for thread in threads:
        thread.start()
    watched(page, "picture")
    page.close()
    time.sleep(0.1)
    going.set()
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads)
