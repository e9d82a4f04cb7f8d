"""A model without a card: what is taken from it, what is assumed and said, and what is asked for."""

import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from edgecnn import metadata
from edgecnn.card import InputSpec
from edgecnn.errors import CardError, DataError, ModelError
from edgecnn.graph import read
from edgecnn.image import lookup
from edgecnn.metadata import AssociatedFile, TensorFacts
from edgecnn.runtime.given import Given
from edgecnn.runtime.stranger import card_of
from edgecnn.runtime.stranger_input import image_size, input_words

UNIT = {"mean": 0, "std": 255}


@pytest.fixture
def card(model_file):
    """The card of a tiny model and what was assumed; files in `behind` are put behind it."""

    def made(given=None, behind=None, **what):
        path = model_file(**what)
        if behind:
            with zipfile.ZipFile(path, "a") as archive:
                for name, data in behind.items():
                    archive.writestr(name, data)
        return card_of(read(path), path, given or Given(**UNIT))

    return made


def facts(mean=(), std=(), color_space="unknown", label_file=None):
    files = (AssociatedFile(label_file, "", "axis_labels", ""),) if label_file else ()
    return TensorFacts("", "", "image", color_space, mean, std, (), (), files)


@pytest.fixture
def described(monkeypatch):
    """Say that every model has this metadata."""

    def describe(entrance=None, exit_=None):
        said = SimpleNamespace(inputs=(entrance,) if entrance else (), outputs=(exit_,) if exit_ else ())
        monkeypatch.setattr(metadata, "read", lambda graph: said)

    return describe


def about(assumptions, word):
    return [line for line in assumptions if word in line]


# Normalization


@pytest.mark.parametrize(
    "what",
    [
        {},
        {"dtype": "int8", "quantization": (1 / 255, -128)},
    ],
)
def test_nobody_knows_the_normalization_of_a_float_or_int8_model_so_it_is_asked_for(card, what):
    with pytest.raises(CardError, match=r"\(mean and std\).*--mean 127.5 --std 127.5.*--mean 0 --std 255"):
        card(Given(), **what)


def test_half_an_answer_is_no_answer(card):
    with pytest.raises(CardError, match=r"\(std\)"):
        card(Given(mean=127.5))
    with pytest.raises(CardError, match=r"\(mean\)"):
        card(Given(std=127.5))


def test_the_range_of_an_int8_input_is_told_because_it_betrays_the_normalization(card):
    with pytest.raises(CardError, match=r"int8 \(-1..0.992\) input"):
        card(Given(), dtype="int8", quantization=(1 / 128, 0))


@pytest.mark.parametrize(
    ("scale", "zero_point"), [(1 / 255, 0), (0.0078125, 128), (0.007843137718737125, 127)]
)
def test_pixels_arrive_in_a_uint8_model_as_they_are_and_that_is_said(card, scale, zero_point):
    made, assumptions = card(Given(), dtype="uint8", quantization=(scale, zero_point))
    table = lookup(made.input, np.uint8, scale=np.float32(scale), zero_point=zero_point)
    np.testing.assert_array_equal(table[:, 0], np.arange(256))
    assert len(about(assumptions, "as they are")) == 1


def test_a_normalization_that_is_said_is_applied_to_uint8_too(card):
    made, assumptions = card(Given(**UNIT), dtype="uint8", quantization=(1 / 255, 0))
    assert (made.input.mean, made.input.std) == ((0.0,), (255.0,))
    assert not about(assumptions, "as they are")


def test_the_metadatas_normalization_is_used_and_the_callers_word_comes_first(card, described):
    described(facts((123.0, 117.0, 104.0), (58.0, 57.0, 57.5), "rgb"))
    made, assumptions = card(Given())
    assert made.input.mean == (123.0, 117.0, 104.0)
    assert made.input.std == (58.0, 57.0, 57.5)
    assert not about(assumptions, "colours")
    made, _ = card(Given(mean=1))
    assert (made.input.mean, made.input.std) == ((1.0,), (58.0, 57.0, 57.5))


def test_metadata_that_says_nothing_of_normalization_leaves_the_question(card, described):
    described(facts())
    with pytest.raises(CardError, match="mean and std"):
        card(Given())


@pytest.mark.parametrize(
    ("mean", "std", "told"),
    [
        ((127.5,), (127.5,), False),  # comes to the same within a rounding
        ((128.0, 128.0, 128.0), (128.0,), False),
        ((0.0,), (255.0,), True),
    ],
)
def test_a_uint8_model_gets_raw_pixels_and_a_contradiction_in_its_metadata_is_told(
    card, described, mean, std, told
):
    described(facts(mean, std))
    made, assumptions = card(Given(), dtype="uint8", quantization=(0.0078125, 128))
    assert (made.input.mean, made.input.std) == ((128.0,), (128.0,))
    assert bool(about(assumptions, "Task Library")) == told
    assert not told or "--mean 0 --std 255" in about(assumptions, "Task Library")[0]


# Colour, fit


def test_colour_and_fit_are_assumed_aloud_and_quietly_taken_when_said(card):
    made, assumptions = card()
    assert made.input == InputSpec(8, 6, "rgb", "stretch", (0.0,), (255.0,), resize="bilinear")
    assert len(about(assumptions, "red, green, blue")) == len(about(assumptions, "stretched to 6 x 8")) == 1
    made, assumptions = card(Given(color="bgr", fit="crop", **UNIT))
    assert (made.input.color, made.input.fit) == ("bgr", "crop")
    assert not about(assumptions, "red")
    assert not about(assumptions, "stretched")


