import json
import shutil

import numpy as np
import pytest

from edgecnn.data.box_statistics import crowded, groups
from edgecnn.data.info import inspect_dataset
from edgecnn.errors import DataError

NAMES = {"classes.txt": "cat\ndog\nowl\n"}


def lines(*boxes, size=(100, 80)):
    """YOLO's text: boxes are (class, left, top, right, bottom) in pixels."""
    width, height = size
    return "".join(
        f"{label} {(x1 + x2) / 2 / width:.10g} {(y1 + y2) / 2 / height:.10g} {(x2 - x1) / width:.10g} "
        f"{(y2 - y1) / height:.10g}\n"
        for label, x1, y1, x2, y2 in boxes
    )


def test_images_without_any_box_are_counted_and_give_no_sizes(files):
    found = inspect_dataset(files({**NAMES, "images/a.png": (8, 6), "labels/a.txt": ""}))
    assert (found.images, found.counts["all"].empty, found.side_px, found.input) == (1, 1, (), None)
    assert (found.crowded, found.median_px) == (0, (None, None, None))
    json.dumps(found.as_dict())


def test_counts_sizes_aspects_and_crowding_are_those_of_the_boxes(files):
    found = inspect_dataset(
        files(
            {
                **NAMES,
                "images/train/a.png": (100, 80),
                "labels/train/a.txt": lines((0, 0, 0, 40, 10), (0, 1, 0, 41, 10), (1, 50, 30, 60, 40)),
                "images/train/b.png": (100, 80),
                "images/val/c.png": (100, 80),
                "labels/val/c.txt": lines((1, 0, 0, 100, 80)),
            }
        )
    )
    train, val = found.counts["train"], found.counts["val"]
    assert (train.images, train.empty, train.boxes, train.images_with) == (2, 1, (2, 1, 0), (1, 1, 0))
    assert (val.images, val.empty, val.boxes) == (1, 0, (0, 1, 0))
    np.testing.assert_allclose(found.side_px[::6], [10, np.sqrt(8000)], rtol=1e-5)
    np.testing.assert_allclose(found.side_share[-1], 1, rtol=1e-5)
    np.testing.assert_allclose(found.aspect[::6], [1, 4], rtol=1e-5)
    assert found.per_image[::3] == (0, 1, 3)
    assert found.coco_sizes == {"small": 3, "medium": 1, "large": 0}
    assert found.crowded == 0.5
    assert found.input is not None
    assert (found.input.label, found.input.side, found.input.enough) == ("cat", 96, True)
    np.testing.assert_allclose(found.input.side_px, 96 * 20 / 100, rtol=1e-5)
    assert "train has no boxes of 'owl': it cannot judge them" in found.warnings
    assert "'cat' has only 2 boxes to learn from" in found.warnings


def test_boxes_that_deserve_a_look_are_listed_with_the_numbers_of_the_file(files):
    boxes = [
        (0, -10, 5, 30, 40), (0, 20, 20, 20, 40), (1, 50, 50, 51, 70), (2, 5, 5, 9, 9), (2, 5, 5, 9, 9),
        (0, 60, 5, 80, 9), (1, 60, 5, 80, 9), (1, 0, 0, 100.2, 80),
    ]  # fmt: skip
    found = inspect_dataset(files({**NAMES, "images/a.png": (100, 80), "labels/a.txt": lines(*boxes)}))
    for what, expected in (
        (found.outside, [("cat", (-10, 5, 30, 40))]),
        (found.without_area, [("cat", (20, 20, 20, 40))]),
        (found.tiny, [("dog", (50, 50, 51, 70))]),
        (found.twice, [("owl", (5, 5, 9, 9))]),
        (found.contradictory, [("cat", (60, 5, 80, 9)), ("dog", (60, 5, 80, 9))]),
    ):
        assert [box.label for box in what] == [label for label, _ in expected]
        np.testing.assert_allclose([box.box_xyxy for box in what], [xyxy for _, xyxy in expected], atol=1e-5)
        assert all(box.image == "cells/images/a.png" for box in what)
    assert len(found.warnings) >= 5


