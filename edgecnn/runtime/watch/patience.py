"""How long a source is waited for before something is done about it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How long a source is waited for, in seconds.

    Attributes:
        retry_s: the first pause before it is opened again, and the longest; each is twice the one before.
        freeze_s: it gives no new frame, or the same picture again and again: it has frozen, and the same
            picture counts as no frame from then on. None: a still picture is nothing strange (a simulation).
        hang_s: it does not come back from being asked for a frame: it is left behind and opened again.
    """

    retry_s: tuple[float, float] = (0.5, 10.0)
    freeze_s: float | None = 1.0
    hang_s: float = 5.0
