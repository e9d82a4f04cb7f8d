"""A detector's metadata: written by us, read by Google's package and by our reader."""

from dataclasses import replace

import numpy as np
import pytest

from calibration import editable
from converters import detector_metadata
from converters.mediapipe import refused_by_mediapipe
from converters.tflite_metadata import LABELS, with_metadata
from edgecnn import detector_metadata as reader
from edgecnn import metadata
from edgecnn.card import Card, InputSpec
from edgecnn.graph import read
from edgecnn.image import View
from edgecnn.tasks import detection

CARD = Card(
    "things",
    "detection",
    InputSpec(4, 6, mean=(127.5,), std=(127.5,), resize="corner"),
    ("cup", "dog", "key"),
    outputs={"boxes": "codes", "scores": "logits"},
    options={
        "decode": "anchors",
        "strides": [1, 4],
        "anchor_px": [2.0, 6.0],
        "scale_yxhw": [4.0, 3.0, 2.0, 1.0],
        "scores": "logits",
        "threshold": 0.25,
        "iou": 0.5,
    },
)
CELLS = 4 * 6 + 1 * 2


def two_outputs(dtype="float32", *, boxes=CELLS, batch=(1,), outputs=(2, 1)):
    """A network without arithmetic: its outputs are constants. Only their shapes matter here."""
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name, shape):
        made = schema.TensorT()
        made.name, made.shape, made.buffer = name, shape, 0
        made.type = getattr(schema.TensorType, dtype.upper())
        if dtype != "float32":
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = (
                [1 / 127.5],
                [128 if dtype == "uint8" else 0],
            )
        return made

    model, graph = schema.ModelT(), schema.SubGraphT()
    graph.tensors = [
        tensor("image", [1, 4, 6, 3]),
        tensor("logits", [*batch, boxes, 3]),
        tensor("codes", [*batch, boxes, 4]),
    ]
    graph.operators, graph.inputs, graph.outputs = [], [0], list(outputs)
    model.version, model.operatorCodes, model.subgraphs = 3, [], [graph]
    model.buffers = [schema.BufferT()]
    return editable.write(model)


def described(content=None, card=CARD):
    made, _ = with_metadata(content or two_outputs(), card)
    return read(made, "things")


def google(content):
    """Every field of the options, walked with Google's own package; None where one is not written."""
    import flatbuffers
    from flatbuffers import number_types as kinds
    from flatbuffers.table import Table

    def at(table, slot):
        return table.Offset(4 + 2 * slot)

    def below(table, slot):
        return Table(table.Bytes, table.Indirect(table.Pos + at(table, slot)))

    def number(table, slot, kind):
        return table.Get(kind, table.Pos + at(table, slot)) if at(table, slot) else None

    root = Table(content, flatbuffers.encode.Get(kinds.UOffsetTFlags.packer_type, content, 0))
    fixed = below(below(root, 1), 0)
    place = at(fixed, 0)
    tables = [
        Table(content, fixed.Indirect(fixed.Vector(place) + 4 * i)) for i in range(fixed.VectorLen(place))
    ]
    anchors = [[number(one, slot, kinds.Float32Flags) for slot in range(4)] for one in tables]
    decoding = below(root, 2)
    kind_of = [kinds.Int32Flags] * 6 + [kinds.Float32Flags] * 4 + [kinds.BoolFlags] * 2
    return {
        "identifier": bytes(content[4:8]),
        "version": root.String(root.Pos + at(root, 0)),
        "anchors": np.array(anchors, np.float32),
        "decoding": [number(decoding, slot, kind) for slot, kind in enumerate(kind_of)],
    }


def test_what_is_written_is_what_googles_reader_finds():
    found = google(metadata.custom(described(), "DETECTOR_METADATA"))
    assert found["identifier"] == b"V001"
    assert found["version"] == b"1.0.0"
    # classes, boxes, coordinates, no keypoints (of two values), scales of x, y, w, h, exponential, sigmoid
    assert found["decoding"] == [3, CELLS, 4, None, None, 2, 3.0, 4.0, 1.0, 2.0, True, True]
    assert found["anchors"].shape == (CELLS, 4)
    np.testing.assert_allclose(found["anchors"][0], [0.5 / 6, 0.5 / 4, 2 / 6, 2 / 4])  # x, y, width, height
    np.testing.assert_allclose(found["anchors"][7], [1.5 / 6, 1.5 / 4, 2 / 6, 2 / 4])  # row by row
    np.testing.assert_allclose(found["anchors"][-1], [6 / 6, 2 / 4, 6 / 6, 6 / 4])


