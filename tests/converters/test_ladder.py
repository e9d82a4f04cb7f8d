"""Which remedies are tried, in which order, and when no further one is."""

import json
from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest

from calibration.samples import choose
from converters import ladder
from converters.certificate import Budget, Signal, Verdict
from converters.ladder import Candidate, Material, Rung, best, climb
from edgecnn import archive
from edgecnn.evaluation.agreement import Agreement
from edgecnn.evaluation.judged import Judged
from edgecnn.graph import read

pytestmark = pytest.mark.tensorflow

SIGNAL = Signal(20.0, 0, 0.0, 0.0, True, False, 0.0, 0.0, None)


def verdict(*, passes=False, hopeful=True, same=50, snr_db=20.0):
    """Of 100 images; a small drop asks little of the next file, so that none is passed over unjudged."""
    return Verdict(
        outcome="certified" if passes else "refused",
        reasons=() if passes else ("loses",),
        notes=(),
        advice="",
        may_be_written=passes,
        another_may_pass=hopeful,
        budget=Budget(),
        data=Judged("squares", "val", 100, ""),
        is_labelled=True,
        reference_right=100,
        agreement=Agreement(100, same, 0, 100 - same),
        drop=1.01,
        at_most=2.0,
        expected_drop=1.0,
        classes=(),
        signal=replace(SIGNAL, snr_db=snr_db),
        runtime={},
        reference_sha256="",
        model_sha256="",
    )


@pytest.fixture
def material(run, data):
    content = archive.flatbuffer_bytes((run / "float32.tflite").read_bytes())
    from edgecnn.runs import Run

    return Material(content, "net", choose(data[0], count=16), Run(run).read_card().input)


@pytest.fixture
def climbed(material, monkeypatch):
    """A function that climbs with a judge who sees the name of each file, and gives the names in order."""
    # every file is worth judging: who is passed over is tested with the screen
    monkeypatch.setattr("converters.screen.MOST_ASKED_DB", -100.0)

    def go(judge=lambda name: verdict(), **changes):
        seen = []

        def judged(candidate):
            seen.append(candidate.rung)
            return judge(candidate.rung)

        return climb(replace(material, **changes), judged), seen

    return go


def kind(name):
    """Which step of the ladder a rung belongs to."""
    if name.endswith("kept"):
        return "kept"
    if name.startswith("equalization"):
        return "equalization"
    if name.endswith("weights rounded"):
        return "weights rounded"
    return "narrower" if name in ladder.NARROWER else name


