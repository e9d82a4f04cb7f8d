import json

import numpy as np
import pytest

from edgecnn.data import coco, open_dataset, open_parts
from edgecnn.data.storage import Place
from edgecnn.errors import DataError


def page(images, annotations=(), categories=((3, "dog"), (1, "cat"))):
    """COCO's JSON: images (id, file_name), annotations (image_id, category_id, bbox, iscrowd)."""
    return {
        "images": [{"id": key, "file_name": name, "width": 40, "height": 30} for key, name in images],
        "annotations": [
            {"id": number, "image_id": image, "category_id": category, "bbox": bbox, "iscrowd": crowd}
            for number, (image, category, bbox, crowd) in enumerate(annotations)
        ],
        "categories": [{"id": key, "name": name, "supercategory": "pet"} for key, name in categories],
    }


BOXES = [(7, 3, [1, 2, 9, 18], 0), (7, 1, [0.5, 3, 38.75, 27], 1)]
PAGE = page([(9, "b.png"), (7, "a.png")], BOXES)
WHOLE = {"annotations.json": json.dumps(PAGE), "images/a.png": (40, 30), "images/b.png": (40, 30)}


def test_an_empty_folder_is_not_coco(files):
    assert not coco.recognizes(Place(files({"a.png": (8, 6), "notes.json": '{"images": []}'})))
    assert not coco.recognizes(Place("nothing"))


def test_boxes_labels_crowds_and_images_without_boxes_in_the_order_of_the_file(files):
    data = open_dataset(files(WHOLE), task="detection")
    assert (data.labels, [sample.image.path for sample in data.samples]) == (
        ("cat", "dog"),
        ["images/b.png", "images/a.png"],
    )
    empty, full = (sample.truth for sample in data.samples)
    assert len(empty) == 0
    np.testing.assert_array_equal(full.xyxy, [[1, 2, 10, 20], [0.5, 3, 39.25, 30]])
    assert (full.label_id.tolist(), full.ignored.tolist()) == ([1, 0], [False, True])