def test_probabilities_get_no_sigmoid():
    card = replace(CARD, options={**CARD.options, "scores": "probabilities"})
    found = google(metadata.custom(described(card=card), "DETECTOR_METADATA"))
    assert found["decoding"][-2:] == [True, None]


def test_outputs_have_the_names_that_mediapipe_looks_for():
    content, entries = with_metadata(two_outputs(), CARD)
    graph = read(content, "things")
    found = metadata.read(graph)
    boxes, scores = found.outputs
    assert (boxes.name, boxes.content) == ("location", "bounding_box")
    assert (scores.name, scores.label_file.kind) == ("score", "axis_labels")
    assert metadata.labels(graph, found, 1, entries) == CARD.labels
    assert entries == {LABELS: b"cup\ndog\nkey\n"}
    other_way_round = metadata.read(described(two_outputs(outputs=(1, 2))))
    assert [output.name for output in other_way_round.outputs] == ["score", "location"]


def test_our_reader_finds_what_the_card_says_and_decodes_alike():
    found = reader.read(described())
    assert (found.classes, found.scale_yxhw) == (3, (4.0, 3.0, 2.0, 1.0))
    assert (found.is_exponential, found.is_logit) == (True, True)
    rng = np.random.default_rng(0)
    codes, logits = rng.normal(size=(CELLS, 4)) / 2, np.full((CELLS, 3), -9.0)
    logits[:, 1] = np.linspace(3, 2, CELLS)  # the first is the best
    size_wh = np.array((600, 400))
    view = View((6 / 600, 4 / 400), (0, 0), (600, 400))
    card = replace(CARD, options={**CARD.options, "nms": "none"})
    ours = detection.decode({"boxes": codes, "scores": logits}, view, card)
    # tensors_to_detections_calculator.cc, DecodeBoxes
    y, x = (
        codes[:, k] / found.scale_yxhw[k] * found.anchors[:, 3 - k] + found.anchors[:, 1 - k] for k in (0, 1)
    )
    h, w = (np.exp(codes[:, k] / found.scale_yxhw[k]) * found.anchors[:, 5 - k] for k in (2, 3))
    theirs = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1) * np.tile(size_wh, 2)
    np.testing.assert_allclose(ours.xyxy, theirs.clip(0, np.tile(size_wh, 2)), atol=0.01)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (two_outputs(batch=()), {}),  # MediaPipe wants a batch axis
        (two_outputs(), {"decode": "yolov8"}),
        (two_outputs(), {"decode": "centroids"}),
    ],
)
def test_what_mediapipe_cannot_decode_gets_no_anchors(content, words):
    graph = described(content, replace(CARD, options={**CARD.options, **words}))
    assert reader.read(graph) is None
    assert [output.name for output in metadata.read(graph).outputs] == ["boxes", "logit"]


@pytest.mark.parametrize(
    ("dtype", "spec", "options", "reasons"),
    [
        ("float32", {}, {}, ["than 0.3, of any label; the card keeps those of one label up to 0.5", "=0.25"]),
        ("uint8", {}, {}, ["of any label", "score_threshold"]),
        ("int8", {}, {}, ["images, not int8", "outputs of uint8", "any label", "score_threshold"]),
        ("float32", {"fit": "letterbox"}, {}, ["stretches images", "of any label", "score_threshold"]),
        ("float32", {}, {"decode": "yolov8"}, ["cannot decode yolov8"]),
        ("float32", {}, {"decode": "centroids"}, ["cannot decode centroids"]),
        ("float32", {}, {"decode": "postprocess"}, ["score_threshold"]),
    ],
)  # fmt: skip
def test_what_mediapipe_would_do_otherwise_is_said(dtype, spec, options, reasons):
    card = replace(CARD, input=replace(CARD.input, **spec), options={**CARD.options, **options})
    found = refused_by_mediapipe(read(two_outputs(dtype), "things"), card)
    assert len(found) == len(reasons)
    for line, reason in zip(found, reasons, strict=True):
        assert reason in line


def test_anchors_cost_24_bytes_each():
    spec = InputSpec(256, 320, mean=(127.5,), std=(127.5,))
    options = {**CARD.options, "strides": [8, 16, 32], "anchor_px": [32.0, 64.0, 128.0]}
    card = replace(CARD, input=spec, options=options)
    boxes = 1680
    _, scores, codes = read(two_outputs(boxes=boxes), "things").tensors
    outputs = {"boxes": codes, "scores": scores}
    assert boxes * 24 <= len(detector_metadata.described(card, outputs)) < boxes * 24 + 256
