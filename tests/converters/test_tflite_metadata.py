"""TFLite Metadata: what is written is what the schema's other readers find."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration import editable
from converters.mediapipe import refused_by_mediapipe
from converters.tflite_metadata import LABELS, with_metadata, with_raw_pixels
from edgecnn import archive, metadata
from edgecnn import card as cards
from edgecnn.card import Card, InputSpec
from edgecnn.errors import ConversionError
from edgecnn.graph import check, read
from edgecnn.runtime.interpreter import open_interpreter
from edgecnn.runtime.model import load

CARD = Card(
    "colours", "classification", InputSpec(4, 4, mean=(127.5,), std=(127.5,)), ("red", "green", "blue"),
    options={"scores": "probabilities"},
)  # fmt: skip
OUTPUT = "scores"


def tiny(dtype="float32", *, channels=3, scale=(), zero_point=()):
    """A model whose output is its input's mean."""
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name, shape, dtype, buffer=0):
        made = schema.TensorT()
        made.name, made.shape, made.buffer = name, shape, buffer
        made.type = getattr(schema.TensorType, dtype.upper())
        if len(scale) and dtype != "int32":
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = list(scale), list(zero_point)
        return made

    model, graph, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT()
    empty, axes = schema.BufferT(), schema.BufferT()
    axes.data = np.frombuffer(np.array([1, 2], np.int32).tobytes(), np.uint8)
    graph.tensors = [
        tensor("image", [1, 4, 4, channels], dtype),
        tensor("axes", [2], "int32", 1),
        tensor(OUTPUT, [1, channels], dtype),
    ]
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.ReducerOptions
    operator.builtinOptions = schema.ReducerOptionsT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.MEAN
    code.version = 2
    graph.operators, graph.inputs, graph.outputs = [operator], [0], [2]
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [empty, axes]
    return editable.write(model)


def said(content):
    found = metadata.read(read(content, "model"))
    assert found is not None
    return found


def test_a_model_without_labels_gets_no_label_file():
    content, entries = with_metadata(tiny(), replace(CARD, labels=()))
    assert entries == {}
    assert said(content).outputs[0].files == ()
    assert said(content).description == "classification"


def test_what_the_card_says_is_what_a_reader_finds():
    content, entries = with_metadata(tiny(), CARD)
    check(read(content, "model"))
    found = said(content)
    (image,), (scores,) = found.inputs, found.outputs
    assert found.name == "colours"
    assert (image.content, image.color_space) == ("image", "rgb")
    assert (image.mean, image.std) == ((127.5,), (127.5,))
    assert (image.minimum, image.maximum) == ((-1.0,) * 3, (1.0,) * 3)
    assert (scores.name, scores.content) == ("probability", "feature")
    assert (scores.minimum, scores.maximum) == ((0.0,), (1.0,))
    assert metadata.labels(read(content, "model"), found, 0, entries) == CARD.labels
    assert entries == {LABELS: b"red\ngreen\nblue\n"}


def test_logits_have_no_ends():
    scores = said(with_metadata(tiny(), replace(CARD, options={"scores": "logits"}))[0]).outputs[0]
    assert (scores.name, scores.minimum, scores.maximum) == ("logit", (), ())


@pytest.mark.parametrize(
    ("words", "color_space", "description"),
    [
        ({"color": "bgr"}, "unknown", "channels in the order blue, green, red"),
        ({"fit": "letterbox"}, "rgb", "padded with grey"),
        ({"fit": "crop"}, "rgb", "scaled to fill and cut"),
        ({"mean": (1.0, 2.0, 3.0)}, "rgb", "stretched to this size"),
    ],
)
def test_what_the_format_cannot_say_is_in_the_description(words, color_space, description):
    image = said(with_metadata(tiny(), replace(CARD, input=replace(CARD.input, **words)))[0]).inputs[0]
    assert image.color_space == color_space
    assert description in image.description
    assert image.mean == words.get("mean", (127.5,))


@settings(max_examples=30, deadline=None)
@given(
    name=st.text(st.characters(blacklist_categories=("C",)), max_size=20),
    mean=st.lists(st.floats(-300, 300, width=32, allow_subnormal=False), min_size=3, max_size=3),
    std=st.floats(0.0625, 300, width=32),
    color=st.sampled_from(["rgb", "bgr"]),
)
def test_any_normalization_comes_back(name, mean, std, color):
    card = replace(CARD, name=name, input=InputSpec(4, 4, color=color, mean=tuple(mean), std=(std,)))
    found = said(with_metadata(tiny(), card)[0])
    assert found.name == name
    assert (found.inputs[0].mean, found.inputs[0].std) == (tuple(mean), (std,))


def test_gray_is_grayscale():
    spec = InputSpec(4, 4, color="gray", mean=(0.0,), std=(255.0,))
    content, _ = with_metadata(tiny(channels=1), replace(CARD, input=spec, labels=()))
    image = said(content).inputs[0]
    assert (image.color_space, image.minimum, image.maximum) == ("grayscale", (0.0,), (1.0,))


