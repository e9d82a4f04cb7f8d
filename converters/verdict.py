"""What every gate says of a file, whatever its task: what the ladder climbs by and a person reads."""

from collections.abc import Sequence
from typing import Any, Protocol

from converters.certificate import Budget, Outcome
from edgecnn.evaluation.judged import Judged


class Share(Protocol):
    """How often a file answers like the float model."""

    @property
    def share(self) -> float:
        """In [0, 1]."""


class Ratio(Protocol):
    """How near a file's outputs are to the float model's."""

    @property
    def snr_db(self) -> float:
        """In decibels; of several outputs, the worst."""


class Verdict(Protocol):
    """What a gate found; `converters.certificate.Verdict` says more about each field."""

    @property
    def outcome(self) -> Outcome:
        """Certified, unproven or refused."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not certified."""

    @property
    def advice(self) -> str:
        """What to do now."""

    @property
    def may_be_written(self) -> bool:
        """Certified; or unproven in what nobody asked for."""

    @property
    def another_may_pass(self) -> bool:
        """A better file could."""

    @property
    def budget(self) -> Budget:
        """What was allowed."""

    @property
    def data(self) -> Judged:
        """The images."""

    @property
    def is_labelled(self) -> bool:
        """People said what they show."""

    @property
    def drop(self) -> float:
        """Observed, in points; of several figures, the worst."""

    @property
    def at_most(self) -> float:
        """What the images leave possible, in points."""

    @property
    def agreement(self) -> Share:
        """With the float model."""

    @property
    def signal(self) -> Ratio:
        """Of the outputs."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what stands in `table`."""

    def header(self, name: str = "the file") -> str:
        """One line that says how it went."""

    def table(self, most: int = 10) -> Sequence[tuple[Any, ...]]:
        """The worst classes."""

    def figures(self) -> list[tuple[str, str]]:
        """The figures for a person: what, and how much."""

    def as_dict(self) -> dict[str, Any]:
        """The certificate: JSON-ready values."""