def test_where_the_first_passes_nothing_else_is_made(climbed, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("made without need")

    for name in ("equalize", "sensitivities"):
        monkeypatch.setattr(ladder, name, never)
    rungs, seen = climbed(lambda name: verdict(passes=True), retrain=never)
    assert seen == ["min-max"]
    assert [rung.candidate.rung for rung in rungs] == seen


def test_where_nothing_passes_every_remedy_is_tried_in_order(climbed):
    rungs, seen = climbed()
    kinds = [kind(name) for name in seen]
    # nothing in this network can be equalized
    assert list(dict.fromkeys(kinds)) == ["min-max", "narrower", "weights rounded", "kept"]
    assert {name for name in seen if kind(name) == "narrower"} == {"percentile", "mse", "entropy"}
    assert kinds == sorted(kinds, key=list(dict.fromkeys(kinds)).index)
    assert len({rung.candidate.content for rung in rungs}) == len(rungs) == len(set(seen))
    for rung in rungs:
        graph = read(rung.candidate.content, rung.candidate.rung)
        assert {graph.tensors[i].dtype for i in (*graph.inputs, *graph.outputs)} == {"int8"}
        assert "over 16 images (sha256 " in rung.candidate.words
        assert "biases corrected" in rung.candidate.words


@pytest.fixture
def uneven(keras, material):
    """A network whose linear channels differ in size by up to a thousand times."""
    import tensorflow as tf

    keras.utils.set_random_seed(4)
    image = keras.Input((24, 24, 3))
    first, second = keras.layers.Conv2D(8, 3, 2), keras.layers.Conv2D(8, 3, activation="relu")
    x = keras.layers.GlobalAveragePooling2D()(second(first(image)))
    model = keras.Model(image, keras.layers.Dense(4)(x))
    factors = 2.0 ** np.random.default_rng(1).uniform(-5, 5, 8)
    first.set_weights([first.get_weights()[0] * factors, first.get_weights()[1] * factors])
    second.set_weights([second.get_weights()[0] / factors[:, None], second.get_weights()[1]])
    function = tf.function(lambda image: {"scores": model(image, training=False)})
    concrete = function.get_concrete_function(tf.TensorSpec((1, 24, 24, 3), tf.float32, name="image"))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert()


def test_channels_are_evened_out_before_layers_are_kept(climbed, uneven):
    rungs, seen = climbed(content=uneven)
    kinds = [kind(name) for name in seen]
    order = ["min-max", "narrower", "weights rounded", "equalization", "kept"]
    assert list(dict.fromkeys(kinds)) == order
    assert kinds == sorted(kinds, key=order.index)
    assert "groups of channels equalized" in rungs[kinds.index("equalization")].candidate.words


def test_it_stops_at_the_first_that_may_be_written(climbed):
    _, whole = climbed(keeps=None)
    for stop in (whole[1], whole[-1]):
        rungs, seen = climbed(lambda name, stop=stop: verdict(passes=name == stop), keeps=None)
        assert seen == whole[: whole.index(stop) + 1]
        assert best(rungs).candidate.rung == stop


def test_where_the_images_are_too_few_no_other_file_is_made(climbed):
    _, seen = climbed(lambda name: verdict(hopeful=False))
    assert seen == ["min-max"]


def test_the_method_that_was_asked_for_is_the_only_one(climbed):
    rungs, seen = climbed(method="mse", keeps=None)
    assert seen[0] == "mse"
    assert not [name for name in seen if "percentile" in name or "entropy" in name or "min-max" in name]
    assert {rung.candidate.method for rung in rungs} == {"mse"}


def test_layers_stay_in_what_was_allowed_and_only_a_quarter_of_them(climbed, material):
    plain, _ = climbed(keeps=None)
    assert not any(rung.candidate.kept for rung in plain)
    rungs, _ = climbed(keeps="float32")
    kept = [rung.candidate for rung in rungs if rung.candidate.kept]
    assert kept
    operators = len(read(material.content, "net").ops)
    for candidate in kept:
        assert set(candidate.kept.values()) == {"float32"}
        assert len(candidate.kept) <= max(1, operators // 4) + 1  # what only hands on stays with its layer
        graph = read(candidate.content, "made")
        assert any(operator.kind == "DEQUANTIZE" for operator in graph.ops)
    counts = [len(candidate.kept) for candidate in kept]
    assert min(counts) == counts[0]


def test_training_comes_last_and_only_where_it_is_allowed(climbed):
    calls = []

    def retrain():
        calls.append(1)
        return Candidate("training", b"TRAINED", "by hand", method="")

    rungs, seen = climbed(lambda name: verdict(passes=name == "training"), retrain=retrain, keeps=None)
    assert calls == [1]
    assert seen[-1] == "training"
    assert best(rungs).candidate.content == b"TRAINED"
    rungs, seen = climbed(retrain=retrain, keeps=None, method="minmax")
    assert seen[-1] == "training"
    assert "training" not in climbed(keeps=None)[1]


def test_biases_stay_as_they_are_where_that_is_asked(climbed):
    rungs, _ = climbed(lambda name: verdict(passes=True), corrects=False)
    corrected, _ = climbed(lambda name: verdict(passes=True))
    assert "corrected" not in rungs[0].candidate.words
    assert rungs[0].candidate.content != corrected[0].candidate.content


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([verdict(same=90), verdict(same=95), verdict(same=80)], 1),
        ([verdict(same=90), verdict(same=95), verdict(same=80, passes=True)], 2),
        ([verdict(snr_db=10), verdict(snr_db=12), verdict(snr_db=nan)], 1),
        ([verdict(snr_db=nan), verdict(snr_db=-inf), verdict(snr_db=1)], 2),
        ([verdict(snr_db=nan)], 0),
    ],
)
def test_the_best_is_what_may_be_written_else_what_is_nearest(verdicts, expected):
    rungs = [Rung(Candidate(str(n), b"", ""), each, 0.1) for n, each in enumerate(verdicts)]
    assert best(rungs).candidate.rung == str(expected)


@pytest.mark.parametrize("snr_db", [12.345, inf, nan, -inf])
def test_what_a_card_keeps_of_a_rung_is_json(snr_db):
    rung = Rung(Candidate("min-max", b"1234", "", kept={"a": "int16"}), verdict(snr_db=snr_db), 1.26)
    found = json.loads(json.dumps(rung.as_dict(), allow_nan=False))
    assert found["snr_db"] == (12.35 if np.isfinite(snr_db) else None) or found["snr_db"] == 12.34
    assert (found["rung"], found["bytes"], found["kept"], found["outcome"]) == (
        "min-max", 4, {"a": "int16"}, "refused",
    )  # fmt: skip
    assert "12.3" in ladder.told(rung) or not np.isfinite(snr_db)
