"""Photographs that nobody labelled."""

import zipfile
from hashlib import sha256

import cv2
import numpy as np
import pytest

from edgecnn.data import unlabelled
from edgecnn.data.unlabelled import UNLABELLED, open_images
from edgecnn.errors import DataError
from edgecnn.evaluation.reading import Reading


def fill(folder, count, *, start=0):
    """`count` different images, nested."""
    for number in range(start, start + count):
        place = folder / f"trip {number % 3}" / "deep"
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (6, 7, 3), np.uint8)
        cv2.imwrite(str(place / f"{number}.png"), pixels)
    return folder


def names(dataset):
    return [sample.image.name for sample in dataset.samples]


def contents(dataset):
    return {sha256(sample.read().tobytes()).hexdigest() for sample in dataset.samples}


def test_without_images_there_is_nothing_to_show(tmp_path):
    (tmp_path / "read me.txt").write_text("none")
    with pytest.raises(DataError, match="holds no images"):
        open_images(tmp_path)


def test_one_image_cannot_be_shared(tmp_path):
    with pytest.raises(DataError, match="1 different"):
        open_images(fill(tmp_path, 1))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        open_images(tmp_path / "nowhere")


def test_two_parts_share_all_images_at_any_depth(tmp_path):
    first, second = open_images(fill(tmp_path, 90))
    assert len(first) + len(second) == 90
    assert not contents(first) & contents(second)
    assert 18 <= len(first) <= 42
    for part in (first, second):
        assert (part.task, part.labels) == (UNLABELLED, ())
        assert all(sample.truth is None for sample in part.samples)
    assert (first.split, second.split) == ("train", "val")


def test_each_part_has_one_of_two_images(tmp_path):
    for start in range(0, 20, 2):
        folder = fill(tmp_path / str(start), 2, start=start)
        assert [len(part) for part in open_images(folder)] == [1, 1]


def test_an_image_stays_on_its_side_when_others_come(tmp_path):
    before = open_images(fill(tmp_path, 30))
    after = open_images(fill(tmp_path, 40, start=30))
    for old, new in zip(before, after, strict=True):
        assert set(names(old)) < set(names(new))


def test_the_same_content_under_many_names_counts_once(tmp_path):
    fill(tmp_path, 12)
    one = next(tmp_path.rglob("*.png")).read_bytes()
    for number in range(20):
        (tmp_path / f"copy {number}.png").write_bytes(one)
    first, second = open_images(tmp_path)
    assert len(first) + len(second) == 12
    assert not contents(first) & contents(second)


def test_an_archive_gives_the_same_as_its_folder(tmp_path):
    folder = fill(tmp_path / "photos", 20)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in folder.rglob("*.png"):
            archive.write(path, path.relative_to(folder))
    from_folder = [contents(part) for part in open_images(folder)]
    assert [contents(part) for part in open_images(tmp_path / "photos.zip")] == from_folder


def test_an_archive_that_leads_out_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("../../away.png", b"x")
    with pytest.raises(DataError, match="leads out"):
        open_images(tmp_path / "photos.zip")


def test_a_truncated_image_is_named_when_it_is_read(tmp_path):
    path = next(fill(tmp_path, 8).rglob("3.png"))
    path.write_bytes(path.read_bytes()[:60])
    broken = [
        sample for part in open_images(tmp_path) for sample in part.samples if "/3.png" in sample.image.name
    ]
    with Reading(broken) as reading, pytest.raises(DataError, match=r"3\.png"):
        next(reading)


def test_of_too_many_images_both_parts_keep_their_share(tmp_path, monkeypatch):
    monkeypatch.setattr(unlabelled, "MOST", 12)
    first, second = open_images(fill(tmp_path, 60))
    assert (len(first), len(second)) == (4, 8)


def test_what_was_chosen_of_too_many_is_what_comes_first(tmp_path, monkeypatch):
    fill(tmp_path, 60)
    everything = open_images(tmp_path)
    monkeypatch.setattr(unlabelled, "MOST", 12)
    for few, many in zip(open_images(tmp_path), everything, strict=True):
        assert names(few) == names(many)[: len(few)]
