import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from edgecnn.data import tar_archive
from edgecnn.data.tar_archive import Tar
from edgecnn.errors import DataError

CONTENT = {
    "cat/1.jpg": b"one" * 500,
    "cat/2.jpg": b"",
    "dog/ü.jpg": bytes(range(256)),
    "readme.txt": b"hello",
}


def packed(path: Path, content=None, mode: str = "w", kind=tarfile.PAX_FORMAT, **entry) -> Path:
    with tarfile.open(path, mode, format=kind) as archive:
        for name, data in (CONTENT if content is None else content).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in entry.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_an_empty_tar_holds_nothing(tmp_path):
    assert Tar(packed(tmp_path / "a.tar", {})).listing.files == ()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_was_packed_is_read(tmp_path, mode, kind):
    archive = Tar(packed(tmp_path / "a.tar", mode=mode, kind=kind))
    assert archive.listing.files == tuple(sorted(CONTENT))
    assert {name: archive.read(name) for name in archive.listing.files} == CONTENT


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_are_read(tmp_path, kind):
    name = "x" * 180 + "/" + "y" * 150 + ".jpg"
    assert Tar(packed(tmp_path / "a.tar", {name: b"1"}, kind=kind)).read(name) == b"1"


def test_folders_are_listed_even_when_empty(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        folder = tarfile.TarInfo("./owl")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    assert Tar(tmp_path / "a.tar").listing.folders == ("owl",)


def test_the_temporary_file_of_a_compressed_archive_has_no_name(tmp_path, monkeypatch):
    monkeypatch.setattr(tar_archive.tempfile, "tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    archive = Tar(packed(tmp_path / "a.tar.gz", mode="w:gz"))
    assert os.listdir(tmp_path / "t") == []  # noqa: PTH208
    assert archive.read("readme.txt") == b"hello"


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_copy_in_another_process_opens_its_own_file(tmp_path, mode):
    archive = Tar(packed(tmp_path / "a.tar", mode=mode))
    again = pickle.loads(pickle.dumps(archive))  # noqa: S301  (made a moment ago)
    del archive
    assert again.read("readme.txt") == b"hello"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "cat/../../x.jpg"])
def test_a_member_that_leads_out_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="leads out of the archive"):
        Tar(packed(tmp_path / "a.tar", {name: b"x"}))


@pytest.mark.parametrize(
    "member_type", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(tmp_path, member_type):
    with pytest.raises(DataError, match=r"'cat/1\.jpg' is a link, a device or sparse"):
        Tar(packed(tmp_path / "a.tar", {"cat/1.jpg": b""}, type=member_type, linkname="/etc/passwd"))


def test_a_name_that_occurs_twice_is_refused(tmp_path):
    packed(tmp_path / "a.tar", {"a.jpg": b"1", "./a.jpg": b"2"})
    with pytest.raises(DataError, match="twice"):
        Tar(tmp_path / "a.tar")


def test_a_member_that_says_it_is_huge_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tar_archive, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match=r"'cat/1\.jpg' is larger than"):
        Tar(packed(tmp_path / "a.tar"))


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tar_archive, "MAX_UNPACKED", 3_000_000)
    with pytest.raises(DataError, match="unpacks to more than"):
        Tar(packed(tmp_path / "bomb.tar.gz", {"a.jpg": bytes(20_000_000)}, "w:gz"))


def test_a_header_that_claims_a_huge_name_is_refused(tmp_path):
    path = packed(tmp_path / "a.tar", {"x" * 300: bytes(3_000_000)}, kind=tarfile.GNU_FORMAT)
    data = bytearray(path.read_bytes())
    data[124:136] = b"%011o\0" % 2_500_000  # the size of the long name
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + 8 * 32 + sum(data[156:512]))
    path.write_bytes(data)
    with pytest.raises(DataError, match="a header claims 2500096 bytes"):
        Tar(path)


@pytest.mark.parametrize("keep", [300, 600, 1024, 2048, 3000])
def test_a_truncated_archive_is_refused(tmp_path, keep):
    path = packed(tmp_path / "a.tar", kind=tarfile.USTAR_FORMAT)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"a\.tar: (ends inside|damaged or cut short|not a tar archive)"):
        Tar(path)


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_truncated_compressed_archive_is_refused(tmp_path, mode):
    path = packed(tmp_path / "a.tar.gz", mode=mode)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="truncated"):
        Tar(path)


def test_damage_in_the_middle_is_not_taken_for_the_end(tmp_path):
    path = packed(tmp_path / "a.tar", kind=tarfile.USTAR_FORMAT)
    data = bytearray(path.read_bytes())
    start = data.index(b"dog/")
    data[start : start + 512] = bytes([7]) * 512
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged or cut short after"):
        Tar(path)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_damaged_bytes_give_content_or_a_data_error_and_nothing_else(tmp_path, mode):
    random = np.random.default_rng(5)
    whole = np.frombuffer(packed(tmp_path / "a.tar", mode=mode).read_bytes(), np.uint8)
    refused = 0
    for _ in range(200):
        damaged = whole.copy()
        damaged[random.integers(0, min(len(whole), 6000), 4)] = random.integers(0, 256, 4)
        (tmp_path / "b.tar").write_bytes(damaged.tobytes())
        try:
            archive = Tar(tmp_path / "b.tar")
            for name in archive.listing.files:
                archive.read(name)
        except DataError:
            refused += 1
    assert refused > 50
