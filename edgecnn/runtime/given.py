"""What a caller says about a model: it comes before what the file says, and before every default."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.card import Card, Color, Fit, Resize


@dataclass(frozen=True)
class Given:
    """What the caller says about a model; None leaves it to the file. Fields as in `InputSpec` and `Card`.

    `options` come over those of the card, one by one; the task says which there are.
    """

    card: Card | None = None
    labels: Path | str | Sequence[str] | None = None
    mean: float | Sequence[float] | None = None
    std: float | Sequence[float] | None = None
    color: Color | None = None
    fit: Fit | None = None
    task: str | None = None
    size_wh: tuple[int, int] | None = None
    resize: Resize | None = None
    options: Mapping[str, Any] | None = None
