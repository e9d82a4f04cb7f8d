"""A delegate against the processor: exact ones pass, wrong ones never do."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edgecnn import card as cards
from edgecnn.card import Card, InputSpec
from edgecnn.runtime.benchmark import benchmark
from edgecnn.runtime.model import load
from edgecnn.runtime.parity import parity
from edgecnn.runtime.selftest import selftest

SSD = "tasks/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
KINDS = {
    "float32": {"shape": (1, 24, 32, 3)},
    "int8": {"shape": (1, 24, 32, 3), "dtype": "int8", "quantization": (1 / 127, 0)},
}


@pytest.fixture(params=[True, False], ids=["golden inputs", "noise"])
def coloured_model(request, model_file):
    """A function that writes a tiny model of a kind, with golden checks in its card or without."""
    from converters.golden import checks

    def make(kind):
        path = model_file(f"{kind}.tflite", **KINDS[kind])
        spec = InputSpec(24, 32, mean=(127.5,), std=(127.5,))
        names = ("red", "green", "blue")
        card = Card(
            "colours", "classification", spec, names, {"scores": "scores"}, {"scores": "probabilities"}
        )
        with load(path, card=card) as model:
            stored = checks(model, (), count=3) if request.param else ()
            cards.attach(path, replace(card, checks=stored))
        return path, request.param

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_an_exact_delegate_passes(coloured_model, stand_in_delegate, kind):
    path, are_golden = coloured_model(kind)
    with load(path, delegate=f"{stand_in_delegate}:claim=all") as model, load(path) as reference:
        found = parity(model, reference)
    assert found.passed
    assert found.are_golden == are_golden
    assert found.inputs == found.decided_alike == (3 if are_golden else 4)
    assert (found.delegate, found.reference) == (stand_in_delegate, "xnnpack")
    assert "computes what xnnpack computes" in str(found)
    assert json.loads(json.dumps(found.as_dict()))["said"] == str(found)
    if kind == "int8":
        assert found.steps <= 1
    else:
        assert found.steps is None
        assert found.apart < 1e-5
        assert found.decibels is None or found.decibels > 80


@pytest.mark.parametrize("kind", KINDS)
def test_a_delegate_that_computes_something_else_is_caught(coloured_model, stand_in_delegate, kind):
    path, are_golden = coloured_model(kind)
    with load(path, delegate=f"{stand_in_delegate}:claim=all;wrong=1") as model, load(path) as reference:
        found = parity(model, reference)
        if are_golden:
            assert not selftest(model).passed
    assert not found.passed
    assert found.apart > found.allowed
    assert "does NOT compute" in str(found)


def test_a_model_is_equal_to_itself(coloured_model):
    path, _ = coloured_model("int8")
    with load(path) as one, load(path) as other:
        found = parity(one, other)
    assert (found.passed, found.apart, found.steps, found.decibels) == (True, 0.0, 0.0, None)


@pytest.mark.parametrize(("wrong", "passed"), [(0, True), (1, False)])
def test_a_real_detector_that_chooses_boxes_itself_is_judged_by_its_boxes(
    shared, stand_in_delegate, wrong, passed
):
    path = shared / "models" / SSD
    word = f"{stand_in_delegate}:claim=4;wrong={wrong}"  # the depthwise convolutions
    with load(path, delegate=word) as model, load(path) as reference:
        found = parity(model, reference)
    assert found.passed == passed


def test_outputs_that_are_no_numbers_pass_nothing(coloured_model, monkeypatch):
    path, _ = coloured_model("float32")
    with load(path) as one, load(path) as other:
        broken = {"scores": np.full(3, np.nan, np.float32)}
        monkeypatch.setattr(one, "raw", lambda tensor: broken)
        found = parity(one, other)
    assert not found.passed
    assert json.dumps(found.as_dict(), allow_nan=False)


def test_a_benchmark_compares_a_delegate_and_says_what_ran_where(coloured_model, stand_in_delegate):
    path, _ = coloured_model("int8")
    plain = benchmark(path, runs=1, with_memory=False)
    assert plain.parity == {}
    assert plain.delegation["delegate"] == "xnnpack"
    exact, wrong = (
        benchmark(path, runs=1, delegate=f"{stand_in_delegate}:claim=all;wrong={wrong}") for wrong in (0, 1)
    )
    assert exact.parity["passed"]
    assert not wrong.parity["passed"]
    assert exact.delegation["share"] == 1.0
    assert exact.environment["delegate"] == stand_in_delegate
    assert exact.memory_mib == {}  # a second process might not get the hardware


def test_a_benchmark_chooses_the_number_of_threads_before_it_times(coloured_model, monkeypatch):
    monkeypatch.setattr("edgecnn.runtime.threads.numbers_to_try", lambda: [1, 2])
    path, _ = coloured_model("int8")
    found = benchmark(path, runs=1, threads="auto", with_memory=False)
    assert found.threads_choice["is_made"]
    assert found.threads_choice["threads"] == found.threads
    assert len(found.threads_choice["trials"]) == 1
