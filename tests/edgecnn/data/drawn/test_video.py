from itertools import islice, pairwise

import numpy as np
import pytest

from edgecnn.data.drawn.video import drawn_video
from edgecnn.errors import DataError

SIZE = (96, 64)


def test_no_image_is_made_before_it_is_asked_for():
    assert list(islice(drawn_video(3, size_wh=SIZE), 0)) == []


def test_the_same_seed_drives_the_same_way_and_another_elsewhere():
    first, again, other = (
        [s.image for s in islice(drawn_video(seed, size_wh=SIZE), 6)] for seed in (3, 3, 4)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_images_follow_each_other_smoothly_and_yet_the_scene_changes():
    images = [s.image.astype(float) for s in islice(drawn_video(1, size_wh=SIZE), 40)]
    steps = [abs(b - a).mean() for a, b in pairwise(images)]
    assert max(steps) < 12
    assert abs(images[-1] - images[0]).mean() > np.median(steps)


def test_boxes_of_a_thing_overlap_from_image_to_image():
    before: dict[int, np.ndarray] = {}
    kept = 0
    for shot in islice(drawn_video(2, size_wh=(160, 120), fps=30), 50):
        assert len(shot.numbers) == len(shot.boxes) == len(set(shot.numbers.tolist()))
        now = dict(zip(shot.numbers.tolist(), shot.boxes.xyxy, strict=True))
        for number in now.keys() & before.keys():
            one, other = now[number], before[number]
            assert (np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])).min() > -4
            kept += 1
        before = now
    assert kept > 100


def test_a_thing_keeps_its_class_for_the_whole_drive():
    classes: dict[int, set[int]] = {}
    for shot in islice(drawn_video(5, size_wh=SIZE, fps=4), 40):
        for number, label in zip(shot.numbers.tolist(), shot.boxes.label_id.tolist(), strict=True):
            classes.setdefault(number, set()).add(label)
    assert len(classes) > 8
    assert all(len(labels) == 1 for labels in classes.values())


def test_mask_bearing_and_time_belong_to_the_image():
    shots = list(islice(drawn_video(2, size_wh=SIZE, fps=10), 5))
    assert [shot.time_s for shot in shots] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert [shot.index for shot in shots] == [0, 1, 2, 3, 4]
    shot = shots[-1]
    assert shot.mask.label_id.shape == (64, 96)
    assert (shot.bearing is not None) == (0 in shot.boxes.label_id)


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"size_wh": (8, 8)}, {"fps": 0}])
def test_impossible_drives_are_refused_at_once(wrong):
    with pytest.raises(DataError, match="out of range"):
        drawn_video(**wrong)
