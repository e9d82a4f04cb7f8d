"""A recording runs at the speed of reality, never overwrites, and is whole whatever happens."""

import subprocess

import cv2
import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.runtime.outputs.recording import Recording


def grey(value, size_wh=(64, 48)):
    return np.full((size_wh[1], size_wh[0], 3), value, np.uint8)


def noise(seed, size_wh=(320, 240)):
    return np.random.default_rng(seed).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)


def played(path):
    """The mean of each picture of a video, and its pictures a second."""
    capture = cv2.VideoCapture(str(path))
    assert capture.isOpened(), path
    values = []
    while (read := capture.read())[0]:
        values.append(float(read[1].mean()))
    fps = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return np.array(values), fps


def test_where_no_picture_comes_there_is_no_file(tmp_path):
    recording = Recording(tmp_path / "out.mp4", fps=10)
    recording.close()
    recording.close()
    assert recording.paths == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.avi"])
def test_pictures_of_the_files_own_rate_stand_in_it_once_each(tmp_path, name):
    recording = Recording(tmp_path / "deep" / name, fps=25)
    values = [20 + 8 * number for number in range(20)]
    for number, value in enumerate(values):
        recording.write(grey(value), 100 + number / 25)
    recording.close()
    assert recording.paths == [tmp_path / "deep" / name]
    assert recording.pictures == 20
    found, fps = played(recording.paths[0])
    assert fps == 25
    np.testing.assert_allclose(found, values, atol=4)


def test_a_second_in_reality_is_a_second_in_the_file_however_irregularly_pictures_come(tmp_path):
    random = np.random.default_rng(4)
    times = np.cumsum(random.choice([0.005, 0.03, 0.1, 0.4], 40))
    values = random.permutation(np.linspace(20, 235, 40).astype(int))
    recording = Recording(tmp_path / "out.mkv", fps=20)
    for value, time_s in zip(values, times, strict=True):
        recording.write(grey(value), time_s)
    recording.close()
    found, _ = played(recording.paths[0])
    slots = np.rint((times - times[0]) * 20)
    # the oracle: in each slot stands the last picture that was there by then
    expected = [values[np.flatnonzero(slots <= slot)[-1]] for slot in range(int(slots[-1]) + 1)]
    assert len(found) == len(expected)
    np.testing.assert_allclose(found, expected, atol=5)
    assert len(found) / 20 == pytest.approx(times[-1] - times[0], abs=0.1)


@pytest.mark.parametrize(
    ("second", "time_s"),
    [(grey(90, (80, 48)), 0.1), (grey(90), 60.0), (grey(90), -5.0)],
    ids=["another size", "a pause", "a clock that goes back"],
)
def test_another_file_begins_where_pictures_do_not_go_on(tmp_path, second, time_s):
    recording = Recording(tmp_path / "out.mp4", fps=10)
    recording.write(grey(40), 0.0)
    recording.write(second, time_s)
    recording.write(second, time_s + 0.1)
    recording.close()
    assert [path.name for path in recording.paths] == ["out.mp4", "out-2.mp4"]
    assert [len(played(path)[0]) for path in recording.paths] == [1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out-2.mp4", "out.mp4"]


@pytest.mark.parametrize("there", ["out.mp4", "out.part.mp4"])
def test_nothing_is_overwritten_unless_told(tmp_path, there):
    (tmp_path / there).write_bytes(b"mine")
    with pytest.raises(DataError, match="is there already"):
        Recording(tmp_path / "out.mp4", fps=10)
    assert (tmp_path / there).read_bytes() == b"mine"
    recording = Recording(tmp_path / "out.mp4", fps=10, force=True)
    recording.write(grey(40), 0.0)
    recording.close()
    assert len(played(tmp_path / "out.mp4")[0]) == 1


@pytest.mark.parametrize(("name", "fps"), [("out.gif", 10), ("out", 10), ("out.mp4", 0), ("out.mp4", np.nan)])
def test_what_cannot_be_written_is_refused_at_the_start(tmp_path, name, fps):
    with pytest.raises(DataError):
        Recording(tmp_path / name, fps=fps)


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        Recording(tmp_path / "file" / "out.mp4", fps=10).write(grey(1), 0.0)


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 2 MiB, which can really be filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no small disk to fill: mounting one needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(recording, most=400):
    """Write until it fails."""
    pictures = [noise(seed) for seed in range(4)]
    for number in range(most):
        recording.write(pictures[number % 4], number / 30)
    recording.close()


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.avi"])
def test_before_the_disk_is_full_the_recording_ends_and_can_be_played(small_disk, name):
    recording = Recording(small_disk / name, fps=30, spare_bytes=900_000)
    with pytest.raises(DataError, match=f"{name}: .* disk is full .* What came before can be played"):
        fill(recording)
    recording.close()
    assert recording.paths == [small_disk / name]
    found, _ = played(small_disk / name)
    assert len(found) == recording.pictures > 5
    assert [path.name for path in small_disk.iterdir()] == [name]


def test_a_disk_that_is_full_all_at_once_is_no_silent_loss(small_disk):
    recording = Recording(small_disk / "out.mp4", fps=30, spare_bytes=0)
    with pytest.raises(DataError, match="cannot be played: the disk did not take its end"):
        fill(recording)
    assert recording.paths == []
    assert [path.name for path in small_disk.iterdir()] == ["out.part.mp4"]
