"""image.prepare is exact in every dtype, and a View says where things are."""

import itertools
from fractions import Fraction
from typing import get_args

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.card import InputSpec, Resize
from edgecnn.errors import DataError, ModelError
from edgecnn.image import View, fit, lookup, prepare

QUANTIZATIONS = [
    (np.float32, 0.0, 0),
    (np.uint8, 0.0078125, 128),
    (np.uint8, 0.007843137718737125, 127),
    (np.int8, 0.007843137718737125, -1),
    (np.int8, 0.003921568859368563, -128),
    (np.int8, 0.02, 3),  # clips at both ends for some of the normalizations below
    (np.int16, 3.051851e-05, 0),
]
NORMALIZATIONS = [
    ("bgr", (0.0,), (255.0,)),
    ("rgb", (127.5,), (127.5,)),
    ("rgb", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    ("bgr", (103.94, 116.78, 123.68), (1.0, 1.0, 1.0)),
    ("gray", (33.318,), (78.567,)),
]


MEDIAPIPE = [
    [255, 30, 0, 175, 78, 80, 110, 113, 145, 45, 136, 210],
    [113, 128, 143, 209, 47, 46, 166, 105, 89, 146, 146, 109],
]


def every_colour(height=48, width=64):
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)


def directly(pixels, spec, dtype, scale, zero_point):
    """(x - mean) / std and quantization on the whole image in double precision."""
    real = (pixels.reshape(spec.height, spec.width, spec.channels).astype(np.float64) - spec.mean) / spec.std
    if dtype == np.float32:
        return real.astype(np.float32)[None]
    limits = np.iinfo(dtype)
    return np.clip(np.rint(real / scale) + zero_point, limits.min, limits.max).astype(dtype)[None]


@pytest.mark.parametrize("shape", [(0, 0, 3), (0, 5, 3), (5, 0, 3), (0, 5), (5, 0)])
def test_an_image_without_pixels_is_refused(shape):
    spec = InputSpec(4, 4)
    with pytest.raises(DataError, match="must have pixels"):
        prepare(np.zeros(shape, np.uint8), lookup(spec, np.float32), spec)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.int8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_what_is_no_image_is_refused_with_its_shape(image):
    spec = InputSpec(4, 4)
    with pytest.raises(DataError) as refused:
        prepare(image, lookup(spec, np.float32), spec)
    assert str(image.shape) in str(refused.value)
    assert str(image.dtype) in str(refused.value)


@pytest.mark.parametrize(("dtype", "scale", "zero_point"), QUANTIZATIONS)
@pytest.mark.parametrize(("color", "mean", "std"), NORMALIZATIONS)
def test_the_table_gives_bit_for_bit_what_arithmetic_on_the_image_gives(
    dtype, scale, zero_point, color, mean, std
):
    image = every_colour()
    spec = InputSpec(48, 64, color=color, mean=mean, std=std)
    table = lookup(spec, dtype, scale=scale, zero_point=zero_point)
    orders = {"bgr": image, "rgb": image[..., ::-1], "gray": cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)}
    tensor, _ = prepare(image, table, spec)
    assert tensor.dtype == dtype
    np.testing.assert_array_equal(tensor, directly(orders[color], spec, dtype, scale, zero_point))


@pytest.mark.parametrize(("dtype", "scale", "zero_point"), QUANTIZATIONS[1:])
def test_a_table_of_integers_is_what_the_paper_says_for_every_pixel_value(dtype, scale, zero_point):
    table = lookup(InputSpec(1, 1, mean=(127.5,), std=(127.5,)), dtype, scale=scale, zero_point=zero_point)
    limits = np.iinfo(dtype)
    for pixel in range(256):
        wanted = round((pixel - 127.5) / 127.5 / scale) + zero_point  # Python, too, rounds halves to even
        assert table[pixel].tolist() == [min(max(wanted, limits.min), limits.max)] * 3


def test_a_uint8_table_can_be_the_identity():
    for scale, zero_point in ((0.0078125, 128), (0.007843137718737125, 127), (1 / 255, 0)):
        spec = InputSpec(1, 1, mean=(float(zero_point),), std=(1 / scale,))
        table = lookup(spec, np.uint8, scale=scale, zero_point=zero_point)
        np.testing.assert_array_equal(table[:, 0], np.arange(256))


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.float16, bool])
def test_a_dtype_that_no_model_is_fed_is_refused(dtype):
    with pytest.raises(ModelError, match="edgecnn feeds float32, int8, uint8 and int16"):
        lookup(InputSpec(1, 1), dtype, scale=1.0)


