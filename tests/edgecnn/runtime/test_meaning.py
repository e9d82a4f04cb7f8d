"""Whose word counts: the caller's, then the card's; and that it fits the model."""

from dataclasses import replace

import pytest

from edgecnn.card import Card, InputSpec, attach
from edgecnn.errors import CardError, DataError, ModelError
from edgecnn.graph import read
from edgecnn.runtime.given import Given
from edgecnn.runtime.meaning import understand

LABELS = ("red", "green", "blue")
CARD = Card("c", "classification", InputSpec(8, 6, "bgr", "crop", (1.0,), (2.0,)), LABELS, lineage=("made",))


@pytest.fixture
def meaning_of(model_file):
    """The meaning of a tiny model, made as `build` is told, with `card` inside and `given` by the caller."""

    def understood(card=None, given=None, **what):
        path = model_file(**what)
        if card is not None:
            attach(path, card)
        return understand(read(path), path, given or Given())

    return understood


def test_the_card_in_the_file_is_taken_whole_and_nothing_is_assumed(meaning_of):
    meaning = meaning_of(CARD)
    assert meaning.card == CARD
    assert meaning.roles == {"scores": 0}
    assert meaning.assumptions == ()


def test_a_card_that_the_caller_gives_comes_before_the_one_in_the_file(meaning_of):
    mine = replace(CARD, name="mine")
    assert meaning_of(CARD, Given(card=mine)).card == mine


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        (Given(mean=3), "mean", (3.0,)),
        (Given(std=[1, 2, 3]), "std", (1.0, 2.0, 3.0)),
        (Given(color="rgb"), "color", "rgb"),
        (Given(fit="letterbox"), "fit", "letterbox"),
        (Given(resize="corner"), "resize", "corner"),
    ],
)
def test_each_word_of_the_caller_comes_before_the_cards(meaning_of, given, field, value):
    spec = meaning_of(CARD, given).card.input
    assert spec == replace(CARD.input, **{field: value})


def test_labels_of_the_caller_come_before_the_cards(meaning_of, tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("rot\ngrün\nblau\n", encoding="utf-8")
    assert meaning_of(CARD, Given(labels=path)).card.labels == ("rot", "grün", "blau")


def test_a_label_file_that_is_missing_is_named(meaning_of, tmp_path):
    with pytest.raises(DataError, match=r"names\.txt"):
        meaning_of(CARD, Given(labels=tmp_path / "names.txt"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"input": InputSpec(8, 7)},
            "the card says 7 x 8 pixels, rgb, but the model takes 6 x 8 with 3 channels",
        ),
        ({"input": InputSpec(8, 6, "gray")}, "the card says 6 x 8 pixels, gray"),
        ({"labels": LABELS[:2]}, "3 scores but 2 labels. One label too few.*'background'"),
        ({"labels": (*LABELS, "x")}, "3 scores but 4 labels. One label too many"),
        ({"labels": ()}, "3 scores but 0 labels. Give a label file with 3 lines"),
        ({"task": "levitation"}, "task 'levitation' is unknown; this version knows classification"),
        (
            {"outputs": {"scores": "nothing"}},
            "the role 'scores' to the output 'nothing'.*outputs are 'scores'",
        ),
        ({"outputs": {"scores": ""}}, "the role 'scores' to the output ''"),
        ({"outputs": {"boxes": "scores"}}, "the role 'scores' to the output None"),
    ],
)
def test_a_card_of_another_model_is_refused_with_the_file_and_the_difference(meaning_of, change, said):
    with pytest.raises(CardError, match=said) as refused:
        meaning_of(replace(CARD, **change))
    assert "colour.tflite: " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_card_fills_the_size_that_the_model_leaves_open(meaning_of):
    what = {"shape": (1, 1, 1, 3), "signature": (1, -1, -1, 3)}
    assert meaning_of(CARD, **what).card.input == CARD.input
    spec = meaning_of(CARD, Given(size_wh=(30, 20)), **what).card.input
    assert (spec.width, spec.height) == (30, 20)


def test_a_size_that_the_model_does_not_have_cannot_be_wanted(meaning_of):
    with pytest.raises(ModelError, match="takes images of 6 x 8 pixels, not 30 x 20"):
        meaning_of(CARD, Given(size_wh=(30, 20)))


def test_roles_are_found_by_name_among_several_outputs(meaning_of):
    card = replace(CARD, outputs={"scores": "second"})
    assert meaning_of(card, output_names=("first", "second")).roles == {"scores": 1}


def test_a_wrong_word_of_the_caller_is_named_with_the_file(meaning_of):
    for given in (
        Given(mean=(1, 2)),
        Given(std=0),
        Given(color="yuv"),
        Given(fit="squeeze"),
        Given(resize="nearest"),
    ):
        with pytest.raises(CardError, match=r"colour\.tflite: input\."):
            meaning_of(CARD, given)
