import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.data import open_parts
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.unlabelled import open_images
from edgecnn.data.write import write_dataset
from edgecnn.errors import DataError
from edgecnn.results import Boxes, Classes

FORMATS = ("coco", "voc", "yolo")
LABELS = ("owl", "cat & dog", "<none>", "ø: '#\"")


class Made:
    """An image that is no file."""

    def __init__(self, name, size_wh=(40, 30), seed=0):
        self.name, self.size_wh, self.seed = name, size_wh, seed

    def read(self):
        width, height = self.size_wh
        return np.random.default_rng(self.seed).integers(0, 256, (height, width, 3), np.uint8)


def boxes(xyxy, ids, ignored=None, labels=LABELS):
    n = len(ids)
    ignored = np.zeros(n, bool) if ignored is None else np.array(ignored, bool)
    return Boxes(
        np.array(xyxy, np.float32).reshape(n, 4), np.ones(n), np.array(ids, np.int64), labels, ignored
    )


def parts_of(**truths):
    """A data set of made images; each split is a list of (name, truth)."""
    return {
        split.strip("_"): Dataset(
            "made", "detection", LABELS, [Sample(Made(f"made/{name}"), truth) for name, truth in some], split
        )
        for split, some in truths.items()
    }


def assert_same(before, after, tolerance_px):
    assert list(before) == list(after)
    for split in before:
        assert before[split].labels == after[split].labels
        for one, two in zip(before[split].samples, after[split].samples, strict=True):
            assert one.truth.label_id.tolist() == two.truth.label_id.tolist()
            assert one.truth.ignored.tolist() == two.truth.ignored.tolist()
            np.testing.assert_allclose(one.truth.xyxy, two.truth.xyxy, rtol=0, atol=tolerance_px)
            np.testing.assert_array_equal(one.read(), two.read())


@pytest.mark.parametrize("kind", FORMATS)
def test_images_without_boxes_read_back_as_such(tmp_path, kind):
    parts = parts_of(train=[("a", boxes([], []))], test=[("b", boxes([], []))])
    written = write_dataset(parts, tmp_path / "out", format=kind)
    assert (written.images, written.boxes, written.dropped) == ({"train": 1, "test": 1}, 0, 0)
    assert_same(parts, open_parts(tmp_path / "out", task="detection"), 0)


side = st.floats(0.0625, 39, width=32)
box = st.tuples(side, side, side, side).map(
    lambda v: (min(v[0], v[2]), min(v[1], v[3], 29), max(v[0], v[2]) + 0.25, min(max(v[1], v[3]), 29) + 0.25)
)
NASTY = ("a", "A", "b/a", "a-b", "a.b", "a.png", ".", "..", " ", "a ", "é", "b\n", "\udcff", "a/b", "7", "10")
names = st.lists(st.sampled_from(NASTY), min_size=1, max_size=5)


@settings(max_examples=15, deadline=None, report_multiple_bugs=False)
@given(
    st.sampled_from(FORMATS),
    st.booleans(),
    names,
    st.lists(st.lists(st.tuples(box, st.integers(0, 3), st.booleans()), max_size=4), min_size=5, max_size=5),
)
def test_whatever_is_written_reads_back_the_same(kind, whole, names, things):
    truths = [
        boxes([t[0] for t in some], [t[1] for t in some], [t[2] and kind != "yolo" for t in some])
        for some in things
    ]
    some = [(name, truths[number]) for number, name in enumerate(names)]
    parts = parts_of(_=some) if whole else parts_of(train=some, val=[("a", truths[4])])
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(parts, Path(folder) / "out", format=kind)
        assert_same(parts, open_parts(Path(folder) / "out", task="detection"), 1e-3 if kind == "yolo" else 0)


@pytest.mark.parametrize("kind", FORMATS)
def test_drawn_scenes_read_back_as_they_were_drawn(tmp_path, kind):
    parts = open_parts("drawn:7?size=96x64&train=6&val=3&test=3", task="detection")
    write_dataset(parts, tmp_path / "out", format=kind)
    assert_same(parts, open_parts(tmp_path / "out", task="detection"), 1e-3 if kind == "yolo" else 0)


def test_from_format_to_format_images_stay_the_same_files(files, tmp_path):
    image = cv2.imencode(".jpg", Made("x").read(), [cv2.IMWRITE_JPEG_QUALITY, 50])[1].tobytes()
    line = "0 0.5 0.5 0.123456 0.654321\n"
    source = files({"classes.txt": "cat\n", "images/train/a.jpg": image, "labels/train/a.txt": line})
    first = open_parts(source, task="detection")
    for kind in ("voc", "coco", "yolo"):
        write_dataset(open_parts(source, task="detection"), tmp_path / kind, format=kind)
        source = tmp_path / kind
    assert_same(first, open_parts(source, task="detection"), 1e-3)
    assert (tmp_path / "yolo" / "images" / "train" / "a.jpg").read_bytes() == image


