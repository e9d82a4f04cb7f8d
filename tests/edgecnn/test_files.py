"""A file is the old whole or the new whole."""

import os
import stat
import subprocess
import sys
import time

import pytest

from edgecnn import files


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_empty_file_is_written(tmp_path):
    files.write_bytes(tmp_path / "empty", b"")
    assert (tmp_path / "empty").read_bytes() == b""


def test_text_is_written_as_utf_8_whatever_the_locale(tmp_path):
    files.write_text(tmp_path / "labels.txt", "größer\n犬\n")
    assert (tmp_path / "labels.txt").read_bytes() == "größer\n犬\n".encode()


def test_missing_folders_are_made(tmp_path):
    files.write_text(tmp_path / "runs" / "cats" / "card.json", "{}")
    assert (tmp_path / "runs" / "cats" / "card.json").read_text() == "{}"


def test_a_new_file_replaces_the_old_one_and_nothing_stays_beside_it(tmp_path):
    path = tmp_path / "card.json"
    path.write_text("old and longer")
    files.write_text(path, "new")
    assert path.read_text() == "new"
    assert names(tmp_path) == ["card.json"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path, error):
    path = tmp_path / "card.json"
    path.write_text("old")

    def interrupted():
        with files.replacing(path) as beside:
            beside.write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["card.json"]


def test_an_error_before_there_was_a_file_leaves_none(tmp_path):
    with pytest.raises(RuntimeError), files.replacing(tmp_path / "card.json"):
        raise RuntimeError
    assert names(tmp_path) == []


def test_the_old_file_is_whole_until_the_block_ends(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_text("old")
    with files.replacing(path) as beside:
        beside.write_text("new")
        assert path.read_text() == "old"
        assert beside.parent == tmp_path  # on the same disk, so that taking the name is one step
        assert beside.suffix == ".tflite"  # writers choose their format by it
    assert path.read_text() == "new"


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "deploy.sh"
    path.write_text("old")
    path.chmod(0o750)
    files.write_text(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o750


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_that_the_user_chose(tmp_path, umask):
    before = os.umask(umask)
    try:
        files.write_text(tmp_path / "new", "")
        assert os.umask(umask) == umask  # left as it was
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o666 & ~umask


def test_a_folder_in_the_way_is_an_error_and_stays(tmp_path):
    (tmp_path / "card.json").mkdir()
    with pytest.raises(OSError, match=r"card\.json"):
        files.write_text(tmp_path / "card.json", "{}")
    assert names(tmp_path) == ["card.json"]
    assert (tmp_path / "card.json").is_dir()


def test_a_reader_never_sees_a_half_written_file_even_if_the_writer_is_killed(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(b"a" * 4_000_000)
    code = (
        "import sys, pathlib; from edgecnn import files\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    for letter in b'ab': files.write_bytes(path, bytes([letter]) * 4_000_000)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    try:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            seen = path.read_bytes()
            assert len(seen) == 4_000_000
            assert len(set(seen)) == 1
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    assert len(set(path.read_bytes())) == 1
