"""The roofline of each operator, by hand and on real models."""

from dataclasses import replace

import pytest

from edgecnn.errors import TargetError
from edgecnn.graph import read
from targets.constants import Accelerator, Cost, Rates
from targets.cost import Work, estimate, layer, work
from targets.profile import PROFILES, profile
from targets.support import support

COST = Cost("by hand", 0.25, {"int8": Rates(10.0, 2.0)}, 1.0, 50.0, 0.5, 3.0)


def job(group="convolution", macs=0, moved=0, unit="xnnpack", dtype="int8"):
    return Work(0, "CONV_2D", unit, group, dtype, macs, moved)


@pytest.mark.parametrize(
    ("given", "threads", "milliseconds", "bound"),
    [
        (job(macs=10_000_000), 1, 1.05, "compute"),  # 10 M at 10 G/s, and 50 us
        (job(macs=10_000_000), 4, 0.55, "compute"),  # four threads are twice as fast
        (job("depthwise", macs=10_000_000), 1, 5.05, "compute"),
        (job(macs=10_000_000, moved=2_000_000), 1, 2.05, "memory"),  # 2 MB at 1 GB/s
        (job(macs=10_000_000, moved=2_000_000), 4, 2.05, "memory"),  # which threads do not help
        (job("other", moved=1000), 1, 0.051, "dispatch"),
        (job(macs=10_000_000, unit="cpu"), 1, 3.05, "compute"),  # TFLite's own kernels
        (job("other", moved=1_000_000, unit="cpu"), 1, 3.05, "memory"),
    ],
)
def test_an_operator_takes_the_longer_of_computing_and_moving(given, threads, milliseconds, bound):
    found = layer(given, COST, threads)
    assert found.milliseconds == pytest.approx(milliseconds)
    assert found.bound == bound


def test_single_values_have_a_bandwidth_of_their_own_in_tflites_kernels():
    given = job("other", moved=1_000_000, unit="cpu")
    assert layer(given, replace(COST, builtin_gbps=0.1), 1).milliseconds == pytest.approx(10.05)
    assert layer(
        replace(given, unit="xnnpack"), replace(COST, builtin_gbps=0.1), 1
    ).milliseconds == pytest.approx(1.05)


def test_a_type_without_a_rate_is_refused_where_it_computes():
    with pytest.raises(TargetError, match="computes in int16, for which no rate is known"):
        layer(job(macs=1, dtype="int16"), COST, 1)
    assert layer(job("other", moved=1000, dtype="int16"), COST, 1).milliseconds > 0


def test_an_accelerator_adds_waking_inputs_and_what_its_memory_does_not_hold(shared):
    graph = read(shared / "models/coral/tf2_mobilenet_v2_1.0_224_ptq.tflite")
    beside = Accelerator(Rates(1e9, 1e9), 1e9, 2.0, 0.5, 0.25)
    device = replace(profile("coral_usb"), cost=replace(COST, accelerator=beside))
    ends = 224 * 224 * 3 + 1000
    verdicts = support(graph, device).verdicts
    whole = estimate(graph, device, verdicts=verdicts)
    assert whole.latency_ms == pytest.approx(2.0 + ends / 0.25 / 1e6, rel=1e-3)
    small = replace(device, memory=replace(device.memory, on_chip_bytes=1 << 20))
    assert estimate(graph, small, verdicts=verdicts).latency_ms > whole.latency_ms + 4  # 2.8 MB at 0.5 GB/s


def test_what_is_counted_is_what_the_operators_say(shared):
    graph = read(shared / "models/coral/mobilenet_v1_0.25_128_quant.tflite")
    jobs = work(graph, "xnnpack")
    assert sum(each.macs for each in jobs) == sum(op.macs for op in graph.ops)
    assert {each.dtype for each in jobs} == {"int8"}
    first = jobs[0]
    assert (first.group, first.bytes) == ("convolution", 128 * 128 * 3 + 64 * 64 * 8 + 8 * 3 * 3 * 3 + 8 * 4)
    assert next(each for each in jobs if each.kind == "RESHAPE").bytes == 0


@pytest.mark.parametrize("name", [name for name in PROFILES if profile(name).cost])
def test_every_fitted_device_estimates_a_real_model_with_its_band(shared, name):
    graph = read(shared / "models/coral/mobilenet_v2_1.0_224_quant.tflite")
    device = profile(name)
    found = estimate(graph, device, verdicts=support(graph, device).verdicts)
    assert 1 < found.latency_ms < 200
    assert found.low_ms == pytest.approx(found.latency_ms / (1 + found.band))
    assert found.high_ms == pytest.approx(found.latency_ms * (1 + found.band))
    assert found.band >= 0.25
    assert found.threads == device.cores
    assert found.as_dict()["estimated"] is True
    assert len(found.layers) == len(graph.ops)


def test_a_published_latency_lies_in_the_band(shared):
    # 2.6 ms: https://coral.ai/docs/edgetpu/benchmarks
    graph = read(shared / "models/coral/tf2_mobilenet_v2_1.0_224_ptq.tflite")
    device = profile("coral_usb")
    found = estimate(graph, device, verdicts=support(graph, device).verdicts)
    assert found.low_ms < 2.6 < found.high_ms


def test_a_device_of_which_nobody_published_is_not_guessed(shared):
    graph = read(shared / "models/coral/mobilenet_v1_0.25_128_quant.tflite")
    with pytest.raises(TargetError, match="Measure it on the device"):
        estimate(graph, profile("cortex_m7"))
    with pytest.raises(TargetError, match=r"edgecnn calibrate-target OUT\.toml --base x86"):
        estimate(graph, profile("x86"))


@pytest.mark.parametrize("threads", [0, 5])
def test_threads_that_it_does_not_have_are_refused(shared, threads):
    graph = read(shared / "models/coral/mobilenet_v1_0.25_128_quant.tflite")
    with pytest.raises(TargetError, match="has 4 cores"):
        estimate(graph, profile("raspberry_pi_4"), threads=threads)
