"""Verdicts put together for a device."""

from contextlib import suppress
from typing import get_args

import pytest

from calibration import editable
from edgecnn.errors import ModelError, TargetError
from edgecnn.graph import check, read
from targets.profile import PROFILES, Delegate, profile
from targets.support import judge_of, refuse_unrunnable, support
from targets.verdict import CPU, NOWHERE


@pytest.mark.parametrize("delegate", get_args(Delegate))
def test_every_delegate_has_rules(delegate, by_name):
    graph = read(by_name["conv_int8"], "conv")
    verdicts = judge_of(delegate)(graph, 0)
    assert [one.operator for one in verdicts] == [0]
    assert verdicts[0].unit in (delegate, CPU, NOWHERE)


@pytest.mark.parametrize("name", list(PROFILES))
def test_every_profile_judges_a_real_model(shared, name):
    graph = read(shared / "models/coral/mobilenet_v1_0.25_128_quant.tflite")
    found = support(graph, profile(name))
    assert sum(found.units.values()) == len(graph.ops) == len(found.verdicts)
    assert sum(found.partitions) == found.units.get(found.delegate, 0)
    assert all(one.reason and one.source for one in found.left)
    assert found.as_dict()["target"] == name


def test_a_compiled_file_runs_on_its_device_only(shared):
    graph = read(shared / "models/coral/mobilenet_v1_0.25_128_quant_edgetpu.tflite")
    assert support(graph, profile("coral_usb")).units == {"edge_tpu": 1}
    found = support(graph, profile("raspberry_pi_4"))
    assert found.units == {NOWHERE: 1}
    with pytest.raises(TargetError, match=r"compiled for an Edge TPU\. Take the file"):
        refuse_unrunnable(found, "net")


def test_a_detector_whose_last_operator_is_custom_runs(shared):
    graph = read(shared / "models/tasks/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite")
    for name in ("raspberry_pi_4", "coral_usb"):
        found = support(graph, profile(name))
        assert found.blockers == ()
        refuse_unrunnable(found, "net")
    assert [one.kind for one in support(graph, profile("coral_usb")).left] == ["TFLite_Detection_PostProcess"]


def unshaped(content, ends):
    """The same file, that leaves the shape of its first input or output open."""
    model = editable.read(content)
    graph = model.subgraphs[0]
    graph.tensors[getattr(graph, ends)[0]].shape = None
    return read(editable.write(model), "odd")


@pytest.mark.parametrize("name", list(PROFILES))
@pytest.mark.parametrize(
    ("model", "ends"),
    [
        ("conv_int8", "outputs"), ("sum_int8", "inputs"), ("softmax_int8", "inputs"),
        ("pack_int8", "outputs"), ("resize_nearest_neighbor_float32", "outputs"),
    ],
)  # fmt: skip
def test_a_shape_that_is_not_in_the_file_is_one_line(by_name, name, model, ends):
    graph = unshaped(by_name[model], ends)
    with pytest.raises(TargetError, match=r"odd: operator 0 \(\w+\): tensor .* dimension") as caught:
        support(graph, profile(name))
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="session")
def safe(by_name):
    """Every one-operator model that would not kill the interpreter."""
    graphs = [read(content, name) for name, content in by_name.items()]
    found = []
    for graph in graphs:
        with suppress(ModelError):
            check(graph)
            found.append(graph)
    assert len(found) > 700
    return found


@pytest.mark.parametrize("name", list(PROFILES))
def test_every_profile_judges_every_operator(safe, name):
    device = profile(name)
    for graph in safe:
        assert len(support(graph, device).verdicts) == len(graph.ops)
