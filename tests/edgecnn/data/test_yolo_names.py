from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.data.yolo_names import parse
from edgecnn.errors import DataError


def test_an_empty_file_says_nothing():
    assert parse("", "data.yaml") == ((), "", {})
    assert parse("# nothing\n---\n\n", "data.yaml") == ((), "", {})


@pytest.mark.parametrize(
    "names",
    [
        "names: [cat, big dog, o'hare]",
        "names: ['cat', \"big dog\", 'o''hare']  # pets",
        "names:\n- cat\n- big dog\n- o'hare",
        "names:\n  - cat   # first\n\n  - 'big dog'\n  - \"o'hare\"\n",
        "names:\n  0: cat\n  1: big dog\n  2: o'hare\n",
        "names: {0: cat, 1: big dog, 2: o'hare}",
        "names: [\n  cat,\n  big dog,\n  o'hare,\n]\n",
        "names:\n  2: o'hare\n  '0': cat\n  1: \"big \\u0064og\"\n",
        '"names": [cat, big dog, o\'hare]\r\nnc: 3\r\n',
    ],
)
def test_names_in_every_usual_form(names):
    assert parse(names, "data.yaml").labels == ("cat", "big dog", "o'hare")


def test_signs_within_quotes_mean_nothing():
    assert parse("names: ['a, b', \"c # d\", 'e: f', g#h]", "x").labels == ("a, b", "c # d", "e: f", "g#h")


def test_folders_lists_and_what_is_passed_over():
    text = (
        "path: ../sets/x  # here\ntrain:\n  - images/a\n  - images/b\nval: [c, d]\ntest:\n"
        "download: |\n  import os\n  os.system('x: y')\nroboflow:\n  url: https://x.y/z\nkpt_shape: [17, 3]\n"
        "anchors: &a [1]\n"
    )
    found = parse(text, "data.yaml")
    assert (found.root, found.splits) == ("../sets/x", {"train": ("images/a", "images/b"), "val": ("c", "d")})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: cat", r"data.yaml:1: names must be a list"),
        ("nc: 2\nnames: {0: cat, 2: dog}", r"data.yaml:2: names must be numbered"),
        ("names: [cat", r"data.yaml:1: '\[cat' is opened but not closed"),
        ("names: ['cat]", r"data.yaml:1: .* is not understood"),
        ("names: &pets [cat]", r"data.yaml:1: .*not understood"),
        ("names: [*pets]", r"data.yaml:1: '\*pets' is not understood"),
        ("names: [!!python/object:os.system x]", r"data.yaml:1: .* is not understood"),
        ("names: [[cat], dog]", r"data.yaml:1: '\[cat\]' is not understood"),
        ("names:\n- cat\n  dog", r"data.yaml:3: 'dog' is not understood"),
        ("names:\n  0: cat\n  0: dog", r"data.yaml:3: 0 occurs twice"),
        ("names: [a]\nnames: [b]", r"data.yaml:2: names occurs twice"),
        ("train: {a: b}", r"data.yaml:1: train must be a folder"),
        ("path: [a]", r"data.yaml:1: path must be one folder"),
        ("train: |\n  images", r"data.yaml:2: 'images' continues the line before"),
        ("hello", r"data.yaml:1: 'hello' is not understood"),
    ],
)
def test_anything_else_is_refused_with_its_line(text, message):
    with pytest.raises(DataError, match=message):
        parse(text, "data.yaml")


@given(st.text(alphabet="names:[]{}-'\"#,&| \n\t0ab\\", max_size=60))
def test_any_text_is_read_or_refused(text):
    with suppress(DataError):
        assert all(isinstance(label, str) for label in parse(f"names:{text}", "data.yaml").labels)
