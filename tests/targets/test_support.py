"""Verdicts put together for a device."""

from typing import get_args

import pytest

from edgecnn.errors import TargetError
from edgecnn.graph import read
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
