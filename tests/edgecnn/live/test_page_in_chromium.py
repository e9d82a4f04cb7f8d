"""The page in a real browser: what a person sees and can do, and what a hostile label cannot."""

import threading
import time
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from staged import Numbers, seen_now, until

from edgecnn.live.page import Page
from edgecnn.results import Boxes, Classes
from edgecnn.runtime.tracking.tracks import Tracks
from edgecnn.runtime.tracking.zones import Zone
from edgecnn.runtime.watch.notice import Notice

pytest.importorskip("aiohttp", reason="needs the live extra")

STATE = "document.documentElement.dataset.state"
EVIL = "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"


class Feed:
    """A camera's thread: the same thing seen again and again, 20 times a second, while it is on."""

    def __init__(self, page, **given):
        self.on, self._page, self._given, self._end = True, page, given, threading.Event()
        self.numbers = Numbers()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        index = 0
        while not self._end.wait(0.05):
            if self.on:
                self._page.show(seen_now(index=index, **self._given), self.numbers)
                index += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join(5)


def pixels(tab, *places):
    """RGB at some places of the picture, read back at once: reading often makes the browser complain."""
    read = (
        "{const pen = document.getElementById('picture').getContext('2d');"
        "const {width, height} = pen.canvas;"
        "const {data} = pen.getImageData(0, 0, width, height);"
        "PLACES.map(([x, y]) => [0, 1, 2].map(i => data[4 * (y * width + x) + i]))}"
    )
    return tab.does(read.replace("PLACES", str([list(place) for place in places])))


def text(tab, name):
    return tab.does(f"document.getElementById('{name}').textContent")


def test_the_page_shows_the_frame_its_boxes_and_an_age_that_moves(tab):
    with Page("0", title="balls.tflite · drawn:1", threshold=0.3) as page, Feed(page):
        tab.open(page.url)
        tab.until(f"{STATE} === 'live' && document.querySelectorAll('#stages tr').length > 0")
        assert text(tab, "title") == "balls.tflite · drawn:1"
        left, right = pixels(tab, (60, 220), (250, 220))
        assert np.abs(np.subtract(left, (220, 40, 40))).max() < 20
        assert np.abs(np.subtract(right, (30, 60, 220))).max() < 20
        assert tab.does("document.getElementById('frame').dataset.boxes") == "2"
        tab.until("document.querySelectorAll('#seen .label').length === 2")
        assert tab.does(
            "[...document.querySelectorAll('#seen li')].map(li => li.innerText.split('\\n')[0])"
        ) == [
            "ball",
            "cone",
        ]
        drawn = (
            "{const overlay = document.getElementById('overlay');"
            "const {width, height} = overlay;"
            "overlay.getContext('2d').getImageData(0, 0, width, height).data.some(value => value)}"
        )
        assert tab.does(drawn) is True
        assert float(text(tab, "age")) >= 20
        told = text(tab, "now")
        assert until(lambda: text(tab, "now") != told)
        assert text(tab, "p50").endswith("ms")
        assert "29.1" in text(tab, "tiles")
        assert "age at the result" in text(tab, "stages")
        assert tab.complaints == []
        where = urlsplit(page.url).netloc
        assert {urlsplit(one).netloc for one in tab.requests} == {where}
        assert len(tab.requests) == 4


def test_the_slider_hides_boxes_at_once_and_reaches_the_device(tab):
    got = []

    def adjust(*, threshold):
        got.append(threshold)

    with Page("0", title="t", threshold=0.3, adjust=adjust) as page, Feed(page):
        tab.open(page.url)
        tab.until("document.getElementById('frame').dataset.boxes === '2'")
        move = (
            "{const slider = document.getElementById('threshold'); slider.value = '0.6';"
            "slider.dispatchEvent(new Event('input')); document.getElementById('frame').dataset.boxes}"
        )
        assert tab.does(move) == "1"
        assert text(tab, "hidden-count") == "1 below"
        assert until(lambda: got == [0.6])
        tab.command("Runtime.evaluate", expression="document.getElementById('threshold').focus()")
        for _ in range(3):
            for kind in ("keyDown", "keyUp"):
                tab.command("Input.dispatchKeyEvent", type=kind, key="ArrowLeft", code="ArrowLeft", windowsVirtualKeyCode=37)  # fmt: skip  # noqa: E501
        assert until(lambda: got[-1] == 0.57)
        assert text(tab, "threshold-value") == "0.57"
        assert tab.complaints == []


