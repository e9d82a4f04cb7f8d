import pytest

from edgecnn.errors import TargetError
from targets.profile import PROFILES, profile, read_profile

ONE = """
title = "One"
family = "one"
arch = "aarch64"
cpu = "Cortex-A1"
cores = 2
delegate = "xnnpack"
schemes = ["int8"]
io = ["int8"]
bundle = "python"
"""


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_is_read_and_is_called_by_its_file(name):
    found = profile(name)
    assert found.name == name
    assert found.cores >= 1
    assert found.schemes
    assert all(len(source) > 10 for source in found.sources.values())


def test_a_name_that_is_nearly_right_is_told_which_is_meant():
    with pytest.raises(TargetError, match="Did you mean raspberry_pi_4"):
        profile("rasberry_pi_4")


def test_a_profile_of_ones_own_is_read_by_its_path(tmp_path):
    (tmp_path / "one.toml").write_text(ONE)
    found = profile(tmp_path / "one.toml")
    assert (found.name, found.cores, found.cost) == ("one", 2, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('colour = "red"\n', "unknown key colour"),
        ("clock_mhz = 5\n", "no source for clock_mhz"),
        ("[memory]\nram_byte = 1\n", "unknown key memory.ram_byte. Did you mean ram_bytes"),
        ('[sources]\nclock_mhz = "there"\n', "a source for clock_mhz"),
        ('[memory]\nram_bytes = "1"\n', "memory.ram_bytes is '1'; it must be a whole number"),
        ("[ops]\nlevel = true\n", "ops.level is True"),
        ("[ops]\nlevel = -1\n", "cannot be negative"),
        ("title = 1\n", "Cannot overwrite a value"),
    ],
)
def test_what_no_profile_says_is_refused(tmp_path, change, said):
    (tmp_path / "one.toml").write_text(ONE + change)
    with pytest.raises(TargetError, match=said):
        read_profile(tmp_path / "one.toml")


@pytest.mark.parametrize(("old", "new", "said"), [
    ('["int8"]\nio', '["int4"]\nio', "schemes is 'int4'; it may be float32"),
    ('"xnnpack"', '"magic"', "delegate is 'magic'"),
    ('cores = 2\n', "", "cores not said"),
    ('schemes = ["int8"]', "schemes = []", "at least one entry"),
    ("cores = 2", "cores = 2.5", "whole number"),
])  # fmt: skip
def test_a_value_of_the_wrong_kind_is_refused(tmp_path, old, new, said):
    (tmp_path / "one.toml").write_text(ONE.replace(old, new))
    with pytest.raises(TargetError, match=said):
        read_profile(tmp_path / "one.toml")


def test_a_file_that_is_missing_or_no_toml_is_refused_in_one_line(tmp_path):
    with pytest.raises(TargetError, match="cannot be read"):
        read_profile(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\x00")
    with pytest.raises(TargetError, match="not TOML"):
        read_profile(tmp_path / "bad.toml")