@pytest.mark.parametrize("scale", [0.0, -0.1, float("nan")])
def test_an_integer_input_without_a_scale_is_refused(scale):
    with pytest.raises(ModelError, match="no usable quantization"):
        lookup(InputSpec(1, 1), np.int8, scale=scale)


@pytest.mark.parametrize(
    ("color", "wanted"),
    [("rgb", [3, 2, 1]), ("bgr", [1, 2, 3]), ("gray", [round(0.114 * 1 + 0.587 * 2 + 0.299 * 3)])],
)
def test_the_channels_come_in_the_order_of_the_card(color, wanted):
    image = np.full((2, 2, 3), (1, 2, 3), np.uint8)  # blue 1, green 2, red 3
    pixels, _ = fit(image, InputSpec(2, 2, color=color))
    assert pixels.reshape(2, 2, -1)[0, 0].tolist() == wanted


@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
def test_a_grey_image_fills_every_channel(color):
    image = np.arange(36, dtype=np.uint8).reshape(6, 6)
    pixels, _ = fit(image, InputSpec(6, 6, color=color))
    for channel in np.atleast_3d(pixels).transpose(2, 0, 1):
        np.testing.assert_array_equal(channel, image)


def test_the_tensor_is_written_where_the_caller_wants_it():
    spec = InputSpec(5, 7, mean=(10.0, 20.0, 30.0), std=(1.0,))
    table = lookup(spec, np.float32)
    out = np.full((1, 5, 7, 3), np.nan, np.float32)
    tensor, _ = prepare(every_colour(), table, spec, out=out)
    assert tensor is out
    np.testing.assert_array_equal(out, prepare(every_colour(), table, spec)[0])


