"""A window on the screen of this machine, where there is one."""

import os
import subprocess
import sys

import cv2

from edgecnn.errors import CameraError
from edgecnn.image import Image

_INSTEAD = "Use --live to watch in a browser, or --save to record."
_KEYS = (ord("q"), ord("Q"), 27)
_PROBE = "import cv2; cv2.namedWindow('edgecnn'); cv2.waitKey(1); cv2.destroyAllWindows()"


class Window:
    """Shows pictures. q, Esc and the cross close it. Only for the main thread.

    Attributes:
        closed: whether the person has closed it.
    """

    def __init__(self, title: str) -> None:
        """Find out whether a window can be opened; it opens with the first picture.

        Raises:
            CameraError: this OpenCV, or this machine, shows no windows.
        """
        if _without_windows():
            raise CameraError(
                "this OpenCV shows no windows (it was built without GUI, as opencv-python-headless is). "
                "Use --live to watch in a browser, or: pip install opencv-python"
            )
        display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        if not display:
            raise CameraError(f"there is no display to show a window on (DISPLAY is not set). {_INSTEAD}")
        # in a process of its own: a display that cannot be reached makes Qt end the process
        tried = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, timeout=60, check=False)
        if tried.returncode:
            raise CameraError(f"the display {display} cannot be used. {_INSTEAD}")
        self.closed = False
        self._title = title
        self._shown = False

    def show(self, image: Image) -> None:
        """Show a picture in place of the one before, and look whether a key was pressed."""
        cv2.imshow(self._title, image)
        self._shown = True
        self.look()

    def look(self) -> None:
        """Look whether the person has closed it; call it ten times a second, or the window seems to hang."""
        if not self._shown:
            return
        pressed = cv2.waitKey(1) & 0xFF
        self.closed = self.closed or pressed in _KEYS
        self.closed = self.closed or cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1

    def close(self) -> None:
        """Close it."""
        if self._shown:
            cv2.destroyWindow(self._title)
            self._shown = False


def _without_windows() -> bool:
    """Whether OpenCV says that it has no GUI."""
    lines = cv2.getBuildInformation().splitlines()
    return any(line.strip().startswith("GUI:") and line.split(":", 1)[1].strip() == "NONE" for line in lines)
