"""What happened to a camera or an interpreter while nobody looked: a line with a kind and a time."""

import time
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal[
    "vanished",  # the source gave an error: it is opened again, with growing pauses
    "back",  # the source gives frames again
    "frozen",  # the source gives the same frame again and again, or none any more
    "thawed",  # it moves again
    "resized",  # its frames have another size from now on
    "damaged",  # a frame could not be used; the next one is
    "hung",  # capture or interpreter did not come back in time and was replaced
    "failed",  # the model failed on a frame
    "stale",  # the newest result is older than allowed: the safe state begins
    "fresh",  # it is young enough again
    "unsaved",  # something could not be written, such as on a full disk; the camera goes on
    "ended",  # the source has come to its end
]


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that happened.

    Attributes:
        kind: what.
        text: one line for a person: what, where, and what is done about it.
        time_s: `time.monotonic()`.
    """

    kind: Kind
    text: str
    time_s: float = field(default_factory=time.monotonic)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"notice": self.kind, "text": self.text, "time_s": round(self.time_s, 4)}
