"""RTSP and video over HTTP through FFmpeg, from real servers; an RTSP camera of JPEGs is played here."""

import re
import socket
import struct
import time

import cv2
import numpy as np
import pytest

from edgecnn.errors import CameraError
from edgecnn.runtime.sources import network, open_source
from edgecnn.runtime.sources.network import VideoStream, is_stream, open_stream


def packets(data, number):
    """A JPEG as RTP packets (RFC 2435): without its header, which the receiver makes anew."""
    tables, at = b"", 2
    while data[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, at + 2)
        if data[at + 1] == 0xDB:
            segment = data[at + 4 : at + 2 + length]
            tables += b"".join(segment[start + 1 : start + 65] for start in range(0, len(segment), 65))
        if data[at + 1] == 0xC0:
            height, width = struct.unpack_from(">HH", data, at + 5)
            subsampled = data[at + 11] == 0x22  # 4:2:0
        at += 2 + length
    (length,) = struct.unpack_from(">H", data, at + 2)
    scan = data[at + 2 + length : -2]
    for start in range(0, len(scan), 1000):
        piece = scan[start : start + 1000]
        head = struct.pack(
            ">B3sBBBB", 0, start.to_bytes(3, "big"), int(subsampled), 255, width // 8, height // 8
        )
        if not start:
            head += struct.pack(">BBH", 0, 0, len(tables)) + tables
        last = start + 1000 >= len(scan)
        sequence = (number * 50 + start // 1000) % 65536
        yield (
            struct.pack(">BBHII", 0x80, 26 | (0x80 if last else 0), sequence, number * 3000, 7) + head + piece
        )


def rtsp_camera(images, fps=60, hold=False):
    """Answer as an RTSP server (RFC 2326) that sends JPEGs over the same connection."""

    def answer(connection, request, leaving):
        while request:
            method = request.partition(b" ")[0]
            number = re.search(rb"CSeq: *(\d+)", request)[1]
            lines, body = [b"RTSP/1.0 200 OK", b"CSeq: " + number], b""
            if method == b"OPTIONS":
                lines.append(b"Public: DESCRIBE, SETUP, PLAY, TEARDOWN")
            elif method == b"DESCRIBE":
                body = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n"
                body += b"m=video 0 RTP/AVP 26\r\na=control:t\r\n"
                lines += [b"Content-Type: application/sdp", b"Content-Length: %d" % len(body)]
            elif method == b"SETUP" and b"TCP" not in request:
                lines[0] = b"RTSP/1.0 461 Unsupported Transport"
            elif method == b"SETUP":
                lines += [b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1", b"Session: 1"]
            else:
                lines.append(b"Session: 1")
            connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
            if method == b"PLAY":
                for place, image in enumerate(images):
                    for packet in packets(image, place):
                        connection.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)
                    leaving.wait(1 / fps)
                if hold:
                    leaving.wait(10)
                return
            request = connection.recv(65536)

    return answer


def test_an_address_is_told_from_a_path():
    assert not is_stream("")
    assert not is_stream("clip.mp4")
    assert not is_stream("file:///a.mp4")
    assert is_stream("rtsp://h/s")
    assert is_stream("HTTPS://h/s")


def test_an_rtsp_camera_is_read_until_it_hangs_up(server, jpeg):
    port = server(rtsp_camera([jpeg(20 + 5 * number) for number in range(40)]))
    with open_source(f"rtsp://me:word@127.0.0.1:{port}/s") as source:
        assert (source.name, source.live, source.clock) == (f"rtsp://127.0.0.1:{port}/s", True, "arrival")
        found = []
        with pytest.raises(CameraError, match="the stream has ended"):
            found.extend((frame, time.monotonic()) for frame in source)
    assert len(found) >= 30
    assert [frame.index for frame, _ in found] == list(range(len(found)))
    assert found[0][0].name == f"rtsp://127.0.0.1:{port}/s#0"
    values = [float(frame.image.mean()) for frame, _ in found]
    assert values == sorted(values)
    assert all(0 <= come_s - frame.time_s < 0.1 for frame, come_s in found)


def test_an_rtsp_camera_that_falls_silent_is_an_error_in_time(server, jpeg):
    port = server(rtsp_camera([jpeg(20 + 5 * number) for number in range(30)], hold=True))
    with open_stream(f"rtsp://127.0.0.1:{port}/s", timeout_s=1.0) as source:
        next(source)
        begin_s = time.monotonic()
        with pytest.raises(CameraError, match="the stream has ended"):
            list(source)
        assert time.monotonic() - begin_s < 5


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp"])
def test_a_server_that_never_answers_is_left_in_time(server, scheme):
    port = server(lambda connection, request, leaving: leaving.wait(10))
    begin_s = time.monotonic()
    with pytest.raises(CameraError, match=r"answers, but gives no video within 0\.5 s"):
        open_stream(f"{scheme}://127.0.0.1:{port}/s", timeout_s=0.5)
    assert time.monotonic() - begin_s < 4


def test_where_nothing_listens_ffmpeg_is_not_asked(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", pytest.fail)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(CameraError, match=r"nothing listens there \(connection refused\)"):
        open_source(f"rtsp://127.0.0.1:{port}/s")


def test_a_video_over_http_is_read(server, clip):
    film = clip("clip.mkv", 40, code="mp4v").read_bytes()
    header = b"HTTP/1.0 200 OK\r\nContent-Type: video/x-matroska\r\nContent-Length: %d\r\n\r\n" % len(film)
    port = server(lambda connection, request, leaving: connection.sendall(header + film))
    with open_source(f"http://127.0.0.1:{port}/clip") as source:
        assert isinstance(source, VideoStream)
        found = []
        with pytest.raises(CameraError, match="the stream has ended"):
            found.extend(round(float(frame.image.mean()) / 2) for frame in source)
    assert found == pytest.approx(range(40), abs=2)


@pytest.mark.parametrize("kind", ["image/jpeg", "text/html; charset=utf-8"])
def test_what_is_no_video_is_named(server, kind):
    answer = f"HTTP/1.0 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode()
    port = server(lambda connection, request, leaving: connection.sendall(answer))
    with pytest.raises(CameraError, match=f"/s gives {kind.partition(';')[0]}, not a video"):
        open_source(f"http://127.0.0.1:{port}/s")


def test_closing_during_a_read_gives_the_stream_back_afterwards(monkeypatch):
    events = []

    class Capture:
        def __init__(self, *words):
            events.append(words[1:])

        def isOpened(self):
            return True

        def get(self, what):
            return 25.0

        def read(self):
            events.append("read")
            source.close()
            events.append("closed")
            return True, np.zeros((4, 4, 3), np.uint8)

        def release(self):
            events.append("released")

    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    monkeypatch.setattr(network, "_reach", lambda url, timeout_s: None)
    source = open_source("rtsp://camera/s")
    assert source.fps == 25
    assert next(source, "end") == "end"
    wanted = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        4000,
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        4000,
        cv2.CAP_PROP_N_THREADS,
        1,
    ]
    assert events == [(cv2.CAP_FFMPEG, wanted), "read", "closed", "released"]
