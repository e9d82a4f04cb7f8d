import pytest

from edgecnn.errors import TrainingError
from edgecnn.zoo import ZOO, build
from edgecnn.zoo.keras import tf
from edgecnn.zoo.listing import listing

pytestmark = pytest.mark.tensorflow


def test_no_names_give_no_rows():
    assert listing(224, 224, names=[]) == []


def test_networks_are_listed_in_the_order_asked_for_and_all_unless_asked():
    names = ["vgg16", "resnet8", "mobilenet_v3_small"]
    rows = listing(64, 96, classes=10, names=names)
    assert [row.name for row in rows] == names
    for row in rows:
        assert (row.height, row.width) == (64, 96)
        assert row.macs > row.params / 2 > 0
        assert row.float32_bytes_estimated > 3 * row.int8_bytes_estimated > 0
        assert row.summary == ZOO[row.name].summary
    assert [row.name for row in listing(64, 64)] == list(ZOO)


def test_networks_that_images_of_this_size_do_not_fit_into_are_left_out():
    assert {row.name for row in listing(24, 24, names=["lecture", "vgg16", "resnet8"])} == {
        "lecture",
        "resnet8",
    }


def test_an_unknown_name_is_refused():
    with pytest.raises(TrainingError, match="no network is called 'resnet9'"):
        listing(32, 32, names=["resnet9"])


def test_the_estimated_float_size_is_close_to_a_real_file():
    model = build("resnet8", input_shape=(32, 32, 3), classes=10)
    file = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    (row,) = listing(32, 32, classes=10, names=["resnet8"])
    assert len(file) == pytest.approx(row.float32_bytes_estimated, abs=10_000)  # the rest is the graph
