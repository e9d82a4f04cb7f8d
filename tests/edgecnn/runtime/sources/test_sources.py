"""Which source a word opens, and what is said of words that open none."""

import json
import subprocess
import sys

import pytest

from edgecnn.errors import CameraError, DataError
from edgecnn.runtime.sources import open_source
from edgecnn.runtime.sources.multipart import MultipartStream
from edgecnn.runtime.sources.recorded import Clip, Pictures


def test_an_empty_word_is_an_error():
    with pytest.raises(DataError, match=r"^'': there is no such file or folder, and it names no camera"):
        open_source("")


def test_a_word_opens_what_it_names(tmp_path, clip, stream, jpeg):
    (tmp_path / "a.jpg").write_bytes(jpeg(7))
    (tmp_path / "picamera2").mkdir()
    (tmp_path / "picamera2" / "b.jpg").write_bytes(jpeg(7))
    for word, kind in [
        (tmp_path, Pictures),
        (f"{tmp_path}/*.jpg", Pictures),
        (tmp_path / "a.jpg", Pictures),
        (tmp_path / "picamera2", Pictures),
        (clip(), Clip),
        (str(clip("clip.MP4", code="mp4v")), Clip),
        (stream().replace("http", "HTTP"), MultipartStream),
    ]:
        with open_source(word) as source:
            assert isinstance(source, kind)


@pytest.mark.parametrize(
    ("word", "error", "message"),
    [
        ("nothing.mp4", DataError, "'nothing.mp4': there is no such file or folder"),
        ("nothing/*.png", DataError, "no image or video matches"),
        ("udp://10.0.0.1:99", DataError, "names no camera. Cameras are 0, /dev/video0"),
        ("rtsp://", CameraError, "not the address of a stream"),
        ("picamera2:x", DataError, "there is no such file"),
        ("-1", DataError, "there is no such file"),
    ],
)
def test_words_that_open_nothing_say_why_in_one_line(word, error, message):
    with pytest.raises(error) as caught:
        open_source(word)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wish", [{"size_wh": (0, 480)}, {"fps": 0}, {"fps": -1.0}, {"fps": 1e9}])
def test_impossible_wishes_are_refused(wish):
    with pytest.raises(CameraError, match="no camera does that"):
        open_source(0, **wish)


def test_wishes_that_cannot_be_met_are_refused(clip, stream):
    with pytest.raises(CameraError, match="its size cannot be chosen here"):
        open_source(clip(), size_wh=(320, 240))
    address = stream()
    with pytest.raises(CameraError, match="its size cannot be chosen here"):
        open_source(address, size_wh=(320, 240))
    with pytest.raises(CameraError, match="set the rate there"):
        open_source(address, fps=30)


def test_the_sources_load_nothing_but_numpy_opencv_and_the_standard_library():
    code = (
        "import json, sys, edgecnn.runtime.sources.network, edgecnn.runtime.sources.device, "
        "edgecnn.runtime.sources.picamera, edgecnn.runtime.sources.recorded\n"
        "top = {name.partition('.')[0] for name in sys.modules}\n"
        "known = {'numpy', 'cv2', 'edgecnn', '__main__', *sys.stdlib_module_names}\n"
        "print(json.dumps(sorted(top - known)))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert [name for name in json.loads(done.stdout) if not name.startswith(("_", "sitecustomize"))] == []
