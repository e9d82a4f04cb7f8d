"""What computes: the options that several verbs have in common."""

import re
from typing import Annotated, Any

import typer
from typer import Option
from typer.core import TyperCommand

_NUMBER = re.compile(r"[0-9]*\.?[0-9]+")


def threads_given(given: str | int) -> int | str:
    """A number of threads from 1 to 64, or "auto".

    Raises:
        typer.BadParameter: neither.
    """
    if given == "auto" or isinstance(given, int):
        return given
    if given.isdecimal() and 1 <= int(given) <= 64:
        return int(given)
    raise typer.BadParameter(f"{given!r}: write auto, or a number from 1 to 64")


class WithDelegate(TyperCommand):
    """A command whose --require-delegate may stand alone; it then means 1: every operator."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give it the number that was left out."""
        completed: list[str] = []
        for place, arg in enumerate(args):
            completed.append(arg)
            if arg == "--require-delegate" and not _NUMBER.fullmatch("".join(args[place + 1 : place + 2])):
                completed.append("1")
        return super().parse_args(ctx, completed)


Threads = Annotated[
    Any,
    Option(parser=threads_given, metavar="auto|N", help="Of the interpreter; auto tries what is fastest."),
]
Delegate = Annotated[
    str | None,
    Option(metavar="NAME", help="xnnpack, none, edgetpu, gpu, nnapi, or PATH.so[:key=value;...]."),
]
Required = Annotated[
    float | None,
    Option(
        metavar="[SHARE]", min=0.001, max=1, help="Fail unless this share of operators runs on it; alone: 1."
    ),
]
Backend = Annotated[str | None, Option(help="litert or tflite-runtime. (Default: the first installed.)")]
