"""Fitting a profile to the machine the tests run on."""

from dataclasses import replace

import pytest

from edgecnn.errors import TargetError
from edgecnn.graph import check, read
from targets import device_calibration
from targets.constants import Cost, Rates
from targets.cost import work
from targets.device_calibration import calibrate, with_cost
from targets.micro_models import MicroModel
from targets.profile import PROFILES, profile, read_profile

COST = Cost("measured here", 0.31, {"float32": Rates(5.0, 1.25)}, 4.5, 12.0, 0.75, 1.5)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_the_small_models_are_what_they_say(dtype):
    content = MicroModel(dtype, 8, 6, 4).conv(16, 3).depthwise().add().hard_swish().content()
    graph = read(content)
    check(graph)
    jobs = work(graph, "xnnpack")
    assert [each.kind for each in jobs] == ["CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "HARD_SWISH"]
    assert [each.macs for each in jobs] == [8 * 6 * 16 * 4 * 9, 8 * 6 * 16 * 9, 0, 0]
    assert {each.dtype for each in jobs} == {dtype}


def test_a_profile_is_written_and_estimates(tmp_path):
    said = []
    found = calibrate("x86", tmp_path / "mine.toml", seconds=1.0, progress=said.append)
    assert found == read_profile(tmp_path / "mine.toml")
    assert found.name == "mine"
    assert "measured on this device" in found.cost.basis
    assert found.cost.band >= 0.25
    assert found.cost.rates["int8"].convolution > found.cost.rates["float32"].depthwise > 0
    assert 0 <= found.cost.thread_exponent <= 1
    assert found.title == profile("x86").title
    assert found.sources["cost"].startswith("edgecnn calibrate-target: ")
    assert len(said) >= 10


@pytest.mark.parametrize("name", list(PROFILES))
def test_other_constants_leave_all_else_as_it_is(name, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(with_cost(PROFILES[name].read_text(), COST, 'a "quoted" source'))
    found, base = read_profile(path), profile(name)
    assert found.cost == COST
    assert found.sources["cost"] == "a 'quoted' source"
    assert (found.title, found.memory, found.ops, found.notes) == (
        base.title, base.memory, base.ops, base.notes,
    )  # fmt: skip
    again = tmp_path / "again.toml"
    again.write_text(with_cost(path.read_text(), COST, "another"))
    assert read_profile(again).cost == COST


@pytest.mark.parametrize(
    ("base", "name", "message"),
    [
        ("coral_usb", "mine.toml", "only processors"),
        ("x86", "mine.txt", "ends in .toml"),
        ("x86", "there.toml", "is there already"),
        ("x87", "mine.toml", "Did you mean x86"),
    ],
)
def test_what_cannot_be_is_refused_before_it_measures(base, name, message, tmp_path, monkeypatch):
    monkeypatch.setattr(device_calibration, "measure", lambda *given, **words: pytest.fail("it measured"))
    (tmp_path / "there.toml").write_text("mine")
    with pytest.raises(TargetError, match=message):
        calibrate(base, tmp_path / name)
    assert (tmp_path / "there.toml").read_text() == "mine"


def test_ctrl_c_leaves_no_file(tmp_path, monkeypatch):
    def interrupted(*given, **words):
        raise KeyboardInterrupt

    monkeypatch.setattr(device_calibration, "_time", interrupted)
    with pytest.raises(KeyboardInterrupt):
        calibrate("x86", tmp_path / "mine.toml", seconds=1)
    assert list(tmp_path.iterdir()) == []


def test_a_profile_of_which_there_is_no_file_is_refused_before_it_measures(tmp_path, monkeypatch):
    monkeypatch.setattr(device_calibration, "measure", lambda *given, **words: pytest.fail("it measured"))
    with pytest.raises(TargetError, match="mine is no profile of edgecnn's own"):
        calibrate(replace(profile("x86"), name="mine"), tmp_path / "new.toml")
