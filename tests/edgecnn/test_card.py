"""The card goes into a model file and comes back; no file makes reading it end in anything but CardError."""

import io
import json
import math
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgecnn import card as cards
from edgecnn.archive import MAX_BYTES, flatbuffer_bytes, read_entries
from edgecnn.card import Card, InputSpec, attach, from_json, read, to_json
from edgecnn.errors import CardError

MODEL = (
    b"\x1c\0\0\0TFL3" + bytes(range(256)) * 40
)  # what stands in front of the archive need not be a model here

CARD = Card(
    name="cats",
    task="classification",
    input=InputSpec(96, 128, "bgr", "letterbox", (1.5, 2.5, 3.5), (4.0, 5.0, 6.0), 0, "bilinear"),
    labels=("cat", "größer", "犬"),
    outputs={"scores": "StatefulPartitionedCall:0"},
    options={"scores": "logits"},
    lineage=("trained on photos",),
    metrics={"top1": 0.93},
    checks=({"input": [1, 2], "output": [0.5]},),
)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(MODEL)
    return path


def with_archive(entries, *, prefix=MODEL, compression=zipfile.ZIP_STORED):
    """A model with an archive behind it, as `zip -A` or TFLite's metadata writer makes it."""
    buffer = io.BytesIO(prefix)
    with zipfile.ZipFile(buffer, "a", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_file_without_archive_has_no_card(model):
    assert read(model) is None
    assert read_entries(model) == {}


def test_an_empty_file_has_no_card(tmp_path):
    (tmp_path / "empty.tflite").touch()
    assert read(tmp_path / "empty.tflite") is None


def test_an_empty_archive_has_no_card(model):
    model.write_bytes(with_archive({}))
    assert read(model) is None


def test_the_smallest_card_goes_there_and_back(model):
    card = Card("", "classification", InputSpec(1, 1))
    attach(model, card)
    assert read(model) == card


def test_a_card_comes_back_as_it_was(model):
    attach(model, CARD)
    assert read(model) == CARD
    assert from_json(to_json(CARD), "there") == CARD


def test_the_models_own_bytes_stay_where_they_are(model):
    attach(model, CARD)
    assert model.read_bytes().startswith(MODEL)
    assert flatbuffer_bytes(model.read_bytes()) == MODEL


def test_a_new_card_replaces_the_old_one(model):
    attach(model, CARD)
    attach(model, replace(CARD, name="dogs"))
    with zipfile.ZipFile(model) as archive:
        assert archive.namelist() == [cards.ENTRY]
    found = read(model)
    assert found is not None
    assert found.name == "dogs"
    assert flatbuffer_bytes(model.read_bytes()) == MODEL


def test_the_same_card_gives_the_same_bytes(model):
    attach(model, CARD)
    once = model.read_bytes()
    attach(model, CARD)
    assert model.read_bytes() == once


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_other_files_behind_the_model_survive(model, compression):
    others = {"labels.txt": b"a\nb\n", "folder/vocabulary.txt": bytes(range(256)) * 9, "empty": b""}
    model.write_bytes(with_archive(others, compression=compression))
    attach(model, CARD)
    assert read(model) == CARD
    found = read_entries(model)
    del found[cards.ENTRY]
    assert found == others
    with zipfile.ZipFile(model) as archive:
        assert archive.testzip() is None


def test_an_archive_that_counts_from_its_own_start_is_read_too(model):
    # some writers append a whole zip file without adding the model's length to its offsets
    model.write_bytes(MODEL + with_archive({"labels.txt": b"a"}, prefix=b""))
    assert read_entries(model) == {"labels.txt": b"a"}
    attach(model, CARD)
    assert flatbuffer_bytes(model.read_bytes()) == MODEL
    assert read_entries(model)["labels.txt"] == b"a"


@pytest.mark.parametrize(
    "name", ["coral/mobilenet_v1_0.25_128_quant.tflite", "tasks/mobilenet_v1_0.25_224_1_metadata_1.tflite"]
)
def test_a_real_model_computes_the_same_bits_with_a_card_and_keeps_its_label_file(shared, tmp_path, name):
    from ai_edge_litert.interpreter import Interpreter

    def outputs(path):
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
        entrance = interpreter.get_input_details()[0]
        values = np.random.default_rng(1).integers(0, 256, entrance["shape"])
        interpreter.set_tensor(entrance["index"], values.astype(entrance["dtype"]))
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    source = shared / "models" / name
    copy = tmp_path / "copy.tflite"
    copy.write_bytes(source.read_bytes())
    attach(copy, CARD)
    assert read(copy) == CARD
    before, after = read_entries(source), read_entries(copy)
    assert before
    assert {name: data for name, data in after.items() if name != cards.ENTRY} == before
    assert flatbuffer_bytes(copy.read_bytes()) == flatbuffer_bytes(source.read_bytes())
    np.testing.assert_array_equal(outputs(copy), outputs(source))


# What a card must not say


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("height", 0, "input.height must be a whole number in 1..8192, not 0"),
        ("height", 8193, "input.height"),
        ("width", -3, "input.width"),
        ("width", 2.0, "input.width"),
        ("width", True, "input.width"),
        ("pad", 256, "input.pad must be a whole number in 0..255, not 256"),
        ("color", "RGB", "input.color must be one of rgb, bgr, gray, not 'RGB'"),
        ("fit", "squeeze", "input.fit must be one of"),
        ("resize", "nearest", "input.resize must be one of"),
        ("mean", (1.0, 2.0), "input.mean has 2 numbers; 'rgb' needs 1 or 3"),
        ("mean", (), "input.mean has 0 numbers"),
        ("mean", (math.nan,), "input.mean must be finite"),
        ("std", (1.0, 0.0, 1.0), "input.std must be finite and not 0"),
        ("std", (math.inf,), "input.std must be finite"),
        ("std", (1e30,), "input.std must be finite"),
    ],
)
def test_an_input_that_makes_no_sense_is_refused_with_its_value(field, value, said):
    with pytest.raises(CardError, match=said):
        replace(InputSpec(8, 8), **{field: value})


