import shutil
from pathlib import Path

import numpy as np
import pytest

from edgecnn.data import folder
from edgecnn.data.dataset import label_ids
from edgecnn.data.storage import Place
from edgecnn.errors import DataError

FLAT = ["cat/1.jpg", "cat/2.PNG", "dog/deep/3.jpeg", "dog/4.bmp", "owl/5.webp", "owl/6.pgm"]
SPLIT = ["train/cat/1.png", "train/dog/2.png", "val/cat/3.png", "test/cat/4.png", "test/dog/5.png"]


def read(path: Path, task: str = "classification"):
    return folder.read(Place(path), task=task)


def contents(parts) -> dict[str, list[tuple[str, str]]]:
    return {
        split: [
            (s.image.name, part.labels[i])
            for s, i in zip(part.samples, label_ids(part).tolist(), strict=True)
        ]
        for split, part in parts.items()
    }


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no images \(0 other files"):
        read(tmp_path)


def test_subfolders_are_classes_and_labels_are_their_sorted_names(folder_of):
    parts = read(folder_of(FLAT))
    assert set(parts) == {""}
    data = parts[""]
    assert (data.name, data.task, data.labels, data.split) == (
        "photos",
        "classification",
        ("cat", "dog", "owl"),
        None,
    )
    assert [label for _, label in contents(parts)[""]] == ["cat", "cat", "dog", "dog", "owl", "owl"]
    assert all(s.read().shape == (6, 8, 3) for s in data.samples)


def test_samples_of_one_class_share_their_truth(folder_of):
    data = read(folder_of(FLAT))[""]
    assert len({id(sample.truth) for sample in data.samples}) == 3
    assert data.samples[0].truth.label == "cat"


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("training", "validation", "testing"),
        ("Train", "valid", "TEST"),
        ("train", "dev", "test"),
    ],
)
def test_split_folders_are_known_by_their_usual_names(folder_of, names):
    train, val, test = names
    paths = [f"{train}/cat/1.png", f"{train}/dog/1.png", f"{val}/cat/1.png", f"{test}/dog/1.png"]
    parts = read(folder_of(paths))
    assert {split: part.split for split, part in parts.items()} == {
        "train": "train",
        "val": "val",
        "test": "test",
    }
    assert list(parts) == ["train", "val", "test"]
    assert contents(parts)["test"] == [(f"photos/{test}/dog/1.png", "dog")]
    assert parts["test"].labels == ("cat", "dog")


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
@pytest.mark.parametrize("inside", [".", "photos"])
def test_archives_hold_what_the_folder_holds_with_or_without_a_folder_around(folder_of, kind, inside):
    photos = folder_of(SPLIT)
    archive = shutil.make_archive(
        str(photos.parent / "packed"), kind, photos.parent if inside == "photos" else photos, inside
    )
    parts = read(Path(archive))
    plain = read(photos)
    assert {split: label_ids(part).tolist() for split, part in parts.items()} == {
        split: label_ids(part).tolist() for split, part in plain.items()
    }
    for split, part in parts.items():
        for one, other in zip(part.samples, plain[split].samples, strict=True):
            assert np.array_equal(one.read(), other.read())
            assert one.image.name.endswith(other.image.name.removeprefix("photos/"))


def test_a_lone_folder_around_all_is_seen_through(folder_of):
    assert read(folder_of(["data/pets/cat/1.png", "data/pets/dog/2.png"]))[""].labels == ("cat", "dog")


def test_a_class_may_be_called_train(folder_of):
    parts = read(folder_of(["train/1.png", "car/2.png", "bus/3.png"]))
    assert parts[""].labels == ("bus", "car", "train")


def test_a_class_may_be_called_test(folder_of):
    assert read(folder_of(["test/a/1.png", "car/2.png"]))[""].labels == ("car", "test")


def test_other_files_are_counted_and_left_aside(folder_of):
    photos = folder_of(FLAT)
    (photos / "cat" / "notes.txt").write_text("x")
    (photos / "labels.csv").write_text("x")
    (photos / "README").write_text("x")
    assert len(read(photos)[""]) == 6
    assert folder.lay_out(Place(photos).storage).others == {".txt": 1, ".csv": 1, "": 1}


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["1.png", "2.png"], r"2 of 2 images lie in no class folder, such as 1\.png"),
        (
            ["cat/1.png", "dog/1.png", "stray.png"],
            r"1 of 3 images lie in no class folder, such as stray\.png",
        ),
        (["train/1.png", "test/2.png"], r"2 of 2 images lie in no class folder, such as test/2\.png"),
        (["train/cat/1.png", "train/2.png", "test/cat/3.png"], "1 of 3 images lie in no class folder"),
        (
            [*SPLIT, "test/owl/6.png"],
            "the class 'owl' is in test but not in train|the class 'owl' is in test, but train",
        ),
        ([*SPLIT, "extra/cat/6.png"], "'extra' lies beside 'test', but is not train, val or test"),
        ([*SPLIT, "valid/cat/6.png"], "'val' and 'valid' both mean the val split"),
        (["cat/1.png", "cat/2.png"], r"one class folder only \('cat'\)"),
        (["bad\nname/1.png", "dog/1.png"], "characters that cannot be printed"),
    ],
)
def test_folders_that_cannot_be_learned_from_are_refused_with_the_place(folder_of, paths, message):
    with pytest.raises(DataError, match=message) as caught:
        read(folder_of(paths))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("paths", "empty"), [(FLAT, "emu"), (SPLIT, "train/emu"), (SPLIT, "test/emu")])
def test_an_empty_class_is_named(folder_of, paths, empty):
    photos = folder_of(paths)
    (photos / empty).mkdir()
    (photos / empty / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match=f"the class folder '{empty}' holds no images"):
        read(photos)


def test_an_empty_split_is_named(folder_of):
    photos = folder_of(["train/cat/1.png", "train/dog/2.png"])
    (photos / "val").mkdir()
    with pytest.raises(DataError, match="the split 'val' holds no images"):
        read(photos)


def test_folders_beside_the_one_around_all_do_not_matter(folder_of):
    photos = folder_of(["pets/cat/1.png", "pets/dog/2.png"])
    (photos / "docs" / "old").mkdir(parents=True)
    assert read(photos)[""].labels == ("cat", "dog")


def test_another_task_is_refused(folder_of):
    with pytest.raises(DataError, match="image folders hold classes; they cannot teach detection"):
        read(folder_of(FLAT), "detection")


def test_a_damaged_image_is_named_when_it_is_read(folder_of):
    photos = folder_of(FLAT)
    (photos / "cat" / "1.jpg").write_bytes(b"")
    data = read(photos)[""]
    with pytest.raises(DataError, match=r"photos/cat/1\.jpg: the file is empty"):
        data.samples[0].read()


def test_real_faces_are_read_from_a_zip(shared):
    parts = read(shared / "data" / "orl_faces.zip")
    data = parts[""]
    assert (len(data), len(data.labels), set(parts)) == (400, 40, {""})
    assert data.samples[0].image.name == "orl_faces.zip/s1/1.pgm"
    assert data.samples[0].read().shape == (112, 92, 3)
    assert np.bincount(label_ids(data)).tolist() == [10] * 40
