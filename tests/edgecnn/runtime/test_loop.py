"""Frames through a model, with pictures on request."""

import json

import cv2
import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.runtime.loop import run
from edgecnn.runtime.model import load

LABELS = ("red", "green", "blue")


@pytest.fixture
def model(model_file):
    with load(model_file(), labels=LABELS, mean=0, std=255) as loaded:
        yield loaded


@pytest.fixture
def photos(tmp_path, coloured):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in LABELS:
        cv2.imwrite(str(folder / f"{name}.png"), coloured(name, 120, 160))
    return folder


def test_no_source_is_an_error(model):
    with pytest.raises(DataError, match="no source"):
        list(run(model, []))


def test_every_image_gets_its_result_in_order(model, photos):
    found = list(run(model, photos))
    assert [one.result.label for one in found] == ["blue", "green", "red"]
    assert [one.frame.index for one in found] == [0, 1, 2]
    assert all(one.picture is None and one.task == "classification" for one in found)


def test_a_result_is_one_json_object(model, photos):
    (seen,) = run(model, photos / "red.png")
    said = json.loads(json.dumps(seen.as_dict(top=2)))
    assert said["source"] == str(photos / "red.png")
    assert said["task"] == "classification"
    assert said["results"][0]["label"] == "red"
    assert len(said["results"]) == 2
    parts = said["latency_ms"]
    assert parts["total"] == pytest.approx(parts["prepare"] + parts["invoke"] + parts["decode"], abs=2e-4)
    assert set(seen.as_dict()["results"][0]) == {"label", "score"}
    assert len(seen.as_dict()["results"]) == 3


def test_each_image_is_read_when_its_result_is_asked_for(model, photos):
    found = run(model, photos)
    next(found)
    (photos / "green.png").unlink()
    with pytest.raises(DataError, match=r"green\.png"):
        next(found)


def test_errors_can_be_collected_while_the_rest_goes_on(model, photos):
    (photos / "green.png").write_bytes(b"nothing")
    errors = []
    assert [one.result.label for one in run(model, photos, on_error=errors.append)] == ["blue", "red"]
    assert len(errors) == 1


def test_pictures_show_the_result_and_leave_the_original_alone(model, photos, tmp_path):
    before = (photos / "red.png").read_bytes()
    found = list(run(model, photos, save=tmp_path / "out"))
    assert [one.picture.parent for one in found] == [tmp_path / "out"] * 3
    for one in found:
        picture = cv2.imread(str(one.picture))
        assert picture.shape == one.frame.image.shape
        assert np.abs(picture[-10:].astype(int) - one.frame.image[-10:]).mean() > 10
    assert (photos / "red.png").read_bytes() == before


def test_two_images_of_one_name_get_two_pictures(model, photos, tmp_path, coloured):
    (photos / "more").mkdir()
    cv2.imwrite(str(photos / "more" / "red.png"), coloured("red"))
    found = list(run(model, [photos / "red.png", photos / "more"], save=tmp_path / "out"))
    assert len({one.picture for one in found}) == 2
    assert all(one.picture.exists() for one in found)


def test_a_picture_that_is_there_is_only_overwritten_when_told_to(model, photos, tmp_path):
    list(run(model, photos / "red.png", save=tmp_path / "out"))
    with pytest.raises(DataError, match=r"is there already.*--force"):
        list(run(model, photos / "red.png", save=tmp_path / "out"))
    list(run(model, photos / "red.png", save=tmp_path / "out", force=True))
    assert len(list((tmp_path / "out").iterdir())) == 1


@pytest.mark.parametrize("force", [False, True])
def test_photographs_are_never_overwritten_by_pictures(model, photos, coloured, force):
    path = photos / "shot.jpg"
    cv2.imwrite(str(path), coloured("green"))
    before = path.read_bytes()
    with pytest.raises(DataError, match="holds the originals"):
        list(run(model, path, save=photos / ".." / "photos", force=force))
    assert path.read_bytes() == before