def test_gray_needs_one_mean():
    with pytest.raises(CardError, match="'gray' needs 1"):
        InputSpec(8, 8, "gray", mean=(1.0, 2.0, 3.0))


def test_one_number_stands_for_every_channel():
    assert InputSpec(8, 8, mean=127.5, std=128).mean == (127.5,)
    assert InputSpec(8, 8, mean=[1, 2, 3]).mean == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("labels", [("a", ""), ("a", 3), ("a", None)])
def test_a_label_without_text_is_refused(labels):
    with pytest.raises(CardError, match="labels must be non-empty texts"):
        replace(CARD, labels=labels)


@pytest.mark.parametrize("label", ["two\nlines", "\x1b[2Jclears the screen", "\ud800", "bell\a", "c1\x9b"])
def test_a_label_that_would_disturb_a_terminal_or_a_file_is_refused(label):
    with pytest.raises(CardError, match="control character"):
        replace(CARD, labels=("a", label, "c"))


def test_a_label_may_be_in_any_script():
    labels = ("crème brûlée", "犬　猫", "עברית", "no\u00a0break", "😀")
    assert from_json(to_json(replace(CARD, labels=labels)), "there").labels == labels


def test_our_own_models_name_each_class_once_but_imagenet_has_two_cranes():
    with pytest.raises(CardError, match="label 'crane' stands twice"):
        replace(CARD, labels=("crane", "cat", "crane"))
    assert replace(CARD, labels=("crane", "cat", "crane"), lineage=()).labels[2] == "crane"


