"""What is seen in images alone."""

import numpy as np
import pytest

from calibration.pixels import NOISE, Pixels, neighbours
from edgecnn.card import InputSpec
from edgecnn.data import open_dataset

RANDOM = np.random.default_rng(0)
SLOPE = np.tile(np.arange(0, 256, 4, dtype=np.uint8)[:, None, None], (1, 64, 3))
SLOPE[..., 1] = SLOPE[..., 0].T
PICTURES = {
    "slope": SLOPE,
    "white": np.full((64, 64, 3), 255, np.uint8),
    "pixel": np.full((1, 1, 3), 7, np.uint8),
    "line": SLOPE[:1],
    "noise": RANDOM.integers(0, 256, (64, 64, 3), np.uint8),
    "dots": (RANDOM.integers(0, 2, (64, 64, 1)) * 255).astype(np.uint8).repeat(3, 2),
    "grey": SLOPE[..., :1].repeat(3, axis=2),
    "large": SLOPE.repeat(20, axis=0).repeat(20, axis=1),
}


def look(*names, side=64):
    pixels = Pixels(InputSpec(side, side))
    for name in names:
        pixels.look(PICTURES[name], name)
    return pixels


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("slope", set()),
        ("large", set()),
        ("white", {"plain"}),
        ("pixel", {"plain", "small"}),
        ("line", set()),
        ("noise", {"noise"}),
        ("dots", {"noise", "grey"}),
        ("grey", {"grey"}),
    ],
)
def test_every_kind_of_image_is_told(name, kinds):
    pixels = look(name)
    assert {kind for kind in ("plain", "noise", "grey", "small") if getattr(pixels, kind).count} == kinds


def test_only_a_few_are_named_but_all_are_counted():
    pixels = look(*["white"] * 9)
    assert pixels.plain.count == 9
    assert len(pixels.plain.names) == 3


def test_the_brightest_pixel_of_all_is_known():
    pixels = Pixels(InputSpec(8, 8))
    for value in (3, 11, 7):
        pixels.look(np.full((5, 5, 3), value, np.uint8), "")
    assert pixels.brightest == 11


def test_images_of_less_than_half_the_size_are_small():
    assert look("slope", side=129).small.count == 1
    assert look("slope", side=128).small.count == 0


def test_neighbours_correlate_as_numpy_says():
    image = RANDOM.integers(0, 256, (40, 40, 3), np.uint8)
    assert abs(neighbours(image)) < NOISE
    assert neighbours(PICTURES["grey"]) > 0.9
    assert neighbours(PICTURES["white"]) == 1


def test_drawn_scenes_are_not_noise():
    pixels = Pixels(InputSpec(32, 32))
    for sample in open_dataset("drawn:7?size=32x32", split="train").samples[:60]:
        pixels.look(sample.read(), "")
    assert pixels.noise.count == pixels.plain.count == 0
