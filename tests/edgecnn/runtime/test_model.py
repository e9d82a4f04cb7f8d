"""load and Model: what a bare, correctly fed interpreter computes, with names on it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import edgecnn
from edgecnn.card import Card, InputSpec, attach
from edgecnn.errors import CardError, DataError, EdgecnnError, ModelError
from edgecnn.graph import read
from edgecnn.runtime.interpreter import Backend, Delegation
from edgecnn.runtime.meaning import Meaning
from edgecnn.runtime.model import Model, load

LABELS = ("red", "green", "blue")
UNIT = {"mean": 0, "std": 255}

KINDS = {
    "float32": {},
    "logits": {"end": None},
    "reshaped": {"end": "RESHAPE"},
    "int8": {"dtype": "int8", "quantization": (1 / 255, -128)},
    "int8 logits": {"dtype": "int8", "quantization": (1 / 255, -128), "end": None},
    "uint8": {"dtype": "uint8", "quantization": (1 / 255, 0)},
}


# The answer


@pytest.mark.parametrize("what", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("colour", LABELS)
def test_the_colour_of_an_image_is_named(model_file, coloured, what, colour):
    with load(model_file(**what), labels=LABELS, **UNIT) as model:
        result = model(coloured(colour))
    assert result.label == colour
    # (230 - 20) / 255 x gain 4 between two logits
    wanted = 1 / (1 + 2 * np.exp(-4 * 210 / 255))
    assert result.score.max() == pytest.approx(wanted, abs=0.001 if what.get("dtype") is None else 0.02)
    assert result.score.sum() == pytest.approx(1, abs=0.01)


def test_a_sigmoid_for_each_class_is_not_softened_again(model_file, coloured):
    with load(model_file(end="LOGISTIC"), labels=LABELS, **UNIT) as model:
        scores = model(coloured("blue")).score
    expected = 1 / (1 + np.exp(-4 * np.array([20, 20, 230]) / 255))
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_a_grey_model_takes_colour_and_grey_images(model_file, coloured):
    path = model_file(shape=(1, 8, 6, 1), weights=[[4.0], [-4.0]])
    with load(path, labels=("bright", "dark"), mean=127.5, std=127.5) as model:
        assert model.card.input.color == "gray"
        assert model(np.full((20, 20), 250, np.uint8)).label == "bright"
        assert model(np.full((20, 20, 3), 5, np.uint8)).label == "dark"


def test_a_model_of_any_size_is_run_at_the_size_that_was_said(model_file, coloured):
    path = model_file(shape=(1, 1, 1, 3), signature=(-1, -1, -1, 3))
    with load(path, labels=LABELS, size_wh=(10, 9), **UNIT) as model:
        assert (model.card.input.width, model.card.input.height) == (10, 9)
        assert model.prepare(coloured("red"))[0].shape == (1, 9, 10, 3)
        assert model(coloured("green")).label == "green"


def test_a_model_with_a_free_batch_is_run_with_one_image(model_file, coloured):
    with load(model_file(signature=(-1, 8, 6, 3)), labels=LABELS, **UNIT) as model:
        assert model(coloured("green")).label == "green"


def test_the_card_in_the_file_is_all_that_is_needed(model_file, coloured):
    path = model_file()
    spec = InputSpec(8, 6, "bgr", "letterbox", (0.0,), (255.0,))
    card = Card("c", "classification", spec, ("blue", "green", "red"), lineage=("made",))
    attach(path, card)
    with load(path) as model:
        assert model.assumptions == ()
        assert model.card == card
        assert model(coloured("red")).label == "red"  # bgr: channel 0, so the labels are turned round, too


def test_images_of_any_size_and_kind_are_taken(model_file, coloured):
    with load(model_file(), labels=LABELS, **UNIT) as model:
        for height, width in ((1, 1), (2, 300), (480, 640), (1001, 3)):
            assert model(coloured("blue", height, width)).label == "blue"


def test_what_is_no_image_is_refused_and_the_model_goes_on(model_file, coloured):
    with load(model_file(), labels=LABELS, **UNIT) as model:
        kept = []
        for bad in (np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 4), np.uint8)):
            with pytest.raises(DataError) as refused:
                model(bad)
            kept.append(refused.value)  # its traceback keeps the frames of the failed call alive
        assert model(coloured("red")).label == "red"


# Strangers' real models


def bare_scores(path, image, size):
    """What a person would write by hand for a MobileNet, without edgecnn."""
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    entrance, exit_ = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    pixels = cv2.cvtColor(cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR), cv2.COLOR_BGR2RGB)
    if entrance["dtype"] == np.float32:
        pixels = (pixels.astype(np.float32) - 127.5) / 127.5
    interpreter.set_tensor(entrance["index"], pixels[None])
    interpreter.invoke()
    found = interpreter.get_tensor(exit_["index"])[0]
    scale, zero_point = exit_["quantization"]
    return (found.astype(np.float32) - zero_point) * np.float32(scale) if scale else found


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("tasks/mobilenet_v1_0.25_224_1_metadata_1", 224),
        ("tasks/mobilenet_v1_0.25_224_quant", 224),
        ("coral/mobilenet_v1_0.25_128_quant", 128),
        ("coral/mobilenet_v2_1.0_224_quant", 224),
        ("coral/tf2_mobilenet_v2_1.0_224_ptq", 224),
    ],
)
@pytest.mark.parametrize("picture", ["burger", "cat"])
def test_a_strangers_model_without_any_option_gives_the_scores_of_a_bare_interpreter(
    shared, name, size, picture
):
    path = shared / "models" / f"{name}.tflite"
    image = cv2.imread(str(shared / "models" / "images" / f"{picture}.jpg"))
    with load(path) as model:
        np.testing.assert_array_equal(model(image).score, bare_scores(path, image, size))
        assert len(model.card.labels) == 1001
        assert model.card.labels[0] == "background"


@pytest.mark.parametrize("name", ["mobilenet_v2_1.0_224_quant", "tf2_mobilenet_v2_1.0_224_ptq"])
def test_mobilenet_v2_knows_what_is_in_the_photographs(shared, name):
    pictures = {"burger": "cheeseburger", "hot_dog": "hotdog", "parrot": "macaw", "bird": "chickadee"}
    with load(shared / "models" / "coral" / f"{name}.tflite") as model:
        for picture, wanted in pictures.items():
            image = cv2.imread(str(shared / "models" / "images" / f"{picture}.jpg"))
            assert model(image).label.startswith(wanted)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model_invoking_error", "custom operator 'fake-op-double'"),
        ("posenet_mobilenet_v1_075_353_481_16_quant_decoder", "custom operator 'PosenetDecoderOp'"),
        ("mobilenet_v1_0.25_128_quant_edgetpu", "compiled for a Coral Edge TPU"),
        ("split_concat", "its outputs are"),
        ("keras_lstm_mnist_ptq", "edgecnn feeds an image"),
        ("deeplabv3_mnv2_dm05_pascal_quant", "its outputs are 'ArgMax'"),
    ],
)
def test_a_model_that_cannot_be_run_is_refused_in_one_line_with_its_path(shared, name, said):
    path = shared / "models" / "coral" / f"{name}.tflite"
    with pytest.raises(ModelError, match=said) as refused:
        load(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


# Files


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"nothing\.tflite: there is no such file"):
        load(tmp_path / "nothing.tflite")


@pytest.mark.parametrize("content", [b"", b"x", b"PK\x03\x04 a zip of something else"])
def test_a_file_that_is_no_model_is_named(tmp_path, content):
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.tflite"):
        load(path)


def test_a_model_that_would_kill_the_process_is_refused_before_the_runtime_sees_it(
    tmp_path, tflite, monkeypatch
):
    def never(*given, **words):
        raise AssertionError("the runtime saw the file")

    monkeypatch.setattr("edgecnn.runtime.threads.open_interpreter", never)
    path = tmp_path / "m.tflite"
    path.write_bytes(tflite(dtype="int8", quantization=(0.0, 0)))
    with pytest.raises(ModelError, match=r"m\.tflite: .*scale"):
        load(path)


def test_every_single_damaged_byte_is_an_error_or_a_model(tmp_path, tflite, coloured):
    whole = tflite()
    path = tmp_path / "m.tflite"
    generator = np.random.default_rng(0)
    for place in generator.choice(len(whole), 150, replace=False):
        damaged = bytearray(whole)
        damaged[place] ^= int(generator.integers(1, 256))
        path.write_bytes(damaged)
        try:
            with load(path, **UNIT) as model:
                model(coloured("red"))
        except EdgecnnError as error:
            assert "\n" not in str(error)  # noqa: PT017  (some of them load)


def test_the_model_goes_on_when_its_file_changes_or_vanishes(model_file, coloured):
    path = model_file()
    with load(path, labels=LABELS, **UNIT) as model:
        path.write_bytes(b"")
        assert model(coloured("red")).label == "red"
        path.unlink()
        assert model(coloured("blue")).label == "blue"


# The rest of Model


def test_timed_gives_the_same_result_and_where_the_time_went(model_file, coloured):
    with load(model_file(), **UNIT) as model:
        result, timings = model.timed(coloured("red"))
        np.testing.assert_array_equal(result.score, model(coloured("red")).score)
    assert min(timings.prepare_ms, timings.invoke_ms, timings.decode_ms) > 0
    assert timings.total_ms == timings.prepare_ms + timings.invoke_ms + timings.decode_ms


def test_map_reads_each_image_when_its_result_is_asked_for(model_file, coloured):
    asked = []

    def images():
        for colour in LABELS:
            asked.append(colour)
            yield coloured(colour)

    with load(model_file(), labels=LABELS, **UNIT) as model:
        results = model.map(images())
        assert asked == []
        assert next(results).label == "red"
        assert asked == ["red"]
        assert [result.label for result in results] == ["green", "blue"]
        assert list(model.map([])) == []


@pytest.mark.parametrize("what", KINDS.values(), ids=KINDS)
def test_raw_gives_what_the_bare_interpreter_gives_in_real_numbers(model_file, coloured, what):
    path = model_file(**what)
    with load(path, **UNIT) as model:
        tensor, view = model.prepare(coloured("green"))
        assert view.source_wh == (64, 48)
        found = model.raw(tensor)
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
    interpreter.invoke()
    exit_ = interpreter.get_output_details()[0]
    stored = interpreter.get_tensor(exit_["index"])[0]
    scale, zero_point = exit_["quantization"]
    wanted = (stored.astype(np.float64) - zero_point) * scale if scale else stored
    assert found.keys() == {"scores"}
    assert found["scores"].dtype == np.float32
    np.testing.assert_allclose(found["scores"], wanted, rtol=1e-6)


def test_prepare_gives_a_tensor_of_the_callers_own(model_file, coloured):
    with load(model_file(), **UNIT) as model:
        first, _ = model.prepare(coloured("red"))
        before = first.copy()
        model(coloured("blue"))
        model.prepare(coloured("green"))
        np.testing.assert_array_equal(first, before)


@pytest.mark.parametrize("tensor", [np.zeros((1, 6, 8, 3), np.float32), np.zeros((1, 8, 6, 3), np.float64)])
def test_raw_refuses_another_tensor_with_both_shapes(model_file, tensor):
    with (
        load(model_file(), **UNIT) as model,
        pytest.raises(ModelError, match=r"takes float32 \(1, 8, 6, 3\)"),
    ):
        model.raw(tensor)


def test_a_result_does_not_change_with_the_next_image(model_file, coloured):
    with load(model_file(), labels=LABELS, **UNIT) as model:
        first = model(coloured("red"))
        model(coloured("blue"))
        assert first.label == "red"


def test_a_closed_model_refuses_to_work(model_file, coloured):
    with load(model_file(), **UNIT) as model:
        pass
    model.close()
    for use in (lambda: model(coloured("red")), model.invoke, model.delegation):
        with pytest.raises(ModelError, match=r"the model is closed\. Load it again"):
            use()


def test_several_threads_may_share_a_model(model_file, coloured):
    pictures = {colour: coloured(colour) for colour in LABELS}
    with load(model_file(dtype="int8", quantization=(1 / 255, -128)), labels=LABELS, **UNIT) as model:
        start = threading.Barrier(4)

        def work(colour):
            start.wait()
            return {model(pictures[colour]).label for _ in range(200)}

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(work, [*LABELS, "red"]))
    assert found == [{"red"}, {"green"}, {"blue"}, {"red"}]


def test_what_computes_is_told(model_file):
    with load(model_file(), threads=2, backend="litert", **UNIT) as model:
        assert model.threads == 2
        assert model.backend.name == "litert"
        assert model.delegation().delegate == "xnnpack"
        assert model.graph.ops[0].kind == "MEAN"
        assert "colour.tflite (classification, 3 labels, litert)" in repr(model)


def test_load_and_model_are_edgecnns_own_names():
    assert edgecnn.load is load
    assert edgecnn.Model is Model


# With a runtime that fails


class Fake:
    """An interpreter without a runtime: gives what it is told to, or fails."""

    backend, threads = Backend("fake", "0"), 1

    def __init__(self, output, error=None):
        self.output, self.error, self.written = output, error, None

    def write(self, position, tensor):
        self.written = tensor.copy()

    def invoke(self):
        if self.error is not None:
            raise self.error

    def read(self, position):
        return self.output

    def delegation(self):
        return Delegation("none", 0, 0, ())

    def close(self):
        pass


def faked(path, tflite, interpreter, **what):
    graph = read(tflite(**what))
    card = Card("m", "classification", InputSpec(8, 6), LABELS)
    return Model(path, graph, Meaning(card, {"scores": 0}, ()), interpreter)


def test_a_model_that_fails_while_running_does_so_with_its_own_words_and_goes_on(tmp_path, tflite, coloured):
    fake = Fake(np.array([[0.1, 0.7, 0.2]], np.float32), ModelError("m failed while running"))
    model = faked(tmp_path, tflite, fake)
    with pytest.raises(ModelError, match="m failed while running"):
        model(coloured("red"))
    fake.error = None
    assert model(coloured("red")).label == "green"  # the lock was given back


def test_scores_that_are_no_numbers_never_become_an_answer(tmp_path, tflite, coloured):
    with pytest.raises(ModelError, match="not finite"):
        faked(tmp_path, tflite, Fake(np.array([[np.nan, 1, 0]], np.float32)))(coloured("red"))


@pytest.mark.parametrize(
    ("dtype", "quantization", "stored", "real"),
    [
        ("int8", (0.5, 10), [-128, 127, 10], [-69.0, 58.5, 0.0]),  # -128 - 10 does not fit int8
        ("uint8", (0.25, 200), [0, 255, 200], [-50.0, 13.75, 0.0]),
        ("float32", None, [0.5, -1.5, 2.0], [0.5, -1.5, 2.0]),
    ],
)
def test_stored_numbers_become_real_ones_without_overflow(
    tmp_path, tflite, dtype, quantization, stored, real
):
    what = {"dtype": dtype, "quantization": (1 / 255, 0)} if quantization else {}
    fake = Fake(np.array([stored], dtype))
    model = faked(tmp_path, tflite, fake, output_quantization=quantization, **what)
    tensor = np.zeros((1, 8, 6, 3), dtype)
    assert model.raw(tensor)["scores"].tolist() == real


def test_the_tensor_that_the_runtime_gets_is_the_prepared_one(tmp_path, tflite, coloured):
    fake = Fake(np.array([[0.1, 0.7, 0.2]], np.float32))
    model = faked(tmp_path, tflite, fake)
    model(coloured("green"))
    np.testing.assert_array_equal(fake.written, model.prepare(coloured("green"))[0])


def test_a_card_that_belongs_to_another_model_is_refused(model_file):
    path = model_file()
    attach(path, Card("c", "classification", InputSpec(32, 32), LABELS, lineage=("made",)))
    with pytest.raises(CardError, match=r"colour\.tflite: the card says 32 x 32 .* takes 6 x 8"):
        load(path)
    attach(path, replace(Card("c", "classification", InputSpec(8, 6), LABELS), outputs={"scores": "other"}))
    with pytest.raises(CardError, match="gives the role 'scores' to the output 'other'"):
        load(path)
