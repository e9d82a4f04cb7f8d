import time
import zipfile

import numpy as np
import pytest

from edgecnn.data import open_dataset, open_parts, split_names, training_splits, voc
from edgecnn.data.storage import Place
from edgecnn.errors import DataError


def page(*objects, size=(40, 30), filename="x.png"):
    """An annotation: objects are (name, xmin, ymin, xmax, ymax, difficult)."""
    things = "\n".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmax>{x2}</xmax><xmin>{x1}</xmin>"
        f"<ymin>{y1}</ymin><ymax>{y2}</ymax></bndbox>"
        "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>"
        for name, x1, y1, x2, y2, difficult in objects
    )
    return (
        f"<annotation><filename>{filename}</filename>\n"
        f"<size><width>{size[0]}</width><height>{size[1]}</height></size>\n{things}</annotation>"
    )


CAT, DOG = ("cat", 1, 2, 10, 20, 0), ("dog", "0.5", 3, "39.25", 30, 1)

WHOLE = {
    "Annotations/a.xml": page(CAT, DOG),
    "Annotations/b.xml": page(),
    "JPEGImages/a.png": (40, 30),
    "JPEGImages/b.png": (40, 30),
}


def test_a_folder_without_annotations_is_not_voc(files):
    assert not voc.recognizes(Place(files({"JPEGImages/a.png": (8, 6)})))
    assert not voc.recognizes(Place("nothing"))


def test_corners_labels_difficult_and_images_without_boxes_are_read_as_written(files):
    data = open_dataset(files(WHOLE), task="detection")
    assert (data.name, data.labels, data.split, len(data)) == ("cells", ("cat", "dog"), None, 2)
    first, second = (sample.truth for sample in data.samples)
    np.testing.assert_array_equal(first.xyxy, [[1, 2, 10, 20], [0.5, 3, 39.25, 30]])
    assert (first.label_id.tolist(), first.ignored.tolist()) == ([0, 1], [False, True])
    assert first.score.tolist() == [1, 1]
    assert (len(second), second.labels) == (0, ("cat", "dog"))
    assert data.samples[1].read().shape == (30, 40, 3)


def test_lists_say_the_splits_and_their_order_and_leave_other_images_aside(files):
    folder = files(
        {
            **WHOLE,
            "Annotations/c.xml": page(CAT),
            "JPEGImages/c.png": (40, 30),
            "JPEGImages/d.png": (40, 30),
            "ImageSets/Main/train.txt": "b\r\na.png\r\n",
            "ImageSets/Main/test.txt": "c\n\n",
            "ImageSets/Main/trainval.txt": "a\nb\n",
            "ImageSets/Main/cat_train.txt": "a  1\nb -1\n",
        }
    )
    parts = open_parts(folder, task="detection")
    names = {split: [sample.image.path for sample in part.samples] for split, part in parts.items()}
    assert names == {"train": ["JPEGImages/b.png", "JPEGImages/a.png"], "test": ["JPEGImages/c.png"]}
    assert split_names(folder) == ("train", "test")


def test_trainval_is_what_is_learned_from_where_there_is_no_train(files):
    folder = files({**WHOLE, "ImageSets/Main/trainval.txt": "a\n", "ImageSets/Main/test.txt": "b\n"})
    assert split_names(folder) == ("train", "test")


def test_annotations_beside_their_images_in_folders_of_splits(files):
    folder = files(
        {
            "train/a.png": (40, 30),
            "train/a.xml": page(CAT),
            "valid/b.png": (40, 30),
            "valid/b.xml": page(DOG),
        }
    )
    parts = open_parts(folder, task="detection")
    assert {split: len(part) for split, part in parts.items()} == {"train": 1, "val": 1}
    assert parts["val"].labels == ("cat", "dog")


