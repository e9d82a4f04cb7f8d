import numpy as np
import pytest

from edgecnn.data import open_dataset, open_parts, yolo
from edgecnn.data.storage import Place
from edgecnn.errors import DataError

YAML = "train: images/train\nval: images/val\nnames: [cat, dog]\n"
WHOLE = {
    "data.yaml": YAML,
    "images/train/a.png": (40, 30),
    "images/train/b.png": (20, 10),
    "images/val/c.png": (40, 30),
    "labels/train/a.txt": "1 0.5 0.5 0.5 0.2\n0 0.1 0.1 0.1 0.1\n",
    "labels/val/c.txt": "",
}


def test_a_folder_without_labels_is_not_yolo(files):
    assert not yolo.recognizes(Place(files({"images/a.png": (8, 6), "data.yaml": "names: [a]"})))
    assert not yolo.recognizes(Place("nothing"))


def test_shares_become_pixels_and_an_image_without_a_file_shows_nothing(files):
    parts = open_parts(files(WHOLE), task="detection")
    assert {split: len(part) for split, part in parts.items()} == {"train": 2, "val": 1}
    first, second = (sample.truth for sample in parts["train"].samples)
    np.testing.assert_allclose(first.xyxy, [[10, 12, 30, 18], [2, 1.5, 6, 4.5]], atol=1e-5)
    assert (first.label_id.tolist(), first.labels, first.ignored.any()) == ([1, 0], ("cat", "dog"), False)
    assert (len(second), len(parts["val"].samples[0].truth)) == (0, 0)


def test_a_polygon_counts_as_the_box_around_it(files):
    lines = "0 0.1 0.2 0.5 0.1 0.3 0.6\n1 0.1 0.1 0.2 0.1 0.2 0.3 0.1 0.3\n"
    data = open_parts(files({**WHOLE, "labels/train/a.txt": lines}), task="detection")["train"]
    np.testing.assert_allclose(data.samples[0].truth.xyxy, [[4, 3, 20, 18], [4, 3, 8, 9]], atol=1e-5)


