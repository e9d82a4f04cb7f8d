import subprocess
import sys

import numpy as np
import pytest

from edgecnn.data import FORMATS, open_dataset, split_names, training_splits
from edgecnn.data.dataset import label_ids
from edgecnn.errors import DataError

FLAT = [f"{label}/{i}.png" for label in ("cat", "dog") for i in range(40)]
SPLIT = [f"{split}/{path}" for split in ("train", "test") for path in FLAT[::4]]


def names(data) -> set[str]:
    return {sample.image.name for sample in data.samples}


def test_all_of_a_flat_folder_is_opened(folder_of):
    photos = folder_of(FLAT)
    data = open_dataset(photos)
    assert (len(data), data.split, data.labels) == (80, None, ("cat", "dog"))
    assert split_names(photos) == ()
    assert names(data) == names(open_dataset(str(photos), "folder"))


def test_parts_of_a_flat_folder_share_no_image_and_leave_none_out(folder_of):
    photos = folder_of(FLAT)
    parts = [open_dataset(photos, split=split) for split in ("train", "val", "test")]
    assert [part.split for part in parts] == ["train", "val", "test"]
    assert sum(map(len, parts)) == 80
    assert set.union(*map(names, parts)) == names(open_dataset(photos))


def test_training_splits_are_what_open_dataset_calls_train_and_val(folder_of):
    for seed in (0, 1):
        photos = folder_of(FLAT)
        train, val = training_splits(photos, seed=seed)
        assert names(train) == names(open_dataset(photos, split="train", seed=seed))
        assert names(val) == names(open_dataset(photos, split="val", seed=seed))


def test_no_seed_moves_an_image_into_the_test(folder_of):
    photos = folder_of(FLAT)
    test = names(open_dataset(photos, split="test"))
    for seed in range(5):
        train, val = training_splits(photos, seed=seed)
        assert not test & (names(train) | names(val))


def test_a_missing_validation_split_is_taken_from_train_and_never_from_test(folder_of):
    photos = folder_of(SPLIT)
    train, val = training_splits(photos)
    assert (len(train), len(val)) == (18, 2)
    assert all("/train/" in name for name in names(train) | names(val))
    assert len(open_dataset(photos, split="test")) == 20
    assert split_names(photos) == ("train", "test")
    assert len(open_dataset(photos)) == 40


def test_a_validation_split_that_came_is_used(folder_of):
    photos = folder_of([*SPLIT, "val/cat/9.png"])
    train, val = training_splits(photos)
    assert (len(train), names(val)) == (20, {"photos/val/cat/9.png"})


def test_everything_at_once_keeps_the_order_of_the_splits():
    data = open_dataset("drawn?train=5&val=3&test=2")
    assert len(data) == 10
    assert [sample.image.name.split("/")[1] for sample in data.samples] == ["train"] * 5 + ["val"] * 3 + [
        "test"
    ] * 2
    assert label_ids(data).shape == (10,)
    assert data.samples[-1].image.name == "drawn/test/00001"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda path: open_dataset(path, split="rest"), "'rest' is not a split"),
        (
            lambda path: open_dataset(path, "coco3"),
            "'coco3' is not a format. Use drawn, coco, voc, yolo, folder",
        ),
        (lambda path: open_dataset(path / "gone"), "gone: there is no such file or folder"),
        (lambda path: open_dataset("drwan:7"), "drwan:7: there is no such file or folder.*'drawn'"),
        (lambda path: open_dataset(path, task="detection"), "cannot teach detection"),
    ],
)
def test_wrong_calls_are_refused_in_one_line(folder_of, call, message):
    with pytest.raises(DataError, match=message) as caught:
        call(folder_of(FLAT))
    assert "\n" not in str(caught.value)


def test_a_data_set_that_is_only_a_test_cannot_be_learned_from(folder_of):
    photos = folder_of(["test/cat/1.png", "test/dog/1.png"])
    assert len(open_dataset(photos, split="test")) == 2
    with pytest.raises(DataError, match="has no train split"):
        training_splits(photos)


def test_a_data_set_without_test_says_so(folder_of):
    photos = folder_of([f"train/{path}" for path in FLAT[::8]])
    with pytest.raises(DataError, match=r"has no test split \(but train\)"):
        open_dataset(photos, split="test")


def test_every_format_offers_what_a_format_must():
    for module in FORMATS.values():
        found = __import__(module, fromlist=["read"])
        assert callable(found.recognizes)
        assert callable(found.read)


def test_importing_the_package_loads_no_opencv():
    check = "import sys, edgecnn.data; sys.exit(not {'cv2', 'edgecnn.data.folder'}.isdisjoint(sys.modules))"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_a_zip_of_60000_images_opens_and_is_divided(shared):
    train, val = training_splits(shared / "data" / "cifar10.zip")
    assert (len(train), len(val)) == (48_000, 2_000)
    assert np.bincount(label_ids(val)).tolist() == [200] * 10
    assert train.samples[47_999].read().shape == (32, 32, 3)
