from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import graph
from edgecnn.card import Card, InputSpec
from edgecnn.errors import TrainingError
from edgecnn.tasks import detection
from edgecnn.zoo import detector
from edgecnn.zoo.count import count
from edgecnn.zoo.keras import keras, tf

pytestmark = pytest.mark.tensorflow

SHAPE = (64, 96, 3)


def cells(height: int, width: int) -> np.ndarray:
    """x, y, side of every cell, as the device reads them."""
    options = {
        "decode": "anchors",
        "strides": list(detector.STRIDES),
        "anchor_px": detector.anchor_px(),
        "scale_yxhw": list(detector.SCALE_YXHW),
    }
    return detection.anchors(Card("m", "detection", InputSpec(height, width), ("a",), options=options))


@pytest.fixture(scope="module")
def model(tiny_backbone: str) -> Any:
    return detector.build(tiny_backbone, input_shape=SHAPE, classes=3, width=0.25, seed=4)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (4, *SHAPE)).astype(np.float32)


def test_there_is_a_row_for_every_cell_of_any_image_and_batch(model: Any, images: np.ndarray) -> None:
    assert model.output_names == ["boxes", "scores"]
    n = len(cells(64, 96))
    assert model.output_shape == [(None, n, 4), (None, n, 3)]
    for many in (1, 4):
        boxes, scores = model(images[:many])
        assert (boxes.shape, scores.shape) == ((many, n, 4), (many, n, 3))


def test_the_smallest_input_of_one_class_in_gray(tiny_backbone: str) -> None:
    tiny = detector.build(tiny_backbone, input_shape=(64, 64, 1), classes=1, width=0.1)
    boxes, scores = tiny(np.zeros((1, 64, 64, 1), np.float32))
    assert boxes.shape == (1, 84, 4)
    assert scores.shape == (1, 84, 1)


@pytest.mark.parametrize("role", ["boxes", "scores"])
def test_every_row_is_the_cell_that_the_device_takes_it_for(
    model: Any, images: np.ndarray, role: str
) -> None:
    names = [f"detect{stride}_{role}" for stride in detector.STRIDES]
    maps = keras.Model(
        model.input, [*(model.get_layer(name).output for name in names), model.get_layer(role).output]
    )
    *levels, rows = (output.numpy()[0] for output in maps(images[:1]))
    by_side = dict(zip(detector.anchor_px(), zip(detector.STRIDES, levels, strict=True), strict=True))
    for (x, y, side), row in zip(cells(64, 96), rows, strict=True):
        stride, level = by_side[int(side)]
        np.testing.assert_array_equal(row, level[int(y / stride - 0.5), int(x / stride - 0.5)])


def test_it_begins_with_its_anchors_and_sure_of_nothing(model: Any, images: np.ndarray) -> None:
    boxes, scores = (output.numpy() for output in model(images))
    chances = 1 / (1 + np.exp(-scores))
    assert 0.2 * detector.PRIOR < chances.mean() < 5 * detector.PRIOR
    assert np.abs(boxes).mean() < 0.5
    assert not np.allclose(boxes[0], boxes[1])  # and yet the image matters


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(model: Any, tiny_backbone: str) -> None:
    again, other = (
        detector.build(tiny_backbone, input_shape=SHAPE, classes=3, width=0.25, seed=seed).get_weights()
        for seed in (4, 5)
    )
    own = model.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(own, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(own, other, strict=True) if a.ndim > 1)


def test_it_is_made_of_standard_layers_with_static_shapes(model: Any) -> None:
    kinds = {type(layer).__name__ for layer in model.layers}
    assert kinds == {
        "InputLayer", "Conv2D", "DepthwiseConv2D", "BatchNormalization", "ReLU", "Add", "UpSampling2D",
        "Reshape", "Concatenate",
    }  # fmt: skip
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"tf_keras"}
    for layer in model.layers:
        assert None not in keras.backend.int_shape(layer.output)[1:]


def test_norms_follow_small_batches_in_the_backbone_too(model: Any) -> None:
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.momentum for layer in norms} == {detector.NORM_MOMENTUM}


def test_only_its_own_layers_are_named_so(model: Any) -> None:
    own = {layer.name for layer in model.layers if layer.weights and layer.name.startswith(detector.OWN)}
    backbone = {layer.name for layer in model.layers if layer.weights} - own
    assert {name.split("_")[0] for name in backbone} == {"stem2", "stem4", "stem8", "stem16", "stem32"}
    assert {name.split("_")[0].rstrip("0123456789") for name in own} == set(detector.OWN)


@pytest.mark.parametrize(
    ("name", "width", "million"),
    [
        ("mobilenet_v2", 0.35, (0.2, 0.3)),
        ("efficientnet_lite0", 1.0, (2.4, 2.7)),
    ],
)
def test_sizes_go_from_a_quarter_to_two_and_a_half_million_parameters(
    name: str, width: float, million: tuple[float, float]
) -> None:
    found = count(detector.structure(name, input_shape=(96, 96, 3), classes=3, width=width)).params
    low, high = million
    assert low * 1e6 <= found <= high * 1e6


@pytest.mark.parametrize(
    ("size_wh", "near_wh"),
    [
        ((100, 64), (96, 64)),
        ((64, 100), (64, 96)),
        ((320, 240), (320, 256)),
        ((32, 32), (64, 64)),
        ((1, 700), (64, 704)),
    ],
)
def test_a_size_that_the_pyramid_cannot_halve_is_refused_with_the_nearest(
    tiny_backbone: str, size_wh: tuple[int, int], near_wh: tuple[int, int]
) -> None:
    (width, height), (near_width, near_height) = size_wh, near_wh
    with pytest.raises(
        TrainingError, match=f"not {width}x{height}. Take {near_width}x{near_height}"
    ) as caught:
        detector.structure(tiny_backbone, input_shape=(height, width, 3), classes=2)
    assert "\n" not in str(caught.value)
    assert near_width % 32 == near_height % 32 == 0


@pytest.mark.parametrize(
    ("name", "classes", "width", "says"),
    [
        ("mobilnet_v2", 2, 1.0, "Did you mean mobilenet_v2"),
        ("resnet8", 2, 1.0, "resnet8 does not shrink its images 8 times"),
        ("lecture", 2, 0.1, "lecture does not shrink its images 32 times"),
        ("mobilenet_v2", 0, 1.0, "at least 1 class, got 0"),
        ("mobilenet_v2", 2, 0.0, r"must be in \(0, 16\], got 0.0"),
    ],
)
def test_what_cannot_be_built_is_refused(name: str, classes: int, width: float, says: str) -> None:
    with pytest.raises(TrainingError, match=says) as caught:
        detector.structure(name, input_shape=(64, 64, 3), classes=classes, width=width)
    assert "\n" not in str(caught.value)


def test_int8_needs_only_builtin_int8_operators_and_keeps_a_scale_for_each_output(
    model: Any, images: np.ndarray, tmp_path: Path
) -> None:
    image = keras.Input(SHAPE, batch_size=1)  # as on the device
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(image, model(image)))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    found = graph.read(converter.convert(), "detector")
    kinds = {operator.kind for operator in found.ops}
    assert kinds == {
        "CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "RESIZE_NEAREST_NEIGHBOR", "RESHAPE", "CONCATENATION",
    }  # fmt: skip
    outputs = [found.tensors[index] for index in found.outputs]
    assert sorted(tensor.shape[-1] for tensor in outputs) == [3, 4]
    assert len({tensor.scale.tobytes() for tensor in outputs}) == 2
