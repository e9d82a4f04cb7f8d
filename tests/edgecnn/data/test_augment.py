import json
from dataclasses import asdict

import cv2
import numpy as np
import pytest

from edgecnn.data.augment import Augment, augment, move, placements, recolour
from edgecnn.errors import DataError

EVERYTHING = Augment(True, 0.2, (0.7, 1.5), 20, 0.2, 0.3, 0.4, 0.3)


def noise(*shape: int):
    return np.random.default_rng(3).integers(0, 256, shape, np.uint8)


def rng(seed: int = 0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("how", [Augment(), Augment.for_size(32, 32), EVERYTHING])
def test_an_empty_batch_stays_empty(how):
    assert augment(noise(0, 8, 9, 3), how, rng()).shape == (0, 8, 9, 3)


@pytest.mark.parametrize("shape", [(2, 1, 1, 3), (3, 5, 7, 1), (2, 9, 4, 3)])
def test_every_size_and_one_channel_come_back_in_their_shape(shape):
    out = augment(noise(*shape), EVERYTHING, rng())
    assert out.shape == shape
    assert out.dtype == np.uint8


def test_augment_without_amounts_changes_nothing_and_returns_a_copy():
    batch = noise(4, 8, 8, 3)
    out = augment(batch, Augment(), rng())
    assert np.array_equal(out, batch)
    out[:] = 0
    assert batch.any()


def test_the_batch_itself_is_never_written_to():
    batch = noise(4, 16, 16, 3)
    batch.setflags(write=False)
    augment(batch, EVERYTHING, rng())
    augment(batch, Augment(flip=True, cutout=0.5, brightness=0.5), rng())


def test_the_same_state_gives_the_same_images_and_another_gives_others():
    batch = noise(16, 16, 16, 3)
    once = augment(batch, EVERYTHING, rng(1))
    assert np.array_equal(once, augment(batch, EVERYTHING, rng(1)))
    assert not np.array_equal(once, augment(batch, EVERYTHING, rng(2)))


def test_how_far_the_generator_advances_does_not_depend_on_the_amounts():
    after = []
    for how in (Augment(), Augment.for_size(224, 224), EVERYTHING):
        random = rng(5)
        augment(noise(7, 8, 8, 3), how, random)
        after.append(random.random())
    assert len(set(after)) == 1


def test_mirrored_images_are_half_of_them_and_exact():
    batch = noise(400, 6, 5, 3)
    out = augment(batch, Augment(flip=True), rng())
    mirrored = (out == batch[:, :, ::-1]).all((1, 2, 3))
    assert ((out == batch).all((1, 2, 3)) ^ mirrored).all()
    assert 160 < mirrored.sum() < 240


def test_shifts_reach_the_stated_share_to_every_side_and_not_further():
    matrices = placements(Augment(shift=0.125), 2000, (64, 32), rng())
    assert np.array_equal(matrices[:, :, :2], np.broadcast_to(np.eye(2), (2000, 2, 2)))
    right, down = matrices[:, 0, 2], matrices[:, 1, 2]
    assert (right.min(), right.max()) == (-8, 8)
    assert (down.min(), down.max()) == (-4, 4)


def test_images_turned_upside_down_are_half_of_them_whatever_else_is_mirrored():
    batch = noise(800, 6, 5, 3)
    out = augment(batch, Augment(flip=True, upside_down=True), rng())
    ways = batch, batch[:, :, ::-1], batch[:, ::-1], batch[:, ::-1, ::-1]
    found = np.stack([(out == way).all((1, 2, 3)) for way in ways])
    assert (found.sum(0) == 1).all()
    assert found.sum(1) == pytest.approx(200, abs=40)


@pytest.mark.parametrize(("width", "turns"), [(6, (0, 1, 2, 3)), (5, (0, 2))])
def test_quarter_turns_are_exact_and_keep_the_shape(width, turns):
    batch = noise(800, 6, width, 3)
    out = augment(batch, Augment(quarter_turns=True), rng())
    found = np.stack([(out == np.rot90(batch, turn, (1, 2))).all((1, 2, 3)) for turn in turns])
    assert (found.sum(0) == 1).all()
    assert found.sum(1) == pytest.approx(800 / len(turns), abs=50)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("upside_down", [False, True])
def test_whole_pixel_moves_agree_with_the_general_way(channels, upside_down):
    batch = noise(64, 10, 14, channels)
    how = Augment(flip=True, shift=0.3, upside_down=upside_down)
    assert np.array_equal(augment(batch, how, rng(9)), move(batch, placements(how, 64, (14, 10), rng(9))))


@pytest.mark.parametrize(
    "how",
    [
        Augment(flip=True, shift=0.1),
        Augment(scale=(0.6, 1.4)),
        Augment(rotate_deg=30),
        Augment(flip=True, shift=0.05, scale=(0.85, 1.2), rotate_deg=10),
    ],
)
def test_a_point_goes_where_its_matrix_says(how):
    width, height, point = 80, 60, np.array([44.0, 31.0])
    y, x = np.mgrid[:height, :width] + 0.5
    blob = 250 * np.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / 20)
    batch = np.broadcast_to(np.rint(blob).astype(np.uint8)[None, ..., None], (30, height, width, 1))
    matrices = placements(how, 30, (width, height), rng(4))
    for image, matrix in zip(move(batch, matrices), matrices, strict=True):
        moments = cv2.moments(image)
        found = np.array([moments["m10"], moments["m01"]]) / moments["m00"] + 0.5  # index to position
        assert found == pytest.approx(matrix[:, :2] @ point + matrix[:, 2], abs=0.1)


