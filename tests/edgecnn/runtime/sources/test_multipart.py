"""A network camera's images, from a real socket: whole, damaged, hostile, late, and gone."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from edgecnn.errors import CameraError
from edgecnn.runtime.sources import DamagedFrame, open_source
from edgecnn.runtime.sources.network import open_stream

HEADER = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=%s\r\n\r\n"


def values(source):
    """The images' grey values until the stream ends, "damaged" for a frame that was, and how it ended."""
    found = []
    while True:
        try:
            found.append(round(float(next(source).image.mean())))
        except DamagedFrame:
            found.append("damaged")
        except CameraError as error:
            return found, str(error)


def test_a_stream_without_an_image_says_that_it_ended(stream):
    with open_source(stream()) as source:
        assert values(source) == (
            [],
            f"{source.name}: the stream has ended: the camera closed it, or the network did.",
        )


def test_images_come_in_order_each_with_its_arrival_time_and_name(stream, jpeg, part):
    begin_s = time.monotonic()
    with open_source(stream(*(part(jpeg(value)) for value in (10, 20, 30)))) as source:
        assert (source.live, source.clock, source.fps) == (True, "arrival", None)
        found = [next(source) for _ in range(3)]
    assert [frame.index for frame in found] == [0, 1, 2]
    assert [frame.name.rpartition("#")[2] for frame in found] == ["0", "1", "2"]
    assert all(frame.image.shape == (48, 64, 3) and frame.image.dtype == np.uint8 for frame in found)
    assert [round(float(frame.image.mean())) for frame in found] == [10, 20, 30]
    times = [frame.time_s for frame in found]
    assert begin_s <= times[0] <= times[1] <= times[2] <= time.monotonic()


def test_pythons_own_web_server_is_understood(jpeg, part):
    class Camera(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Authorization"], self.headers["Host"]))
            self.send_response(200)
            self.send_header("Content-Type", 'multipart/x-mixed-replace; boundary="frame"')
            self.end_headers()
            for value in (40, 50):
                self.wfile.write(part(jpeg(value)))

        def log_message(self, *words):
            pass

    asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Camera) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        port = web.server_port
        with open_source(f"http://me:se%20cret@127.0.0.1:{port}/video?channel=2") as source:
            assert values(source)[0] == [40, 50]
            assert "secret" not in source.name
            assert source.name == f"http://127.0.0.1:{port}/video?channel=2"
        web.shutdown()
        thread.join(5)
    assert asked == [("/video?channel=2", "Basic bWU6c2UgY3JldA==", f"127.0.0.1:{port}")]


@pytest.mark.parametrize(
    ("named", "written"),
    [
        (b"frame", b"--frame"),
        (b'"frame"', b"--frame"),
        (b"--frame", b"--frame"),  # many cameras put the dashes into the name
        (b"", b"--whatever"),
    ],
)
@pytest.mark.parametrize("with_length", [True, False])
def test_boundaries_are_understood_as_cameras_write_them(stream, jpeg, named, written, with_length):
    def one(value):
        data = jpeg(value)
        length = b"Content-Length: %d\r\n" % len(data) if with_length else b""
        return b"%s\r\nContent-Type: image/jpeg\r\n%s\r\n%s\r\n" % (written, length, data)

    address = stream(b"".join(one(value) for value in (10, 20, 30)), written + b"\r\n", header=HEADER % named)
    with open_source(address) as source:
        assert values(source)[0] == [10, 20, 30]


def test_a_chunked_answer_is_put_together(stream, jpeg, part):
    body = b"".join(part(jpeg(value)) for value in (10, 20, 30))
    pieces = [body[start : start + 333] for start in range(0, len(body), 333)]
    chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]
    header = (
        (HEADER % b"frame")
        .replace(b"1.0", b"1.1")
        .replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    )
    with open_source(stream(*chunks, b"0\r\n\r\n", header=header)) as source:
        assert values(source)[0] == [10, 20, 30]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"<html>camera busy</html>",
        lambda data: bytes(range(256)) * 40,
        lambda data: data[:200] + b"\xff\xd9",
        lambda data: b"\xff\xd8\xff" + b"\0" * 500,
    ],
    ids=["empty", "half", "text", "random", "header only", "zeros"],
)
def test_a_damaged_image_costs_that_image_only(stream, jpeg, part, damage):
    pieces = [part(jpeg(10)), part(damage(jpeg(20))), part(jpeg(30)), part(damage(jpeg(40))), part(jpeg(50))]
    with open_source(stream(*pieces)) as source:
        assert values(source)[0] == [10, "damaged", 30, "damaged", 50]


