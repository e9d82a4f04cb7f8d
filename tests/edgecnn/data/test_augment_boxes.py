import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.data.augment import Augment
from edgecnn.data.augment_boxes import FILL, MOST_BOXES, room, vary

EVERYTHING = Augment(True, 0.2, (0.5, 1.5), 20, 0.1, 0.2, 0.3, 0.3, True, True, 0.1, 0.5)
BRIGHT = 170
"""Between the grey beyond an image and a white rectangle, however the colours of these tests are varied."""


def rng(seed: int = 0):
    return np.random.default_rng(seed)


def noise(*shape: int):
    return rng(3).integers(0, 256, shape, np.uint8)


def truths(*images, rows: int | None = None):
    """Lists of (label, x1, y1, x2, y2), padded."""
    rows = max(map(len, images)) if rows is None else rows
    out = np.full((len(images), rows, 5), -1, np.float32)
    for image, boxes in zip(out, images, strict=True):
        image[: len(boxes)] = np.array(boxes, np.float32).reshape(-1, 5)
    out.setflags(write=False)
    return out


def varied(images, boxes, how, *, seed=0, chosen=None):
    chosen = np.arange(len(images)) if chosen is None else np.asarray(chosen, np.int64)
    return vary(lambda indices: images[indices], boxes, chosen, how, rng(seed))


def real(rows):
    return rows[rows[:, 0] != -1]


@pytest.mark.parametrize("how", [Augment(), EVERYTHING, Augment(mosaic=1.0)])
def test_an_empty_batch_stays_empty(how):
    images, boxes = varied(noise(3, 8, 9, 3), truths([(0, 1, 1, 5, 5)], [], []), how, chosen=[])
    assert images.shape == (0, 8, 9, 3)
    assert boxes.shape == (0, room(1, how), 5)


@pytest.mark.parametrize("how", [Augment(), EVERYTHING, Augment(mosaic=1.0)])
@pytest.mark.parametrize("rows", [0, 3])
def test_images_without_boxes_give_nothing_but_padding(how, rows):
    images, boxes = varied(noise(4, 16, 12, 3), truths([], [], [], [], rows=rows), how)
    assert images.shape == (4, 16, 12, 3)
    assert boxes.shape == (4, room(rows, how), 5)
    assert (boxes == -1).all()


@pytest.mark.parametrize("shape", [(2, 1, 1, 3), (3, 5, 7, 1), (2, 9, 4, 3), (2, 6, 6, 1)])
def test_every_size_and_one_channel_come_back_in_their_shape(shape):
    for seed in range(5):
        images, _ = varied(noise(*shape), truths(*[[(0, 0, 0, 1, 1)]] * shape[0]), EVERYTHING, seed=seed)
        assert (images.shape, images.dtype) == (shape, np.uint8)


def test_without_amounts_images_and_boxes_stay_as_they_are():
    images = noise(3, 20, 30, 3)
    boxes = truths([(2, 1, 2, 11, 15), (-2, 0, 0, 30, 20)], [], [(0, 5.25, 5.5, 9.75, 20)], rows=4)
    seen, found = varied(images, boxes, Augment(), chosen=[2, 0, 1, 0])
    assert np.array_equal(seen, images[[2, 0, 1, 0]])
    assert np.array_equal(found, boxes[[2, 0, 1, 0]])


def test_nothing_given_is_written_to():
    images, boxes = noise(4, 16, 16, 3), truths(*[[(0, 2, 2, 9, 9)]] * 4)
    chosen = np.arange(4)
    chosen.setflags(write=False)
    before = images.copy()
    vary(lambda indices: images[indices], boxes, chosen, EVERYTHING, rng())
    assert np.array_equal(images, before)