def test_copies_with_other_boxes_leaks_and_damaged_images_are_named(files):
    folder = files(
        {
            **NAMES,
            "images/train/a.png": (100, 80),
            "labels/train/a.txt": lines((0, 0, 0, 40, 10)),
            "images/train/b.png": (100, 80),
            "labels/train/b.txt": lines((0, 0, 0, 40, 10)),
        }
    )
    (folder / "images/val").mkdir()
    shutil.copy(folder / "images/train/a.png", folder / "images/val/c.png")
    (folder / "images/train/b.png").write_bytes((folder / "images/train/b.png").read_bytes()[:-20])
    found = inspect_dataset(folder)
    assert found.leaks == found.mislabelled == (("cells/images/train/a.png", "cells/images/val/c.png"),)
    assert [name for name, _ in found.unreadable] == ["cells/images/train/b.png"]


def test_an_annotation_that_says_another_size_than_its_image_has(files):
    page = {
        "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 80}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    found = inspect_dataset(files({"a.png": (80, 60), "annotations.json": json.dumps(page)}))
    assert found.wrong_sizes == (("cells/a.png", (60, 80), (80, 60)),)
    assert "60x80, but 80x60" in " ".join(found.warnings)


def test_drawn_scenes_are_judged_for_the_task_that_is_asked_for():
    found = inspect_dataset("drawn?train=12&val=4&test=4", task="detection")
    assert (found.images, found.labels) == (20, ("ball", "box", "cone", "sign"))
    assert (found.outside, found.without_area, found.wrong_sizes) == ((), (), ())
    with pytest.raises(DataError, match="what is in data for segmentation is not known"):
        inspect_dataset("drawn?train=12&val=4&test=4", task="segmentation")


def test_crowding_is_what_comparing_all_pairs_finds(monkeypatch):
    monkeypatch.setattr("edgecnn.data.box_statistics._BLOCK", 7)
    random = np.random.default_rng(3)
    image, label = random.integers(0, 3, (2, 80))
    corner = random.uniform(0, 60, (80, 2))
    xyxy = np.concatenate([corner, corner + random.uniform(5, 40, (80, 2))], 1)

    def iou(a, b):
        w = min(a[2], b[2]) - max(a[0], b[0])
        h = min(a[3], b[3]) - max(a[1], b[1])
        shared = max(w, 0) * max(h, 0)
        return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)

    expected = [
        any(
            i != j and image[i] == image[j] and label[i] == label[j] and iou(xyxy[i], xyxy[j]) > 0.3
            for j in range(80)
        )
        for i in range(80)
    ]
    assert 0 < sum(expected) < 80
    assert crowded(image, label, xyxy, 0.3).tolist() == expected
    assert crowded(image[:0], label[:0], xyxy[:0], 0.3).tolist() == []


def test_groups_are_equal_rows_by_their_first_index():
    rows = np.array([[1, 2], [3, 4], [1, 2], [5, 6], [3, 4], [1, 2]])
    assert [group.tolist() for group in groups(rows)] == [[0, 2, 5], [1, 4]]
    assert groups(rows[:0]) == groups(rows[:1]) == []


def test_what_is_said_of_bccd(shared):
    found = inspect_dataset(shared / "data" / "bccd.zip")
    assert [counts.boxes for counts in found.counts.values()] == [
        (209, 2381, 214),
        (83, 967, 87),
        (69, 805, 71),
    ]
    assert [box.box_xyxy for box in found.without_area] == [(181, 329, 181, 329), (504, 337, 504, 337)]
    assert found.input is not None
    assert (found.input.side, found.input.label) == (320, "Platelets")
    assert (found.unreadable, found.duplicates, found.outside) == ((), (), ())
