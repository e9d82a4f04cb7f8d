"""Against a real broker: mosquitto, on a free port of this machine."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import DataError, MissingExtra
from edgecnn.live.mqtt import Broker, Delivery
from edgecnn.live.mqtt_address import PASSWORD
from edgecnn.results import Boxes
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.model import Timings
from edgecnn.runtime.seen import Seen
from edgecnn.runtime.tracking.zones import Event
from edgecnn.runtime.watch.notice import Notice

PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def until(true: Callable[[], object], seconds: float = 8.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s")
        time.sleep(0.01)


def event(number: int = 1) -> Event:
    return Event(time.monotonic(), "enter", "door", number, "ball")


def seen() -> Seen:
    boxes = Boxes(np.array([[1, 2, 3, 4]]), np.array([0.5]), np.array([0]), ("ball",))
    frame = Frame(np.zeros((4, 4, 3), np.uint8), 0, time.monotonic(), "camera")
    return Seen(frame, "detection", boxes, Timings(1, 2, 3), time.monotonic())


class Mosquitto:
    """A broker that can die and come back at the same port."""

    def __init__(self, folder: Path, *settings: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.config = folder / "mosquitto.conf"
        user = "user root\n" if os.getuid() == 0 else ""
        lines = "\n".join(settings or ("allow_anonymous true",))
        self.config.write_text(f"{user}listener {self.port} 127.0.0.1\n{lines}\n")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert PROGRAM is not None
        self.process = subprocess.Popen(
            [PROGRAM, "-c", str(self.config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._answers)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Listener:
    """Everything that is published, in its order."""

    def __init__(self, port: int, **login: str) -> None:
        client = pytest.importorskip("paho.mqtt.client")
        enums = pytest.importorskip("paho.mqtt.enums")
        self.heard: list[tuple[str, str, bool]] = []
        self.client = client.Client(enums.CallbackAPIVersion.VERSION2)
        if login:
            self.client.username_pw_set(login["user"], login["password"])
        ready: list[int] = []
        self.client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self.client.on_subscribe = lambda *_: ready.append(1)
        self.client.on_message = lambda _, __, message: self.heard.append(
            (message.topic, message.payload.decode(), message.retain)
        )
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        until(lambda: ready)

    def payloads(self, topic: str) -> list[str]:
        return [payload for heard, payload, _ in list(self.heard) if heard == topic]

    def tracks(self) -> list[int]:
        return [json.loads(payload)["track"] for payload in self.payloads("cam/events")]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    if PROGRAM is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    pytest.importorskip("paho.mqtt.client")
    broker = Mosquitto(tmp_path)
    yield broker
    broker.stop()


@pytest.fixture
def running(mosquitto: Mosquitto) -> Mosquitto:
    mosquitto.start()
    return mosquitto


@pytest.mark.parametrize("options", [{"qos": 3}, {"waiting": 0}, {"retry_s": (2, 1)}, {"retry_s": (0, 1)}])
def test_an_impossible_option_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(DataError, match="broker: qos"):
        Broker("mqtt://127.0.0.1", **options)  # type: ignore[arg-type]


def test_without_paho_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    monkeypatch.setitem(sys.modules, "paho", None)
    with pytest.raises(MissingExtra, match=r"edgecnn\[mqtt\]"):
        Broker("mqtt://127.0.0.1")


def test_events_and_results_arrive_and_say_when(running: Mosquitto) -> None:
    listener = Listener(running.port)
    with Broker(f"mqtt://127.0.0.1:{running.port}/cam") as broker:
        until(lambda: broker.connected)
        for number in range(100):
            assert broker.publish(event(number))
        assert broker.publish(seen())
        until(lambda: len(listener.tracks()) == 100 and listener.payloads("cam/results"))
        until(lambda: broker.delivery() == Delivery(100, 0, 0))
    until(lambda: listener.payloads("cam/status")[-1:] == ["offline"])
    listener.close()
    assert listener.tracks() == list(range(100))
    words = json.loads(listener.payloads("cam/events")[0])
    assert words["event"] == "enter"
    assert words["name"] == "door"
    assert words["at"].startswith(time.strftime("%Y-%m-", time.gmtime()))
    assert words["at"].endswith("+00:00")
    assert json.loads(listener.payloads("cam/results")[0])["results"][0]["label"] == "ball"


def test_closing_first_delivers_what_was_just_published(running: Mosquitto) -> None:
    listener = Listener(running.port)
    broker = Broker(f"mqtt://127.0.0.1:{running.port}/cam")
    until(lambda: broker.connected)
    for number in range(200):
        broker.publish(event(number))
    broker.close()
    broker.close()
    until(lambda: len(listener.tracks()) == 200)
    listener.close()
    with pytest.raises(DataError, match="closed"):
        broker.publish(event())


def test_a_broker_that_dies_and_comes_back_gets_what_waited(running: Mosquitto) -> None:
    notices: list[Notice] = []
    with Broker(f"mqtt://127.0.0.1:{running.port}/cam", waiting=5, on_notice=notices.append) as broker:
        until(lambda: broker.connected)
        running.stop()
        until(lambda: notices)
        begun = time.perf_counter()
        sent = [broker.publish(event(number)) for number in range(8)]
        assert not broker.publish(seen())  # a late result is of no use
        assert time.perf_counter() - begun < 0.1
        assert sent == [True] * 5 + [False] * 3
        assert broker.delivery() == Delivery(0, 5, 4)
        running.start()
        until(lambda: broker.delivery() == Delivery(5, 0, 4))
        assert [notice.kind for notice in notices] == ["unsaved", "back"]
        listener = Listener(running.port)
        assert broker.publish(event(9))
        until(lambda: listener.tracks() == [9])
        until(lambda: listener.payloads("cam/status") == ["online"])
        listener.close()


def test_a_broker_that_is_not_there_yet_is_told_and_waited_for(mosquitto: Mosquitto) -> None:
    notices: list[Notice] = []
    with Broker(f"mqtt://127.0.0.1:{mosquitto.port}/cam", on_notice=notices.append) as broker:
        until(lambda: notices)
        assert "cannot be reached" in notices[0].text
        assert broker.publish(event())
        mosquitto.start()
        until(lambda: broker.delivery().delivered == 1)
    assert [notice.kind for notice in notices] == ["unsaved", "back"]


def test_closing_while_the_broker_is_away_takes_about_a_second_at_most(mosquitto: Mosquitto) -> None:
    broker = Broker(f"mqtt://127.0.0.1:{mosquitto.port}/cam")
    broker.publish(event())
    begun = time.perf_counter()
    broker.close()
    assert time.perf_counter() - begun < 1.5


@pytest.mark.parametrize("password", ["right", "wrong"])
def test_only_the_right_password_is_let_in(
    password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mosquitto: Mosquitto
) -> None:
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("mosquitto_passwd is not installed (apt-get install mosquitto)")
    (tmp_path / "login").mkdir()
    file = tmp_path / "login" / "passwords"
    subprocess.run([tool, "-b", "-c", str(file), "me", "right"], check=True, capture_output=True)
    guarded = Mosquitto(tmp_path / "login", "allow_anonymous false", f"password_file {file}")
    guarded.start()
    monkeypatch.setenv(PASSWORD, password)
    notices: list[Notice] = []
    try:
        url = f"mqtt://me@127.0.0.1:{guarded.port}/cam"
        with Broker(url, on_notice=notices.append) as broker:
            broker.publish(event())
            if password == "right":
                until(lambda: broker.delivery().delivered == 1)
                assert not notices
            else:
                until(lambda: notices)
                assert "does not let us in" in notices[0].text
                assert "wrong" not in notices[0].text
                assert broker.delivery() == Delivery(0, 1, 0)
    finally:
        guarded.stop()


def test_a_killed_process_is_said_to_be_offline(running: Mosquitto) -> None:
    listener = Listener(running.port)
    program = (
        "import sys, time\nfrom edgecnn.live.mqtt import Broker\nbroker = Broker(sys.argv[1])\ntime.sleep(60)"
    )
    url = f"mqtt://127.0.0.1:{running.port}/cam"
    process = subprocess.Popen([sys.executable, "-c", program, url])
    try:
        until(lambda: listener.payloads("cam/status") == ["online"], 20)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    until(lambda: listener.payloads("cam/status") == ["online", "offline"])
    listener.close()
    late = Listener(running.port)
    until(lambda: ("cam/status", "offline", True) in late.heard)
    late.close()


# paho 2.2 leaves the socket of a handshake that failed to the garbage collector
@pytest.mark.filterwarnings("ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_over_tls_only_a_known_server_is_trusted(tmp_path: Path, mosquitto: Mosquitto) -> None:
    tool = shutil.which("openssl")
    if tool is None:
        pytest.skip("openssl is not installed")
    (tmp_path / "tls").mkdir()
    key, certificate = tmp_path / "tls" / "key.pem", tmp_path / "tls" / "certificate.pem"
    subprocess.run(
        (
            f"{tool} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
            f"-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
        ).split(),
        check=True,
        capture_output=True,
    )
    secure = Mosquitto(tmp_path / "tls", "allow_anonymous true", f"certfile {certificate}", f"keyfile {key}")
    secure.start()
    url = f"mqtts://127.0.0.1:{secure.port}/cam"
    notices: list[Notice] = []
    try:
        with Broker(url, ca_file=certificate) as broker:
            broker.publish(event())
            until(lambda: broker.delivery().delivered == 1)
        with Broker(url, on_notice=notices.append) as stranger:
            until(lambda: notices)
            assert not stranger.connected
        with pytest.raises(DataError, match="no CA file"):
            Broker(url, ca_file=tmp_path / "none.pem")
    finally:
        secure.stop()