LAYOUTS = {
    "coco": (
        {"annotations/instances_train2017.json": "t", "annotations/instances_val2017.json": "v",
         "annotations/captions_train2017.json": "c"},
        {"train2017/a.png": 0, "train2017/b.png": 0, "val2017/a.png": 0, "val2017/b.png": 0},
    ),
    "coco, images deeper": (
        {"annotations/instances_train2017.json": "t", "annotations/instances_val2017.json": "v"},
        {"images/train2017/a.png": 0, "images/train2017/b.png": 0, "images/val2017/a.png": 0,
         "images/val2017/b.png": 0},
    ),
    "roboflow": (
        {"train/_annotations.coco.json": "t", "valid/_annotations.coco.json": "v"},
        {"train/a.png": 0, "train/b.png": 0, "valid/a.png": 0, "valid/b.png": 0},
    ),
    "one folder of images": ({"train.json": "t", "val.json": "w"}, {f"images/{name}.png": 0 for name in "abcd"}),  # noqa: E501
    "all around it": (
        {"set/annotations/train.json": "t", "set/annotations/val.json": "w"},
        {f"set/images/{name}.png": 0 for name in "abcd"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_usual_layouts_are_found(files, layout):
    pages, images = LAYOUTS[layout]
    other = page([(1, "c.png"), (2, "d.png")], [(1, 1, [0, 0, 5, 5], 0)])
    content = {"t": PAGE, "v": PAGE, "c": {"images": [], "annotations": [], "categories": []}, "w": other}
    texts = {path: json.dumps(content[which]) for path, which in pages.items()}
    parts = open_parts(files({**texts, **dict.fromkeys(images, (40, 30))}), task="detection")
    assert {split: len(part) for split, part in parts.items()} == {"train": 2, "val": 2}
    assert len({sample.image.path for part in parts.values() for sample in part.samples}) == 4
    for split, part in parts.items():
        folders = {sample.image.path.rsplit("/", 1)[0] for sample in part.samples}
        assert all(split in folder for folder in folders) or "images" in next(iter(folders)).split("/")
        part.samples[0].read()


def test_files_that_number_their_categories_differently_agree_by_name(files):
    val = page([(1, "c.png")], [(1, 0, [0, 0, 5, 5], 0)], [(0, "dog"), (1, "owl")])
    folder = files(
        {"train.json": json.dumps(PAGE), "val.json": json.dumps(val)} | {f"{n}.png": (40, 30) for n in "abc"}
    )
    parts = open_parts(folder, task="detection")
    assert parts["val"].labels == parts["train"].labels == ("cat", "dog", "owl")
    assert parts["val"].samples[0].truth.label_id.tolist() == [1]


def changed(**parts):
    return json.dumps({**PAGE, **parts})


def box(**entries):
    return changed(annotations=[{**PAGE["annotations"][0], **entries}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": [],\n "annotations": [], "categories": [}', r"annotations.json:2: not JSON"),
        ('["images", "annotations", "categories"]', r"has no list of images"),
        (changed(categories={}), r"has no list of categories"),
        (changed(categories=[]), r"annotations\[0\]: no category has the id 3"),
        (changed(categories=[], annotations=[]), r"names no class at all"),
        (changed(categories=[{"id": 1, "name": " "}], annotations=[]), r"class 0 is called ''"),
        (changed(categories=[{"id": 1}]), r"categories\[0\]: its name is None"),
        (changed(categories=[{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]), r"categories\[1\].*occurs twice"),  # noqa: E501
        (changed(images=[], annotations=[]), r"holds no annotated images"),
        (changed(images=[7]), r"images\[0\]: its id is None"),
        (changed(images=[{"id": [], "file_name": "a.png"}]), r"images\[0\]: its id is \[\]"),
        (changed(images=[{"id": True, "file_name": "a.png"}]), r"images\[0\]: its id is True"),
        (changed(images=[{"id": 7, "file_name": 3}]), r"images\[0\]: its file_name is 3"),
        (changed(images=[{"id": 7, "file_name": "z.png"}]), r"images\[0\]: the image 'z.png' is not in cells"),  # noqa: E501
        (changed(images=[{"id": 7, "file_name": "../a.png"}]), r"file_name '../a.png' leads out of cells"),
        (changed(images=[{"id": 7, "file_name": "/etc/passwd"}]), r"leads out of cells"),
        (changed(images=[{"id": 7, "file_name": "C:\\a.png"}]), r"leads out of cells"),
        (changed(images=[{"id": 7, "file_name": "https://a.b/a.png"}]), r"leads out of cells"),
        (changed(images=[*PAGE["images"], PAGE["images"][0]]), r"images\[2\]: the id 9 occurs twice"),
        (changed(images=[PAGE["images"][1], {"id": 8, "file_name": "a.png"}]), r"a.png: listed twice"),
        (box(image_id=8), r"annotations\[0\]: no image has the id 8"),
        (box(category_id=2), r"annotations\[0\]: no category has the id 2"),
        (box(bbox=[1, 2, 3]), r"annotations\[0\]: its bbox is \[1, 2, 3\], not four numbers"),
        (box(bbox=[1, 2, "3", 4]), r"annotations\[0\]: its bbox is .* not four numbers"),
        (box(bbox=None), r"annotations\[0\]: its bbox is None, not four numbers"),
        (box(bbox=[1, 2, -3, 4]), r"annotations\[0\]: the box 1, 2, -2, 6 ends before it begins"),
        (box(bbox=[1, 2, float("nan"), 4]), r"annotations\[0\]: the box 1, 2, nan, 6 is not four finite"),
        (box(bbox=[1e308, 2, 1e308, 4]), r"annotations\[0\]: the box .* is not four finite"),
        (box(bbox=[10**400, 2, 3, 4]), r"annotations\[0\]: its bbox holds a number that is too large"),
        (box(iscrowd=2), r"annotations\[0\]: iscrowd is 2"),
        (PAGE["images"] and '{"images":' + "[" * 100_000 + '"annotations" "categories"', r"cannot be read|not JSON"),  # noqa: E501
        (b'{"images" \xff "annotations" "categories"', r"not a text file in UTF-8"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line_with_file_and_entry(files, content, message):
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(files({**WHOLE, "annotations.json": content}), task="detection")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"train.json": json.dumps(PAGE)}, "annotations.json names no split, but others do"),
        ({"rest.json": json.dumps(PAGE)}, "annotations.json and rest.json name no split"),
    ],
)
def test_files_that_contradict_each_other_are_refused(files, more, message):
    with pytest.raises(DataError, match=message):
        open_dataset(files({**WHOLE, **more}), task="detection")


def test_opened_for_classification_it_says_which_task_it_serves(files):
    with pytest.raises(DataError, match=r"COCO data set holds boxes.*--task detection"):
        open_dataset(files(WHOLE))
