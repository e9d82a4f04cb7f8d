from typing import Any

import numpy as np
import pytest

from edgecnn.errors import TrainingError
from edgecnn.zoo import centroids, detector
from edgecnn.zoo.count import count
from edgecnn.zoo.keras import keras

pytestmark = pytest.mark.tensorflow

SHAPE = (48, 64, 3)


@pytest.fixture(scope="module")
def model(tiny_backbone: str) -> Any:
    return centroids.build(tiny_backbone, input_shape=SHAPE, classes=2, seed=4)


def test_there_is_a_score_for_every_cell_of_any_image_and_batch(model: Any) -> None:
    assert model.output_names == ["scores"]
    assert model.output_shape == (None, 6, 8, 2)
    for many in (1, 3):
        assert model(np.zeros((many, *SHAPE), np.float32)).shape == (many, 6, 8, 2)


def test_the_smallest_input_of_one_class_in_gray(tiny_backbone: str) -> None:
    tiny = centroids.build(tiny_backbone, input_shape=(32, 32, 1), classes=1, width=0.1)
    assert tiny(np.zeros((1, 32, 32, 1), np.float32)).shape == (1, 4, 4, 1)


def test_nothing_behind_stride_8_is_carried_along(model: Any) -> None:
    names = {layer.name.split("_")[0] for layer in model.layers if layer.weights}
    assert names == {"stem2", "stem4", "stem8", "locate"}


def test_it_begins_sure_of_nothing(model: Any) -> None:
    scores = model(np.random.default_rng(0).normal(0, 1, (2, *SHAPE)).astype(np.float32)).numpy()
    assert 0.2 * detector.PRIOR < (1 / (1 + np.exp(-scores))).mean() < 5 * detector.PRIOR
    assert not np.allclose(scores[0], scores[1])


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(model: Any, tiny_backbone: str) -> None:
    again, other = (
        centroids.build(tiny_backbone, input_shape=SHAPE, classes=2, seed=seed).get_weights()
        for seed in (4, 5)
    )
    own = model.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(own, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(own, other, strict=True) if a.ndim > 1)


def test_it_is_made_of_standard_layers(model: Any) -> None:
    kinds = {type(layer).__name__ for layer in model.layers}
    assert kinds == {"InputLayer", "Conv2D", "BatchNormalization", "ReLU", "Activation"}
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"tf_keras"}
    assert keras.backend.int_shape(model.output)[1:] == (6, 8, 2)


def test_a_few_ten_thousand_parameters_say_where_something_is() -> None:
    found = count(centroids.structure("mobilenet_v2", input_shape=(96, 96, 3), classes=2, width=0.35))
    assert 5_000 < found.params < 60_000


@pytest.mark.parametrize(
    ("name", "shape", "classes", "says"),
    [
        ("mobilnet_v2", (96, 96, 3), 2, "Did you mean mobilenet_v2"),
        ("resnet8", (96, 96, 3), 2, "resnet8 does not shrink its images 8 times"),
        ("mobilenet_v2", (96, 96, 3), 0, "at least 1 class, got 0"),
        ("mobilenet_v2", (96, 100, 3), 2, "multiples of 8, not 100x96"),
    ],
)
def test_what_cannot_be_built_is_refused(
    name: str, shape: tuple[int, int, int], classes: int, says: str
) -> None:
    with pytest.raises(TrainingError, match=says):
        centroids.structure(name, input_shape=shape, classes=classes)