def test_magnification_is_even_about_the_centre():
    matrices = placements(Augment(scale=(0.5, 2.0)), 4000, (40, 20), rng())
    centre = np.array([20, 10])
    assert np.allclose(matrices[:, :, :2] @ centre + matrices[:, :, 2], centre)
    factors = matrices[:, 0, 0]
    assert 0.5 <= factors.min() < 0.51
    assert 1.97 < factors.max() <= 2.0
    assert np.median(factors) == pytest.approx(1.0, abs=0.05)


def test_brightness_adds_the_same_to_every_pixel():
    batch = np.full((500, 2, 2, 3), 100, np.uint8)
    added = augment(batch, Augment(brightness=0.2), rng()).astype(int) - 100
    assert (added.max((1, 2, 3)) == added.min((1, 2, 3))).all()
    assert -51 <= added.min() < -48
    assert 48 < added.max() <= 51


def test_contrast_keeps_mid_grey_and_saturation_keeps_grey():
    middle = np.full((50, 2, 2, 3), 128, np.uint8)
    assert abs(augment(middle, Augment(contrast=0.9), rng()).astype(int) - 128).max() <= 1
    grey = np.repeat(noise(50, 4, 4, 1), 3, axis=3)
    assert abs(augment(grey, Augment(saturation=1.0), rng()).astype(int) - grey).max() <= 1


def test_a_third_of_the_colour_circle_exchanges_the_channels_and_grey_stays_grey():
    batch = noise(2, 8, 8, 3)
    batch[:, 0] = 77
    out = batch.copy()
    recolour(out, Augment(hue=1 / 3), np.zeros((2, 3)), np.array([1.0, -1.0]))
    assert abs(out[0].astype(int) - np.roll(batch[0], 1, 2)).max() <= 1
    assert abs(out[1].astype(int) - np.roll(batch[1], -1, 2)).max() <= 1


def test_bright_pixels_saturate_and_never_wrap():
    out = augment(np.full((100, 2, 2, 3), 250, np.uint8), Augment(brightness=1.0), rng())
    lighter = out[out >= 250]
    assert lighter.size > 300
    assert lighter.max() == 255


def test_a_cutout_is_one_grey_square_of_the_stated_side():
    batch = np.zeros((200, 20, 20, 3), np.uint8)
    covered = (augment(batch, Augment(cutout=0.25), rng()) == 128).all(3).sum((1, 2))
    assert covered.max() == 25
    assert (covered > 0).all()
    assert (covered < 25).any()  # part of the square is outside


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shift": -0.1}, r"shift must be in 0\.\.1, not -0\.1"),
        ({"cutout": 2}, "cutout"),
        ({"rotate_deg": float("nan")}, "rotate_deg"),
        ({"hue": 0.6}, r"hue must be in 0\.\.0\.5, not 0\.6"),
        ({"mosaic": 1.1}, r"mosaic must be in 0\.\.1"),
        ({"scale": (0, 1)}, "scale"),
        ({"scale": (2, 1)}, "scale"),
        ({"scale": (1, 1, 1)}, "scale"),
        ({"scale": ()}, "scale"),
    ],
)
def test_impossible_amounts_are_refused_by_name(fields, message):
    with pytest.raises(DataError, match=message):
        Augment(**fields)


def test_a_mosaic_of_images_that_have_one_label_each_is_refused():
    with pytest.raises(DataError, match=r"mosaic is 0\.5, but four images in one have no one label"):
        augment(noise(0, 8, 8, 3), Augment(mosaic=0.5), rng())


def test_a_recipe_can_keep_it_as_json():
    assert Augment(**json.loads(json.dumps(asdict(EVERYTHING)))) == EVERYTHING


def test_small_images_move_by_whole_pixels_and_large_ones_freely():
    small, large = Augment.for_size(32, 32), Augment.for_size(224, 224)
    assert small == Augment(flip=True, shift=4 / 32)
    assert not small.moves_freely
    assert large.moves_freely
    assert large.recolours


def test_detection_is_not_turned_and_small_images_make_no_mosaics():
    for size in ((32, 32), (256, 320)):
        how = Augment.for_boxes(*size)
        assert how.flip
        assert how.recolours
        assert how.rotate_deg == 0
        assert not how.upside_down
    assert Augment.for_boxes(64, 96).mosaic == 0
    assert Augment.for_boxes(96, 96).mosaic > 0