@pytest.mark.parametrize("how", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
@pytest.mark.parametrize("size_hw", [(48, 64), (30, 30), (96, 100)])
@pytest.mark.parametrize("grey", [False, True])
def test_where_pixels_stay_as_they_are_the_tensor_is_the_fitted_image(how, color, size_hw, grey):
    spec = InputSpec(*size_hw, color=color, fit=how, mean=(0.0,), std=(255.0,))
    table = lookup(spec, np.uint8, scale=1 / 255)
    image = every_colour()[..., 0].copy() if grey else every_colour()
    before = image.copy()
    out = np.zeros((1, *size_hw, spec.channels), np.uint8)
    for columns in (table, table[:, :1], np.ascontiguousarray(table[:, :1])):
        out[:] = 77
        tensor, view = prepare(image, columns, spec, out=out)
        assert tensor is out
        np.testing.assert_array_equal(out[0].squeeze(), fit(image, spec)[0])
        assert view == fit(image, spec)[1]
    np.testing.assert_array_equal(image, before)


def test_one_column_stands_for_equal_ones():
    spec = InputSpec(9, 9, mean=(127.5,), std=(127.5,))
    for dtype, scale in ((np.float32, 0.0), (np.int8, 1 / 127)):
        table = lookup(spec, dtype, scale=scale)
        np.testing.assert_array_equal(
            prepare(every_colour(), table[:, :1], spec)[0], prepare(every_colour(), table, spec)[0]
        )


@pytest.mark.parametrize("how", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
def test_the_callers_image_is_never_changed_nor_kept(how, color):
    spec = InputSpec(48, 64, color=color, fit=how)
    image = every_colour()
    before = image.copy()
    tensor, _ = prepare(image, lookup(spec, np.uint8, scale=1 / 255), spec)
    np.testing.assert_array_equal(image, before)
    assert not np.shares_memory(tensor, image)


@pytest.mark.parametrize(
    "cut", [np.s_[::2, ::2], np.s_[:, ::-1], np.s_[::-1], np.s_[3:17, 5:9], np.s_[..., ::-1]]
)
def test_a_part_of_an_image_gives_what_its_copy_gives(cut):
    spec = InputSpec(9, 11, fit="letterbox")
    table = lookup(spec, np.float32)
    part = every_colour()[cut]
    np.testing.assert_array_equal(
        prepare(part, table, spec)[0], prepare(np.ascontiguousarray(part), table, spec)[0]
    )


def test_bilinear_stretch_is_opencvs_own_resize():
    image = every_colour(97, 131)
    pixels, _ = fit(image, InputSpec(31, 45, color="bgr", resize="bilinear"))
    np.testing.assert_array_equal(pixels, cv2.resize(image, (45, 31), interpolation=cv2.INTER_LINEAR))


def test_area_keeps_a_thin_line_that_bilinear_loses():
    image = np.zeros((640, 640, 3), np.uint8)
    image[:, 321:323] = 255
    seen = {how: fit(image, InputSpec(64, 64, resize=how))[0].max() for how in ("bilinear", "area")}
    assert seen["bilinear"] == 0
    assert seen["area"] > 25  # two of ten columns, spread over two at worst


# Every row and column, shrunk, enlarged, both, of one pixel, of one row; a target that 64 divides has places
# halfway between two of the 32, which go to the even one.
@pytest.mark.parametrize(
    ("source_wh", "target_wh"),
    [
        ((131, 97), (45, 31)), ((640, 480), (24, 16)), ((16, 24), (24, 16)), ((5, 3), (224, 224)),
        ((1, 1), (7, 5)), ((9, 1), (31, 45)), ((1281, 723), (96, 96)), ((641, 479), (64, 64)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("grey", [False, True])
def test_corner_samples_every_pixel_at_its_corner_in_exact_arithmetic(source_wh, target_wh, grey):
    image = every_colour(source_wh[1], source_wh[0])
    image = image[..., 0].copy() if grey else image
    pixels, _ = fit(
        image, InputSpec(target_wh[1], target_wh[0], color="gray" if grey else "bgr", resize="corner")
    )
    places = [
        [round(Fraction(32 * index * side, count)) for index in range(count)]
        for side, count in zip(source_wh, target_wh, strict=True)
    ]
    (x, a), (y, b) = (np.divmod(np.array(axis), 32) for axis in places)
    x, right = (np.minimum(x + step, source_wh[0] - 1) for step in (0, 1))  # beyond the edge, the edge
    y, below = (np.minimum(y + step, source_wh[1] - 1) for step in (0, 1))
    rest = (1,) * (image.ndim - 2)
    a, b = a.reshape(1, -1, *rest), b.reshape(-1, 1, *rest)
    whole = image.astype(int)
    above = whole[y][:, x] * (32 - a) + whole[y][:, right] * a
    under = whole[below][:, x] * (32 - a) + whole[below][:, right] * a
    np.testing.assert_array_equal(pixels, (above * (32 - b) + under * b + 512) // 1024)


def test_corner_is_what_mediapipe_made_of_an_image():
    # what MediaPipe 1.2.2 fed a network that gives back its input, of this image
    ramp = np.array([[0, 40, 200, 90, 250], [255, 17, 3, 128, 66], [30, 31, 220, 5, 180]], np.uint8)
    image = np.stack([ramp, ramp[::-1], 255 - ramp], axis=2)
    pixels, _ = fit(image, InputSpec(2, 4, color="rgb", resize="corner"))
    np.testing.assert_array_equal(pixels.reshape(2, -1), MEDIAPIPE)


def test_corner_leaves_an_image_of_the_right_size_as_it_is():
    image = every_colour()
    np.testing.assert_array_equal(fit(image, InputSpec(48, 64, color="bgr", resize="corner"))[0], image)


@pytest.mark.parametrize(
    ("source_wh", "target_wh"),
    [((640, 480), (300, 300)), ((1280, 720), (320, 320)), ((60, 30), (44, 66)), ((5, 7), (3, 7))],
)
def test_corner_in_parts_is_corner_at_once(source_wh, target_wh):
    image = np.random.default_rng(0).integers(0, 256, (source_wh[1], source_wh[0], 3), np.uint8)
    found, _ = fit(image, InputSpec(target_wh[1], target_wh[0], color="bgr", resize="corner"))
    x, y = (
        np.rint(np.arange(count) * (side * 32) / count).astype(int)
        for count, side in zip(target_wh, source_wh, strict=True)
    )
    whole = np.stack(np.broadcast_arrays(x // 32, (y // 32)[:, None]), 2).astype(np.int16)
    part = ((y % 32 * 32)[:, None] + x % 32).astype(np.uint16)
    wanted = cv2.remap(image, whole, part, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    np.testing.assert_array_equal(found, wanted)


def test_corner_refuses_a_side_that_opencv_cannot_map():
    spec = InputSpec(2, 2, resize="corner")
    assert fit(np.zeros((1, 32766, 3), np.uint8), spec)[0].shape == (2, 2, 3)
    with pytest.raises(DataError, match="32767 x 1 pixels is too large for resize 'corner'"):
        fit(np.zeros((1, 32767, 3), np.uint8), spec)


def test_area_is_the_plain_mean_where_the_factor_is_a_power_of_two():
    image = every_colour(64, 96)
    pixels, _ = fit(image, InputSpec(16, 24, color="bgr"))
    mean = image.reshape(16, 4, 24, 4, 3).mean(axis=(1, 3))
    assert np.abs(pixels - mean).max() <= 1  # rounded after each halving


@pytest.mark.parametrize(
    ("source_wh", "inner"),
    [
        ((64, 32), np.s_[8:24, 0:32]),  # wide: bars above and below
        ((32, 64), np.s_[0:32, 8:24]),  # high: bars left and right
        ((50, 50), np.s_[0:32, 0:32]),  # square: no bars
        ((33, 1), np.s_[15:16, 0:32]),  # a single line stays visible
    ],
)
def test_letterbox_pads_evenly_with_the_cards_grey(source_wh, inner):
    image = np.full((source_wh[1], source_wh[0], 3), 200, np.uint8)
    pixels, _ = fit(image, InputSpec(32, 32, fit="letterbox", pad=7))
    wanted = np.full((32, 32, 3), 7)
    wanted[inner] = 200
    np.testing.assert_array_equal(pixels, wanted)


def test_crop_shows_the_middle_and_nothing_else():
    image = np.zeros((20, 60, 3), np.uint8)
    image[:, 20:40] = 255
    pixels, view = fit(image, InputSpec(20, 20, fit="crop"))
    assert pixels.min() == 255
    assert view == View((1.0, 1.0), (-20.0, 0.0), (60, 20))


# Sizes that divide, that do not, that are odd; up, down, down by more than two (area halves then).
SIZES = [
    ((640, 480), (224, 224)), ((641, 479), (223, 225)), ((480, 640), (320, 192)), ((97, 131), (224, 224)),
    ((224, 224), (224, 224)), ((1281, 723), (96, 96)), ((300, 300), (301, 299)), ((1000, 200), (128, 160)),
]  # fmt: skip


@pytest.mark.parametrize(("source_wh", "target_wh"), SIZES)
@pytest.mark.parametrize("how", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("resize", get_args(Resize))
def test_a_marker_is_found_where_the_view_says(source_wh, target_wh, how, resize):
    width, height = source_wh
    spec = InputSpec(target_wh[1], target_wh[0], color="gray", fit=how, resize=resize, pad=0)
    # A soft round marker near the middle (inside every crop), wide enough for four prepared pixels.
    center = np.array([0.53 * width, 0.46 * height])
    _, view = fit(np.zeros((height, width, 3), np.uint8), spec)
    sigma = max(3.0, 2.0 / min(view.scale_xy))
    x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    blob = 250 * np.exp(-((x - center[0]) ** 2 + (y - center[1]) ** 2) / (2 * sigma**2))
    pixels, view = fit(cv2.cvtColor(np.rint(blob).astype(np.uint8), cv2.COLOR_GRAY2BGR), spec)

    weight = pixels.astype(np.float64)
    rows, columns = np.indices(weight.shape) + 0.5
    centroid = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
    error = np.abs(view.to_source(centroid[None])[0] - center) * view.scale_xy
    assert error.max() < 0.1  # prepared pixels; half a pixel of convention would show five times over


@given(
    source=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    target=st.tuples(st.integers(1, 80), st.integers(1, 80)),
    how=st.sampled_from(["stretch", "letterbox", "crop"]),
    resize=st.sampled_from(get_args(Resize)),
    color=st.sampled_from(["rgb", "bgr", "gray"]),
    grey=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_any_size_fits_and_the_view_goes_there_and_back(source, target, how, resize, color, grey):
    spec = InputSpec(*target, color=color, fit=how, resize=resize)
    image = np.full(source if grey else (*source, 3), 90, np.uint8)
    tensor, view = prepare(image, lookup(spec, np.float32), spec)
    assert tensor.shape == (1, *target, spec.channels)
    assert tensor.flags.c_contiguous
    assert view.source_wh == (source[1], source[0])
    assert min(view.scale_xy) > 0

    points = np.array(list(itertools.product([0, source[1] / 3, source[1]], [0, source[0] / 3, source[0]])))
    np.testing.assert_allclose(view.to_source(view.to_prepared(points)), points, atol=1e-9)

    corners = view.to_prepared(np.array([[0.0, 0.0], [source[1], source[0]]]))
    if resize == "corner":  # the middle of the first pixel shows the middle of the first of the source
        corners -= (1 - np.array(view.scale_xy)) / 2
    end = np.array([target[1], target[0]])
    if how == "letterbox":  # all of the source lies inside
        assert (corners[0] >= 0).all()
        # a block of pixels that `area` leaves out lies beyond the edge
        assert resize == "area" or (corners[1] <= end + 1e-9).all()
    else:  # the prepared image is full of source
        assert (corners[0] <= 1e-9).all()
        assert (corners[1] >= end - 1e-9).all()


def test_a_view_of_no_points_is_no_points():
    view = View((2.0, 3.0), (1.0, -1.0), (10, 10))
    assert view.to_source(np.empty((0, 2))).shape == (0, 2)
    assert view.to_prepared(np.empty((0, 2))).shape == (0, 2)
