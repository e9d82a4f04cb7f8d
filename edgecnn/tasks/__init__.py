"""What a model's output means: one module for each task, all of the same shape.

A task is a MODULE that satisfies the `Task` protocol. It is numpy, it ships to the device, and it knows
nothing of how its output was learned (that is `edgecnn.heads`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from edgecnn.card import Card
from edgecnn.image import Array, Image, View
from edgecnn.results import Result
from edgecnn.tasks import classification


class Task(Protocol):
    """What a task module offers."""

    @property
    def ROLES(self) -> tuple[str, ...]:  # noqa: N802  (a constant of the module)
        """The roles of the outputs that `decode` reads."""

    def decode(self, outputs: Mapping[str, Array], view: View, card: Card) -> Result:
        """Turn output tensors, by role, in real numbers and without the batch axis, into a result."""

    def draw(self, image: Image, result: Result) -> Image:
        """A copy of the image with the result drawn on it."""

    def score(self, results: Sequence[Result], truths: Sequence[Result]) -> Any:
        """Judge results against truth: the task's metrics."""


TASKS: dict[str, Task] = {"classification": classification}
