"""Latency: measured stage by stage, in turns, with what it depends on."""

import hashlib
import json

import numpy as np
import pytest

import edgecnn
from edgecnn.errors import DataError, ModelError
from edgecnn.runtime import benchmark as benchmarks
from edgecnn.runtime.benchmark import STAGES, benchmark, benchmark_many
from edgecnn.runtime.model import Timings, load

UNIT = {"mean": 0, "std": 255}
QUANTIZED = {"dtype": "uint8", "quantization": (1 / 255, 0)}  # needs no options


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"models": []}, "0 models and 1 images"),
        ({"images": []}, "1 models and 0 images"),
        ({"runs": 0}, "runs must be 1 or more"),
        ({"warmup": -1}, "warmup 0 or more"),
        ({"seconds": 0}, "seconds above 0"),
        ({"seconds": float("nan")}, "seconds above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(model_file, what, said):
    words = {"models": [model_file(**QUANTIZED)]} | what
    with pytest.raises(DataError, match=said):
        benchmark_many(words.pop("models"), with_memory=False, **words)


def test_a_model_that_cannot_be_loaded_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"nothing\.tflite"):
        benchmark(tmp_path / "nothing.tflite")


def test_one_run_is_enough_for_a_figure(model_file):
    found = benchmark(model_file(**QUANTIZED), runs=1, warmup=0, with_memory=False)
    assert found.runs == 1
    total = found.latency_ms["total"]
    assert total.p50 == total.p90 == total.p99 == total.minimum == total.mean > 0


def test_every_stage_is_told_and_they_add_up(model_file):
    path = model_file(**QUANTIZED)
    found = benchmark(path, runs=50, with_memory=False)
    assert tuple(found.latency_ms) == STAGES
    assert found.model == str(path)
    assert found.size_bytes == path.stat().st_size
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.runs, found.warmup, found.threads) == (50, 10, 1)
    for stage in STAGES:
        latency = found.latency_ms[stage]
        assert 0 < latency.minimum <= latency.p50 <= latency.p90 <= latency.p99
    parts = sum(found.latency_ms[stage].mean for stage in ("prepare", "invoke", "decode"))
    assert found.latency_ms["total"].mean >= parts - 1e-3
    assert found.latency_ms["total"].minimum < 1.5 * parts


def test_a_percentile_is_a_run_that_took_place():
    found = benchmarks._latency([float(number) for number in range(100, 0, -1)])
    assert (found.minimum, found.p50, found.p90, found.p99, found.mean) == (1, 50, 90, 99, 50.5)
    assert benchmarks._latency([1.0, 9.0]).p50 == 1.0


def test_the_figures_are_json_and_say_what_they_depend_on(model_file):
    found = benchmark(model_file(**QUANTIZED), runs=2, with_memory=False).as_dict()
    assert json.loads(json.dumps(found)) == found
    needed = {"device", "cores", "python", "numpy", "opencv", "os", "date", "runtime", "runtime_version"}
    assert needed <= found["environment"].keys()
    assert found["environment"]["delegate"] == "xnnpack"
    assert found["environment"]["delegated_operators"] == "2 of 3"
    assert found["latency_ms"]["total"].keys() == {"p50", "p90", "p99", "mean", "minimum"}


def test_memory_is_measured_when_asked_for(model_file):
    path = model_file(**QUANTIZED)
    assert benchmark(path, runs=1).memory_mib.keys() == {"process", "runtime", "model"}
    assert benchmark(path, runs=1, with_memory=False).memory_mib == {}


def test_a_loaded_model_is_timed_with_its_own_settings_and_stays_open(model_file, coloured):
    with load(model_file(), threads=2, **UNIT) as model:
        found = benchmark(model, runs=2, threads=1, with_memory=False)
        assert found.threads == found.environment["threads"] == 2
        model(coloured("red"))


def test_a_model_that_was_loaded_for_the_benchmark_is_closed(model_file, monkeypatch):
    opened = []

    def watched(*given, **words):
        opened.append(load(*given, **words))
        return opened[-1]

    monkeypatch.setattr(benchmarks, "load", watched)
    benchmark(model_file(**QUANTIZED), runs=1, with_memory=False)
    with pytest.raises(ModelError, match="closed"):
        opened[0].invoke()


class Watched:
    """Stands for a model and writes down what it is asked to do."""

    def __init__(self, name, calls):
        self.name, self.calls = name, calls

    def __call__(self, image):
        self.calls.append((self.name, "warm", int(image[0, 0, 0])))

    def timed(self, image):
        self.calls.append((self.name, "timed", int(image[0, 0, 0])))
        return None, Timings(1.0, 2.0, 3.0)

    def invoke(self):
        self.calls.append((self.name, "bare", None))


def test_models_are_timed_in_turns_on_the_same_images(monkeypatch):
    calls = []
    pictures = [np.full((1, 1, 3), value, np.uint8) for value in (1, 2, 3)]
    models = [Watched("a", calls), Watched("b", calls)]
    benchmarks._in_turns(models, benchmarks.cycle(pictures), 2, benchmarks._turns(12, 0.0))
    timed = {name: [value for who, what, value in calls if (who, what) == (name, "timed")] for name in "ab"}
    assert timed["a"] == timed["b"]
    assert timed["a"] == [3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2]  # after two to warm up
    turns = [name for name, what, _ in calls if what == "timed"]
    assert "".join(turns) == "a" * 10 + "b" * 10 + "aa" + "bb"
    # each turn begins with an image that is not timed, and every image is followed by a bare run
    assert [call[:2] for call in calls[4:8]] == [("a", "warm"), ("a", "timed"), ("a", "bare"), ("a", "timed")]


def test_a_time_limit_times_twenty_images_at_least_and_then_stops():
    assert sum(benchmarks._turns(None, 1e-9)) == 20
    assert list(benchmarks._turns(25, 1e9)) == [10, 10, 5]


def test_without_images_a_cameras_image_is_made_the_same_every_time():
    first, second = benchmarks.camera_image(), benchmarks.camera_image()
    assert first.shape == (480, 640, 3)
    np.testing.assert_array_equal(first, second)


def test_benchmark_is_edgecnns_own_name():
    assert edgecnn.benchmark is benchmark
