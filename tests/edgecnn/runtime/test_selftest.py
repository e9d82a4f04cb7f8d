"""The self-test: what passes, what does not, and what a hostile card can do."""

import base64
import json
import struct
import zlib
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from edgecnn import card as cards
from edgecnn.card import Card, InputSpec, Resize
from edgecnn.errors import CardError
from edgecnn.runtime import golden as goldens
from edgecnn.runtime.model import load
from edgecnn.runtime.selftest import FLOAT_TOLERANCE, INTEGER_TOLERANCE, apart, selftest, tolerance
from edgecnn.runtime.stored import sample

COLOURS = ("red", "green", "blue")
KINDS = {
    "float32": {"shape": (1, 24, 32, 3)},
    "int8": {"shape": (1, 24, 32, 3), "dtype": "int8", "quantization": (1 / 127, 0)},
    "uint8": {"shape": (1, 24, 32, 3), "dtype": "uint8", "quantization": (1 / 127, 128)},
}


@pytest.fixture
def tested(model_file):
    """A function that writes a tiny model with golden checks in its card."""
    from converters.golden import checks

    def make(kind="float32", *, count=3, images=(), resize="area", **changed):
        path = model_file(f"{kind}.tflite", **{**KINDS[kind], **changed})
        spec = InputSpec(24, 32, mean=(127.5,), std=(127.5,), resize=resize)
        card = Card(
            "colours", "classification", spec, COLOURS, {"scores": "scores"}, {"scores": "probabilities"}
        )
        with load(path, card=card) as model:
            cards.attach(path, replace(card, checks=checks(model, images, count=count)))
        return path

    return make


def edited(path, **changed):
    cards.attach(path, replace(cards.read(path), **changed))
    return path


def check_edited(path, change):
    """The first check of the file's card, after `change` was done to its JSON."""
    raw = json.loads(json.dumps(cards.read(path).checks))
    change(raw[0])
    return edited(path, checks=tuple(raw))


def failed(path):
    return {row.stage for row in selftest(path).rows if not row.passed}


def test_a_card_without_checks_says_what_to_do(model_file):
    path = model_file()
    spec = InputSpec(8, 6, mean=(127.5,), std=(127.5,))
    cards.attach(path, Card("bare", "classification", spec, COLOURS, options={"scores": "probabilities"}))
    with pytest.raises(CardError, match=r"no golden checks.*edgecnn convert"):
        selftest(path)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_runtime_computes_the_same_to_the_last_bit(tested, kind):
    found = selftest(tested(kind))
    assert found.passed
    assert found.equal
    assert len(found.rows) == 2 + 3 * 3
    assert json.dumps(found.as_dict())


@pytest.mark.parametrize("resize", get_args(Resize))
def test_every_way_of_resizing_can_be_checked(tested, resize):
    path = tested("uint8", resize=resize)
    assert selftest(path).equal
    others = set(get_args(Resize)) - {resize}
    for other in others:
        card = cards.read(path)
        assert failed(edited(path, input=replace(card.input, resize=other))) == {"prepare"}


def test_a_loaded_model_is_tested_and_left_open(tested):
    with load(tested()) as model:
        assert selftest(model).passed
        assert model(np.zeros((9, 9, 3), np.uint8))


def test_a_single_changed_weight_is_found(tested):
    path = tested("float32", weights=np.eye(3) * 4)
    content = path.read_bytes()
    weight = np.float32(4).tobytes()
    assert content.count(weight) >= 3
    path.write_bytes(content.replace(weight, np.float32(4.0001).tobytes(), 1))
    assert failed(path) == {"weights"}


def test_other_kernels_are_told_apart_from_a_damaged_file(tested):
    """Weights as they were, outputs not: as if the runtime computed something else."""

    def turned(check):
        scores = check["outputs"]["scores"]
        values = np.frombuffer(base64.b64decode(scores["data"]), np.float32)[::-1]
        scores["data"] = base64.b64encode(values.tobytes()).decode()

    assert failed(check_edited(tested(), turned)) == {"compute", "decode"}