def test_pycocotools_reads_what_is_written(tmp_path, capsys):
    coco = pytest.importorskip("pycocotools.coco")
    truth = boxes([[1, 2, 11, 22.5], [0, 0, 5, 5]], [3, 1], [False, True])
    write_dataset(parts_of(train=[("a", truth)]), tmp_path / "out", format="coco")
    found = coco.COCO(str(tmp_path / "out" / "annotations" / "instances_train.json"))
    assert [found.anns[key]["bbox"] for key in found.getAnnIds(iscrowd=None)] == [
        [1, 2, 10, 20.5],
        [0, 0, 5, 5],
    ]
    assert found.getAnnIds(iscrowd=True) == [2]
    assert [found.cats[key]["name"] for key in found.getCatIds()] == list(LABELS)


def test_ignored_boxes_are_not_lost_in_silence(tmp_path):
    parts = parts_of(train=[("a", boxes([[1, 2, 3, 4], [5, 6, 7, 8]], [0, 1], [False, True]))])
    with pytest.raises(DataError, match=r"1 boxes are to be ignored .* YOLO cannot say.*--drop-ignored"):
        write_dataset(parts, tmp_path / "out", format="yolo")
    assert not (tmp_path / "out").exists()
    written = write_dataset(parts, tmp_path / "out", format="yolo", drop_ignored=True)
    assert (written.boxes, written.dropped) == (1, 1)


def test_names_that_collide_get_their_folders_names(tmp_path):
    parts = parts_of(train=[("x/1", boxes([], []))], val=[("y/1", boxes([], []))])
    write_dataset(parts, tmp_path / "out", format="voc")
    assert sorted(file.name for file in (tmp_path / "out" / "JPEGImages").iterdir()) == ["x-1.png", "y-1.png"]


def test_nothing_is_replaced_unasked_and_strangers_folders_never(tmp_path):
    parts = parts_of(train=[("a", boxes([], []))])
    out = tmp_path / "out"
    write_dataset(parts, out, format="coco")
    with pytest.raises(DataError, match=r"out: is there already.*--force"):
        write_dataset(parts, out, format="voc")
    write_dataset(parts, out, format="voc", replace=True)
    assert not (out / "annotations").exists()
    (out / "thesis.doc").write_text("x")
    with pytest.raises(DataError, match=r"holds 'thesis.doc'\), so it is not replaced"):
        write_dataset(parts, out, format="voc", replace=True)
    (out / "thesis.doc").unlink()
    with pytest.raises(DataError, match="holds what is to be written"):
        write_dataset(open_parts(out, task="detection"), out, format="yolo", replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failure_on_the_way_leaves_what_was_there(tmp_path):
    out = tmp_path / "out"
    write_dataset(parts_of(train=[("a", boxes([], []))]), out, format="coco")
    before = sorted(out.rglob("*"))
    broken = parts_of(train=[("a", boxes([], []))])
    broken["train"].samples.append(Sample(Made("made/b"), None))
    with pytest.raises(DataError, match="made/b: nobody said what is in it"):
        write_dataset(broken, out, format="coco", replace=True)
    assert sorted(out.rglob("*")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_holds_no_boxes_is_refused(tmp_path, folder_of):
    photos = folder_of(["cat/1.png", "dog/2.png"])
    with pytest.raises(DataError, match="its truth is for classification"):
        write_dataset(open_parts(photos), tmp_path / "out", format="voc")
    with pytest.raises(DataError, match="its truth is for unlabelled"):
        write_dataset({"": open_images(photos)[0]}, tmp_path / "out", format="voc")
    spaced = (" cat", "dog")
    data = Dataset("x", "detection", spaced, [Sample(Made("x/a"), boxes([], [], labels=spaced))])
    with pytest.raises(DataError, match="' cat' begins or ends with space"):
        write_dataset({"": data}, tmp_path / "out", format="voc")
    with pytest.raises(
        DataError, match=r"'tfrecord' is not a format that can be written. Use coco, voc, yolo"
    ):
        write_dataset(parts_of(train=[("a", Classes.truth(0, LABELS))]), tmp_path / "out", format="tfrecord")


def test_progress_ends_with_all_images(tmp_path):
    told = []
    parts = parts_of(train=[("a", boxes([], [])), ("b", boxes([], []))])
    write_dataset(
        parts, tmp_path / "out", format="coco", progress=lambda done, total: told.append((done, total))
    )
    assert told == [(1, 2), (2, 2)]
