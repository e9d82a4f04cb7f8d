import os
import pickle
import stat
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgecnn.data import members, zip_archive
from edgecnn.data.zip_archive import Zip
from edgecnn.errors import DataError

CONTENT = {
    "cat/1.jpg": b"one" * 500,
    "cat/2.jpg": b"",
    "dog/ü.jpg": bytes(range(256)),
    "readme.txt": b"hello",
}


def packed(path: Path, content=None, method=zipfile.ZIP_DEFLATED, **entry) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in (CONTENT if content is None else content).items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            for key, value in entry.items():
                setattr(info, key, value)
            archive.writestr(info, data)
    return path


def test_an_empty_zip_holds_nothing(tmp_path):
    assert Zip(packed(tmp_path / "a.zip", {})).listing.files == ()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_was_packed_is_read(tmp_path, method):
    archive = Zip(packed(tmp_path / "a.zip", method=method))
    assert archive.name == "a.zip"
    assert archive.listing.files == tuple(sorted(CONTENT))
    assert {name: archive.read(name) for name in archive.listing.files} == CONTENT


def test_long_extra_fields_in_front_of_the_data_are_skipped(tmp_path):
    path = packed(tmp_path / "a.zip", extra=struct.pack("<HH", 0x9999, 500) + bytes(500))
    archive = Zip(path)
    assert archive.read("cat/1.jpg") == CONTENT["cat/1.jpg"]
    assert archive.read("readme.txt") == CONTENT["readme.txt"]


def test_an_archive_behind_other_bytes_is_read(tmp_path):
    path = packed(tmp_path / "a.zip")
    path.write_bytes(b"#!/bin/sh\n" * 9 + path.read_bytes())
    assert Zip(path).read("readme.txt") == b"hello"


def test_many_threads_read_at_once(tmp_path):
    content = {f"{i}.bin": os.urandom(1000) + bytes(3000) for i in range(50)}
    archive = Zip(packed(tmp_path / "a.zip", content))
    with ThreadPoolExecutor(8) as pool:
        for name, data in zip(list(content) * 20, pool.map(archive.read, list(content) * 20), strict=True):
            assert data == content[name]


def test_a_copy_in_another_process_opens_its_own_file(tmp_path):
    archive = Zip(packed(tmp_path / "a.zip"))
    again = pickle.loads(pickle.dumps(archive))  # noqa: S301  (made a moment ago)
    del archive
    assert again.read("readme.txt") == b"hello"


def test_a_forked_child_and_its_parent_do_not_disturb_each_other(tmp_path):
    content = {f"{i}.bin": bytes([i]) * 5000 for i in range(200)}
    archive = Zip(packed(tmp_path / "a.zip", content, zipfile.ZIP_STORED))
    child = os.fork()
    good = all(archive.read(name) == data for name, data in content.items())
    if child == 0:
        os._exit(0 if good else 1)
    assert good
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "cat/../../x.jpg", "..\\x.jpg", "C:/x.jpg"]
)
def test_a_member_that_leads_out_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="leads out of the archive"):
        Zip(packed(tmp_path / "a.zip", {name: b"x"}))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_are_refused(tmp_path, kind):
    with pytest.raises(DataError, match=r"'cat/1\.jpg' is a link or a device"):
        Zip(packed(tmp_path / "a.zip", external_attr=(kind | 0o777) << 16))


def test_a_name_that_occurs_twice_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("cat/1.jpg", b"1")
        archive.writestr("cat\\1.jpg", b"2")
    with pytest.raises(DataError, match="twice"):
        Zip(tmp_path / "a.zip")


def test_a_method_that_is_not_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"packed by method 12.*zip -r"):
        Zip(packed(tmp_path / "a.zip", method=zipfile.ZIP_BZIP2))


def test_an_encrypted_archive_is_refused(tmp_path):
    path = packed(tmp_path / "a.zip", {"a.jpg": b"x"})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"'a\.jpg' is encrypted"):
        Zip(path)


def test_a_member_that_says_it_is_huge_is_refused_when_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(zip_archive, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match=r"'cat/1\.jpg' is larger than"):
        Zip(packed(tmp_path / "a.zip"))
    assert members.MAX_BYTES == 1 << 30


def test_a_member_that_unpacks_to_more_than_it_says_is_refused(tmp_path):
    path = packed(tmp_path / "bomb.zip", {"a.jpg": bytes(50_000_000)})
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rindex(b"PK\x01\x02") + 24, 1000)  # the size in the central directory
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"bomb\.zip/a\.jpg: damaged"):
        Zip(path).read("a.jpg")


def test_a_damaged_member_is_named(tmp_path):
    path = packed(tmp_path / "a.zip", method=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"oneone") + 7] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.zip/cat/1\.jpg: damaged, its checksum is wrong"):
        Zip(path).read("cat/1.jpg")


def test_a_truncated_archive_is_refused(tmp_path):
    path = packed(tmp_path / "a.zip")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"a\.zip: a damaged zip archive"):
        Zip(path)


def test_damaged_bytes_give_content_or_a_data_error_and_nothing_else(tmp_path):
    random = np.random.default_rng(5)
    whole = np.frombuffer(packed(tmp_path / "a.zip").read_bytes(), np.uint8)
    refused = 0
    for _ in range(400):
        damaged = whole.copy()
        damaged[random.integers(0, len(whole), 4)] = random.integers(0, 256, 4)
        (tmp_path / "b.zip").write_bytes(damaged.tobytes())
        try:
            archive = Zip(tmp_path / "b.zip")
            for name in archive.listing.files:
                archive.read(name)
        except DataError:
            refused += 1
    assert refused > 200