def test_one_channel_is_gray_without_a_word(card):
    made, assumptions = card(shape=(1, 8, 6, 1), classes=2)
    assert made.input.color == "gray"
    assert not about(assumptions, "colours")
    with pytest.raises(CardError, match="takes"):
        card(Given(color="rgb", **UNIT), shape=(1, 8, 6, 1), classes=2)


def test_three_channels_cannot_be_gray(card):
    with pytest.raises(CardError, match="gray"):
        card(Given(color="gray", **UNIT))


# Shapes


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"shape": (2, 8, 6, 3)}, "takes 2 images at once.*batch size 1"),
        ({"shape": (1, 3, 8, 6)}, "channels first.*NHWC"),
        ({"shape": (1, 8, 6, 4)}, "edgecnn feeds an image, \\(1, height, width, 1 or 3\\)"),
        ({"shape": (1, 1, 1, 3), "signature": (1, -1, -1, 3)}, "images of any size.*--size 224x224"),
        ({"shape": (1, 8, 1, 3), "signature": (1, 8, -1, 3)}, "images of any size"),
    ],
)
def test_what_is_not_one_image_is_refused_with_its_shape(model_file, what, said):
    path = model_file(**what)
    with pytest.raises(ModelError, match=said) as refused:
        image_size(read(path), None)
    assert "'image' float32" in str(refused.value) or "2 images" in str(refused.value)


def test_a_size_that_is_left_open_is_filled_and_one_that_is_fixed_stays(model_file):
    graph = read(model_file(shape=(1, 8, 1, 3), signature=(-1, 8, -1, 3)))
    assert image_size(graph, (30, 8)) == (8, 30, 3)
    assert image_size(graph, None, (30, 99)) == (8, 30, 3)
    with pytest.raises(ModelError, match="takes images of 30 x 8 pixels, not 30 x 9"):
        image_size(graph, (30, 9))


# Outputs


def test_two_outputs_are_refused_with_their_names_and_shapes(card):
    with pytest.raises(ModelError, match=r"its outputs are 'a' float32 \(1, 3\), 'b' float32 \(1, 3\)"):
        card(output_names=("a", "b"))


def test_another_task_needs_a_card(card):
    with pytest.raises(
        ModelError, match="reads classification and detection, not 'levitation'; give the card"
    ):
        card(Given(task="levitation", **UNIT))


def test_a_single_score_is_no_choice_of_classes(card):
    with pytest.raises(ModelError, match=r"'scores' float32 \(1, 1\)"):
        card(weights=[[1.0, 1.0, 1.0]])


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ("SOFTMAX", "probabilities"),
        ("RESHAPE", "probabilities"),
        ("LOGISTIC", "probabilities"),
        (None, "logits"),
    ],
)
def test_the_last_operator_tells_probabilities_from_logits(card, end, kind):
    made, assumptions = card(end=end)
    assert made.options == {"scores": kind}
    told = about(assumptions, "logits")
    assert [line for line in told if "FULLY_CONNECTED" in line] == told
    assert bool(told) == (kind == "logits")


# Labels


def test_classes_without_names_are_numbered_and_that_is_said(card):
    made, assumptions = card()
    assert made.labels == ("class 0", "class 1", "class 2")
    assert len(about(assumptions, "no names")) == 1


def test_the_only_text_file_behind_a_model_names_the_classes_and_that_is_said(card):
    made, assumptions = card(behind={"imagenet.txt": "a\nb\nc\n", "else.json": "{}"})
    assert made.labels == ("a", "b", "c")
    assert len(about(assumptions, "'imagenet.txt'")) == 1


def test_of_two_text_files_none_is_guessed(card):
    made, _ = card(behind={"a.txt": "a\nb\nc\n", "b.txt": "d\ne\nf\n"})
    assert made.labels[0] == "class 0"


def test_the_label_file_of_the_metadata_needs_no_word(card, described):
    described(None, facts(label_file="b.txt"))
    made, assumptions = card(behind={"a.txt": "a\nb\nc\n", "b.txt": "0 d\n1 e\n2 f\n"})
    assert made.labels == ("d", "e", "f")
    assert not about(assumptions, "labels")


def test_a_label_file_that_the_metadata_names_and_nobody_packed_is_an_error(card, described):
    described(None, facts(label_file="b.txt"))
    with pytest.raises(CardError, match=r"names the label file 'b\.txt', which is not behind the model"):
        card(behind={"a.txt": "a\nb\nc\n"})


def test_labels_that_are_said_come_first(card):
    made, assumptions = card(Given(labels=["x", "y", "z"], **UNIT), behind={"a.txt": "a\nb\nc\n"})
    assert made.labels == ("x", "y", "z")
    assert not about(assumptions, "labels")


def test_a_damaged_label_file_is_named_with_the_model_and_the_line(card):
    with pytest.raises(DataError, match=r"colour\.tflite/a\.txt:2: an empty line"):
        card(behind={"a.txt": "a\n\nb\n"})


def test_every_assumption_says_how_to_say_otherwise(card):
    _, assumptions = card(Given(), end=None, dtype="uint8", quantization=(1 / 255, 0))
    assert len(assumptions) == 5
    assert sum("--" in line for line in assumptions) == 4  # what makes the scores is seen, not chosen


def test_the_name_of_a_stranger_is_its_files(card):
    assert card()[0].name == "colour"


def test_given_names_the_fields_of_an_input():
    given = Given(mean=1, fit="crop", resize="corner", labels=["a"])
    assert input_words(given) == {"mean": 1, "fit": "crop", "resize": "corner"}
