"""One phone, by the commands of adb: what it is, and a folder on it that goes again."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgecnn.errors import TargetError

_SERIAL: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*")
_FOLDER: Final = re.compile(r"/data/local/tmp/edgecnn-\w+")
_WAIT_S: Final = 30.0
_PUSH_S: Final = 300.0
_STATES: Final = {
    "unauthorized": "has not allowed this computer: unlock it and confirm the question on its screen",
    "offline": "is offline: unplug it and plug it in again, or adb reconnect",
    "no permissions": "may not be opened by this user: see the udev rules of Android's documentation",
}
_PROPERTIES: Final = {
    "android": "ro.build.version.release",
    "android_api": "ro.build.version.sdk",
    "processor": "ro.soc.model",
    "machine": "ro.product.cpu.abi",
}


@dataclass(frozen=True)
class Phone:
    """An Android device that adb reaches.

    Attributes:
        adb: the command.
        serial: which device.
    """

    adb: str
    serial: str

    def shell(self, command: str) -> str:
        """What a command prints there, errors included.

        Raises:
            TargetError: the phone has gone, or does not answer.
        """
        return self._told("shell", command, limit_s=_WAIT_S)

    def push(self, file: Path, to: str) -> None:
        """Copy a file there.

        Raises:
            TargetError: it could not be copied.
        """
        self._told("push", str(file), to, limit_s=_PUSH_S)

    @contextmanager
    def folder(self) -> Iterator[str]:
        """A new folder there, in which programs may run; it goes at the end.

        Raises:
            TargetError: it could not be made.
        """
        said = self.shell("mktemp -d /data/local/tmp/edgecnn-XXXXXXXX").strip()
        if not _FOLDER.fullmatch(said):
            raise TargetError(f"{self.name()}: it gives no room in /data/local/tmp ({said}).")
        try:
            yield said
        finally:
            self.shell(f"rm -rf {said}")

    def run(self, folder: str, program: str, *words: str) -> str:
        """What a program in a folder there prints. Ctrl-C here ends it there.

        Raises:
            TargetError: the phone has gone.
        """
        line = shlex.join([f"./{program}", *words])
        # the process leaves its number: with it, it can be ended
        command = [*self._start(), "shell", f"cd {folder} && echo $$ > pid && exec {line} 2>&1"]
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as running:
            try:
                said, _ = running.communicate()
            except BaseException:
                self.shell(f"kill -9 $(cat {folder}/pid)")
                running.kill()
                raise
        self._check(said, running.returncode, quiet=True)
        return said

    def name(self) -> str:
        """What people call it, such as "Google Pixel 8"."""
        maker, model = (self.shell(f"getprop ro.product.{key}").strip() for key in ("manufacturer", "model"))
        return " ".join(part for part in (maker, model) if part) or "the phone"

    def environment(self) -> dict[str, Any]:
        """What a latency was measured on; what it does not tell is left out. No serial number."""
        found: dict[str, Any] = {
            key: self.shell(f"getprop {name}").strip() for key, name in _PROPERTIES.items()
        }
        battery = re.search(r"temperature: (\d+)", self.shell("dumpsys battery"))
        found["battery_temperature_c"] = int(battery[1]) / 10 if battery else None
        return {key: value for key, value in found.items() if value not in (None, "")}

    def _start(self) -> list[str]:
        return [self.adb, "-s", self.serial]

    def _told(self, *words: str, limit_s: float) -> str:
        try:
            done = subprocess.run(
                [*self._start(), *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TargetError(
                f"the phone {self.serial} did not answer adb {words[0]} in {limit_s:g} s."
            ) from None
        self._check(done.stdout, done.returncode, quiet=words[0] == "shell")
        return done.stdout

    def _check(self, said: str, status: int, *, quiet: bool) -> None:
        """A phone that has gone is an error; a command there that fails is not, where that is `quiet`."""
        last = (said.strip().splitlines() or [f"exit status {status}"])[-1]
        if status and re.search(r"adb: device|error: (device|no devices|closed)|device offline", said):
            raise TargetError(f"the phone {self.serial} has gone ({last}). Plug it in again, and run again.")
        if status and not quiet:
            raise TargetError(f"the phone {self.serial} refused a file ({last}).")


def find(serial: str | None = None) -> Phone:
    """The phone of a serial number, or the only one that is there.

    Raises:
        TargetError: there is no adb, no phone, none of that number or several; or it does not let us in.
    """
    adb = shutil.which("adb")
    if adb is None:
        raise TargetError(
            "there is no adb on this machine. Install Android's platform-tools: apt install adb"
        )
    if serial is not None and not _SERIAL.fullmatch(serial):
        raise TargetError(f"{serial!r} is no serial number of a phone. `adb devices` lists them.")
    listed = subprocess.run(
        [adb, "devices"], capture_output=True, text=True, errors="replace", timeout=_WAIT_S, check=False
    )
    there = dict(re.findall(r"^(\S+)\s+(device|unauthorized|offline|no permissions)\b", listed.stdout, re.M))
    if not there:
        raise TargetError("adb sees no phone. Plug one in that has USB debugging switched on.")
    if serial is None and len(there) > 1:
        raise TargetError(f"adb sees {len(there)} phones. Say which: --adb {' or '.join(sorted(there))}")
    chosen = serial or next(iter(there))
    if chosen not in there:
        raise TargetError(f"adb sees no phone {chosen}; there is {', '.join(sorted(there))}.")
    if there[chosen] != "device":
        raise TargetError(f"the phone {chosen} {_STATES[there[chosen]]}.")
    return Phone(adb, chosen)
