"""One thing that `edgecnn doctor` looked at."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

Status: TypeAlias = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what.
        status: "ok"; "note" where something is missing that not everyone needs; "problem".
        found: what was found.
        advice: what to do; empty where nothing has to be done.
    """

    name: str
    status: Status
    found: str
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The check as JSON-ready values."""
        return asdict(self)
