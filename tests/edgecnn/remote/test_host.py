"""Addresses, and the one line that starts there."""

import shlex

import pytest

from edgecnn.errors import TargetError
from edgecnn.remote.host import Host


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("pi", "pi"),
        ("pi@raspberrypi.local", "raspberrypi.local"),
        ("pi@10.0.0.7", "10.0.0.7"),
        ("ssh://pi@host:2222", "host"),
        ("ssh://host", "host"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("ssh://pi@[fe80::1]:22", "fe80::1"),
    ],
)
def test_what_is_an_address(address, name):
    assert Host(address).name == name


@pytest.mark.parametrize(
    "address",
    [
        "", "-oProxyCommand=touch gone",
        "pi@-oProxyCommand=x", "-l@pi", "a b", "pi;touch gone", "$(id)",
        "pi`id`", "pi\nHost x", "pi@", "@pi", "pi:22", "http://pi", "ssh://pi/path",
        "pi|x", "pi&x", "'pi'", "pi@a@b",
    ],
)  # fmt: skip
def test_what_is_none_and_may_be_an_attack(address):
    with pytest.raises(TargetError, match="is no address for ssh"):
        Host(address)


@pytest.mark.parametrize("python", ["", "-c", "--help", "python\n3", "python\0"])
def test_what_is_no_python(python):
    with pytest.raises(TargetError, match="is no Python"):
        Host("pi", python)


@pytest.mark.parametrize(
    "python", ["python3", "/opt/my python/bin/python", "$(touch gone)", "it's; rm -rf ~"]
)
def test_the_shell_there_sees_one_word_for_the_python(monkeypatch, tmp_path, python):
    ssh = tmp_path / "ssh"
    ssh.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    *before, address, line = Host("pi", python).command(b"1234")
    assert before[0] == str(ssh)
    assert (before[-1], address) == ("--", "pi")
    assert "BatchMode=yes" in before
    first, flag, program = shlex.split(line)
    assert (first, flag) == (python, "-c")
    compile(program, "start", "exec")
    assert "\n" not in line
    assert "'" not in program  # one pair of quotes around it is understood by every shell