def test_the_same_state_gives_the_same_and_another_gives_others():
    images, boxes = noise(16, 32, 32, 3), truths(*[[(1, 8, 8, 24, 24)]] * 16)
    one, same, other = (varied(images, boxes, EVERYTHING, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one[0], same[0])
    assert np.array_equal(one[1], same[1])
    assert not np.array_equal(one[0], other[0])
    assert not np.array_equal(one[1], other[1])


def test_how_far_the_generator_advances_follows_from_the_batch_alone():
    after = set()
    for how in (Augment(), EVERYTHING, Augment(mosaic=1.0)):
        for count, rows in ((5, 0), (11, 2), (1000, 9)):
            random, images = rng(5), np.zeros((count, 8, 8, 3), np.uint8)
            boxes = truths(*[[]] * count, rows=rows)
            vary(lambda indices, images=images: images[indices], boxes, np.arange(4), how, random)
            after.add(random.random())
    assert len(after) == 1


moves = st.builds(
    Augment,
    flip=st.booleans(),
    shift=st.sampled_from([0.0, 0.1, 0.4]),
    scale=st.sampled_from([(1.0, 1.0), (0.6, 1.6), (0.2, 0.5), (1.5, 2.5)]),
    brightness=st.sampled_from([0.0, 0.15]),
    contrast=st.sampled_from([0.0, 0.25]),
    saturation=st.sampled_from([0.0, 0.4]),
    upside_down=st.booleans(),
    quarter_turns=st.booleans(),
    hue=st.sampled_from([0.0, 0.5]),
)
sides = st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(6, 70), st.integers(6, 70))


@settings(max_examples=150, deadline=None)
@given(how=moves, place=sides, square=st.booleans(), seed=st.integers(0, 99))
def test_a_rectangle_is_where_its_box_says(how, place, square, seed):
    width, height = (96, 96) if square else (120, 96)
    left, top = min(place[0], width - 6), min(place[1], height - 6)
    right, bottom = min(left + place[2], width), min(top + place[3], height)
    image = np.zeros((1, height, width, 3), np.uint8)
    image[:, top:bottom, left:right] = 255
    boxes = truths([(1, left, top, right, bottom)])
    seen, found = varied(np.repeat(image, 6, 0), np.repeat(boxes, 6, 0), how, seed=seed)
    for picture, rows in zip(seen, found, strict=True):
        mask = (picture > BRIGHT).all(2)
        if rows[0, 0] == -1:  # nothing or a strip: less than a tenth of one side
            across, down = mask.any(0).sum(), mask.any(1).sum()
            largest = how.scale[1] * max(right - left, bottom - top)
            assert min(across, down) <= 0.1 * largest + 1
            continue
        assert rows[0, 0] in (1, -3)
        y, x = np.nonzero(mask)
        if min(rows[0, 3:] - rows[0, 1:3]) > 2.5:
            # An edge is as wide as a pixel of the source has become: the threshold may lie anywhere in it.
            tolerance = 0.8 + 0.5 * max(1, how.scale[1])
            assert rows[0, 1:] == pytest.approx([x.min(), y.min(), x.max() + 1, y.max() + 1], abs=tolerance)


@pytest.mark.parametrize("degrees", [10, 45, 180])
def test_a_turned_ellipse_is_held_tightly_by_its_box(degrees):
    image = np.zeros((200, 200, 1), np.uint8)
    cv2.ellipse(image, (90 * 16 - 8, 110 * 16 - 8), (40 * 16, 18 * 16), 0, 0, 360, 255, -1, shift=4)
    boxes = truths([(0, 50, 92, 130, 128)])
    seen, found = varied(
        np.repeat(image[None], 20, 0), np.repeat(boxes, 20, 0), Augment(True, rotate_deg=degrees)
    )
    for picture, (row,) in zip(seen, found, strict=True):
        y, x = np.nonzero(picture[:, :, 0] > BRIGHT)
        assert row[1:] == pytest.approx([x.min(), y.min(), x.max() + 1, y.max() + 1], abs=1.5)


