from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flatbuffers import flexbuffers

SETTINGS = {
    "max_detections": 10, "max_classes_per_detection": 1, "nms_score_threshold": 0.1,
    "nms_iou_threshold": 0.5, "num_classes": 90, "x_scale": 10.0, "y_scale": 10.0, "w_scale": 5.0,
    "h_scale": 5.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def detector(shared: Path) -> bytes:
    name = "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
    return (shared / "models" / "tasks" / name).read_bytes()


def settings(**changes: Any) -> Callable[[Any], None]:
    """Other settings for the detector's last operator; None leaves one out."""
    words = {name: value for name, value in {**SETTINGS, **changes}.items() if value is not None}
    return lambda made: setattr(
        made.subgraphs[0].operators[-1], "customOptions", list(flexbuffers.Dumps(words))
    )


def raw(content: bytes | None) -> Callable[[Any], None]:
    value = None if content is None else list(content)
    return lambda made: setattr(made.subgraphs[0].operators[-1], "customOptions", value)


def outputs(*indices: int) -> Callable[[Any], None]:
    def change(made: Any) -> None:
        made.subgraphs[0].operators[-1].outputs = list(indices)
        made.subgraphs[0].outputs = list(indices)

    return change


def shape(place: int, *sizes: int) -> Callable[[Any], None]:
    def change(made: Any) -> None:
        graph = made.subgraphs[0]
        graph.tensors[graph.operators[-1].inputs[place]].shape = list(sizes)

    return change


@pytest.mark.parametrize("change", [settings(), settings(detections_per_class=100), settings(num_classes=91)])
def test_sound_settings_pass(
    detector: bytes, refusal: Callable[..., str], change: Callable[[Any], None]
) -> None:
    assert refusal(detector, change) == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (raw(None), "its settings cannot be read: 0 bytes are no FlexBuffer"),
        (raw(b"\0" * 70_000), "its settings take 70,000 bytes"),
        (raw(flexbuffers.Dumps([1, 2])), "not a map"),
        (settings(max_detections=0), "its max_detections is 0, not in 1 to 100000"),
        (settings(max_detections=None), "its max_detections is 0"),
        (settings(max_detections=-1), "its max_detections is -1"),
        (settings(num_classes=3), "its num_classes is 3, not in 90 to 91"),
        (settings(max_classes_per_detection=92), "its max_classes_per_detection is 92, not in 1 to 91"),
        (
            settings(max_detections=100_000, max_classes_per_detection=90),
            "it asks for 9,000,000 rows of detections; 100,000 is the most",
        ),
        (settings(detections_per_class=0), "its detections_per_class is 0"),
        (settings(x_scale=0.0), "its x_scale is 0.0, not a positive number"),
        (settings(h_scale=float("nan")), "its h_scale is nan"),
        (settings(w_scale=None), "its w_scale is 0.0"),
        (settings(y_scale="wide"), "its y_scale is 'wide'"),
        (outputs(167), "it has 3 inputs and 1 outputs instead of 3 and 4"),
    ],
)
def test_settings_that_the_kernel_would_misread_are_named(
    detector: bytes, refusal: Callable[..., str], change: Callable[[Any], None], reason: str
) -> None:
    assert reason in refusal(detector, change)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (shape(0, 1, 1916, 4), "its inputs disagree on the boxes: (1, 1916, 4), (1, 1917, 91), (1917, 4)"),
        (shape(0, 1, 1917, 3), "its inputs disagree on the boxes"),
        (shape(0, 1917, 4), "its inputs have the shapes (1917, 4), (1, 1917, 91), (1917, 4)"),
        (shape(2, 1918, 4), "takes 7,672 bytes, but the file holds 7,668"),
    ],
)
def test_boxes_scores_and_anchors_must_agree(
    detector: bytes, refusal: Callable[..., str], change: Callable[[Any], None], reason: str
) -> None:
    assert reason in refusal(detector, change)


def test_a_strangers_operator_is_left_to_the_interpreter(shared: Path, refusal: Callable[..., str]) -> None:
    content = (shared / "models" / "coral" / "model_invoking_error.tflite").read_bytes()
    assert refusal(content) == ""
