"""Plain text for a terminal: aligned tables, shares, sizes, progress on one line."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Any

import typer

_LOG_SECONDS = 10.0


def examples(*lines: str) -> str:
    """Command lines for the end of a help page, one paragraph each."""
    return "Examples:\n\n" + "\n\n".join(lines)


def table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """Rows as aligned columns under a header; numbers to the right, the rest to the left."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(name), *(len(row[i]) for row in cells), 0) for i, name in enumerate(header)]
    right = [all(_is_number(row[i]) for row in rows) and bool(rows) for i in range(len(header))]

    def line(values: Sequence[str]) -> str:
        pairs = zip(values, widths, right, strict=True)
        return "  ".join(v.rjust(w) if r else v.ljust(w) for v, w, r in pairs).rstrip()

    return "\n".join([line(header), *(line(row) for row in cells)])


def percent(share: float | None) -> str:
    """0.8125 as 81.25 %; None as a dash."""
    return "-" if share is None else f"{100 * share:.2f} %"


def decibels(ratio: float | None) -> str:
    """31.4; a dash where nothing differs."""
    return "-" if ratio is None else f"{ratio:.1f}"


def share(found: float, interval: Sequence[float]) -> str:
    """A share with its 95 % confidence interval, in percent."""
    return f"{percent(found)} (95 %: {percent(interval[0])} to {percent(interval[1])})"


def size(count: float) -> str:
    """Bytes as B, KB, MB or GB of 1,000."""
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def show(text: str) -> None:
    """A result, to standard output."""
    typer.echo(text)


def show_json(value: Any) -> None:
    """A result as one JSON object on one line, to standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def tell(text: str) -> None:
    """Something a person should know, to standard error."""
    _end_line()
    typer.echo(text, err=True)


def progress(text: str) -> None:
    """What is going on, to standard error: one line that replaces itself; in a log, one every ten seconds."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
        _Line.open = True
    elif _Line.due <= (now := monotonic()):
        _Line.due = now + _LOG_SECONDS
        typer.echo(text, err=True)


def counted(what: str) -> Callable[[int, int], None]:
    """A progress callback that shows "123/10000 images", a few times a second."""
    last = 0.0

    def tell_progress(done: int, total: int) -> None:
        nonlocal last
        now = monotonic()
        if sys.stderr.isatty() and (now - last > 0.2 or done == total):
            last = now
            progress(f"{done}/{total} {what}")
        if done == total:
            _end_line()

    return tell_progress


def each_told(lines: Iterable[str]) -> None:
    """`tell` for each of several lines."""
    for line in lines:
        tell(line)


def each_shown(lines: Iterable[str]) -> None:
    """`show` for each of several lines."""
    for line in lines:
        show(line)


class Refused:
    """Tells of inputs that could not be read, as they come; at the end, exits 1 if there were any."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, error: Exception) -> None:
        """Tell of one."""
        self.count += 1
        tell(f"edgecnn: {error}")

    def end(self) -> None:
        """Exit 1 if anything was refused.

        Raises:
            typer.Exit: it was.
        """
        if self.count:
            raise typer.Exit(1)


def numbers(given: str | None) -> tuple[float, ...] | None:
    """Numbers from 127.5 or 123.7,116.3,103.5; None stays None.

    Raises:
        typer.BadParameter: anything else.
    """
    if given is None:
        return None
    try:
        return tuple(float(part) for part in given.split(","))
    except ValueError:
        raise typer.BadParameter(f"{given!r} is not a number, nor three with commas between") from None


def size_wh(given: str | None) -> tuple[int, int] | None:
    """Width and height in pixels from 320x240 or 96 (square); None stays None.

    Raises:
        typer.BadParameter: anything else.
    """
    if given is None:
        return None
    parts = given.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise typer.BadParameter(f"{given!r} is not a size; write 320x240 (width x height) or 96")
    return int(parts[0]), int(parts[-1])


def milliseconds(given: str | None) -> float | None:
    """8ms, 800us, 0.5s or 8 (ms) as milliseconds; None stays None.

    Raises:
        BadParameter: it is no time.
    """
    if given is None:
        return None
    for unit, factor in (("ms", 1.0), ("us", 1e-3), ("s", 1e3), ("", 1.0)):
        number = given.strip().removesuffix(unit) if unit else given.strip()
        if given.strip().endswith(unit):
            try:
                return float(number) * factor
            except ValueError:
                break
    raise typer.BadParameter(f"a time such as 8ms, not {given!r}")


def byte_count(given: str | None) -> int | None:
    """320k or 1M (powers of 1,024), 1MB (of 1,000) or a plain number as bytes; None stays None.

    Raises:
        BadParameter: it is no size.
    """
    if given is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)(i?b)?", given.strip().lower())
    if found is None or float(found[1]) <= 0:
        raise typer.BadParameter(f"a size such as 320k or 1M, not {given!r}")
    base = 1000 if found[3] == "b" else 1024
    return int(float(found[1]) * base ** " kmg".index(found[2] or " "))


def options(given: Sequence[str], **others: Any) -> dict[str, Any]:
    """Options from key=value: numbers, true, false and lists as in JSON, all else as text.

    Args:
        given: one text for each.
        others: more of them; those that are None are left out.

    Raises:
        typer.BadParameter: no key, or no equals sign.
    """
    found: dict[str, Any] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key.strip():
            raise typer.BadParameter(f"{one!r} is no option; write key=value, such as nms=soft")
        try:
            found[key.strip()] = json.loads(value)
        except ValueError:
            found[key.strip()] = value.strip()
    return found | {key: value for key, value in others.items() if value is not None}


class _Line:
    open = False
    due = 0.0


def _end_line() -> None:
    if _Line.open:
        sys.stderr.write("\n")
        _Line.open = False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and value[:1].isdigit()) or value == "-"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
