"""Label files: one name a line, or Coral's numbered lines."""

import pytest

from edgecnn.errors import DataError
from edgecnn.runtime import labels


@pytest.mark.parametrize("data", [b"", b"\n\n", b"  \t\r\n", b"\xef\xbb\xbf"])
def test_a_file_without_labels_is_an_error(data):
    with pytest.raises(DataError, match=r"names\.txt: no labels in it"):
        labels.parse(data, "names.txt")


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"cat", ("cat",)),
        (b"cat\ndog\n", ("cat", "dog")),
        (b"cat\r\ndog\r\n\r\n", ("cat", "dog")),
        (b"\xef\xbb\xbfcat\ndog", ("cat", "dog")),
        ("größer\n犬　猫\n".encode(), ("größer", "犬　猫")),
        (b"n01440764\ttench\nn01443537\tgoldfish\n", ("n01440764 tench", "n01443537 goldfish")),
        (b"hot dog, red hot\n  bagel  \n", ("hot dog, red hot", "bagel")),
        (b"0  background\n1  tench, Tinca tinca\n", ("background", "tench, Tinca tinca")),
        (b"0: background\n1:tench\n", ("background", "tench")),
        (b"0 person\n2 car\n", ("person", "class 1", "car")),  # as in Coral's COCO list
        (b"1 cat\n2 dog\n", ("class 0", "cat", "dog")),
        (b"0\n1\n2\n", ("0", "1", "2")),  # digits are names, not numbers of empty names
        (b"7 up\n3 musketeers\n", ("7 up", "3 musketeers")),  # numbers that do not count
        (b"0 cat\ndog\n", ("0 cat", "dog")),
        (b"cat\ncat\n", ("cat", "cat")),  # ImageNet has two cranes
    ],
)
def test_labels_are_read(data, wanted):
    assert labels.parse(data, "names.txt") == wanted


def test_an_empty_line_between_labels_is_named_with_its_number():
    with pytest.raises(DataError, match=r"names\.txt:2: an empty line between labels"):
        labels.parse(b"cat\n\ndog\n", "names.txt")


def test_an_empty_first_line_would_shift_every_name():
    with pytest.raises(DataError, match=r"names\.txt:1: an empty line"):
        labels.parse(b"\ncat\ndog\n", "names.txt")


def test_a_file_that_is_not_utf_8_is_named_with_its_line():
    with pytest.raises(DataError, match=r"names\.txt:2: not UTF-8"):
        labels.parse("cat\ngrößer\n".encode("latin-1"), "names.txt")


def test_labels_come_from_a_path_or_as_they_are(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("cat\ndog\n")
    assert labels.read(path) == labels.read(str(path)) == labels.read(["cat", "dog"]) == ("cat", "dog")


def test_a_missing_or_unreadable_file_is_named(tmp_path):
    for path in (tmp_path / "nothing.txt", tmp_path):
        with pytest.raises(DataError, match="the label file cannot be read"):
            labels.read(path)


def test_a_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "names.txt"
    with path.open("wb") as file:
        file.truncate(labels.MAX_BYTES + 1)
    with pytest.raises(DataError, match="is no label file"):
        labels.read(path)


@pytest.mark.parametrize(
    ("entries", "wanted"),
    [
        ({}, None),
        ({"card.json": b""}, None),
        ({"labels.txt": b""}, "labels.txt"),
        ({"LABELS.TXT": b"", "x.json": b""}, "LABELS.TXT"),
        ({"labels.txt": b"", "vocabulary.txt": b""}, None),
    ],
)
def test_a_lone_text_file_behind_a_model_is_found(entries, wanted):
    assert labels.only_text_file(entries) == wanted


@pytest.mark.parametrize(
    ("count", "classes", "said"),
    [
        (1000, 1001, "Add a first line 'background'"),
        (1001, 1000, "Remove the first line"),
        (5, 1001, "with 1001 lines"),
    ],
)
def test_a_wrong_number_of_labels_comes_with_what_to_do(count, classes, said):
    assert said in labels.count_hint(count, classes)


def test_stand_ins_are_numbered_from_zero():
    assert labels.unnamed(0) == ()
    assert labels.unnamed(2) == ("class 0", "class 1")
