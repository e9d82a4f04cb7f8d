"""What a number was measured on."""

import json
import os
import platform

import cv2
import numpy as np
import pytest

from edgecnn.runtime import environment as environments
from edgecnn.runtime.environment import (
    State,
    cores,
    device_name,
    environment,
    memory_mib,
    processor_features,
    processor_name,
    state,
    temperature_c,
    throttle_flags,
)

PI = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41

Hardware\t: BCM2835
Revision\t: d04170
Model\t\t: Raspberry Pi 5 Model B Rev 1.0
"""

PC = """processor\t: 0
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu sse4_2 avx2 fma avx512_vnni

processor\t: 1
model name\t: another
"""


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine that tells what a test wants it to tell."""

    def is_(cpuinfo="", **files):
        def text(path):
            if str(path) == "/proc/cpuinfo":
                return cpuinfo
            return files.get(path.name)

        monkeypatch.setattr(environments, "_text", text)

    return is_


def test_a_machine_that_tells_nothing_still_has_a_name_and_no_guesses(machine):
    machine()
    assert processor_name() == (platform.processor() or platform.machine())
    assert processor_features() == []
    assert memory_mib("VmHWM") is None
    found = environment()
    assert not found.keys() & {"governor", "clock_mhz", "clock_max_mhz", "throttled", "processor_features"}
    assert None not in found.values()


def test_a_raspberry_pi_is_called_by_its_boards_name(machine):
    machine(
        PI, model="Raspberry Pi 5 Model B Rev 1.0\0", scaling_governor="ondemand", scaling_cur_freq="1500000"
    )
    found = environment()
    assert found["device"] == found["processor"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert found["processor_features"] == ["asimd", "asimddp", "asimdhp"]
    assert found["governor"] == "ondemand"
    assert found["clock_mhz"] == 1500


def test_a_pc_is_called_by_its_first_processor(machine):
    machine(PC)
    assert device_name() == processor_name() == "Intel(R) Xeon(R) Processor"
    assert processor_features() == ["sse4_2", "avx2", "fma", "avx512_vnni"]


def test_the_hottest_zone_counts(tmp_path):
    assert temperature_c(tmp_path) is None
    for number, value in enumerate(("45000", "51234", "-1000", "broken", "")):
        (tmp_path / f"thermal_zone{number}").mkdir()
        (tmp_path / f"thermal_zone{number}" / "temp").write_text(value)
    assert temperature_c(tmp_path) == 51.2


def test_this_machine_tells_what_it_is_and_it_is_json():
    found = environment()
    assert json.loads(json.dumps(found)) == found
    assert found["python"] == platform.python_version()
    assert found["numpy"] == np.__version__
    assert found["opencv"] == cv2.__version__
    assert found["cores"] == cores() >= 1
    assert found["date"].endswith("+00:00")
    assert found["device"]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux only")
def test_only_the_cores_that_this_process_may_use_count():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="Linux only")  # noqa: PTH110
def test_memory_is_this_processs_own():
    before = memory_mib("VmRSS")
    block = np.ones(64 * 2**20, np.uint8)
    assert before is not None
    assert 60 < (memory_mib("VmRSS") or 0) - before < 70
    del block
    assert (memory_mib("VmHWM") or 0) >= before + 60
    assert memory_mib("VmNothing") is None


def processor(folder, *clocks, events=0):
    for number, clock in enumerate(clocks):
        core = folder / f"cpu{number}"
        (core / "cpufreq").mkdir(parents=True)
        (core / "cpufreq" / "scaling_cur_freq").write_text(f"{clock}\n")
        (core / "thermal_throttle").mkdir()
        (core / "thermal_throttle" / "core_throttle_count").write_text(f"{events}\n")
    return folder


def test_a_state_that_the_system_does_not_tell_is_none(tmp_path):
    assert state(tmp_path, tmp_path, tmp_path / "get_throttled") == State(None, None, (), None)


def test_the_state_is_that_of_the_core_that_works(tmp_path):
    (tmp_path / "get_throttled").write_text("50005\n")
    (tmp_path / "thermal_zone0").mkdir()
    (tmp_path / "thermal_zone0" / "temp").write_text("81234")
    found = state(
        processor(tmp_path / "cpu", 600000, 1500000, events=3), tmp_path, tmp_path / "get_throttled"
    )
    assert found == State(1500, 81.2, ("under-voltage", "throttled"), 6)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("0", ()),
        ("0x0", ()),
        ("50000", ()),  # it did, but does not now
        ("0x4", ("throttled",)),
        ("f", ("under-voltage", "clock capped", "throttled", "soft temperature limit")),
        ("no number", ()),
        ("", ()),
    ],
)
def test_the_firmwares_number_is_put_into_words(said, meant):
    assert throttle_flags(said) == meant
