"""A camera on the network, for measurements: motion JPEG over HTTP, each frame with its number in it.

python benchmarks/mjpeg_camera.py --port 8090 --fps 30

Frame n is captured at START + n / FPS on this machine's monotonic clock, which all its processes share, and
its bytes leave at that moment. So whoever reads the number from a picture knows its true age, whatever
anybody claims. Frames are sent in full, as cameras do: a viewer that reads too slowly finds the old ones in
its socket.
"""

import argparse
import itertools
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

BITS = 24
_BLOCK = 16


def stamped(image: np.ndarray, number: int) -> np.ndarray:
    """A copy of the image with the number as black and white blocks along its top edge."""
    image = image.copy()
    for bit in range(BITS):
        image[:_BLOCK, bit * _BLOCK : (bit + 1) * _BLOCK] = 255 if number >> bit & 1 else 0
    return image


def number_in(image: np.ndarray) -> int:
    """The number that `stamped` put in."""
    middle = image[_BLOCK // 2, _BLOCK // 2 : BITS * _BLOCK : _BLOCK, 1] > 127
    return int((middle * (1 << np.arange(BITS))).sum())


class Camera:
    """Frames on a beat, encoded before they are due."""

    def __init__(self, fps: float, size_wh: tuple[int, int]) -> None:
        self.fps = fps
        random = np.random.default_rng(0)
        small = random.integers(0, 256, (8, size_wh[1] // 16, size_wh[0] // 16, 3), np.uint8)
        self._views = [cv2.resize(view, size_wh, interpolation=cv2.INTER_CUBIC) for view in small]
        self._news = threading.Condition()
        self._jpeg, self._number = b"", -1
        self.start_s = time.monotonic()

    def run(self) -> None:
        """Capture for ever."""
        for number in itertools.count():
            jpeg = cv2.imencode(".jpg", stamped(self._views[number % len(self._views)], number))[1].tobytes()
            time.sleep(max(0.0, self.start_s + number / self.fps - time.monotonic()))
            with self._news:
                self._jpeg, self._number = jpeg, number
                self._news.notify_all()

    def after(self, number: int) -> tuple[bytes, int]:
        """The first frame after this one that is still there."""
        with self._news:
            self._news.wait_for(lambda: self._number > number)
            return self._jpeg, self._number


def serve(camera: Camera, port: int) -> ThreadingHTTPServer:
    """A server on the loopback; GET / is the stream."""

    class Stream(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            number = -1
            try:
                while True:
                    jpeg, number = camera.after(number)
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
            except (BrokenPipeError, ConnectionResetError):
                return  # the viewer has gone

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Stream)
    server.daemon_threads = True
    return server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--fps", type=float, default=30)
    wanted = parser.parse_args()
    camera = Camera(wanted.fps, (640, 480))
    threading.Thread(target=camera.run, daemon=True).start()
    server = serve(camera, wanted.port)
    print(f"start_s {camera.start_s!r} port {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
