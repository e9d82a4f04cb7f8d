"""Networks written down by hand beside those of the zoo; constants of profiles beside the fit."""

import sys
from pathlib import Path

import pytest

from targets.profile import profile

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def networks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import published_networks

    yield published_networks
    del sys.modules["published_networks"]


@pytest.fixture
def cost_model(networks, monkeypatch):
    import cost_model

    yield cost_model
    del sys.modules["cost_model"]


@pytest.mark.parametrize(
    ("name", "size", "macs_m"),
    [
        # the papers' own counts, in millions
        ("mobilenet_v1_1.0", 224, 569), ("mobilenet_v1_0.25", 128, 14), ("mobilenet_v2_1.0", 224, 300),
        ("mobilenet_v2_0.35", 224, 59), ("mobilenet_v3_large_1.0", 224, 217),
        ("mobilenet_v3_small_1.0", 224, 56), ("mobilenet_v3_large_minimalistic", 224, 209),
        ("efficientnet_lite0", 224, 407), ("efficientnet_lite4", 300, 2640),
        ("ssdlite_mobilenet_v2", 300, 800),
        ("ssd_mobilenet_v1", 300, 1230), ("vgg16", 224, 15500), ("resnet50_v1", 224, 3900),
    ],
)  # fmt: skip
def test_multiply_accumulates_are_those_of_the_papers(networks, name, size, macs_m):
    assert sum(macs for _, macs, *_ in networks.build(name, size).done) / 1e6 == pytest.approx(
        macs_m, rel=0.08
    )


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("mobilenet_v1_1.0", "mobilenet_v1"), ("mobilenet_v2_1.0", "mobilenet_v2"), ("vgg16", "vgg16")],
)
def test_they_are_those_of_the_zoo(networks, ours, theirs):
    from edgecnn.zoo import structure
    from edgecnn.zoo.count import count

    found = count(structure(theirs, input_shape=(96, 96, 3), classes=1000))
    net = networks.build(ours, 96)
    assert sum(macs for _, macs, *_ in net.done) == pytest.approx(found.macs, rel=0.01)
    assert net.parameters == pytest.approx(found.params, rel=0.02)


def test_a_network_that_none_of_them_is(networks):
    assert networks.build("yolox_tiny", 416) is None


@pytest.mark.parametrize("device", ["raspberry_pi_5", "coral_usb"])
def test_profiles_have_the_constants_of_the_fit(cost_model, shared, device):
    given = list(cost_model.rows(shared / "facts" / "published_latency.csv", device))
    made = cost_model.cost(device, cost_model.fitted(device, given))
    cost_model.checked(made, given[0])
    ours = profile(device).cost
    if made.accelerator:
        assert ours.accelerator.rates.convolution == pytest.approx(
            made.accelerator.rates.convolution, rel=0.02
        )
        assert ours.accelerator.invoke_ms == pytest.approx(made.accelerator.invoke_ms, rel=0.02)
        return
    assert ours.gbps == pytest.approx(made.gbps, rel=0.02)
    for dtype in ("float32", "int8"):
        assert ours.rates[dtype].convolution == pytest.approx(made.rates[dtype].convolution, rel=0.02)


def test_networks_that_were_left_out_are_estimated_as_the_docs_say(cost_model, shared):
    given = list(cost_model.rows(shared / "facts" / "published_latency.csv", "raspberry_pi_5"))
    errors = [abs(error) for _, error in cost_model.left_out("raspberry_pi_5", given)]
    assert sorted(errors)[len(errors) // 2] <= 0.25
    assert sum(error <= 0.3 for error in errors) >= 0.6 * len(errors)
