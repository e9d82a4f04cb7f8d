"""Where frames come from, live or not: cameras, streams, clips, folders.

    0, "0", "/dev/video0"                          a V4L2 camera
    "picamera2", "picamera2:1"                     a Raspberry Pi's own camera
    "rtsp://...", "rtmp://...", "http://..."       a network camera
    "clip.mp4", "photos/", "photos/*.jpg", "a.jpg" files

Each module knows one kind; `source` says what they have in common.
"""

from glob import has_magic
from pathlib import Path

from edgecnn.errors import CameraError, DataError
from edgecnn.runtime.sources.source import DamagedFrame, Source

__all__ = ["DamagedFrame", "Source", "open_source"]


def open_source(
    word: int | str | Path,
    *,
    size_wh: tuple[int, int] | None = None,
    fps: float | None = None,
    paced: bool = True,
    every_frame: bool = False,
) -> Source:
    """Open what gives frames.

    Args:
        word: see above.
        size_wh: pixels to ask a camera for; it may give others.
        fps: frames a second to ask a camera for; for files, how fast they go on.
        paced: files come in real time, as from a camera, and what nobody took in time is left out. False: as
            fast as they are asked for, every one.
        every_frame: nothing of a file is left out, paced or not; what is taken late comes late.

    Raises:
        CameraError: there is no such camera, it may not be used, or it gives no images, or it cannot be
            asked for a size or rate; says what to do.
        DataError: there is no such file, or it is no image or video.
    """
    if (size_wh is not None and min(size_wh) < 1) or (fps is not None and not 0 < fps <= 1000):
        raise CameraError(
            f"size {size_wh}, {fps} frames/s: no camera does that. Sizes are (width, height) in pixels."
        )
    text = str(word)
    if text.isascii() and text.isdigit():
        text = f"/dev/video{int(text)}"
    path = Path(text)
    if text.startswith("/dev/") and not (path.is_file() or path.is_dir()):  # /dev/shm holds files
        from edgecnn.runtime.sources.device import Device

        return Device(path, size_wh=size_wh, fps=fps)
    kind, _, number = text.partition(":")
    if kind == "picamera2" and (text == kind or (number.isascii() and number.isdigit())):
        from edgecnn.runtime.sources.picamera import Picamera

        return Picamera(int(number or 0), size_wh=size_wh, fps=fps)
    if size_wh is not None:
        raise CameraError(f"{text}: its size cannot be chosen here, only that of a camera of this device.")
    from edgecnn.runtime.sources.network import is_stream, open_stream

    if is_stream(text):
        if fps is not None:
            raise CameraError("a stream comes as fast as its camera sends it: set the rate there.")
        return open_stream(text)
    if not text or not (path.exists() or has_magic(text)):
        raise DataError(
            f"{text!r}: there is no such file or folder, and it names no camera. Cameras are 0, /dev/video0, "
            "picamera2, rtsp://..., rtmp://..., http://... and https://...; edgecnn doctor lists those of "
            "this device."
        )
    from edgecnn.runtime.sources.recorded import recorded

    return recorded(text, fps=fps, paced=paced, every_frame=every_frame)