@settings(max_examples=60, deadline=None)
@given(
    scale=st.sampled_from([(1.0, 1.0), (0.3, 0.6), (0.6, 1.6)]),
    flip=st.booleans(),
    seed=st.integers(0, 99),
    size=st.sampled_from([(64, 64), (96, 40), (33, 57)]),
)
def test_a_mosaic_shows_four_images_and_their_boxes_and_grey_between(scale, flip, seed, size):
    width, height = size
    levels = 130 + 10 * np.arange(12)
    images = np.empty((12, height, width, 3), np.uint8)
    images[:] = levels[:, None, None, None]
    boxes = truths(*[[(label, 0, 0, width, height)] for label in range(12)])
    seen, found = varied(images, boxes, Augment(flip, scale=scale, mosaic=1.0), seed=seed)
    for picture, rows in zip(seen, found, strict=True):
        assert len(rows) == len(real(rows)) == 4
        rest = np.ones((height, width), bool)
        for label, *box in rows.tolist():
            label = label if label >= 0 else -2 - label
            left, top, right, bottom = np.rint(box).astype(int)
            inside = picture[top + 1 : bottom - 1, left + 1 : right - 1]
            assert (inside == levels[int(label)]).all()
            assert rest[top + 1 : bottom - 1, left + 1 : right - 1].all()  # no two overlap
            rest[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1] = False
        assert (picture[rest] == FILL).all()


def test_mosaics_are_the_stated_share_and_every_image_can_come_into_one():
    images = np.zeros((50, 16, 16, 1), np.uint8)
    boxes = truths(*[[(label, 0, 0, 16, 16)] for label in range(50)])
    asked = []

    def take(indices):
        asked.append(indices)
        return images[indices]

    chosen = np.zeros(400, np.int64)
    _, found = vary(take, boxes, chosen, Augment(mosaic=0.25), rng())
    parts = (found[:, :, 0] != -1).sum(1)
    assert set(parts) == {1, 4}
    assert 70 < (parts == 4).sum() < 130
    assert [sorted(indices) for indices in asked] == [list(range(50))]  # once, and no image twice


def test_mosaics_of_partners_show_no_other_images():
    images = np.zeros((50, 16, 16, 1), np.uint8)
    boxes = truths(*[[(label, 0, 0, 16, 16)] for label in range(50)])
    chosen = np.array([7, 30, 41, 30])
    _, found = vary(
        lambda indices: images[indices], boxes, chosen, Augment(mosaic=1.0), rng(), partners=chosen
    )
    label = found[:, :, 0]
    assert label.shape == (4, 4)
    assert set(np.where(label < 0, -2 - label, label).ravel()) == {7, 30, 41}


def test_a_box_that_is_cut_off_becomes_ignored_and_then_goes():
    images = np.zeros((2000, 100, 100, 1), np.uint8)
    images[:, 40:80, 50:90] = 255  # 10 % of a side are 4 pixels, 40 % of the area 640
    boxes = truths([(3, 50, 40, 90, 80)]).repeat(2000, 0)
    seen, found = varied(images, boxes, Augment(shift=0.9))
    wide, tall = (seen == 255).any(1).sum(1)[:, 0], (seen == 255).any(2).sum(1)[:, 0]
    expected = np.where(wide * tall < 640, -5, 3)
    expected[(wide < 4) | (tall < 4)] = -1
    assert np.array_equal(found[:, 0, 0], expected)
    assert (np.unique(expected, return_counts=True)[1] > 100).all()


def test_an_ignored_box_moves_with_its_image_and_stays_ignored():
    boxes = truths([(-4, 2, 3, 10, 12)])
    _, found = varied(noise(1, 20, 30, 3).repeat(50, 0), boxes.repeat(50, 0), Augment(flip=True))
    assert {tuple(row) for row in found[:, 0].tolist()} == {(-4, 2, 3, 10, 12), (-4, 20, 3, 28, 12)}


def test_boxes_narrower_than_two_pixels_are_ignored_and_empty_ones_go():
    boxes = truths([(0, 4, 4, 5, 14), (1, 4, 4, 6, 14), (2, 7, 7, 7, 9), (3, 25, 1, 30, 9)])
    _, found = varied(noise(1, 16, 20, 3), boxes, Augment())
    assert found[0, :, 0].tolist() == [-2, 1, -1, -1]


