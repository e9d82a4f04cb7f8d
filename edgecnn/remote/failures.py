"""What ssh and the other machine say when something fails, in one line that says what to do."""

import re
import shlex
import signal
from collections.abc import Mapping, Sequence
from typing import Any, Final

from edgecnn import errors
from edgecnn.errors import EdgecnnError, ModelError, TargetError
from edgecnn.remote.host import OLDEST_PYTHON, TOO_OLD, Host

_SSH_FAILED: Final = 255
_NOT_FOUND: Final = (126, 127)

_CONNECTING: Final = (
    (r"Could not resolve hostname|Name or service not known", "no machine of that name is known. Check the "
     "address, or its entry in ~/.ssh/config."),
    (r"Connection refused", "it refuses the connection: no ssh server runs there, or on another port. Start "
     "one (on a Raspberry Pi: sudo raspi-config, Interface Options, SSH), or give ssh://user@host:port."),
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED", "its key is not the one it had before: it was set up "
     "anew, or is another machine. If you know why: ssh-keygen -R {name}, then once by hand: ssh {address}"),
    (r"Host key verification failed", "its key is not known here. Connect once by hand and look at it: "
     "ssh {address}"),
    (r"Permission denied|Too many authentication failures", "it does not let this user in by key, and "
     "passwords are not asked for. Put your key there: ssh-copy-id {address}"),
    (r"timed out|No route to host|Network is unreachable|Host is down", "it does not answer. Is it switched "
     "on, and in this network?"),
    (r"Bad configuration option|Can't open user config file|Bad owner or permissions", "ssh does not accept "
     "its configuration: {last}"),
)  # fmt: skip

_KINDS: Final = ("CardError", "DataError", "ModelError", "TargetError")
_TOO_NEW: Final = re.compile(r"Didn't find op for builtin opcode '(?P<kind>\w+)' version '(?P<version>\d+)'")
_WHEELS: Final = ("x86_64", "aarch64", "arm64")
_PIP: Final = {"numpy": "numpy", "cv2": "opencv-python", "runtime": "ai-edge-litert"}
_CALLED: Final = {"numpy": "NumPy", "cv2": "OpenCV", "runtime": "TFLite runtime"}


def not_started(host: Host, status: int, said: Sequence[str]) -> TargetError:
    """The program there never began.

    Args:
        host: the other machine.
        status: what ssh ended with: its own 255, or what the shell there said.
        said: lines of standard error.
    """
    text, last = "\n".join(said), said[-1] if said else f"exit status {status}"
    old = re.search(rf"{re.escape(TOO_OLD)} (\d[\w.+]*)", text)
    wanted = ".".join(map(str, OLDEST_PYTHON))
    if old:
        return TargetError(
            f"{host.name}: {host.python} is Python {old[1]}; {wanted} or newer is needed. Install one "
            "there and name it: --remote-python PATH"
        )
    if status in _NOT_FOUND:
        return TargetError(
            f"{host.name}: there is no {host.python}. Install Python {wanted} or newer there, or name it: "
            "--remote-python PATH"
        )
    if status == _SSH_FAILED:
        for pattern, advice in _CONNECTING:
            if re.search(pattern, text):
                advice = advice.format(name=host.name, address=host.address, last=last)
                return TargetError(f"{host.address}: {advice}")
        return TargetError(f"{host.address}: ssh cannot connect ({last}). Try by hand: ssh {host.address}")
    return TargetError(f"{host.name}: {host.python} did not start ({last}). Is it a Python?")


def lost(host: Host, scratch: str, said: Sequence[str]) -> TargetError:
    """The connection went while the other machine worked."""
    last = f" ({said[-1]})" if said else ""
    return TargetError(
        f"{host.name}: the connection was lost before the answer came{last}. Nothing was recorded; that "
        f"machine removes {scratch} when it notices. Run it again."
    )


def not_unpacked(host: Host, event: Mapping[str, Any]) -> TargetError:
    """The other machine could not write what was sent, such as on a full disk."""
    return TargetError(
        f"{host.name}: cannot write to {event.get('where')} there ({event.get('what')}). Make room, or set "
        "TMPDIR there to a folder that has some."
    )


def crashed(host: Host, status: int, said: Sequence[str]) -> EdgecnnError:
    """The work there ended without leaving an answer."""
    if status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
        why = "; it may have run out of memory" if -status == signal.SIGKILL else ""
        return ModelError(f"{host.name}: running the model ended the process there by {name}{why}.")
    last = said[-1] if said else f"exit status {status}"
    return TargetError(
        f"{host.name}: the work there failed ({last}). {host.python} may be set up incompletely."
    )


def missing(host: Host, packages: Mapping[str, str], about: Mapping[str, Any]) -> TargetError:
    """Packages that the Python there lacks, and the line that installs them."""
    python = str(about.get("executable") or host.python)
    what = ", ".join(
        f"{_CALLED.get(name, name)}" + (f" ({why})" if why else "") for name, why in packages.items()
    )
    wheels = [_wheel(name, str(about.get("machine"))) for name in packages]
    line = shlex.join([python, "-m", "pip", "install", *" ".join(wheels).split()])
    return TargetError(
        f"{host.name}: {python} has no working {what}. Install there: {line} (where the system keeps Python "
        "for itself, in a virtual environment, and name it: --remote-python PATH)"
    )


def refused(host: Host, error: Mapping[str, Any], models: Mapping[str, str]) -> EdgecnnError:
    """An `EdgecnnError` that was raised there, about a model as it is called here.

    Args:
        host: the other machine.
        error: its kind and message, and the runtime there.
        models: what the files there are called here.
    """
    message, runtime = str(error.get("message")), str(error.get("runtime") or "its TFLite runtime")
    for there, here in models.items():
        message = message.replace(there, here)
    too_new = _TOO_NEW.search(message)
    if too_new:
        name = next((here for here in models.values() if here in message), "the model")
        return ModelError(
            f"{name}: is newer than {runtime} on {host.name}, which does not know {too_new['kind']} version "
            f"{too_new['version']}. Install a newer one there: pip install --upgrade ai-edge-litert"
        )
    kind = error.get("kind")
    made: type[EdgecnnError] = getattr(errors, str(kind)) if kind in _KINDS else ModelError
    return made(f"on {host.name}: {message}")


def _wheel(package: str, machine: str) -> str:
    if package == "runtime" and machine not in _WHEELS:
        return "tflite-runtime numpy<2"
    return _PIP.get(package, package)
