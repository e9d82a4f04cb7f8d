"""The one image a network takes."""

import pytest

from converters.input_shape import complete
from edgecnn.errors import ConversionError


@pytest.mark.parametrize(
    ("shape", "size_wh", "expected"),
    [
        ((None, 24, 32, 3), None, (24, 32, 3)),
        ((1, 24, 32, 1), None, (24, 32, 1)),
        ((None, 24, 32, 3), (32, 24), (24, 32, 3)),
        ((None, None, None, 3), (32, 24), (24, 32, 3)),
        ((None, 24, None, 3), (32, 24), (24, 32, 3)),
        ((None, 3, 3, 3), None, (3, 3, 3)),
    ],
)
def test_what_is_open_is_the_callers(shape, size_wh, expected):
    assert complete(shape, "net", size_wh=size_wh) == expected


@pytest.mark.parametrize(
    ("shape", "size_wh", "reason"),
    [
        ((), None, r"net: takes \(\), but edgecnn gives one image"),
        ((None, 7), None, r"takes \(any, 7\), but edgecnn gives one image"),
        ((None, 3, 24, 24), None, "channels first"),
        ((None, 24, 24, 4), None, "an image of 1 or 3 channels"),
        ((None, 24, 24, None), None, "an image of 1 or 3 channels"),
        ((8, 24, 24, 3), None, "takes 8 images at once"),
        ((None, None, None, 3), None, r"any size.*--size 224x224"),
        ((None, 24, 32, 3), (24, 32), "takes images of 32 x 24 pixels, not 24 x 32"),
    ],
)
def test_what_is_no_single_image_is_refused(shape, size_wh, reason):
    with pytest.raises(ConversionError, match=reason):
        complete(shape, "net", size_wh=size_wh)
