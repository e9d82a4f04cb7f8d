import hashlib
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from edgecnn.data import open_dataset, split_names, training_splits
from edgecnn.data.dataset import label_ids
from edgecnn.data.drawn import scene as truths
from edgecnn.data.drawn import stills
from edgecnn.data.storage import Place
from edgecnn.errors import DataError
from edgecnn.results import Boxes, Mask, Values

SMALL = "drawn:7?size=96x64&train=40&val=8&test=12"


def digest(data) -> str:
    return hashlib.sha256(b"".join(sample.read().tobytes() for sample in data.samples)).hexdigest()


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("drawn", True),
        ("drawn:7", True),
        ("drawn?size=9x9", True),
        ("drawn/", False),
        ("drawnings", False),
        ("./drawn", False),
    ],
)
def test_only_its_own_names_are_recognized(path, known):
    assert stills.recognizes(Place(path)) is known


def test_the_plain_name_has_4000_500_and_1000_stills_of_160_x_120():
    train, val = training_splits("drawn")
    test = open_dataset("drawn", split="test")
    assert (len(train), len(val), len(test)) == (4000, 500, 1000)
    assert split_names("drawn") == ("train", "val", "test")
    assert train.labels == ("ball", "box", "cone", "sign")
    assert train.samples[0].read().shape == (120, 160, 3)
    assert train.samples[-1].image.name == "drawn/train/03999"


def test_options_change_sizes_and_numbers():
    parts = stills.read(Place(SMALL), task="classification")
    assert {split: len(part) for split, part in parts.items()} == {"train": 40, "val": 8, "test": 12}
    assert parts["val"].samples[0].read().shape == (64, 96, 3)


def test_classes_are_balanced_and_in_mixed_order():
    ids = label_ids(open_dataset("drawn", split="train"))
    assert np.bincount(ids).tolist() == [1000] * 4
    assert all(len(np.unique(ids[start::4])) == 4 for start in range(4))  # every fourth image is of any class


def test_the_same_name_means_the_same_images_and_another_seed_others():
    first, again, other = (
        open_dataset(name, split="val") for name in (SMALL, SMALL, SMALL.replace(":7", ":8"))
    )
    assert digest(first) == digest(again)
    assert digest(first) != digest(other)


def test_more_images_begin_with_the_same_ones():
    few, many = open_dataset(SMALL, split="train"), open_dataset(SMALL.replace("40", "400"), split="train")
    assert label_ids(many)[:40].tolist() == label_ids(few).tolist()
    assert np.array_equal(many.samples[39].read(), few.samples[39].read())


def test_splits_share_no_image():
    images = [sample.read().tobytes() for sample in open_dataset(SMALL).samples]
    assert len(set(images)) == 60


def test_threads_and_pickled_copies_draw_the_same():
    data = open_dataset(SMALL, split="train")
    alone = [sample.read() for sample in data.samples]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda sample: sample.read(), pickle.loads(pickle.dumps(data)).samples))  # noqa: S301
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("task", ["classification", "detection", "segmentation", "regression"])
def test_labels_are_those_of_the_truth(task):
    data = open_dataset(SMALL, task=task, split="test")
    truth = data.samples[0].truth
    assert data.labels == (truth.names if isinstance(truth, Values) else truth.labels)


def test_the_class_is_the_one_that_covers_most_pixels_by_far():
    for sample in open_dataset(SMALL, split="train").samples:
        scene = sample.image.scene()
        areas = np.sort(truths.class_areas(scene, truths.coverage(scene)))
        assert truths.classes(scene, truths.coverage(scene)).label_id == sample.truth.label_id
        assert areas[-1] > 1.3 * areas[-2]


def test_every_task_but_regression_sees_the_same_images():
    tasks = ("classification", "detection", "segmentation")
    assert len({digest(open_dataset(SMALL, task=task, split="val")) for task in tasks}) == 1


def test_boxes_lie_tightly_around_what_the_mask_shows():
    boxes = open_dataset(SMALL, task="detection", split="train")
    masks = open_dataset(SMALL, task="segmentation", split="train")
    for one, other in zip(boxes.samples, masks.samples, strict=True):
        found, mask = one.truth, other.truth
        assert isinstance(found, Boxes)
        assert isinstance(mask, Mask)
        assert mask.label_id.shape == (64, 96)
        assert len(found) > 0
        for (left, top, right, bottom), label in zip(found.xyxy.astype(int), found.label_id, strict=True):
            inside = mask.label_id[top:bottom, left:right] == label + 1
            assert inside[0].any()
            assert inside[-1].any()
            assert inside[:, 0].any()
            assert inside[:, -1].any()


def test_the_mask_agrees_with_the_picture():
    data = open_dataset("drawn:1?size=160x120&train=60", task="segmentation", split="train")
    apart = 0
    for sample in data.samples:
        image, shown = sample.read().astype(float), sample.truth.label_id > 0
        apart += abs(image[shown].mean(0) - image[~shown].mean(0)).max() > 10
    assert apart > 50


def test_a_ball_on_the_right_has_a_positive_bearing():
    data = open_dataset(SMALL, task="regression", split="train")
    for sample in data.samples:
        assert isinstance(sample.truth, Values)
        scene = sample.image.scene()
        found = truths.boxes(scene, truths.coverage(scene))
        balls = found.xyxy[found.label_id == 0]
        # bearing = atan((column - middle) / focal length): one of the balls must be there
        column = 48 + scene.camera.focal_px * np.tan(np.deg2rad(sample.truth.value[0]))
        assert ((balls[:, 0] - 3 < column) & (column < balls[:, 2] + 3)).any() or min(column, 96 - column) < 3


@pytest.mark.parametrize(
    "name",
    [
        "drawn:x",
        "drawn:-1",
        "drawn:4294967296",
        "drawn?n=5",
        "drawn?train=0",
        "drawn?train=1e9",
        "drawn?size=96",
        "drawn?size=8x8",
        "drawn?size=96x9999",
        "drawn:1:2",
        "drawn?train=99999999",
    ],
)
def test_names_that_mean_nothing_are_refused(name):
    with pytest.raises(DataError, match=f"^{name.replace('?', '.')}: "):
        open_dataset(name)


def test_a_task_without_truth_is_refused():
    with pytest.raises(DataError, match="drawn scenes cannot teach recognition"):
        open_dataset("drawn", task="recognition")