def test_tracks_that_the_device_keeps_are_hidden_only_by_a_higher_threshold_than_its_own(tab):
    boxes = Boxes([[10, 10, 90, 90]], [0.2], [0], ("ball",))
    tracks = Tracks(boxes, [42], np.zeros((1, 2)), 1.0)
    with Page("0", title="t", threshold=0.5) as page:
        page.show(seen_now(boxes, tracks=tracks), Numbers())
        tab.open(page.url)
        tab.until("document.getElementById('frame').dataset.boxes === '1'")
        tab.until("document.getElementById('seen').textContent.includes('#42')")


@pytest.mark.parametrize("result", ["boxes", "classes"])
def test_a_hostile_label_is_text_wherever_it_stands(tab, result):
    given = {"labels": (EVIL, EVIL)} if result == "boxes" else {"result": Classes([0.9, 0.1], (EVIL, "b"))}
    with (
        Page("0", title=EVIL, threshold=0.3, zones=[Zone(EVIL, ((0, 0), (1, 0), (1, 1)))]) as page,
        Feed(page, **given),
    ):
        page.notice(Notice("vanished", EVIL))
        tab.open(page.url)
        tab.until("document.querySelectorAll('#seen .label').length > 0")
        tab.until("document.querySelectorAll('#log li').length > 0")
        time.sleep(0.5)
        assert tab.does("document.querySelector('#seen .label').textContent") == EVIL
        assert text(tab, "title") == EVIL
        assert EVIL in text(tab, "log")
        assert tab.does("document.title") == f"{EVIL} · edgecnn live"
        assert tab.does("document.images.length + document.querySelectorAll('script').length") == 1
        assert tab.complaints == []


def test_a_snapshot_is_downloaded_and_kept(tab, tmp_path):
    got, kept = tmp_path / "got", tmp_path / "kept"
    got.mkdir()
    with Page("0", title="t", token="0123456789/&?", snapshots=kept) as page, Feed(page):
        tab.save_downloads(got)
        tab.open(page.url)
        tab.until(f"{STATE} === 'live'")
        tab.does("document.getElementById('snapshot').click()")
        assert until(lambda: list(got.glob("snapshot-*.jpg")))
        assert [one.name for one in kept.iterdir()] == [one.name for one in got.iterdir()]
        (file,) = got.iterdir()
        assert until(lambda: file.read_bytes() == (kept / file.name).read_bytes())
        assert cv2.imread(str(file)).shape == (240, 320, 3)
        tab.until("document.getElementById('log').textContent.includes('snapshot')")
        assert tab.complaints == []


def test_when_results_stop_the_page_says_stale_and_recovers(tab):
    with Page("0", title="t") as page, Feed(page) as feed:
        feed.numbers = Numbers(max_age_ms=800)
        tab.open(page.url)
        tab.until(f"{STATE} === 'live'")
        feed.on = False
        tab.until(f"{STATE} === 'stale'")
        assert text(tab, "veil-word") == "STALE"
        assert tab.does("getComputedStyle(document.getElementById('veil')).display") != "none"
        assert "grayscale" in tab.does("getComputedStyle(document.getElementById('picture')).filter")
        feed.on = True
        tab.until(f"{STATE} === 'live'")
        assert tab.does("getComputedStyle(document.getElementById('veil')).display") == "none"
        assert tab.complaints == []


