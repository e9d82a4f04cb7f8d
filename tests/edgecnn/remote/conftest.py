"""A real ssh server on loopback, with keys of its own, and a Python on its other side."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from edgecnn import card as cards
from edgecnn.runtime.model import load

SSHD = shutil.which(
    "sshd", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/usr/local/sbin"
)
WAIT_S = 20


@dataclass(frozen=True)
class Server:
    """An ssh server that runs, and the client's configuration that finds it as `box`."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    port: int

    def configure(self, **changed: object) -> None:
        """Write what the client's ~/.ssh/config would say."""
        words = {
            "HostName": "127.0.0.1",
            "Port": self.port,
            "IdentityFile": self.folder / "key",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "UserKnownHostsFile": self.folder / "known_hosts",
            "GlobalKnownHostsFile": "/dev/null",
            **changed,
        }
        lines = [f"  {key} {value}" for key, value in words.items()]
        (self.folder / "config").write_text("\n".join(["Host box", *lines, ""]))

    def drop(self) -> None:
        """Cut every connection, as a power cut does."""
        own = [pid for pid in descendants(self.process.pid) if name_of(pid).startswith("sshd")]
        for pid in (*reversed(own), self.process.pid):
            os.kill(pid, signal.SIGKILL)


def name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def descendants(pid):
    """Processes below this one, nearest first."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended meanwhile
    found = [pid]
    for parent in found:
        found += [child for child, of in parents.items() if of == parent]
    return found[1:]


def openssh(folder, port):
    if SSHD is None:
        pytest.skip("no sshd: apt install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # which the system's service makes before it starts sshd
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\n"
        f"AuthorizedKeysFile {folder}/key.pub\nPidFile none\nStrictModes no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\n"
    )
    return [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]


def asyncssh(folder, port):
    if find_spec("asyncssh") is None:
        pytest.skip("no asyncssh: pip install 'edgecnn[dev]'")
    script = Path(__file__).with_name("asyncssh_server.py")
    return [sys.executable, str(script), str(port), str(folder / "host_key"), str(folder / "key.pub")]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(condition, what):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, f"waited {WAIT_S} s until {what}"
        time.sleep(0.02)


def answers(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def start(make, folder):
    if shutil.which("ssh") is None:
        pytest.skip("no ssh client: apt install openssh-client")
    for name in ("key", "host_key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", folder / name], check=True
        )
    port = free_port()
    words = make(folder, port)
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host_key.pub').read_text()}")
    with (folder / "log").open("wb") as log:
        server = Server(subprocess.Popen(words, stdout=log, stderr=log), folder, port)
    wait_for(lambda: answers(port) or server.process.poll() is not None, "the server answers")
    assert server.process.poll() is None, (folder / "log").read_text()
    return server


@pytest.fixture(params=[openssh, asyncssh], ids=["openssh", "asyncssh"], scope="session")
def either_server(request, tmp_path_factory):
    """OpenSSH's server and another, in turn."""
    server = start(request.param, tmp_path_factory.mktemp("server"))
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture
def server(either_server, tmp_path, monkeypatch):
    """One of them; ssh finds it as `box` until the test configures something else."""
    either_server.configure()
    ssh = tmp_path / "bin" / "ssh"
    script(ssh, f'exec {shutil.which("ssh")} -F {shlex.quote(str(either_server.folder / "config"))} "$@"')
    monkeypatch.setenv("PATH", f"{ssh.parent}{os.pathsep}{os.environ['PATH']}")
    return either_server


@pytest.fixture
def short_lived_server(either_server, tmp_path_factory, server):
    """One of the same kind that a test may end."""
    make = openssh if name_of(either_server.process.pid).startswith("sshd") else asyncssh
    mine = start(make, tmp_path_factory.mktemp("short"))
    server.configure(
        Port=mine.port, IdentityFile=mine.folder / "key", UserKnownHostsFile=mine.folder / "known_hosts"
    )
    yield mine
    mine.process.kill()
    mine.process.wait()


def script(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


@dataclass(frozen=True)
class There:
    """The other side: a Python that makes its folders in `scratch`."""

    folder: Path

    @property
    def scratch(self) -> Path:
        return self.folder / "tmp"

    def python(self, *before: str, modules: dict[str, str] | None = None) -> str:
        """The path of a Python, after some lines of shell and with modules of its own."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        for name, text in (modules or {}).items():
            (self.folder / f"{name}.py").write_text(text)
        own = f"export TMPDIR={shlex.quote(str(self.scratch))} PYTHONPATH={shlex.quote(str(self.folder))}"
        return str(script(self.folder / "my python", own, *before, f'exec {sys.executable} "$@"'))

    def is_clean(self) -> bool:
        """Whether nothing is left: no folder, and no process that works in one."""
        return not any(self.scratch.iterdir()) and not self.working()

    def working(self):
        """Processes whose folder is, or was, in `scratch`."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if str((folder / "cwd").readlink()).startswith(str(self.scratch)):
                    found.append(int(folder.name))
            except OSError:
                continue  # it has ended, or is not ours
        return found


@pytest.fixture
def there(tmp_path) -> There:
    return There(tmp_path / "the other side")


@pytest.fixture
def proven_model(colours_model):
    """The golden model with two checks in its card, in a run."""
    from converters.golden import checks
    from edgecnn.runs import Run, write_card

    with load(colours_model) as loaded:
        card = replace(loaded.card, checks=checks(loaded, [], count=2))
    cards.attach(colours_model, card)
    write_card(Run(colours_model.parent), card)
    return colours_model


@pytest.fixture(name="wait_for")
def wait_for_():
    """`wait_for`, which fails after a while."""
    return wait_for
