import os
import shutil
from pathlib import Path

import pytest

from edgecnn.data import storage
from edgecnn.data.storage import open_storage
from edgecnn.errors import DataError


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    for name in ("cat/1.jpg", "cat/deep/2.jpg", "dog/3.jpg", ".git/x", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "owl").mkdir()
    return folder


def test_an_empty_folder_holds_nothing(tmp_path):
    found = open_storage(tmp_path)
    assert found.listing.files == ()
    assert found.listing.folders == ()


@pytest.mark.parametrize("kind", ["", "zip", "tar", "gztar", "bztar", "xztar"])
def test_a_folder_and_its_archives_hold_the_same(photos, kind):
    place = Path(shutil.make_archive(str(photos), kind, photos)) if kind else photos
    found = open_storage(place)
    assert found.name == place.name
    assert found.listing.files == ("cat/1.jpg", "cat/deep/2.jpg", "dog/3.jpg", "notes.txt")
    assert found.listing.folders == ("cat", "cat/deep", "dog", "owl")
    assert all(found.read(path) == path.encode() for path in found.listing.files)


def test_the_kind_is_seen_from_the_content_not_from_the_name(photos):
    archive = shutil.make_archive(str(photos), "zip", photos)
    renamed = Path(archive).rename(photos.parent / "photos.tar")
    assert open_storage(renamed).read("dog/3.jpg") == b"dog/3.jpg"


def test_links_are_followed_and_do_not_go_round(photos):
    shutil.move(photos / "cat", photos.parent / "elsewhere")
    (photos / "cat").symlink_to(photos.parent / "elsewhere")
    (photos / "round").symlink_to(photos)
    found = open_storage(photos)
    assert found.listing.files == ("cat/1.jpg", "cat/deep/2.jpg", "dog/3.jpg", "notes.txt")
    assert found.read("cat/deep/2.jpg") == b"cat/deep/2.jpg"


def test_a_broken_link_is_a_file_that_cannot_be_read(photos):
    (photos / "cat" / "9.jpg").symlink_to("nowhere.jpg")
    found = open_storage(photos)
    with pytest.raises(DataError, match=r"cat/9\.jpg: cannot be read \(No such file"):
        found.read("cat/9.jpg")


def test_a_pipe_is_not_a_file(photos):
    os.mkfifo(photos / "cat" / "pipe.jpg")
    assert "cat/pipe.jpg" not in open_storage(photos).listing.files


def test_the_current_folder_has_a_name(photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert open_storage(Path()).name == "photos"


def test_a_file_that_is_too_large_is_named(photos, monkeypatch):
    monkeypatch.setattr(storage, "MAX_BYTES", 4)
    with pytest.raises(DataError, match=r"dog/3\.jpg: larger than"):
        open_storage(photos).read("dog/3.jpg")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file or folder"),
        (b"", r"the file is empty \(0 bytes\)"),
        (
            b"\xff\xd8\xff\xe0 a picture",
            r"neither a folder nor a zip or tar archive \(starts with ff d8 ff e0\)",
        ),
        (b"PK\x03\x04 no more", "a damaged zip archive"),
        (b"\x1f\x8b no more", "a damaged or truncated archive"),
    ],
)
def test_what_is_no_storage_is_refused_with_its_path(tmp_path, content, message):
    path = tmp_path / "photos.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=rf"photos\.zip: {message}"):
        open_storage(path)


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "gztar"])
@pytest.mark.parametrize("count", [0, 1, 1000, 70_000, 10**6])
def test_the_start_of_a_file_is_what_reading_it_all_begins_with(tmp_path, kind, count):
    folder = tmp_path / "photos"
    folder.mkdir()
    contents = {"noise.bin": os.urandom(200_000), "zeros.bin": bytes(300_000), "empty.bin": b""}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    path = folder if kind == "folder" else Path(shutil.make_archive(str(tmp_path / "packed"), kind, folder))
    found = open_storage(path)
    for name, content in contents.items():
        assert found.start(name, count) == content[:count]
