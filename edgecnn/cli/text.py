"""Plain text for a terminal: aligned tables, shares, sizes, progress on one line."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer


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
    """What is going on, to standard error: one line that replaces itself on a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
        _Line.open = True
    else:
        typer.echo(text, err=True)


def each_told(lines: Iterable[str]) -> None:
    """`tell` for each of several lines."""
    for line in lines:
        tell(line)


class _Line:
    open = False


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
