"""The `edgecnn` command: every verb, and how errors reach a person.

`edgecnn --help` must answer at once, so that nothing here imports numpy, OpenCV, TFLite or TensorFlow:
command bodies import what they call.
"""

import errno
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from edgecnn import __version__
from edgecnn.cli import camera, compress, device, info, learn, ship, target, text
from edgecnn.errors import EdgecnnError

_DISK = {
    errno.ENOSPC: "the disk is full; free some space and run the command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the command again",
    errno.EACCES: "no permission; choose another place or change its permissions",
    errno.EPERM: "no permission; choose another place or change its permissions",
    errno.EROFS: "the file system is read-only; choose another place",
}


class Verbs(TyperGroup):
    """The command group: an error meant for people becomes one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; exit as an `EdgecnnError` says, 1 on a full disk, 130 on Ctrl-C."""
        try:
            return super().invoke(ctx)
        except EdgecnnError as error:
            _say(str(error))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt as error:
            _say(str(error) or "interrupted")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # The reader of our output has gone, as in `edgecnn … | head`: nothing is left to say to it.
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  (so that nothing is flushed into the closed pipe at exit)
            raise typer.Exit(141) from None
        except OSError as error:
            if error.errno not in _DISK:
                raise
            _say(f"{error.filename or 'writing'}: {_DISK[error.errno]}")
            raise typer.Exit(1) from None


app = typer.Typer(
    name="edgecnn",
    cls=Verbs,
    help="Train, quantize, check and run convolutional networks on small devices.",
    epilog=text.examples("edgecnn quickstart", "edgecnn train photos/ --model mobilenet_v2 --out runs/first"),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (learn, compress, ship, target, device, camera, info):
    module.add_to(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        text.show(f"edgecnn {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", help="Show the version.", is_eager=True, callback=_show_version
    ),
) -> None:
    """Train, quantize, check and run convolutional networks on small devices."""


def main() -> None:
    """Run the command line."""
    app()


def _say(text: str) -> None:
    typer.echo(f"edgecnn: {' '.join(text.split())}", err=True)