@pytest.mark.parametrize("wrong", [-7, 9])
def test_a_wrong_length_costs_no_more_than_its_neighbours(stream, jpeg, part, wrong):
    data = jpeg(20)
    pieces = [part(jpeg(10)), part(data, len(data) + wrong), part(jpeg(30)), part(jpeg(40)), part(jpeg(50))]
    with open_source(stream(*pieces)) as source:
        found, _ = values(source)
    assert found[0] == 10
    assert found[-2:] == [40, 50]


def test_an_image_that_claims_to_be_huge_is_not_decoded(stream, jpeg, part):
    data = bytearray(jpeg(20))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = b"\xff\xdc\xff\xdc"
    with open_source(stream(part(bytes(data)), part(jpeg(30)))) as source:
        with pytest.raises(DamagedFrame, match="65500 x 65500 pixels"):
            next(source)
        assert values(source)[0] == [30]


@pytest.mark.parametrize("length", [b"-1", b"99999999999999999999", b"16777217", b"1e3", b"", b"\xff"])
def test_an_impossible_length_is_refused(stream, length):
    piece = b"--frame\r\nContent-Length: %s\r\n\r\n" % length
    source = open_source(stream(piece, b"x" * 100, hold=True))
    with source, pytest.raises(CameraError, match=r"announces .* bytes for an image; more than 16 MB"):
        next(source)


def test_a_connection_that_drops_inside_an_image_is_an_error_and_stays_one(stream, jpeg, part):
    data = jpeg(20)
    with open_source(stream(part(jpeg(10)), part(data)[: len(data) // 2])) as source:
        assert values(source) == (
            [10],
            f"{source.name}: the stream has ended: the camera closed it, or the network did.",
        )
        with pytest.raises(CameraError):
            next(source)


def test_the_last_boundary_ends_the_stream(stream, jpeg, part):
    with open_source(stream(part(jpeg(10)), b"--frame--\r\n", part(jpeg(20)), hold=True)) as source:
        assert values(source)[0] == [10]


def test_a_stream_that_falls_silent_is_an_error_in_time(stream, jpeg, part):
    with open_stream(stream(part(jpeg(10)), hold=True), timeout_s=0.3) as source:
        next(source)
        begin_s = time.monotonic()
        with pytest.raises(CameraError, match=r"no image for 0\.3 s"):
            next(source)
        assert 0.25 < time.monotonic() - begin_s < 2


def test_dripping_bytes_do_not_keep_an_image_alive(server, jpeg, part):
    def answer(connection, request, leaving):
        connection.sendall(HEADER % b"frame" + part(b"x" * 100000)[:-99990])
        while not leaving.wait(0.02):
            connection.sendall(b"x")

    with open_stream(f"http://127.0.0.1:{server(answer)}/", timeout_s=0.4) as source:
        begin_s = time.monotonic()
        with pytest.raises(CameraError, match=r"no image for 0\.4 s"):
            next(source)
        assert time.monotonic() - begin_s < 2


@pytest.mark.parametrize(
    ("flood", "message"),
    [
        (b"no line that stands between images\n", "without the line that stands between two images"),
        (b"\0" * 4096, "without the line that stands between two images"),
        (b"--frame\r\n" + b"X-More: 1\r\n" * 2000, "an image's header does not end"),
        (b"--frame\r\n" + b"X" * 9000, "an image's header does not end"),
    ],
)
def test_a_flood_of_what_is_no_image_is_bounded(server, flood, message):
    def answer(connection, request, leaving):
        connection.sendall(HEADER % b"frame")
        piece = flood * (1 + 65536 // len(flood))
        while not leaving.is_set():
            connection.sendall(piece)

    source = open_source(f"http://127.0.0.1:{server(answer)}/")
    with source, pytest.raises(CameraError, match=message):
        next(source)


def test_closing_wakes_the_thread_that_waits(stream, jpeg, part):
    source = open_source(stream(part(jpeg(10)), hold=True))
    next(source)
    ended = []
    thread = threading.Thread(target=lambda: ended.append(next(source, "end")))
    thread.start()
    time.sleep(0.1)
    begin_s = time.monotonic()
    source.close()
    thread.join(3)
    assert ended == ["end"]
    assert time.monotonic() - begin_s < 1
    source.close()
    assert next(source, "end") == "end"


def test_a_frame_is_stamped_when_it_begins_to_arrive_not_when_it_is_whole(server, jpeg, part):
    data = part(jpeg(10))

    def answer(connection, request, leaving):
        connection.sendall(HEADER % b"frame" + data[: len(data) // 2])
        leaving.wait(0.3)
        connection.sendall(data[len(data) // 2 :])
        leaving.wait(5)

    with open_source(f"http://127.0.0.1:{server(answer)}/") as source:
        frame = next(source)
        assert 0.2 < time.monotonic() - frame.time_s < 2