LAYOUTS = {
    "roboflow": {
        "data.yaml": "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['cat', 'dog']\nroboflow:\n  license: x\n",  # noqa: E501
        "train/images/a.png": (40, 30), "train/labels/a.txt": "0 .5 .5 .5 .5",
        "valid/images/b.png": (40, 30), "valid/labels/b.txt": "1 .5 .5 .5 .5",
    },
    "moved from elsewhere": {
        "data.yaml": "path: /home/me/sets/cells\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n",  # noqa: E501
        "images/train/a.png": (40, 30), "labels/train/a.txt": "0 .5 .5 .5 .5",
        "images/val/b.png": (40, 30), "labels/val/b.txt": "1 .5 .5 .5 .5",
    },
    "beside its own folder": {
        "sets/cells.yaml": "path: ../datasets/cells\ntrain: images/train\nval: [images/val]\nnames: {0: cat, 1: dog}\n",  # noqa: E501
        "sets/cells/images/train/a.png": (40, 30), "sets/cells/labels/train/a.txt": "0 .5 .5 .5 .5",
        "sets/cells/images/val/b.png": (40, 30), "sets/cells/labels/val/b.txt": "1 .5 .5 .5 .5",
    },
    "lists": {
        "data.yaml": "train: train.txt\nval: val.txt\nnames:\n- cat\n- dog\n",
        "train.txt": "./images/a.png\n", "val.txt": "/far/away/images/b.png\n".replace("/far/away", "."),
        "images/a.png": (40, 30), "labels/a.txt": "0 .5 .5 .5 .5",
        "images/b.png": (40, 30), "labels/b.txt": "1 .5 .5 .5 .5",
    },
    "without data.yaml": {
        "classes.txt": "cat\ndog\n",
        "images/train/a.png": (40, 30), "labels/train/a.txt": "0 .5 .5 .5 .5",
        "images/val/b.png": (40, 30), "labels/val/b.txt": "1 .5 .5 .5 .5",
    },
    "each beside its image": {
        "obj.names": "cat\ndog\n",
        "train/a.png": (40, 30), "train/a.txt": "0 .5 .5 .5 .5",
        "val/b.png": (40, 30), "val/b.txt": "1 .5 .5 .5 .5",
    },
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_usual_layouts_are_found(files, layout):
    parts = open_parts(files(LAYOUTS[layout]), task="detection")
    assert {split: len(part) for split, part in parts.items()} == {"train": 1, "val": 1}
    for split, label in (("train", 0), ("val", 1)):
        truth = parts[split].samples[0].truth
        assert (truth.labels, truth.label_id.tolist()) == (("cat", "dog"), [label])
        np.testing.assert_allclose(truth.xyxy, [[10, 7.5, 30, 22.5]])


def test_in_one_piece_there_are_no_splits(files):
    folder = files({"classes.txt": "cat\n", "images/a.png": (40, 30), "labels/a.txt": "0 .5 .5 .5 .5\n"})
    assert list(open_parts(folder, task="detection")) == [""]


def line(text):
    return {"labels/train/a.txt": f"0 .5 .5 .1 .1\n{text}\n"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (line("2 .5 .5 .1 .1"), r"labels/train/a.txt:2: class 2, but there are only 2 labels \(0-1\)"),
        (line("-1 .5 .5 .1 .1"), r"a.txt:2: class -1"),
        (line("0.5 .5 .5 .1 .1"), r"a.txt:2: class 0.5"),
        (line("nan .5 .5 .1 .1"), r"a.txt:2: class nan"),
        (line("inf .5 .5 .1 .1"), r"a.txt:2: class inf"),
        (line("0 .5 .5 nan .1"), r"a.txt:2: the box .* is not four finite"),
        (line("0 .5 .5 -.1 .1"), r"a.txt:2: the box .* ends before it begins"),
        (line("0 .5 .5 .1"), r"a.txt:2: 4 numbers; a box has 5"),
        (line("0 .5 .5 .1 .1 .9"), r"a.txt:2: 6 numbers; a box has 5"),
        (line("0 320 240 50 60"), r"a.txt:2: 320 is no share of the image, more likely pixels"),
        (line("cat .5 .5 .1 .1"), r"a.txt:2: 'cat .5 .5 .1 .1' is not a line of numbers"),
        ({"labels/train/a.txt": b"\xff\xfe\x00"}, r"a.txt: not a text file in UTF-8"),
        ({"labels/train/z.txt": "0 .5 .5 .1 .1"}, r"labels/train/z.txt: its image is not there"),
        ({"images/train/a.png": b"no image"}, r"images/train/a.png: not an image"),
        ({"images/train/a.png": b"\x89PNG\r\n\x1a\n\0\0"}, r"images/train/a.png: truncated"),
        ({"data.yaml": "train: images/train\nval: images/train\nnames: [cat, dog]"}, r"listed in train and in val"),  # noqa: E501
        ({"data.yaml": "train: [images/train, images]\nnames: [cat, dog]"}, r"a.png: listed twice in train"),
        ({"data.yaml": "train: images/gone\nnames: [cat, dog]"}, r"data.yaml: train is 'images/gone', but no images"),  # noqa: E501
        ({"data.yaml": "train: ../../../etc\nnames: [cat, dog]"}, r"data.yaml: train is .* but no images lie there"),  # noqa: E501
        ({"data.yaml": "train: t.txt\nnames: [cat]", "t.txt": "images/train/a.png\nx.png"}, r"t.txt:2: the image 'x.png'"),  # noqa: E501
        ({"data.yaml": "train: images/train\n"}, r"nothing names its classes"),
        ({"data.yaml": "names: [cat, cat]\n"}, r"two classes are called 'cat'"),
        ({"data.yaml": "names: [cat, '']\n"}, r"class 1 is called ''"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line_with_file_and_line(files, changed, message):
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(files({**WHOLE, **changed}), task="detection")
    assert "\n" not in str(caught.value)


def test_images_that_lie_in_no_split_are_not_guessed(files):
    folder = files({**LAYOUTS["without data.yaml"], "images/c.png": (40, 30)})
    with pytest.raises(DataError, match=r"images/c.png belongs to no split, but others do"):
        open_dataset(folder, task="detection")


def test_opened_for_classification_it_says_which_task_it_serves(files):
    with pytest.raises(DataError, match=r"YOLO data set holds boxes.*--task detection"):
        open_dataset(files(WHOLE))