def test_the_network_computes_the_same_and_metadata_is_written_once():
    first, _ = with_metadata(tiny(), CARD)
    second, _ = with_metadata(first, replace(CARD, name="again"))
    assert said(second).name == "again"
    assert len(read(second, "model").metadata) == 1
    tensor = np.random.default_rng(0).normal(size=(1, 4, 4, 3)).astype(np.float32)
    answers = []
    for content in (tiny(), first, second):
        interpreter = open_interpreter(content, "model")
        interpreter.write(0, tensor)
        interpreter.invoke()
        answers.append(interpreter.read(0))
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


def test_the_card_beside_it_survives_and_is_believed(tmp_path):
    content, entries = with_metadata(tiny(), CARD)
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    archive.write_entries(path, entries)
    with load(path) as model:  # as somebody else's file
        assert (model.card.labels, model.card.input.mean) == (CARD.labels, (127.5,))
    other = replace(CARD, labels=("a", "b", "c"), input=replace(CARD.input, mean=(1.0,), std=(2.0,)))
    cards.attach(path, other)
    assert set(archive.read_entries(path)) == {LABELS, cards.ENTRY}
    with load(path) as model:
        assert model.card == other


def test_files_behind_the_model_are_stored_as_mediapipe_wants_them(tmp_path):
    import zipfile

    content, entries = with_metadata(tiny(), CARD)
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    archive.write_entries(path, entries)
    cards.attach(path, CARD)
    with zipfile.ZipFile(path) as behind:
        assert {info.compress_type for info in behind.infolist()} == {zipfile.ZIP_STORED}


def test_an_output_that_the_card_does_not_know_is_refused():
    with pytest.raises(ConversionError, match="the card does not say what the output 'scores' is"):
        with_metadata(tiny(), replace(CARD, outputs={"scores": "another"}))


@pytest.mark.parametrize(
    ("mean", "std", "zero_point"),
    [(127.5, 127.5, 128), (127.5, 127.5, 127), (127, 128, 127), (0, 255, 0), (0, 1, 0)],
)
def test_pixels_of_a_uint8_file_go_in_as_they_are(tmp_path, mean, std, zero_point):
    content = tiny("uint8", scale=(1 / std,), zero_point=(zero_point,))
    card = replace(CARD, input=InputSpec(4, 4, mean=(mean,), std=(std,)))
    raw = with_raw_pixels(read(content, "model"), card)
    assert raw.input.mean == (zero_point,)
    (tmp_path / "model.tflite").write_bytes(content)
    cards.attach(tmp_path / "model.tflite", raw)
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    with load(tmp_path / "model.tflite") as model:
        np.testing.assert_array_equal(model.prepare(image)[0][0], image[..., ::-1])


@pytest.mark.parametrize(
    ("dtype", "quantization", "words"),
    [
        ("float32", {}, {}),
        ("int8", {"scale": (1 / 127.5,), "zero_point": (0,)}, {}),
        ("uint8", {"scale": (1 / 100,), "zero_point": (128,)}, {}),
        ("uint8", {"scale": (1 / 127.5,), "zero_point": (126,)}, {}),
        ("uint8", {"scale": (1 / 127.5,), "zero_point": (128,)}, {"mean": (127.5, 127.5, 127.0)}),
    ],
)
def test_other_cards_stay_as_they_are(dtype, quantization, words):
    card = replace(CARD, input=replace(CARD.input, **words))
    assert with_raw_pixels(read(tiny(dtype, **quantization), "model"), card) is card


@pytest.mark.parametrize(
    ("dtype", "quantization", "words", "reasons"),
    [
        ("float32", {}, {}, []),
        ("float32", {}, {"color": "bgr"}, ["blue first"]),
        ("float32", {}, {"mean": (1.0, 2.0, 3.0)}, ["one mean and one std"]),
        ("float32", {}, {"mean": (1.0, 1.0, 1.0)}, []),
        ("float32", {}, {"fit": "letterbox"}, ["stretches images"]),
        ("float32", {}, {"resize": "area"}, [r"says area \(--resize corner\)"]),
        ("uint8", {"scale": (1 / 127.5,), "zero_point": (128,)}, {}, []),
        ("uint8", {"scale": (1 / 100,), "zero_point": (128,)}, {}, ["feeds uint8 pixels as they are"]),
        ("int8", {"scale": (1 / 127.5,), "zero_point": (0,)}, {}, [r"not int8 \(--io uint8\)"]),
    ],
)
def test_what_mediapipe_would_not_run_is_said(dtype, quantization, words, reasons):
    card = replace(CARD, input=replace(CARD.input, **{"resize": "corner", **words}))
    found = refused_by_mediapipe(read(tiny(dtype, **quantization), "model"), card)
    assert len(found) == len(reasons)
    for line, reason in zip(found, reasons, strict=True):
        assert re.search(reason, line)