def changed(**fields):
    """The card as JSON with some fields changed; `...` leaves the field out."""
    raw = json.loads(to_json(CARD))
    for name, value in fields.items():
        where, _, inner = name.partition("__")
        target, key = (raw[where], inner) if inner else (raw, where)
        if value is ...:
            del target[key]
        else:
            target[key] = value
    return json.dumps(raw)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "must be a JSON object, not list"),
        ("3", "must be a JSON object, not int"),
        ("{}", "format None, but this edgecnn reads 1"),
        (changed(format=2), "format 2, but this edgecnn reads 1. Upgrade"),
        (changed(format="1"), "format '1'"),
        (changed(format=True), "format True"),
        (changed(name=...), "name"),
        (changed(input=...), "input must be an object, not NoneType"),
        (changed(input=[]), "card.input must be a dict, not list"),
        (changed(input__height=...), "height"),
        (changed(input__mean=...), None),
        (changed(input__depth=3), "input has an unknown field 'depth'"),
        (changed(kernel=3), "card has an unknown field 'kernel'"),
        (changed(name=3), "card.name must be a str, not int"),
        (changed(task=None), "card.task must be a str, not NoneType"),
        (changed(labels="abc"), "card.labels must be a list, not str"),
        (changed(labels=[1, 2]), "labels must be non-empty texts"),
        (changed(outputs=[]), "card.outputs must be a dict, not list"),
        (changed(outputs={"scores": 3}), "outputs"),
        (changed(lineage=[{}]), "lineage"),
        (changed(checks=["x"]), "checks"),
        (changed(input__mean=3), "input.mean must be a list, not int"),
        (changed(input__mean=["x"]), "could not convert"),
        (changed(input__mean=[None]), "float"),
        (changed(input__mean=[10**400]), "too large"),
        (changed(input__mean=[math.nan]), "input.mean must be finite"),
        (changed(input__height="8"), "input.height must be a whole number"),
        (changed(input__height=10**30), "input.height must be a whole number"),
        (changed(input__color=["rgb"]), "input.color must be a str, not list"),
    ],
)
def test_json_that_is_no_card_is_refused_with_the_file_and_the_field(text, said):
    if said is None:  # left out, but it has a default
        assert from_json(text, "m.tflite").input.mean == (0.0,)
        return
    with pytest.raises(CardError, match=said) as refused:
        from_json(text, "m.tflite")
    assert str(refused.value).startswith("m.tflite: ")
    assert "\n" not in str(refused.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(
    top=st.dictionaries(st.sampled_from(list(json.loads(to_json(CARD)))), json_values, max_size=3),
    inner=st.dictionaries(st.sampled_from(list(json.loads(to_json(CARD))["input"])), json_values, max_size=3),
)
@example(top={"labels": ["\ud800"]}, inner={})
@example(top={}, inner={"mean": [10**400]})
@settings(max_examples=150, deadline=None)
def test_a_hostile_card_is_either_refused_or_can_be_written_again(top, inner):
    raw = json.loads(to_json(CARD))
    raw["input"].update(inner)
    raw.update(top)
    raw["format"] = 1
    try:
        card = from_json(json.dumps(raw), "m.tflite")
    except CardError:
        return
    assert from_json(to_json(card), "again") is not None
    to_json(card).encode("utf-8")


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_random_bytes_as_a_card_are_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("hostile") / "m.tflite"
    path.write_bytes(with_archive({cards.ENTRY: data}))
    with pytest.raises(CardError, match=r"m\.tflite"):
        read(path)


# Archives that lie


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_archive_ends_in_a_card_error_or_is_read(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "m.tflite"
    entries = {cards.ENTRY: to_json(CARD).encode(), "labels.txt": b"a\nb\n" * 50}
    kind = data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    whole = bytearray(with_archive(entries, prefix=MODEL[:100], compression=kind))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(100, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.integers(100, len(whole)))] if data.draw(st.booleans()) else whole)
    try:
        read(path)
    except CardError as refused:
        said = str(refused)
    else:
        attach(path, CARD)
        assert read(path) == CARD
        return
    assert said.startswith(str(path))
    assert "\n" not in said


def test_an_entry_that_unpacks_into_gigabytes_is_refused_before_it_is_unpacked(model):
    model.write_bytes(with_archive({"bomb": bytes(MAX_BYTES + 1)}, compression=zipfile.ZIP_DEFLATED))
    assert model.stat().st_size < 100_000
    with pytest.raises(CardError, match="'bomb' has 16777217 bytes"):
        read(model)


def test_many_entries_that_together_unpack_into_gigabytes_are_refused(model):
    half = bytes(MAX_BYTES // 2)
    model.write_bytes(with_archive(dict.fromkeys("abc", half), compression=zipfile.ZIP_DEFLATED))
    with pytest.raises(CardError, match="together"):
        read(model)


def test_an_archive_of_a_thousand_entries_is_not_a_models_own(model):
    model.write_bytes(with_archive({str(number): b"" for number in range(1000)}))
    with pytest.raises(CardError, match="1000 entries"):
        read(model)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_no_tool_uses_here_is_refused(model, kind):
    model.write_bytes(with_archive({"labels.txt": b"a" * 100}, compression=kind))
    with pytest.raises(CardError, match="compress"):
        read(model)


def test_an_encrypted_entry_is_refused(model):
    data = bytearray(with_archive({"labels.txt": b"abc"}))
    for signature, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = data.index(signature, len(MODEL)) + flags
        struct.pack_into("<H", data, at, 1)
    model.write_bytes(data)
    with pytest.raises(CardError, match="damaged"):
        read(model)


def test_what_only_looks_like_the_end_of_an_archive_is_no_archive(model):
    # weights may hold these four bytes by chance in the last 64 kB
    model.write_bytes(MODEL + b"PK\x05\x06" + bytes(range(100)))
    assert read(model) is None
    attach(model, CARD)
    assert read(model) == CARD
    assert model.read_bytes().startswith(MODEL + b"PK\x05\x06")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CardError, match=r"nothing\.tflite"):
        read(tmp_path / "nothing.tflite")
    with pytest.raises(CardError, match=r"nothing\.tflite"):
        attach(tmp_path / "nothing.tflite", CARD)