def test_colours_vary_from_image_to_image_and_leave_boxes_alone():
    images = np.full((40, 12, 12, 3), 100, np.uint8)
    boxes = truths([(0, 2, 3, 9, 9)]).repeat(40, 0)
    seen, found = varied(images, boxes, Augment(brightness=0.2))
    assert np.array_equal(found, boxes)
    assert (seen == seen[:, :1, :1]).all()
    assert len(np.unique(seen)) > 20


def test_a_box_under_a_cutout_is_ignored_and_one_out_of_sight_goes():
    images = np.full((300, 32, 32, 3), 255, np.uint8)
    boxes = truths([(0, 8, 8, 12, 20)]).repeat(300, 0)
    seen, found = varied(images, boxes, Augment(cutout=0.4))
    visible = (seen[:, 8:20, 8:12, 0] == 255).sum((1, 2)) / 48
    label = found[:, 0, 0]
    assert np.array_equal(label, np.where(visible == 0, -1, np.where(visible < 0.4, -2, 0)))
    assert set(label) == {-1, -2, 0}
    assert (found[label == -2, 0, 1:] == [8, 8, 12, 20]).all()  # as far as it reaches behind the square


def test_all_boxes_lie_in_the_image_and_padding_comes_last():
    random = rng(8)
    corners = random.random((20, 15, 2, 2)) * [80, 60]
    rows = np.concatenate([random.integers(0, 5, (20, 15, 1)), corners.min(2), corners.max(2)], 2)
    for seed in range(20):
        _, found = varied(noise(20, 60, 80, 3), rows.astype(np.float32), EVERYTHING, seed=seed)
        is_padding = found[:, :, 0] == -1
        assert (found[is_padding] == -1).all()
        assert (np.diff(is_padding.astype(int), axis=1) >= 0).all()
        boxes = found[~is_padding]
        assert len(boxes) > 100
        assert (boxes[:, 1:] >= 0).all()
        assert (boxes[:, 1:] <= [80, 60, 80, 60]).all()
        assert (boxes[:, 3:] > boxes[:, 1:3]).all()


@pytest.mark.parametrize(
    ("boxes", "mosaic", "rows"),
    [(0, 1.0, 0), (7, 0.0, 7), (7, 0.1, 28), (64, 1.0, 256), (65, 1.0, 256), (300, 1.0, 300), (300, 0, 300)],
)
def test_every_output_has_the_same_number_of_rows(boxes, mosaic, rows):
    assert room(boxes, Augment(mosaic=mosaic)) == rows


def test_a_mosaic_that_is_too_full_keeps_the_largest_boxes():
    half = np.arange(100) % 10 + 3
    boxes = np.stack([0 * half, 20 - half, 20 - half, 20 + half, 20 + half], 1).astype(np.float32)
    full = boxes[None].repeat(8, 0)
    with_room = np.pad(full, ((0, 0), (0, 300), (0, 0)), constant_values=-1)
    images = np.zeros((8, 64, 64, 3), np.uint8)
    _, found = varied(images, full, Augment(mosaic=1.0))
    _, everything = varied(images, with_room, Augment(mosaic=1.0))
    assert found.shape == (8, MOST_BOXES, 5)
    assert any(len(real(rows)) > MOST_BOXES for rows in everything)
    for rows, whole in zip(found, everything, strict=True):
        areas, among = (np.sort((r[:, 3:] - r[:, 1:3]).prod(1))[::-1] for r in (real(rows), real(whole)))
        assert np.array_equal(areas, among[:MOST_BOXES])


def test_a_fine_pattern_that_shrinks_becomes_grey_and_no_coarse_pattern():
    images = (np.indices((128, 128)).sum(0) % 2 * 255).astype(np.uint8)[None, :, :, None]
    (seen,), _ = varied(images, truths([], rows=1), Augment(scale=(0.3, 0.3)))
    assert abs(seen[50:78, 50:78].astype(int) - 127).max() <= 1
