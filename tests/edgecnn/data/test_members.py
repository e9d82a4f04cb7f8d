import pytest

from edgecnn.data.members import Listing, checked
from edgecnn.errors import DataError


def test_nothing_is_an_empty_listing():
    assert Listing.of([]) == Listing((), ())
    assert Listing.of(["", ".git/", "__MACOSX/a/._1.jpg"]) == Listing((), ())


def test_files_and_folders_are_sorted_and_folders_follow_from_files():
    listing = Listing.of(["b/2.jpg", "b/x/1.jpg", "a/", "0.txt"])
    assert listing.files == ("0.txt", "b/2.jpg", "b/x/1.jpg")
    assert listing.folders == ("a", "b", "b/x")


@pytest.mark.parametrize(
    "name", [".DS_Store", "cat/.hidden.jpg", "__MACOSX/cat/1.jpg", "cat/.cache/1.jpg", "x/__MACOSX/"]
)
def test_hidden_files_are_left_out(name):
    assert Listing.of([name, "cat/1.jpg"]).files == ("cat/1.jpg",)


@pytest.mark.parametrize("name", ["cat/1..jpg", "c..t/...x/1.jpg", "__MACOSXY/1.jpg", "a b/ü.jpg"])
def test_unusual_names_that_lead_nowhere_else_are_kept(name):
    assert checked(name, "x.zip") == name


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("./cat/1.jpg", "cat/1.jpg"),
        ("cat//1.jpg", "cat/1.jpg"),
        ("cat\\1.jpg", "cat/1.jpg"),
        ("./", ""),
        ("a/./b/", "a/b/"),
    ],
)
def test_names_are_written_in_one_way(name, path):
    assert checked(name, "x.zip") == path


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../1.jpg", "cat/../../1.jpg", "cat/..", "..\\1.jpg", "C:\\1.jpg", "a\0b"]
)
def test_a_name_that_leads_out_is_refused_with_its_archive(name):
    with pytest.raises(DataError, match=r"x\.zip: the member .* leads out of the archive"):
        checked(name, "x.zip")
