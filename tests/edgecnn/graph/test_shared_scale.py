"""Boxes and scores in one scale are found, and nothing else is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgecnn.graph import Graph, read
from edgecnn.graph.shared_scale import shared_scales

PIXELS = 640 / 255  # of boxes in pixels, from zero point -128


@pytest.fixture
def graph(assemble: Callable[..., bytes]) -> Callable[..., Graph]:
    return lambda *parts: read(assemble(*parts))


def joined(scale: float = PIXELS, **changes: Any) -> tuple[Any, ...]:
    """yolov8's head as converters quantize it: a sigmoid requantized to the scale of what it is joined to."""
    tensors = {
        "boxes": ((1, 4, 30), "int8", None, scale, -128),
        "logits": ((1, 3, 30), "int8", None, 0.1, 0),
        "likely": ((1, 3, 30), "int8", None, 1 / 256, -128),
        "rounded": ((1, 3, 30), "int8", None, scale, -128),
        "head": ((1, 7, 30), "int8", None, scale, -128),
        **changes.pop("tensors", {}),
    }
    operators = [
        ("LOGISTIC", ["logits"], ["likely"]),
        ("QUANTIZE", ["likely"], ["rounded"]),
        ("CONCATENATION", ["boxes", "rounded"], ["head"], schema.ConcatenationOptionsT(axis=1)),
        *changes.pop("operators", []),
    ]
    return tensors, operators, ["boxes", "logits"], changes.pop("outputs", ["head"])


def test_a_graph_without_a_joining_operator_shares_nothing(graph) -> None:
    tensors = {"a": ((1, 4), "int8", None, 1.0, 0), "b": ((1, 4), "int8", None, 1 / 256, -128)}
    assert shared_scales(graph(tensors, [("LOGISTIC", ["a"], ["b"])], ["a"], ["b"])) == ()


def test_boxes_in_pixels_and_scores_in_one_tensor_are_found(graph) -> None:
    (found,) = shared_scales(graph(*joined()))
    assert (found.tensor, found.wide, found.narrow) == ("head", "boxes", "rounded")
    assert found.widest == pytest.approx(640)
    assert found.narrowest == pytest.approx(1, abs=0.01)
    assert found.in_words() == (
        "'head' joins 'boxes' (up to 640) and 'rounded' (up to 0.996) in one scale of 2.51, which leaves the "
        "latter no step: a score of 1.0 becomes 0. Export boxes and scores as two outputs, each with its own "
        "scale, or divide the boxes by the image's size before they are joined"
    )


@pytest.mark.parametrize(
    ("largest", "is_found"), [(1.0, False), (15.0, False), (18.0, True), (80.0, True), (640.0, True)]
)
def test_ranges_may_differ_by_a_factor_of_sixteen(graph, largest: float, is_found: bool) -> None:
    assert bool(shared_scales(graph(*joined(largest / 255)))) == is_found


def test_it_is_found_behind_reshapes_and_a_last_dequantization(graph) -> None:
    tensors = {
        "to": ((3,), "int32", [1, 30, 7]),
        "turned": ((1, 30, 7), "int8", None, PIXELS, -128),
        "real": ((1, 30, 7), "float32"),
    }
    operators = [("RESHAPE", ["head", "to"], ["turned"]), ("DEQUANTIZE", ["turned"], ["real"])]
    (found,) = shared_scales(graph(*joined(tensors=tensors, operators=operators, outputs=["real"])))
    assert found.tensor == "head"


def test_what_is_joined_inside_a_network_is_its_own_affair(graph) -> None:
    operators = [("RELU", ["head"], ["after"])]
    tensors = {"after": ((1, 7, 30), "int8", None, PIXELS, -128)}
    assert shared_scales(graph(*joined(tensors=tensors, operators=operators, outputs=["after"]))) == ()


def test_two_outputs_with_their_own_scales_are_fine(graph) -> None:
    assert shared_scales(graph(*joined(outputs=["boxes", "likely"]))) == ()


def test_float_tensors_have_no_scale_to_share(graph) -> None:
    tensors = {"head": ((1, 7, 30), "float32")}
    assert shared_scales(graph(*joined(tensors=tensors))) == ()


def test_a_constant_counts_by_its_values(graph) -> None:
    def with_constant(value: int) -> Graph:
        tensors = {
            "one": ((1, 1, 30), "int8", np.full((1, 1, 30), value), PIXELS, -128),
            "boxes": ((1, 4, 30), "int8", None, PIXELS, -128),
            "head": ((1, 5, 30), "int8", None, PIXELS, -128),
        }
        join = ("CONCATENATION", ["boxes", "one"], ["head"], schema.ConcatenationOptionsT(axis=1))
        return graph(tensors, [join], ["boxes"], ["head"])

    assert shared_scales(with_constant(100)) == ()
    assert len(shared_scales(with_constant(-127))) == 1


@pytest.mark.parametrize(
    "name",
    [
        "coral/mobilenet_v1_0.25_128_quant",
        "coral/mobilenet_v2_1.0_224_quant",
        "coral/tf2_mobilenet_v2_1.0_224_ptq",
        "coral/split_concat",
        "coral/deeplabv3_mnv2_dm05_pascal_quant",
        "coral/posenet_mobilenet_v1_075_353_481_16_quant_decoder",
        "tasks/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29",
        "tasks/mobilenet_v1_0.25_224_quant",
    ],
)
def test_files_without_the_fault_are_not_accused(shared: Path, name: str) -> None:
    assert shared_scales(read(shared / "models" / f"{name}.tflite")) == ()


@pytest.mark.tensorflow
def test_what_tensorflows_converter_makes_of_a_joined_head_is_found() -> None:
    from edgecnn.keras import tf

    image = tf.keras.Input((32, 32, 3), batch_size=1)
    features = tf.keras.layers.Conv2D(8, 3, strides=4, activation="relu")(image)
    boxes = tf.keras.layers.Reshape((-1, 4))(tf.keras.layers.Conv2D(4, 1)(features)) * 640.0
    scores = tf.keras.layers.Reshape((-1, 2))(tf.keras.layers.Conv2D(2, 1, activation="sigmoid")(features))
    random = np.random.default_rng(0)

    def converted(model: Any) -> Graph:
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [random.random((1, 32, 32, 3), np.float32)] for _ in range(4)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        return read(converter.convert())

    together = tf.keras.layers.Concatenate(axis=-1)([boxes, scores])
    assert len(shared_scales(converted(tf.keras.Model(image, together)))) == 1
    assert shared_scales(converted(tf.keras.Model(image, [boxes, scores]))) == ()
