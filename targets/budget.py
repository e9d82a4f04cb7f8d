"""What a model may take on a device: time, working memory, flash."""

from dataclasses import dataclass

from edgecnn.errors import OverBudget, TargetError


@dataclass(frozen=True)
class Limits:
    """What may not be exceeded; None where nothing is asked.

    Attributes:
        latency_ms: of one run.
        ram_bytes: working memory.
        flash_bytes: of the file.
    """

    latency_ms: float | None = None
    ram_bytes: int | None = None
    flash_bytes: int | None = None

    def __bool__(self) -> bool:
        """Whether anything is asked."""
        return (self.latency_ms, self.ram_bytes, self.flash_bytes) != (None, None, None)


def check(
    allowed: Limits,
    name: str,
    target: str,
    *,
    latency_ms: float | None,
    ram_bytes: int | None,
    flash_bytes: int,
    how: str = "estimated",
) -> None:
    """Raise OverBudget with every limit that is exceeded.

    Args:
        allowed: the limits.
        name: of the model.
        target: of the device.
        latency_ms: of one run; None where nobody can say.
        ram_bytes: likewise.
        flash_bytes: of the file.
        how: the figures were come by: "estimated" or "measured".

    Raises:
        OverBudget: it takes more.
        TargetError: a limit was asked for a figure that nobody can say.
    """
    said = []
    for limit, value, show, what in (
        (allowed.latency_ms, latency_ms, _shown_ms, "latency"),
        (allowed.ram_bytes, ram_bytes, _shown_bytes, "RAM"),
        (allowed.flash_bytes, flash_bytes, _shown_bytes, "flash"),
    ):
        if limit is None:
            continue
        if value is None:
            raise TargetError(
                f"{name}: {what} on {target} cannot be estimated, so --max-{what.lower()} cannot be checked. "
                "Measure it there."
            )
        if value > limit:
            said.append(f"{what} {show(value)} {how}, {show(limit)} allowed")
    if said:
        raise OverBudget(f"{name}: over budget on {target}: {'; '.join(said)}.")


def _shown_ms(value: float) -> str:
    return f"{value:.3g} ms"


def _shown_bytes(value: float) -> str:
    return f"{value:,.0f} bytes"