@pytest.mark.parametrize(
    "spec",
    [
        InputSpec(24, 32, mean=(0.0,), std=(255.0,)),
        InputSpec(24, 32, mean=(127.5,), std=(255.0,)),
        InputSpec(24, 32, mean=(120.0,), std=(127.5,)),
        InputSpec(24, 32, color="bgr", mean=(127.5,), std=(127.5,)),
        InputSpec(24, 32, fit="letterbox", mean=(127.5,), std=(127.5,)),
        InputSpec(24, 32, resize="corner", mean=(127.5,), std=(127.5,)),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_an_edited_input_of_the_card_is_found_in_the_prepared_tensor(tested, spec, kind):
    photo = np.random.default_rng(3).integers(0, 256, (90, 90, 3), np.uint8)
    assert "prepare" in failed(edited(tested(kind, images=[photo, photo]), input=spec))


def test_labels_in_another_order_are_found(tested):
    assert "labels" in failed(edited(tested(), labels=("green", "red", "blue")))


def test_an_edited_option_is_found_in_decoding(tested):
    assert failed(edited(tested(), options={"scores": "logits"})) == {"decode"}


def test_two_grey_levels_as_on_another_processor_pass_and_four_do_not(tested):
    def shifted(levels):
        def change(check):
            sampled = check["tensor"]["sampled"]
            values = np.frombuffer(base64.b64decode(sampled["data"]), np.float32).copy()
            values[7] += levels / 127.5
            sampled["data"] = base64.b64encode(values.tobytes()).decode()
            check["tensor"]["sha256"] = "another"

        return change

    found = selftest(check_edited(tested(), shifted(2)))
    assert found.passed
    assert not found.equal
    assert failed(check_edited(tested(), shifted(4))) == {"prepare"}


def png(width, height):
    """A valid PNG of zeros: a few bytes for any size."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = zlib.compress(bytes((width * 3 + 1) * min(height, 3)), 9)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def text(content):
    return base64.b64encode(content).decode()


HOSTILE = {
    "no image": lambda check: check.pop("image"),
    "a number for an image": lambda check: check.update(image=7),
    "an image that is not base64": lambda check: check.update(image="!!!"),
    "a text for an image": lambda check: check.update(image=text(b"hello")),
    "an image cut short": lambda check: check.update(image=check["image"][: len(check["image"]) // 8 * 4]),
    "an image of gigapixels": lambda check: check.update(image=text(png(60000, 60000))),
    "an image of 65 pixels": lambda check: check.update(image=text(png(65, 2))),
    "megabytes of base64": lambda check: check.update(image="A" * (2 << 20)),
    "tiled to gigapixels": lambda check: check.update(tiled=100_000),
    "tiled by nothing": lambda check: check.update(tiled=0),
    "tiled by infinity": lambda check: check.update(tiled=float("inf")),
    "tiled by a text": lambda check: check.update(tiled="2"),
    "no outputs": lambda check: check.update(outputs=[]),
    "an output that is a list": lambda check: check["outputs"].update(scores=[1, 2]),
    "a foreign dtype": lambda check: check["outputs"]["scores"].update(dtype="object"),
    "an unhashable dtype": lambda check: check["outputs"]["scores"].update(dtype=["int8"]),
    "a shape of terabytes": lambda check: check["outputs"]["scores"].update(shape=[1 << 40]),
    "a negative shape": lambda check: check["outputs"]["scores"].update(shape=[-3]),
    "a shape of truths": lambda check: check["outputs"]["scores"].update(shape=[True, 3]),
    "too many dimensions": lambda check: check["outputs"]["scores"].update(shape=[1] * 99),
    "a scale that is no number": lambda check: check["outputs"]["scores"].update(scale=float("nan")),
    "scores that are no numbers": lambda check: check["outputs"]["scores"].update(
        data=text(np.full(3, np.nan, np.float32).tobytes())
    ),
    "a tensor that is a list": lambda check: check.update(tensor=[]),
    "a negative level": lambda check: check["tensor"].update(level=-1),
    "a record of objects": lambda check: check.update(records=[{"label": {"a": 1}}]),
    "records that are no list": lambda check: check.update(records={"label": "red"}),
    "records without end": lambda check: check.update(records=[{"label": "red"}] * 1000),
    "a sample of nothing": lambda check: check["outputs"]["scores"].update(of=[]),
    "a sample of terabytes": lambda check: check["outputs"]["scores"].update(of=[2**40], sha256=1),
    "a record with control characters": lambda check: check.update(records=[{"label": "\x1b[2J"}]),
    "a fingerprint that is a number": lambda check: check.update(weights=3),
    "words of another machine without end": lambda check: check.update(computed_by="x" * 10_000),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_checks_give_one_line(tested, what):
    path = check_edited(tested(count=1), HOSTILE[what])
    with pytest.raises(CardError, match="check 1: cannot be read") as caught:
        selftest(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_outputs_of_another_role_fail(tested):
    def renamed(check):
        check["outputs"] = {"boxes": check["outputs"]["scores"]}

    assert failed(check_edited(tested(), renamed)) == {"compute", "decode"}


def test_a_level_of_zero_divides_by_nothing(tested):
    def flat(check):
        check["tensor"].update(level=0, sha256="another")

    assert selftest(check_edited(tested(), flat)).passed


def test_more_checks_than_a_card_holds_are_refused(tested):
    path = tested(count=1)
    edited(path, checks=cards.read(path).checks * 17)
    with pytest.raises(CardError, match="17 checks; 16 is the most"):
        selftest(path)


def test_a_check_goes_to_json_and_back(tested):
    raw = cards.read(tested(count=2)).checks[1]
    assert goldens.to_json(goldens.from_json(raw, "here")) == raw


@pytest.mark.parametrize("colours", [(1, 1, 3), (1, 32, 32, 3), (1, 224, 224, 3), (1, 97, 3, 3)])
def test_a_sample_meets_every_colour(colours):
    places = np.arange(np.prod(colours)).reshape(colours)
    sampled = sample(places)
    assert 0 < len(sampled) <= 256
    assert {int(place) % 3 for place in sampled} == {0, 1, 2}


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("float32", FLOAT_TOLERANCE),
        ("float16", FLOAT_TOLERANCE),
        ("weight_only", FLOAT_TOLERANCE),
        ("dynamic", INTEGER_TOLERANCE),
        ("int8", INTEGER_TOLERANCE),
        ("uint8", INTEGER_TOLERANCE),
        ("int16x8", INTEGER_TOLERANCE),
        ("mixed", INTEGER_TOLERANCE),
    ],
)
def test_the_tolerance_follows_the_kernels(scheme, expected):
    assert tolerance(scheme) == expected


def test_the_distance_of_outputs_is_relative_to_their_spread():
    stored = goldens.Stored(np.array([0, 2, 4, 6], np.float32))
    assert apart(stored, stored.real + 1, 0.25) == pytest.approx(1 / np.sqrt(5))
    assert apart(goldens.Stored(np.full(3, 2, np.float32)), np.full(3, 3), 0.25) == pytest.approx(0.5)
    coarse = goldens.Stored(np.array([0, 1, 0, 0], np.int8), scale=0.5, zero_point=0)
    assert apart(coarse, coarse.real + 0.5, 0.25) == pytest.approx(0.25)  # one step is just allowed
    assert np.isnan(apart(stored, np.full(4, np.nan), 0.25))


def test_scores_that_are_no_numbers_fail(tested, monkeypatch):
    from edgecnn.runtime.model import Model

    path = tested()
    monkeypatch.setattr(Model, "raw", lambda self, tensor: {"scores": np.full(3, np.nan, np.float32)})
    assert failed(path) == {"compute"}


# Detectors


@pytest.fixture
def anchored(tmp_path, assemble):
    """Write a detector with 1024 anchors and golden checks in its card, and give its path."""
    from ai_edge_litert import schema_py_generated as schema

    from converters.golden import checks

    def make(*, images=(), bias=-3.0, gain=1.0):
        random = np.random.default_rng(3)
        tensors = {"image": ((1, 64, 64, 3), "float32")}
        operators = []
        for role, count, low in (("boxes", 4, 0.0), ("scores", 3, bias)):
            weights = gain * random.normal(0, 0.2, (count, 2, 2, 3))
            tensors |= {
                f"{role} weights": ((count, 2, 2, 3), "float32", weights),
                f"{role} bias": ((count,), "float32", low),
                f"{role} map": ((1, 32, 32, count), "float32"),
                f"{role} shape": ((3,), "int32", [1, 1024, count]),
                role: ((1, 1024, count), "float32"),
            }
            options = schema.Conv2DOptionsT(padding=schema.Padding.VALID, strideH=2, strideW=2)
            reads = ["image", f"{role} weights", f"{role} bias"]
            operators.append(("CONV_2D", reads, [f"{role} map"], options))
            operators.append(("RESHAPE", [f"{role} map", f"{role} shape"], [role]))
        path = tmp_path / "anchors.tflite"
        path.write_bytes(assemble(tensors, operators, ["image"], ["scores", "boxes"]))
        card = Card(
            "anchors",
            "detection",
            InputSpec(64, 64),
            ("cat", "dog", "bird"),
            {"boxes": "boxes", "scores": "scores"},
            {"decode": "anchors", "strides": [2], "anchor_px": [12], "scale_yxhw": [4, 4, 1, 1]},
        )
        with load(path, card=card) as model:
            cards.attach(path, replace(card, checks=checks(model, images, count=3)))
        return path

    return make


@pytest.mark.parametrize("bias", [-100.0, -3.0, 2.0])
def test_a_detector_passes_with_boxes_and_without(anchored, bias):
    path = anchored(bias=bias)
    found = selftest(path)
    assert found.passed
    assert found.equal
    said = {row.found for row in found.rows if row.stage == "decode"}
    assert ("decodes to nothing" in said) == (bias == -100.0)
    assert len(json.dumps(cards.read(path).checks)) < 32_000  # the outputs alone would take 120,000


def test_a_detector_with_other_weights_fails(anchored):
    path = anchored()
    checks = cards.read(path).checks
    assert {"compute", "decode"} <= failed(edited(anchored(gain=1.5), checks=checks))


@pytest.mark.parametrize(
    ("changed", "stages"),
    [
        ({"labels": ("dog", "bird", "cat")}, {"labels", "decode"}),
        ({"options": {"decode": "anchors", "strides": [2], "anchor_px": [24]}}, {"decode"}),
        ({"outputs": {"boxes": "boxes", "scores": "boxes"}}, None),
    ],
)
def test_a_detectors_card_that_was_changed_fails(anchored, changed, stages):
    path = edited(anchored(), **changed)
    if stages is None:
        with pytest.raises(CardError, match="4 scores but 3 labels"):
            selftest(path)
    else:
        assert failed(path) == stages


def test_a_lower_threshold_is_no_damage(anchored):
    path = anchored()
    options = {**cards.read(path).options, "threshold": 0.9, "nms": "soft"}
    assert selftest(edited(path, options=options)).passed


def test_boxes_that_kernels_round_differently_are_compared_by_overlap_and_score(anchored):
    def slightly(check):
        check["outputs"]["scores"]["sha256"] = "of other kernels"
        for box in check["records"]:
            box["score"] += 0.003
            box["box_xyxy"] = [one + 0.02 for one in box["box_xyxy"]]

    def far(check):
        slightly(check)
        check["records"][0]["box_xyxy"][2] += 30

    path = anchored()
    assert [row for row in selftest(check_edited(path, slightly)).rows if not row.passed] == []
    assert failed(check_edited(path, far)) == {"decode"}


def test_a_detector_that_chooses_boxes_itself_passes(detector_file):
    from converters.golden import checks

    path = detector_file([[0, 0, 0], [0, 0.9, 0], [0, 0, 0.4], [0, 0, 0]])
    with load(path, labels=["cat", "dog", "bird"]) as model:
        cards.attach(path, replace(model.card, checks=checks(model, (), count=2)))
    assert selftest(path).equal
    check_edited(path, lambda check: check["records"][0].update(label="bird"))
    assert failed(path) == {"decode"}