def test_several_years_below_one_folder_are_one_data_set(files):
    years = {f"VOC{year}/{path}": content for year in (2007, 2012) for path, content in WHOLE.items()}
    lists = {f"VOC{year}/ImageSets/Main/train.txt": "a\nb\n" for year in (2007, 2012)}
    assert len(open_parts(files({**years, **lists}), task="detection")["train"]) == 4


def test_labels_txt_says_the_order_and_may_name_more(files):
    folder = files({**WHOLE, "labels.txt": "owl\ndog\ncat\n"})
    data = open_dataset(folder, task="detection")
    assert data.labels == ("owl", "dog", "cat")
    assert data.samples[0].truth.label_id.tolist() == [2, 1]


def test_truth_is_clipped_to_the_image_and_raw_numbers_are_kept(files):
    outside = page(
        ("cat", -5, 2, 100, 20, 0), ("cat", 50, 2, 60, 9, 0), ("cat", 7, 7, 7, 9, 0), size=(40, 30)
    )
    data = open_dataset(files({**WHOLE, "Annotations/a.xml": outside}), task="detection")
    np.testing.assert_array_equal(data.samples[0].truth.xyxy, [[0, 2, 40, 20]])
    assert data.samples.xyxy.tolist() == [[-5, 2, 100, 20], [50, 2, 60, 9], [7, 7, 7, 9]]


