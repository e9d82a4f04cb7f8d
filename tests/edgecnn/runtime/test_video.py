"""A video file read frame by frame, with some passed over; `test_frames` has the damaged ones."""

import cv2
import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.runtime.video import Video


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 12.5, (64, 48))
    noise = np.random.default_rng(0).integers(0, 3, (48, 64, 3), np.uint8)
    for number in range(10):
        writer.write(noise + np.uint8(number * 20))
    writer.release()
    return path


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.avi: cannot be read \(No such file or directory\)"):
        Video(tmp_path / "nothing.avi")


def test_frames_that_are_passed_over_are_counted(path):
    video = Video(path)
    assert (video.fps, video.number) == (12.5, 0)
    assert video.skip()
    assert video.skip()
    image = video.read()
    assert (video.number, image.shape, image.dtype) == (3, (48, 64, 3), np.uint8)
    assert round(float(image.mean()) / 20) == 2
    while video.skip():
        pass
    assert video.number == 10
    assert video.read() is None
    assert not video.skip()
    video.close()


def test_passing_over_notices_a_file_that_was_cut_off(path):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.9)])
    video = Video(path)
    with pytest.raises(DataError, match=r"ends after \d of 10 frames: truncated"):
        list(iter(video.skip, False))
    video.close()
