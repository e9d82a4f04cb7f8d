import json
import shutil

import pytest

from edgecnn.data.info import inspect_dataset
from edgecnn.errors import DataError

SOUND = [
    f"{split}/{label}/{i}.png"
    for split, n in (("train", 25), ("test", 4))
    for label in ("cat", "dog")
    for i in range(n)
]


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no images"):
        inspect_dataset(tmp_path)


def test_a_sound_data_set_gives_counts_and_sizes_and_no_warning(folder_of):
    found = inspect_dataset(folder_of(SOUND))
    assert (found.name, found.images, found.labels) == ("photos", 58, ("cat", "dog"))
    assert found.counts == {"train": (25, 25), "test": (4, 4)}
    assert found.balance == 1.0
    assert found.sizes is not None
    assert (found.sizes.width, found.sizes.height, found.sizes.distinct) == ((8, 8, 8), (6, 6, 6), 1)
    assert found.sizes.common == (((8, 6), 58),)
    assert found.warnings == ()


def test_a_data_set_in_one_piece_is_called_all(folder_of):
    assert inspect_dataset(folder_of(["cat/1.png", "cat/2.png", "dog/3.png"])).counts == {"all": (2, 1)}


def test_images_that_cannot_be_read_are_named_with_the_reason(folder_of):
    photos = folder_of(SOUND)
    (photos / "train/cat/3.png").write_bytes(b"")
    (photos / "train/dog/4.png").write_bytes((photos / "train/dog/4.png").read_bytes()[:-9])
    found = inspect_dataset(photos)
    reasons = dict(found.unreadable)
    assert set(reasons) == {"photos/train/cat/3.png", "photos/train/dog/4.png"}
    assert reasons["photos/train/cat/3.png"].startswith("the file is empty")
    assert reasons["photos/train/dog/4.png"].startswith("truncated")
    assert found.images == 58
    assert found.sizes is not None
    assert found.sizes.common[0][1] == 56
    assert "2 images cannot be read, such as photos/train/cat/3.png: the file is empty" in found.warnings[0]


def test_copies_leaks_and_wrong_labels_are_told_apart(folder_of):
    photos = folder_of(SOUND)
    shutil.copy(photos / "train/cat/1.png", photos / "train/cat/again.png")
    shutil.copy(photos / "train/cat/2.png", photos / "train/dog/2.png")
    shutil.copy(photos / "train/dog/5.png", photos / "test/dog/1.png")
    found = inspect_dataset(photos)
    assert sorted(found.duplicates) == [
        ("photos/train/cat/1.png", "photos/train/cat/again.png"),
        ("photos/train/cat/2.png", "photos/train/dog/2.png"),
        ("photos/train/dog/5.png", "photos/test/dog/1.png"),
    ]
    assert found.mislabelled == (("photos/train/cat/2.png", "photos/train/dog/2.png"),)
    assert found.leaks == (("photos/train/dog/5.png", "photos/test/dog/1.png"),)
    assert found.near_leaks == ()
    assert [
        words in " ".join(found.warnings)
        for words in ("more than one split", "more than one label", "3 images are copies")
    ]


def test_a_recompressed_copy_in_the_test_is_a_near_leak(folder_of, tmp_path):
    import cv2

    photos = folder_of(SOUND)
    image = cv2.resize(cv2.imread(str(photos / "train/cat/1.png")), (80, 60), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(photos / "train/cat/1.png"), image)
    cv2.imwrite(str(photos / "test/dog/2.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 60])
    found = inspect_dataset(photos)
    assert found.near_leaks == (("photos/train/cat/1.png", "photos/test/dog/2.jpg"),)
    assert found.leaks == ()


def test_imbalance_and_few_images_are_warned_of(folder_of):
    found = inspect_dataset(
        folder_of([f"cat/{i}.png" for i in range(24)] + [f"dog/{i}.png" for i in range(6)])
    )
    assert found.balance == 4.0
    assert any("'cat' has 4.0 times the images of 'dog' (24 and 6)" in warning for warning in found.warnings)
    assert any("'dog' has only 6 images" in warning for warning in found.warnings)


def test_a_class_that_the_test_lacks_is_named(folder_of):
    found = inspect_dataset(folder_of([*SOUND, *(f"train/owl/{i}.png" for i in range(25))]))
    assert found.warnings == ("test has no images of 'owl': it cannot judge them",)


def test_other_files_are_counted(folder_of):
    photos = folder_of(SOUND)
    (photos / "train" / "cat" / "notes.txt").write_text("x")
    assert inspect_dataset(photos).others == {".txt": 1}


def test_everything_can_be_written_as_json(folder_of):
    photos = folder_of(SOUND)
    (photos / "train/cat/3.png").write_bytes(b"")
    found = json.loads(json.dumps(inspect_dataset(photos).as_dict()))
    assert found["counts"] == {"train": {"cat": 25, "dog": 25}, "test": {"cat": 4, "dog": 4}}
    assert found["sizes"]["width"] == {"min": 8, "median": 8, "max": 8}
    assert found["unreadable"][0]["name"] == "photos/train/cat/3.png"


def test_without_one_readable_image_there_are_no_sizes(folder_of):
    photos = folder_of(["cat/1.png", "dog/2.png"])
    for file in photos.rglob("*.png"):
        file.write_bytes(b"x")
    assert inspect_dataset(photos).sizes is None
    assert inspect_dataset(photos).as_dict()["sizes"] is None


def test_progress_ends_with_all_images(folder_of):
    told: list[tuple[int, int]] = []
    inspect_dataset(folder_of(SOUND), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (58, 58)


def test_drawn_scenes_have_no_copies_and_no_leaks():
    found = inspect_dataset("drawn?train=60&val=20&test=20")
    assert found.counts["train"] == (15, 15, 15, 15)
    assert (found.duplicates, found.near_leaks, found.others) == ((), (), {})