@pytest.mark.parametrize("size", [("", ""), (0, 0), ("x", 30), ("9" * 5000, 30), (20, 15)])
def test_a_size_that_is_missing_or_too_small_is_looked_up_in_the_image(files, size):
    data = open_dataset(files({**WHOLE, "Annotations/a.xml": page(DOG, size=size)}), task="detection")
    np.testing.assert_array_equal(data.samples[0].truth.xyxy, [[0.5, 3, 39.25, 30]])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"Annotations/a.xml": page(("cat", 9, 2, 3, 20, 0))}, r"a.xml:3: the box 9, 2, 3, 20 ends before it be"),  # noqa: E501
        ({"Annotations/a.xml": page(("cat", "nan", 2, 3, 20, 0))}, r"a.xml:3: the box nan.*finite"),
        ({"Annotations/a.xml": page(("cat", "1e999", 2, 3, 20, 0))}, r"a.xml:3: the box inf.*finite"),
        ({"Annotations/a.xml": page(("cat", "left", 2, 3, 20, 0))}, r"a.xml:3: <xmin> of 'cat' is 'left', not"),  # noqa: E501
        ({"Annotations/a.xml": page(("cat", "", 2, 3, 20, 0))}, r"a.xml:3: <xmin> of 'cat' is '', not a number"),  # noqa: E501
        ({"Annotations/a.xml": page((" ", 1, 2, 3, 20, 0))}, r"a.xml:3: an object without a name"),
        ({"Annotations/a.xml": page(("a&#7;b", 1, 2, 3, 4, 0))}, r"a.xml:3: not XML"),
        ({"Annotations/a.xml": page(("a\tb", 1, 2, 3, 20, 0))}, r"cells: class 0 is called 'a\\tb'"),
        ({"Annotations/a.xml": page(("cat", 1, 2, 3, 20, 7))}, r"a.xml:3: <difficult> is '7'"),
        ({"Annotations/a.xml": "<annotation>\n<object>"}, r"a.xml:2: not XML"),
        ({"Annotations/a.xml": ""}, r"a.xml:1: not XML"),
        ({"Annotations/a.xml": "<html/>"}, r"a.xml: its root is <html>"),
        ({"Annotations/a.xml": '<?xml version="1.0" encoding="nonsense"?><annotation/>'}, "Save it as UTF-8"),
        (
            {"Annotations/a.xml": '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>\n<annotation>&b;</annotation>'},
            r"a.xml:1: declares a document type",
        ),
        (
            {"Annotations/a.xml": '\n<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]>\n<annotation>&c;</annotation>'},  # noqa: E501
            r"a.xml:2: declares a document type",
        ),
        ({"Annotations/c.xml": page(CAT, filename="../../etc/passwd")}, r"c.xml: its image '../../etc/passwd' is"),  # noqa: E501
        ({"ImageSets/Main/train.txt": "a\nz\n"}, r"train.txt:2: 'z' has no annotation"),
        ({"ImageSets/Main/train.txt": "a\na\n"}, r"JPEGImages/a.png: listed twice in train"),
        ({"ImageSets/Main/train.txt": "a\n", "ImageSets/Main/val.txt": "a\n"}, r"a.png: listed in train and in val"),  # noqa: E501
        ({"ImageSets/Main/train.txt": "", "ImageSets/Main/val.txt": ""}, r"holds no annotated images|names no class"),  # noqa: E501
        ({"ImageSets/Main/train.txt": b"\xff\xfe"}, r"train.txt: not a text file in UTF-8"),
        ({"ImageSets/Main/val.txt": "a", "ImageSets/Main/dev.txt": "a"}, r"both list the val split"),
        ({"labels.txt": "cat\n"}, r"labels.txt: does not list 'dog'"),
        ({"labels.txt": "cat\ndog\ncat\n"}, r"two classes are called 'cat'"),
        ({"Annotations/a.xml": page(), "Annotations/b.xml": page()}, r"names no class at all"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line_with_file_and_line(files, changed, message):
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(files({**WHOLE, **changed}), task="detection")
    assert "\n" not in str(caught.value)


def test_a_bomb_of_a_document_is_refused_before_it_is_read(files, monkeypatch):
    monkeypatch.setattr("edgecnn.data.voc_page.MAX_BYTES", 10)
    with pytest.raises(DataError, match="bytes; an annotation has a few thousand"):
        open_dataset(files(WHOLE), task="detection")


def test_elements_without_end_cost_no_more_than_their_bytes(files):
    with pytest.raises(DataError, match="not XML"):
        open_dataset(files({**WHOLE, "Annotations/a.xml": "<annotation>" * 100_000}), task="detection")


def test_opened_for_classification_it_says_which_task_it_serves(files):
    with pytest.raises(DataError, match=r"Pascal VOC data set holds boxes.*--task detection"):
        open_dataset(files(WHOLE))


def test_a_class_folder_with_notes_in_xml_is_still_a_class_folder(files):
    photos = files({"cat/1.png": (8, 6), "cat/1.xml": page(CAT), "dog/2.png": (8, 6)})
    assert open_dataset(photos).labels == ("cat", "dog")


def test_in_a_zip_it_is_the_same(files, tmp_path):
    folder = files(WHOLE)
    packed = tmp_path / "cells.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, f"cells/{file.relative_to(folder)}")
    one, two = (open_dataset(path, task="detection") for path in (folder, packed))
    for a, b in zip(one.samples, two.samples, strict=True):
        np.testing.assert_array_equal(a.truth.xyxy, b.truth.xyxy)
        np.testing.assert_array_equal(a.read(), b.read())


def test_bccd_opens_with_its_official_splits_and_all_its_cells(shared):
    path = shared / "data" / "bccd.zip"
    before = time.process_time()
    parts = open_parts(path, task="detection")
    assert time.process_time() - before < 0.5
    assert {split: len(part) for split, part in parts.items()} == {"train": 205, "val": 87, "test": 72}
    assert parts["train"].labels == ("Platelets", "RBC", "WBC")
    written = sum(np.bincount(part.samples.label_id, minlength=3) for part in parts.values())
    assert written.tolist() == [361, 4155, 372]
    truths = [sample.truth for part in parts.values() for sample in part.samples]
    assert sum(map(len, truths)) == 4886  # two have no area
    assert max(truth.xyxy.max() for truth in truths) <= 640
    train, val = training_splits(path, task="detection")
    assert (len(train), len(val)) == (205, 87)
    assert val.samples[0].read().shape == (480, 640, 3)
