"""A web server whose every byte the test decides, and JPEGs that tell which one they are."""

import socket
import threading

import cv2
import numpy as np
import pytest

HEADER = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"


@pytest.fixture(scope="session")
def jpeg():
    """Encode a grey image of one value."""

    def make(value, size_wh=(64, 48)):
        done, data = cv2.imencode(".jpg", np.full((size_wh[1], size_wh[0], 3), value, np.uint8))
        assert done
        return data.tobytes()

    return make


@pytest.fixture(scope="session")
def part():
    """One image between two boundaries, with its length."""

    def make(data, length=None):
        count = len(data) if length is None else length
        return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (count, data)

    return make


@pytest.fixture
def server():
    """Serve connections with a function (connection, request, leaving); gives the port."""
    listeners, threads, connections = [], [], []
    leaving = threading.Event()

    def serve(answer):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def one(connection):
            with connection:
                try:
                    connection.settimeout(5)
                    answer(connection, connection.recv(65536), leaving)
                except OSError:
                    return  # the client left

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connections.append(connection)
                thread = threading.Thread(target=one, args=(connection,))
                threads.append(thread)
                thread.start()

        thread = threading.Thread(target=accept)
        threads.append(thread)
        thread.start()
        return listener.getsockname()[1]

    yield serve
    leaving.set()
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


@pytest.fixture
def stream(server):
    """Serve a multipart stream of the given pieces, then hold the line or hang up; gives the address."""

    def make(*pieces, header=HEADER, hold=False):
        def answer(connection, request, leaving):
            connection.sendall(header)
            for piece in pieces:
                connection.sendall(piece)
            if hold:
                leaving.wait(10)

        return f"http://127.0.0.1:{server(answer)}/stream.mjpg"

    return make


@pytest.fixture
def clip(tmp_path):
    """Write a video whose frames get brighter by 2."""

    def write(name="clip.avi", count=30, fps=30, code="MJPG", size_wh=(64, 48)):
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, size_wh)
        assert writer.isOpened()
        for number in range(count):
            writer.write(np.full((size_wh[1], size_wh[0], 3), number * 2, np.uint8))
        writer.release()
        return path

    return write
