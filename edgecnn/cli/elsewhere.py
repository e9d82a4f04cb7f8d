"""`edgecnn bench` on another machine or on a phone: its options and what they say."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from edgecnn.cli import text
from edgecnn.cli.computing import WithDelegate

Ssh = Annotated[
    str | None,
    Option(metavar="HOST", help="Prove and time it on another machine, such as pi@10.0.0.7."),
]
RemotePython = Annotated[
    str, Option(metavar="PATH", help="With --ssh: the Python there; it needs NumPy, OpenCV and LiteRT.")
]
Adb = Annotated[
    str | None, Option(metavar="[SERIAL]", help="Time it on this phone; alone: the only one there is.")
]
Tool = Annotated[
    Path | None, Option(metavar="PATH", help="With --adb: TensorFlow Lite's tool, built for the phone.")
]


class WithPlace(WithDelegate):
    """A command whose --adb may stand alone; it then means the only phone."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give it the serial number that was left out: none."""
        completed: list[str] = []
        for place, arg in enumerate(args):
            completed.append(arg)
            following = "".join(args[place + 1 : place + 2])
            if arg == "--adb" and (not following or following.startswith("-") or Path(following).exists()):
                completed.append("")
        return super().parse_args(ctx, completed)


def check_places(ssh: str | None, adb: str | None, **words: Any) -> None:
    """Refuse what one place cannot do.

    Raises:
        typer.BadParameter: two places, or a word that the place does not know.
    """
    if ssh is not None and adb is not None:
        raise typer.BadParameter("--ssh and --adb are two places: give one of them")
    if words["minutes"] is not None and (ssh is not None or adb is not None):
        raise typer.BadParameter("--minutes is for this machine alone")
    if adb is not None:
        refused = [f"--{name}" for name in ("image", "backend") if words[name] is not None]
        refused += ["--threads auto"] if words["threads"] == "auto" else []
        if refused:
            raise typer.BadParameter(f"{', '.join(refused)}: benchmark_model on a phone has no such thing")


def bench_over_ssh(models: list[Path], address: str, python: str, words: Any) -> list[Any]:
    """What `edgecnn.remote.bench_over_ssh` gives, telling what goes on."""
    from edgecnn.remote import ssh
    from edgecnn.remote.host import Host

    return ssh.bench_over_ssh(models, Host(address, python), tell=text.tell, **words)


def bench_on_phone(models: list[Path], serial: str, tool: Path | None, *, as_json: bool, words: Any) -> None:
    """Show what a phone measured."""
    from edgecnn.remote.adb import bench_over_adb

    found = bench_over_adb(models, tool, serial=serial or None, tell=text.tell, **words)
    if as_json:
        for _, measured in found:
            text.show_json(asdict(measured))
        return
    columns = ("p50", "mean", "minimum", "maximum")
    rows = [
        (
            one.model,
            one.size_bytes,
            timed.runs,
            *(_milliseconds(timed.latency_ms.get(key)) for key in columns),
        )
        for timed, one in found
    ]
    text.show(text.table(rows, ("model", "bytes", "runs", "p50 ms", "mean", "minimum", "maximum")))
    text.tell(f"{found[0][1].device}, {words['threads']} thread(s); the interpreter alone, on random input")


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
