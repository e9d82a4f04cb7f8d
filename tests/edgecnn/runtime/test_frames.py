"""Images from files, folders, patterns and videos, in an order one can rely on."""

import time

import cv2
import numpy as np
import pytest

import edgecnn
from edgecnn.errors import DataError
from edgecnn.runtime.frames import frames


@pytest.fixture
def picture(tmp_path):
    """Write a grey image of one value; its value tells which one was read."""

    def write(name, value=0):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((4, 5, 3), value, np.uint8))
        return path

    return write


@pytest.fixture
def video(tmp_path):
    """Write a video of noise whose frames get brighter."""

    def write(name="clip.avi", count=20, code="MJPG"):
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 25, (64, 48))
        assert writer.isOpened()
        noise = np.random.default_rng(0).integers(0, 40, (48, 64, 3), np.uint8)
        for number in range(count):
            writer.write(noise + np.uint8(number * 200 // count))
        writer.release()
        return path

    return write


def seen(source, **words):
    return [frame.name.rsplit("/", 1)[-1] for frame in frames(source, **words)]


def test_no_source_is_an_error():
    with pytest.raises(DataError, match="no source given"):
        frames([])


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no image in this folder"):
        frames(tmp_path)


def test_a_source_that_is_not_there_is_an_error_at_once(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.jpg: there is no such file or folder"):
        frames(tmp_path / "nothing.jpg")
    with pytest.raises(DataError, match="no image or video matches"):
        frames(f"{tmp_path}/*.jpg")


def test_one_file_is_one_frame(picture):
    path = picture("a.png", 77)
    before = time.monotonic()
    (frame,) = frames(path)
    assert frame.name == str(path)
    assert frame.index == 0
    assert before <= frame.time_s <= time.monotonic()
    assert frame.image.shape == (4, 5, 3)
    assert frame.image.dtype == np.uint8
    assert (frame.image == 77).all()
    assert frame.image.flags.writeable


def test_a_folders_images_come_in_the_order_of_their_names(picture, tmp_path):
    for name in ("b.png", "a.jpg", "C.PNG", "a.bmp", ".hidden.png"):
        picture(name)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "deeper").mkdir()
    picture("deeper/z.png")
    assert seen(tmp_path) == seen(str(tmp_path)) == ["C.PNG", "a.bmp", "a.jpg", "b.png"]


def test_a_folder_with_subfolders_only_says_how_to_reach_them(picture, tmp_path):
    picture("cats/a.png")
    with pytest.raises(DataError, match=r"subfolders are not searched; use '.*/\*\*/\*\.jpg'"):
        frames(tmp_path)
    assert seen(f"{tmp_path}/**/*.png") == ["a.png"]


def test_a_pattern_finds_images_at_any_depth_and_nothing_else(picture, tmp_path):
    for name in ("a.png", "x/b.png", "x/y/c.png", "x/d.jpg"):
        picture(name)
    (tmp_path / "x" / "e.txt").touch()
    assert seen(f"{tmp_path}/**/*.png") == ["a.png", "b.png", "c.png"]
    assert seen(f"{tmp_path}/x/*") == ["b.png", "d.jpg"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(picture, tmp_path):
    picture("a[1].png", 5)
    assert seen(tmp_path / "a[1].png") == ["a[1].png"]


def test_several_sources_follow_one_another_and_are_counted_through(picture, tmp_path, video):
    picture("folder/b.png")
    picture("folder/a.png")
    sources = [picture("z.png"), tmp_path / "folder", str(video(count=3)), picture("z.png")]
    found = list(frames(sources))
    names = ["z.png", "a.png", "b.png", "clip.avi#0", "clip.avi#1", "clip.avi#2", "z.png"]
    assert [frame.name.rsplit("/", 1)[-1] for frame in found] == names
    assert [frame.index for frame in found] == list(range(7))
    times = [frame.time_s for frame in found]
    assert times == sorted(times)


def test_frames_are_read_when_asked_for(picture, tmp_path):
    picture("a.png")
    later = picture("b.png")
    found = frames(tmp_path)
    next(found)
    later.unlink()
    with pytest.raises(DataError, match=r"b\.png: there is no such file"):
        next(found)


def test_a_damaged_image_ends_the_iteration_with_its_name(picture, tmp_path):
    picture("a.png")
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    picture("c.png")
    found = frames(tmp_path)
    assert next(found).name.endswith("a.png")
    with pytest.raises(DataError, match=r"b\.png"):
        next(found)


def test_whoever_collects_errors_gets_all_the_other_frames(picture, tmp_path, video):
    picture("a.png")
    (tmp_path / "b.png").write_bytes(b"")
    picture("c.png")
    broken = video("clip.avi")
    broken.write_bytes(broken.read_bytes()[:100])
    errors = []
    sources = [tmp_path, broken, tmp_path / "nothing", tmp_path / "c.png"]
    found = list(frames(sources, on_error=errors.append))
    assert [frame.name.rsplit("/", 1)[-1] for frame in found] == ["a.png", "c.png", "c.png"]
    assert [frame.index for frame in found] == [0, 1, 2]
    assert len(errors) == 3
    assert sum("b.png: the file is empty" in str(error) for error in errors) == 1
    assert sum("clip.avi" in str(error) for error in errors) == 1
    assert sum("there is no such file or folder" in str(error) for error in errors) == 1


def test_an_error_of_the_one_who_looks_is_not_swallowed(picture, tmp_path):
    picture("a.png")
    picture("b.png")
    found = frames(tmp_path, on_error=lambda error: None)
    next(found)
    with pytest.raises(ValueError, match="mine"):
        found.throw(ValueError("mine"))


# Videos


def test_a_videos_frames_come_in_order(video):
    found = list(frames(video(count=20)))
    assert [frame.name.rsplit("#", 1)[-1] for frame in found] == [str(number) for number in range(20)]
    brightness = [frame.image.mean() for frame in found]
    assert brightness == sorted(brightness)
    assert brightness[-1] - brightness[0] > 100


def test_each_frame_of_a_video_is_the_callers_own(video):
    first, *others = frames(video(count=3))
    before = first.image.copy()
    others[0].image[:] = 0
    np.testing.assert_array_equal(first.image, before)


@pytest.mark.parametrize(("name", "code"), [("a.avi", "MJPG"), ("a.mp4", "mp4v"), ("a.mkv", "XVID")])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.05])
def test_a_video_that_was_cut_off_is_an_error_after_its_last_frame(video, name, code, share):
    path = video(name, 100, code)
    whole = path.read_bytes()
    assert len(list(frames(path))) == 100
    path.write_bytes(whole[: int(share * len(whole))])
    found = []
    with pytest.raises(
        DataError, match=rf"{name}: (ends after \d+ of 100 frames: truncated|cannot be opened|not one frame)"
    ):
        found.extend(frames(path))


@pytest.mark.parametrize("content", [b"", b"no video", b"\0" * 5000])
def test_what_is_no_video_is_named(tmp_path, content):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"clip\.mp4: (the file is empty|cannot be opened as a video)"):
        list(frames(path))


def test_a_video_without_frames_is_an_error(tmp_path, monkeypatch):
    class Hollow:
        """A container that opens, announces nothing and holds nothing."""

        def __init__(self, path):
            self.released = False

        def isOpened(self):
            return True

        def get(self, what):
            return -1.0

        def read(self):
            return False, None

        def release(self):
            opened.append(self)

    opened = []
    monkeypatch.setattr(cv2, "VideoCapture", Hollow)
    path = tmp_path / "clip.webm"
    path.write_bytes(b"x")
    with pytest.raises(DataError, match="not one frame could be read"):
        list(frames(path))
    assert len(opened) == 1


def test_a_video_is_closed_when_nobody_asks_for_more(video, monkeypatch):
    released = []
    real = cv2.VideoCapture

    class Watched:
        def __init__(self, path):
            self.capture = real(path)

        def __getattr__(self, name):
            if name == "release":
                released.append(True)
            return getattr(self.capture, name)

    monkeypatch.setattr(cv2, "VideoCapture", Watched)
    found = frames(video())
    next(found)
    found.close()
    assert released


def test_frames_is_edgecnns_own_name():
    assert edgecnn.frames is frames
