"""Images one after the other in a web server's answer: what most network cameras call MJPEG.

FFmpeg, to which OpenCV hands such streams, ends at the first part that is no JPEG (the 31st of 150: 30 frames
came), and gives a JPEG cut in half as a picture, without a word (OpenCV 5.0). Here a
damaged image costs that image, and everything is bounded: a header's size, an image's, and how long one is
awaited, however slowly its bytes drip in.
"""

import http.client
import time

from edgecnn import image_file
from edgecnn.errors import CameraError, DataError
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.sources.opened import Opened
from edgecnn.runtime.sources.source import DamagedFrame
from edgecnn.runtime.sources.web import Answer, reason

_MOST_BYTES = 16 << 20
"""Of one image, and of what stands between two: a JPEG of 8K video has a quarter of it."""

_MOST_HEADER_BYTES = 8 << 10

_MOST_PIXELS = 40_000_000
"""Of one image: 8K has 33 million. More than a camera streams would fill a small device's memory."""


class MultipartStream(Opened):
    """A stream of images; a frame's time is when its first byte was here."""

    live = True

    def __init__(self, answer: Answer, *, timeout_s: float) -> None:
        """Take over a server's answer; nothing is read yet.

        Args:
            answer: of a multipart kind; closed with this.
            timeout_s: for each image, from the end of the one before.
        """
        super().__init__()
        self.name = answer.name
        self.clock = "arrival"
        self.fps = None
        self._answer = answer
        self._timeout_s = timeout_s
        self._mark = _delimiter(answer.boundary)
        self._at_mark = False
        self._index = 0

    def _read(self) -> Frame:
        self._answer.incoming.deadline_s = time.monotonic() + self._timeout_s
        try:
            data, arrived_s = self._part()
        except TimeoutError:
            raise CameraError(
                f"{self.name}: no image for {self._timeout_s:g} s. Check that the camera is on and in reach."
            ) from None
        except http.client.IncompleteRead:
            raise self._ended() from None
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: closed meanwhile
            raise CameraError(f"{self.name}: {reason(error, self._timeout_s)}") from None
        name = f"{self.name}#{self._index}"
        self._index += 1
        try:
            size_wh = image_file.size_wh(data, name)
            if size_wh is not None and size_wh[0] * size_wh[1] > _MOST_PIXELS:
                raise DamagedFrame(f"{name}: claims {size_wh[0]} x {size_wh[1]} pixels, which no camera has.")
            image = image_file.decode(data, name)
        except DataError:
            raise DamagedFrame(f"{name}: {len(data)} bytes that are no whole image.") from None
        return Frame(image, self._index - 1, arrived_s, name)

    def _part(self) -> tuple[bytes, float]:
        """The next image as it was sent, and when it began to arrive."""
        if not self._at_mark:
            self._until_mark(keep=False)
        self._at_mark = False
        length = self._length()
        if not self._answer.body.peek(1):
            raise self._ended()
        arrived_s = time.monotonic()
        if length is None:
            return self._until_mark(keep=True), arrived_s
        data = self._answer.body.read(length)
        if len(data) < length:
            raise self._ended()
        return data, arrived_s

    def _until_mark(self, *, keep: bool) -> bytes:
        """Read up to and over the line that stands before an image."""
        lines: list[bytes] = []
        count = 0
        whole = True  # the last line ended, so that a new one begins
        while True:
            line = self._answer.body.readline(1 << 16)
            if not line:
                raise self._ended()
            if not self._mark and whole and line.startswith(b"--"):
                self._mark = line.strip()
            text = line.strip() if whole and self._mark else b""
            if text and text == self._mark:
                self._at_mark = True
                return b"".join(lines)
            if text and text == self._mark + b"--":
                raise self._ended()
            whole = line.endswith(b"\n")
            count += len(line)
            if count > _MOST_BYTES:
                raise CameraError(
                    f"{self.name}: sends {count >> 20} MB without the line that stands between two images. "
                    "Check that the address is that of a stream of JPEGs."
                )
            if keep:
                lines.append(line)

    def _length(self) -> int | None:
        """Read a part's header; what it says of the image's bytes."""
        length = None
        count = 0
        while (line := self._answer.body.readline(_MOST_HEADER_BYTES)).strip():
            count += len(line)
            if count >= _MOST_HEADER_BYTES:
                raise CameraError(
                    f"{self.name}: an image's header does not end. Check the camera's firmware."
                )
            key, _, value = line.partition(b":")
            if key.strip().lower() == b"content-length":
                said = value.strip()
                if not (said.isdigit() and len(said) < 12 and int(said) <= _MOST_BYTES):
                    raise CameraError(
                        f"{self.name}: announces {said[:20].decode('ascii', 'replace')} bytes for an image; "
                        f"more than {_MOST_BYTES >> 20} MB are refused. Choose a smaller size in the camera."
                    )
                length = int(said)
        if not line:
            raise self._ended()
        return length

    def _ended(self) -> CameraError:
        return CameraError(f"{self.name}: the stream has ended: the camera closed it, or the network did.")

    def _interrupt(self) -> None:
        self._answer.interrupt()

    def _release(self) -> None:
        self._answer.close()


def _delimiter(boundary: bytes) -> bytes:
    """The line before each part (RFC 2046, 5.1.1); many cameras put its two dashes into the name, too."""
    return boundary if not boundary or boundary.startswith(b"--") else b"--" + boundary