def test_when_the_camera_ends_the_page_says_so_and_comes_back_with_it(tab):
    with Page("0", title="first") as page, Feed(page):
        tab.open(page.url)
        tab.until(f"{STATE} === 'live'")
    tab.until(f"{STATE} === 'ended'")
    time.sleep(0.7)  # some refused tries later
    assert tab.does(STATE) == "ended"
    with Page(str(page.address.port), title="second") as again, Feed(again):
        tab.until(f"{STATE} === 'live' && document.getElementById('title').textContent === 'second'")


def test_a_token_opens_the_page_leaves_the_address_and_is_needed(tab, chromium):
    with Page("0", title="secret", token="my own token") as page, Feed(page):
        tab.open(page.url)
        tab.until(f"{STATE} === 'live'")
        tab.until("location.search === ''")
        assert tab.does("document.cookie") == ""
        tab.open(page.url.partition("?")[0])  # the cookie is enough from now on
        tab.until(f"{STATE} === 'live'")
        stranger = chromium.tab()
        stranger.open(page.url.partition("?")[0])
        stranger.until("document.body?.innerText.includes('needs its token')")
        stranger.close()


def test_another_site_cannot_look_through_this_browser(tab):
    """Both ports are this machine's: same site, another origin, so that the cookie is sent."""
    with Page("0", title="mine", token="my own token") as page, Page("0", title="other") as other, Feed(page):
        tab.open(page.url)
        tab.until(f"{STATE} === 'live'")
        tab.open(other.url)
        tab.until("document.readyState === 'complete'")
        address = f"ws://127.0.0.1:{page.address.port}/live"
        tab.command("Page.setBypassCSP", enabled=True)
        tab.open(other.url)
        tab.until("document.readyState === 'complete'")
        tried = (
            "new Promise(done => {"
            f"const socket = new WebSocket('{address}');"
            "socket.onopen = () => done('open'); socket.onerror = () => done('refused')})"
        )
        assert tab.does(tried) == "refused"


def test_a_hidden_window_gets_no_pictures(tab, chromium):
    with Page("0", title="t") as page, Feed(page):
        tab.open(page.url)
        tab.until(f"{STATE} === 'live'")
        hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true})"
        event = "document.dispatchEvent(new Event('visibilitychange'))"
        tab.does(f"{hide % 'true'}; {event}")
        assert until(lambda: page.viewers == 0)
        tab.does(f"{hide % 'false'}; {event}")
        assert until(lambda: page.viewers == 1)
        tab.until(f"{STATE} === 'live'")


@pytest.mark.parametrize("size", [(1440, 900), (1024, 700), (390, 844), (320, 640)])
def test_nothing_sticks_out_at_any_width_and_everything_has_a_name(tab, size):
    with (
        Page("0", title="a_rather_long_name_of_a_model_v3.int8.tflite · rtsp://camera.local/x") as page,
        Feed(page),
    ):
        tab.size(*size, phone=size[0] < 500)
        tab.open(page.url)
        tab.until(f"{STATE} === 'live' && document.querySelectorAll('#stages tr').length > 0")
        assert tab.does("document.documentElement.scrollWidth") <= size[0]
        tab.command("Accessibility.enable")
        nodes = tab.command("Accessibility.getFullAXTree")["nodes"]
        named = {
            (node["role"]["value"], node["name"]["value"])
            for node in nodes
            if not node["ignored"] and node.get("name", {}).get("value")
        }
        assert {("slider", "Threshold"), ("button", "Snapshot"), ("image", "What the camera sees")} <= named
        assert any(role == "image" and name.startswith("Age over the last minute") for role, name in named)
        unnamed = [
            node["role"]["value"]
            for node in nodes
            if not node["ignored"]
            and node["role"]["value"] in ("button", "slider", "image", "link")
            and not node.get("name", {}).get("value")
        ]
        assert unnamed == []
